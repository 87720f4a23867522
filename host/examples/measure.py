"""The seed's half of measure.rs: for every line on standard input, saves and
loads the same entries once, and prints how many seconds each took."""

import os
import sys
import time

sys.path.insert(0, sys.argv[1])
from cache_backend import DiskBackend

path, count = os.path.join(sys.argv[2], "seed.pkl"), int(sys.argv[3])
data = {
    f"user:{i}": (bytes([i % 256]) * 100, 3600.0 if i % 3 == 0 else None)
    for i in range(count)
}
backend = DiskBackend(path)
for _ in sys.stdin:
    start = time.perf_counter()
    backend.save(data)
    saved = time.perf_counter()
    loaded = backend.load()
    done = time.perf_counter()
    assert len(loaded) == count
    print(saved - start, done - saved, flush=True)
