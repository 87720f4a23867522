"""The contestants in Python.

Reads the entries first. Then each line on standard input names a folder: persists
the entries into it, or loads them from it, and prints the time in seconds.
Verifies loaded entries after the time was taken."""

import argparse
import os
import struct
import sys
import time


class CacheBackend:
    def __init__(self, data):
        from cache_backend import DiskBackend

        self.backend = DiskBackend
        self.data = data

    def persist(self, folder):
        self.backend(os.path.join(folder, "cache.pkl")).save(self.data)

    def load(self, folder):
        return self.backend(os.path.join(folder, "cache.pkl")).load()


class Diskcache:
    def __init__(self, data):
        from diskcache import Cache

        self.cache = Cache
        self.data = data

    def open(self, folder):
        return self.cache(
            folder,
            eviction_policy="none",
            cull_limit=0,
            size_limit=1 << 40,
            sqlite_journal_mode="wal",
            sqlite_synchronous=2,
            sqlite_cache_size=1 << 18,
        )

    def persist(self, folder):
        with self.open(folder) as cache, cache.transact():
            for key, (value, ttl) in self.data.items():
                cache.set(key, value, expire=ttl)

    def load(self, folder):
        with self.open(folder) as cache, cache.transact():
            return {key: cache.get(key, expire_time=True) for key in cache.iterkeys()}


def entries(path):
    with open(path, "rb") as file:
        while head := file.read(12):
            key, value, seconds = struct.unpack("<III", head)
            ttl = float(seconds) if seconds else None
            yield file.read(key).decode(), (file.read(value), ttl)


def verify(data, loaded):
    assert len(loaded) == len(data), f"{len(loaded)} entries came back, not {len(data)}"
    for key, (value, expires) in loaded.items():
        kept, ttl = data[key]
        assert value == kept, f"another value of {key} came back"
        assert (expires is None) == (ttl is None), f"another deadline of {key} came back"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("store", choices=["cache_backend", "diskcache"])
    parser.add_argument("--entries", required=True)
    parser.add_argument("--module", required=True)
    options = parser.parse_args()
    sys.path.insert(0, options.module)
    data = dict(entries(options.entries))
    store = {"cache_backend": CacheBackend, "diskcache": Diskcache}[options.store](data)
    print("ready", flush=True)
    for line in sys.stdin:
        work, folder = line.rstrip("\n").split(" ", 1)
        start = time.perf_counter()
        if work == "persist":
            store.persist(folder)
            seconds = time.perf_counter() - start
        else:
            loaded = store.load(folder)
            seconds = time.perf_counter() - start
            verify(data, loaded)
            del loaded
        print(seconds, flush=True)


main()
