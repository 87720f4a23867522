"""A backend in memory, in Python. Its entries are gone when the instance ends.

docs/composition.md says how to build it.
"""

from typing import NoReturn

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import cache_updates, types
from wit_world.imports import monotonic_clock

LONGEST = 2**64 - 1

# For each cache: the value and the deadline of each key.
caches: dict[str, dict[str, tuple[bytes, int | None]]] = {}


def check(cache: str) -> None:
    """Applies the rules for cache names, which are in the WIT package."""
    size = len(cache.encode())
    if not 1 <= size <= 200:
        refuse(f"has 1 to 200 bytes, not {size}")
    if any(c in '/\\:*?"<>|' or ord(c) < 32 or 127 <= ord(c) < 160 for c in cache):
        refuse(r'has no control characters and none of / \ : * ? " < > |')
    if cache[0] in ". " or cache[-1] in ". ":
        refuse("neither starts nor ends with a dot or a space")
    if cache.endswith(".postcard"):
        refuse("does not end in .postcard")


def refuse(rule: str) -> NoReturn:
    raise Err(types.Error_InvalidName(f"a cache name {rule}"))


def put(entries: dict[str, tuple[bytes, int | None]], entry: types.Entry) -> None:
    entries.pop(entry.key, None)
    if entry.ttl is None:
        entries[entry.key] = (entry.value, None)
    elif entry.ttl > 0:
        entries[entry.key] = (entry.value, min(monotonic_clock.now() + entry.ttl, LONGEST))


class CacheBackend(exports.CacheBackend):
    def load(self, cache: str) -> types.Contents:
        check(cache)
        now = monotonic_clock.now()
        entries = caches.get(cache, {}).items()
        live = [(key, value, at) for key, (value, at) in entries if at is None or at > now]
        return types.Contents([types.LiveEntry(*entry) for entry in live], 0)

    def save(self, cache: str, entries: list[types.Entry]) -> None:
        check(cache)
        saved: dict[str, tuple[bytes, int | None]] = {}
        for entry in entries:
            put(saved, entry)
        caches[cache] = saved

    def clear(self, cache: str) -> None:
        check(cache)
        caches.pop(cache, None)


class CacheUpdates(exports.CacheUpdates):
    def apply(self, cache: str, changes: list[cache_updates.Change]) -> None:
        check(cache)
        if not changes:
            return
        entries = caches.setdefault(cache, {})
        for change in changes:
            if isinstance(change, cache_updates.Change_Put):
                put(entries, change.value)
            else:
                entries.pop(change.value, None)


class Types(exports.Types):
    pass
