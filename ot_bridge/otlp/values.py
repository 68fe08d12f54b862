"""Attributes as bytes, most of them out of a cache.

1. A *part* is one `KeyValue` behind its length, without the tag of the field that it stands in: whoever
   joins parts puts that tag in front of each. So a span's, an event's and a resource's parts are the same.
2. `PLAIN[type(value)][key][value]` is a part. Each of the three tables makes what it does not hold yet, so
   that what is known costs three look-ups and no call.
3. The type comes first, since Python finds 1, 1.0 and True equal. Only exact types are looked up (the
   caller sees to the key's): a subclass may say that it equals anything. Floats are never kept: 0.0 equals
   -0.0, and NaN is never found again.
4. The cache is bounded. A key keeps so many values and no more, so that one with ever new values fills
   nothing; a long part is not kept; all that is kept is paid for out of one budget, also each look in vain,
   and when that is used up everything is forgotten and learnt anew. There is no lock: several threads may
   learn the same thing at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from types import MappingProxyType, NoneType
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes

from .varint import sized, text, utf8, varint

MOST_VALUES: Final = 64  # that are kept for one key and type
MOST_KEYS: Final = 1024  # of one type
MOST_NAMES: Final = 1024
LONGEST: Final = 256  # bytes of what is kept
BUDGET: Final = 2 * 1024 * 1024  # bytes that all of it may hold
DEEPEST: Final = 30  # levels of lists and maps: a map is three messages, and many readers take 100 in all

_64_BITS: Final = (1 << 64) - 1
_double: Final = Struct("<Bd").pack
_VIEWS: Final = frozenset({MappingProxyType, BoundedAttributes})


class Unfit(ValueError):
    """A key that is empty, no text or not UTF-8: the plain way does not lead there."""


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

# A subclass as its base, whatever its own methods say.
_BASES: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, lambda value: bytes(memoryview(value))),
)


def any_value(value: Any, depth: int = 0) -> bytes:
    """An `AnyValue` without its length. Raises TypeError for what OTLP has no value for."""
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
    """A part: key and `AnyValue`."""
    return sized(b"\x0a" + text(key) + b"\x12" + sized(value))


# The cache


class _Budget:
    """What may still be kept, in bytes; each value that is not kept takes a little of it, too."""

    left = BUDGET

    def pay(self, length: int) -> None:
        self.left -= 2 * length + 200  # the part, its value, what Python needs for both
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
        said = self.write(value)
        size = len(said)
        if size < 128:
            part = b"%b%b%c%b" % (varint(self.longer + size), self.head, size, said)
        else:
            part = sized(self.head + sized(said))
        if len(self) < self.most and len(part) <= LONGEST:
            self[value] = part
            _budget.pay(len(part))
        elif self.most:
            _budget.left -= 8  # who pays next, or begins a batch, looks whether any is left
        return part


class _Keys(dict[str, _Values]):
    """What is known of values of one type, by key."""

    __slots__ = ("most", "write")

    def __init__(self, write: Callable[[Any], bytes], most: int) -> None:
        self.write = write
        self.most = most

    def __missing__(self, key: str) -> _Values:
        made = _Values(key, self.write, self.most)
        if len(self) < MOST_KEYS and len(key) <= LONGEST:
            self[key] = made
            _budget.pay(len(key) + 200)
        return made


class _Names(dict[str, bytes]):
    """Names of spans and events, as UTF-8 behind its length. Only an exact str may be looked up."""

    def __missing__(self, name: str) -> bytes:
        made = text(name)
        if len(self) < MOST_NAMES and len(made) <= LONGEST:
            self[name] = made
            _budget.pay(len(made))
        else:
            _budget.left -= 8
        return made


_budget: Final = _Budget()
PLAIN: Final[dict[type, _Keys]] = {
    kind: _Keys(_SCALARS[kind], 0 if kind is float else MOST_VALUES) for kind in (str, bool, int, float)
}
NAMES: Final = _Names()


def begin() -> None:
    """To be called before each batch: keeps the cache within its bounds."""
    if _budget.left < 0:
        forget()


def forget() -> None:
    """Empties the cache."""
    for keys in PLAIN.values():
        keys.clear()
    NAMES.clear()
    _budget.left = BUDGET


def name(value: object) -> bytes:
    """Any name as UTF-8 behind its length."""
    if type(value) is str:
        return NAMES[value]
    try:
        return text("" if value is None else value)
    except Exception:  # its own `__str__`
        return text(f"<unprintable {type(value).__name__}>")


def parts(attributes: Mapping[str, Any] | None) -> tuple[list[bytes], int]:
    """The parts of any attributes, each key once, and how many attributes could not be encoded."""
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
        except Exception:  # the value's own code, or nothing that OTLP has a type for
            lost += 1
    return list(made.values()), lost


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise Unfit(key)
    return str.__str__(key)
