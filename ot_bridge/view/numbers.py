"""Formats durations. `duration` in files/text.js is the same function; one test checks both."""

from __future__ import annotations

from typing import Final

_UNITS: Final = (("ns", 1, (0,)), ("µs", 1000, (2, 1, 0)), ("ms", 10**6, (2, 1, 0)), ("s", 10**9, (2, 1)))
_MINUTE: Final = 60


def duration(nanoseconds: int) -> str:
    """Three digits and a unit: `850 ns`, `5.88 ms`, `1.42 s`; from a minute on `2 min 5 s`, `1 h 3 min`."""
    if nanoseconds < 0:
        return "-" + duration(-nanoseconds)
    for unit, size, places in _UNITS:
        for place in places:
            digits = (nanoseconds * 10**place + size // 2) // size
            if digits < (min(1000, _MINUTE * 10**place) if unit == "s" else 1000):
                return f"{_with_point(digits, place)} {unit}"
    seconds = (nanoseconds + 10**9 // 2) // 10**9
    if seconds < _MINUTE * _MINUTE:
        return _two_units(seconds, "min", "s")
    return _two_units((seconds + _MINUTE // 2) // _MINUTE, "h", "min")


def _with_point(digits: int, place: int) -> str:
    whole, rest = divmod(digits, 10**place)
    text = f"{whole}.{rest:0{place}d}" if place else str(whole)
    return text.rstrip("0").rstrip(".") if place else text


def _two_units(small: int, large_unit: str, small_unit: str) -> str:
    large, rest = divmod(small, _MINUTE)
    return f"{large} {large_unit}" + (f" {rest} {small_unit}" if rest else "")
