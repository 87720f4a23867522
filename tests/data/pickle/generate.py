"""Makes the pickle files beside it, the same ones every time: python3 generate.py

plain-P.pkl    plain data of every kind in pickle protocol P, as {"save_time": ..., "entries": ...}
legacy-P.pkl   the same without a save_time
objects-P.pkl  Python objects of every make, each an entry
awkward-P.pkl  data that JSON or a cache has no room for, each an entry
"""

import array
import collections
import datetime
import decimal
import enum
import functools
import os
import pathlib
import pickle
import uuid

SAVE_TIME = 1_700_000_000.25


Pair = collections.namedtuple("Pair", "value ttl")
Triple = collections.namedtuple("Triple", "value ttl version")
Point = collections.namedtuple("Point", "x y")


class Session:
    def __init__(self, user):
        self.user = user


class Colour(enum.Enum):
    RED = 1


class Counted(dict):
    pass


class Command:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def plain():
    shared = [1, 2]
    values = {
        "text": "caf\u00e9 \u2603 \U0001f600",
        "empty text": "",
        "escapes": 'a\\u0041\n\r\t"\x00\x1a\x7f\\',
        "long text": "0123456789" * 30,
        "bytes": b"\x00\xff\n'\\",
        "empty bytes": b"",
        "long bytes": bytes(range(256)) * 2,
        "bytearray": bytearray(b"\x80abc"),
        "empty bytearray": bytearray(),
        "none": None,
        "yes": True,
        "no": False,
        "ints": [0, 1, -1, 255, 256, 65535, 65536, -(2**31), 2**31, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1],
        "4096 bits": 2**4096 - 1,
        "floats": [0.0, -0.0, 1.5, -2.25, 0.1, 1e16, 1e-7, 1.7976931348623157e308, 5e-324],
        "list": [1, "two", b"3", [], [[4]]],
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "set": {7},
        "empty set": set(),
        "frozenset": frozenset([8]),
        "dict": {"a": {"b": [1, 2]}, 1: "int", None: "none", (1, "x"): "tuple", b"k": "bytes", 2.5: "float"},
        "empty dict": {},
        "ordered dict": collections.OrderedDict([("z", 1), ("a", 2)]),
        "default dict": collections.defaultdict(list, a=[1]),
        "default dict without a factory": collections.defaultdict(None, a=1),
        "default dict of the user's factory": collections.defaultdict(Session, a=1),
        "counter": collections.Counter("aab"),
        "deque": collections.deque([1, 2]),
        "bounded deque": collections.deque([3], maxlen=5),
        "nested bytes": {"list": [b"\x01", bytearray(b"\x02")]},
        "shared": [shared, shared, {"again": shared}],
        "quotes": ['"', "\\", "\n", "\x01", "\u2028"],
        99: "int key",
        -(2**70): "big key",
        1.5: "float key",
        None: "none key",
        True: "bool key",
        ("compound", 7): "tuple key",
        b"raw": "bytes key",
        frozenset([3]): "frozenset key",
        "": "empty key",
    }
    entries = {key: (value, None) for key, value in values.items()}
    entries["ttl"] = ("short", 60.5)
    entries["int ttl"] = ("hour", 3600)
    entries["long ttl"] = ("century", 36500 * 86400.0)
    entries["list pair"] = ["listed", 60.5]
    entries["deque pair"] = collections.deque(["queued", 60.5])
    entries["named pair"] = Pair("named", 60.5)
    entries["gone"] = ("gone", -5.0)
    return entries


def objects():
    values = {
        "instance": Session("ann"),
        "enum": Colour.RED,
        "dict subclass": Counted(a=1),
        "datetime": datetime.datetime(2024, 1, 2),
        "decimal": decimal.Decimal("1.5"),
        "uuid": uuid.UUID(int=1),
        "complex": 1 + 2j,
        "range": range(3),
        "class": Session,
        "function": os.path.join,
        "builtin": len,
        "method": "x".upper,
        "partial": functools.partial(int, base=2),
        "default dict": collections.defaultdict(functools.partial(int, base=2), a=1),
        "named tuple": Point(1, 2),
        "array": array.array("b", [1]),
        "user dict": collections.UserDict(a=1),
        "exception": ValueError("no"),
        "ellipsis": ...,
        "command": Command(),
        "inside": {"deep": [1, (Session("bob"),)]},
        datetime.date(2024, 1, 2): "date key",
        ("tuple", decimal.Decimal(1)): "decimal key",
        "plain": "kept",
    }
    entries = {key: (value, None) for key, value in values.items()}
    entries["object pair"] = Session("ann")
    entries["named pair"] = Pair(Session("ann"), None)
    return entries


def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def awkward():
    own_list = [1]
    own_list.append(own_list)
    own_tuple = ([],)
    own_tuple[0].append(own_tuple)
    own_dict = {}
    own_dict["self"] = [own_dict]
    bomb = ["boom"]
    for _ in range(60):
        bomb = [bomb, bomb]
    values = {
        "list of itself": own_list,
        "tuple of itself": own_tuple,
        "dict of itself": own_dict,
        "128 levels": nested(128),
        "129 levels": nested(129),
        "400 levels": nested(400),
        "bomb": bomb,
        "after the bomb": "kept",
        "nan": float("nan"),
        "inf": [float("inf")],
        "4097 bits": -(2**4096),
        "surrogate": "half \ud83d",
        "surrogate inside": {"a": ["\ude00"]},
        "half \ud83d": "surrogate key",
        99: "first",
        "99": "second",
        (1, 2): "tuple",
        frozenset([1, 2]): "frozenset",
        "clash inside": {1: "a", "1": "b"},
    }
    entries = {key: (value, None) for key, value in values.items()}
    entries["no pair"] = "ab"
    entries["set of two"] = {1, 2}
    entries["frozenset of two"] = frozenset([1, 2])
    entries["dict of two"] = {"value": 1, "ttl": 2}
    entries["single"] = ("value",)
    entries["triple"] = ("value", None, None)
    entries["named triple"] = Triple("value", None, None)
    for ttl in [0, 0.0, -0.0, -1, 1e-10, float("-inf"), -(10**400)]:
        entries[f"expired {str(ttl)[:8]}"] = ("value", ttl)
    entries["expired object"] = (Session("ann"), -1.0)
    entries["ttl nan"] = ("value", float("nan"))
    entries["ttl bool"] = ("value", True)
    entries["ttl text"] = ("value", "60")
    entries["ttl object"] = ("value", decimal.Decimal(60))
    entries["ttl inf"] = ("value", float("inf"))
    entries["ttl 1e300"] = ("value", 1e300)
    entries["ttl 10**400"] = ("value", 10**400)
    entries["ttl 10**11"] = ("value", 10**11)
    entries["ttl 1e-9"] = ("value", 1e-9)
    return entries


def write(name, payload, protocol):
    path = pathlib.Path(__file__).with_name(f"{name}-{protocol}.pkl")
    path.write_bytes(pickle.dumps(payload, protocol))


for protocol in range(6):
    write("plain", {"save_time": SAVE_TIME, "entries": plain()}, protocol)
    write("legacy", plain(), protocol)
    write("objects", objects(), protocol)
for protocol in (0, 5):
    write("awkward", awkward(), protocol)
