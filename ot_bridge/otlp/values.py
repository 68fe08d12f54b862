"""Encodes attributes, most of which come from a cache.

1. A *part* is one `KeyValue` with its length in front of it, but without the tag of its field. Code that
   joins parts puts the tag in front of each. So parts are the same for a span, an event and a resource.
2. `PLAIN[type(value)][key][value]` is a part. Each of the three tables adds missing entries itself, so that a
   known attribute costs three look-ups and no call.
3. The type is looked up first, because 1, 1.0 and True are equal in Python. Only exact types are looked up
   (the caller checks the type of the key), because a subclass may be equal to anything. Floats are not kept,
   because 0.0 equals -0.0, and NaN is never found again.
4. The cache is bounded. A key keeps a fixed number of values, so that an attribute whose value is always new
   does not fill the cache. Long parts are not kept. Each part, kept or not, takes a number of bytes from one
   budget. When the budget is used up, the cache is emptied. There is no lock: several threads may add the
   same part at the same time.

The tests, by number, in tests/otlp/ (benchmark row export needs 2):
1. test_values.py::test_a_value_is_the_same_in_spans_events_links_resources_and_scopes
3. test_values.py::test_values_that_are_equal_in_python_but_of_different_types_are_kept_apart,
   test_values.py::test_strings_with_a_wrong_equality_are_written_correctly,
   test_values.py::test_floats_are_not_kept
4. test_values.py::test_the_cache_for_a_key_with_many_values_is_bounded,
   test_values.py::test_long_texts_are_not_kept,
   test_values.py::test_parts_that_are_kept_and_others_use_up_the_budget
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from types import MappingProxyType, NoneType
from typing import Any, Final

from ot_bridge.otel import BoundedAttributes
from ot_bridge.otlp.varint import sized, text, utf8, varint

MOST_VALUES: Final = 64  # maximum number of values that are kept for one key and type
MOST_KEYS: Final = 1024  # maximum number of keys for one type
MOST_NAMES: Final = 1024
LONGEST: Final = 256  # maximum number of bytes of a part that is kept
BUDGET: Final = 2 * 1024 * 1024  # maximum number of bytes in the cache
DEEPEST: Final = 30  # levels of lists and maps: a map is three nested messages; many readers allow 100

_64_BITS: Final = (1 << 64) - 1
_double: Final = Struct("<Bd").pack
_VIEWS: Final = frozenset({MappingProxyType, BoundedAttributes})


class Unfit(ValueError):
    """Raised for a key that is empty, not a text or not UTF-8. The cache does not accept it."""


# Values


def _text(value: str) -> bytes:
    encoded = utf8(value)
    size = len(encoded)
    return b"\x0a%c%b" % (size, encoded) if size < 128 else b"\x0a" + varint(size) + encoded


def _whole(value: int) -> bytes:
    if 0 <= value < 1 << 14:
        return b"\x18%c%c" % (value & 127 | 128, value >> 7) if value > 127 else b"\x18%c" % value
    if -(1 << 63) <= value < 1 << 63:
        return b"\x18" + varint(value & _64_BITS)
    return b"\x0a" + text(hex(value))


def _array(value: Any, depth: int) -> bytes:
    return b"\x2a" + sized(b"".join([b"\x0a" + sized(any_value(item, depth)) for item in value]))


def _map(value: Any, depth: int) -> bytes:
    pairs = [pair(str(key), any_value(item, depth)) for key, item in value.items() if key != ""]
    return b"\x32" + sized(b"".join([b"\x0a" + each for each in pairs]))


_SCALARS: Final[dict[type, Callable[[Any], bytes]]] = {
    NoneType: lambda value: b"",
    str: _text,
    bool: lambda value: b"\x10\x01" if value else b"\x10\x00",
    int: _whole,
    float: lambda value: _double(0x21, value),
    bytes: lambda value: b"\x3a" + sized(value),
}

# A subclass is encoded as its base class, without its own methods.
_BASES: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, lambda value: bytes(memoryview(value))),
)


def any_value(value: Any, depth: int = 0) -> bytes:
    """Encodes an `AnyValue`, without its length. Raises TypeError for a type that OTLP does not have."""
    write = _SCALARS.get(type(value))
    if write is not None:
        return write(value)
    for base, plain in _BASES:
        if isinstance(value, base):
            return _SCALARS[base](plain(value))
    if not isinstance(value, Sequence | Mapping):
        raise TypeError(f"no attribute can hold a {type(value).__name__}")
    if depth >= DEEPEST:
        return b"\x0a" + text(value)
    return (_map if isinstance(value, Mapping) else _array)(value, depth + 1)


def pair(key: str, value: bytes) -> bytes:
    """Makes a part of a key and an encoded `AnyValue`."""
    return sized(b"\x0a" + text(key) + b"\x12" + sized(value))


# The cache


class _Budget:
    """The number of bytes that may still be kept. Each part that is not kept takes 8 of them."""

    left = BUDGET

    def pay(self, length: int) -> None:
        self.left -= 2 * length + 200  # the part, its value, and Python's overhead for both
        if self.left < 0:
            forget()


class _Values(dict[Any, bytes]):
    """The parts of one key with values of one type."""

    __slots__ = ("head", "longer", "most", "write")

    def __init__(self, key: str, write: Callable[[Any], bytes], most: int) -> None:
        if not key or type(key) is not str:
            raise Unfit(key)
        self.head = b"\x0a" + sized(key.encode()) + b"\x12"
        self.longer = len(self.head) + 1
        self.write = write
        self.most = most

    def __missing__(self, value: Any) -> bytes:
        encoded = self.write(value)
        size = len(encoded)
        if size < 128:
            part = b"%b%b%c%b" % (varint(self.longer + size), self.head, size, encoded)
        else:
            part = sized(self.head + sized(encoded))
        if len(self) < self.most and len(part) <= LONGEST:
            self[value] = part
            budget.pay(len(part))
        elif self.most:
            budget.left -= 8  # the next `pay` or `begin` checks whether any is left
        return part


class _Keys(dict[str, _Values]):
    """The parts with values of one type, by key."""

    __slots__ = ("most", "write")

    def __init__(self, write: Callable[[Any], bytes], most: int) -> None:
        self.write = write
        self.most = most

    def __missing__(self, key: str) -> _Values:
        made = _Values(key, self.write, self.most)
        if len(self) < MOST_KEYS and len(key) <= LONGEST:
            self[key] = made
            budget.pay(len(key) + 200)
        return made


class _Names(dict[str, bytes]):
    """The names of spans and events: their length and UTF-8 bytes. Only an exact str may be looked up."""

    def __missing__(self, name: str) -> bytes:
        made = text(name)
        if len(self) < MOST_NAMES and len(made) <= LONGEST:
            self[name] = made
            budget.pay(len(made))
        else:
            budget.left -= 8
        return made


budget: Final = _Budget()
PLAIN: Final[dict[type, _Keys]] = {
    kind: _Keys(_SCALARS[kind], 0 if kind is float else MOST_VALUES) for kind in (str, bool, int, float)
}
NAMES: Final = _Names()


def begin() -> None:
    """Empties the cache if its budget is used up. To be called before each batch."""
    if budget.left < 0:
        forget()


def forget() -> None:
    """Empties the cache."""
    for keys in PLAIN.values():
        keys.clear()
    NAMES.clear()
    budget.left = BUDGET


def name(value: object) -> bytes:
    """Encodes a name of any type: its length and its UTF-8 bytes."""
    if type(value) is str:
        return NAMES[value]
    try:
        return text("" if value is None else value)
    except Exception:  # raised by its `__str__`
        return text(f"<unprintable {type(value).__name__}>")


def parts(attributes: Mapping[str, Any] | None) -> tuple[list[bytes], int]:
    """The parts of attributes, each key once, and the number of attributes that could not be encoded."""
    if not attributes:
        return [], 0
    if type(attributes) in _VIEWS:
        attributes = attributes.copy()  # type: ignore[attr-defined]
    made: dict[str, bytes] = {}
    lost = 0
    for key, value in attributes.items():
        try:
            if type(key) is not str:
                key = _key(key)
            known = PLAIN.get(type(value))
            if known is not None and key.isascii():
                made[key] = known[key][value]
            elif key:
                made[utf8(key).decode()] = pair(key, any_value(value))
            else:
                raise Unfit(key)
        except Exception:  # raised by the value's own code, or OTLP has no such type
            lost += 1
    return list(made.values()), lost


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise Unfit(key)
    return str.__str__(key)
