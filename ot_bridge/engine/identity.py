"""The ids that a span has from its start, and attributes that are made when they are first read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import trace as trace_api
from opentelemetry.trace import SpanContext, TraceFlags, TraceState


class Lazy:
    """An attribute that a method makes when it is first read. It can be assigned like any attribute."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make.__name__  # by name, so that a subclass may override the method

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, span: Any, owner: type | None = None) -> Any:
        if span is None:
            return self
        made = getattr(span, self.make)()
        setattr(span, self.name, made)
        return made


class Shared:
    """An attribute that all spans of a tracer share. It can be assigned like any attribute.

    It is read from the span's `_settings`, which are this room's and have no public name on a span.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, span: Any, owner: type | None = None) -> Any:
        return self if span is None else getattr(span._settings, self.name)


class Identity:
    """A span's ids, and its `SpanContext`, which is made when it is first read."""

    ids: tuple[int, int, bool, TraceFlags, TraceState, bool]  # the fields of a SpanContext

    def _make_context(self) -> SpanContext:
        """Makes the `SpanContext` when it is first read. Subclasses may make another class."""
        return tuple.__new__(SpanContext, self.ids)

    _context: Any = Lazy(_make_context)

    def __init_subclass__(cls, **options: Any) -> None:
        """Sets the attribute names of `_expected` once, so that the interpreter expects them.

        CPython 3.11 and 3.12 keep one table of attribute names for all instances of a class. An instance that
        sets a name for which the table has no place gets a dict of its own, which takes more memory and is
        slower (tests/engine/test_benchmarks.py measures the memory; benchmark rows root and child).
        """
        super().__init_subclass__(**options)
        first = object.__new__(cls)
        for name in cls._expected:
            setattr(first, name, None)

    _expected: tuple[str, ...] = ("ids", "_context")


class DroppedSpan(Identity, trace_api.NonRecordingSpan):
    """A span that the sampler dropped. It has ids to propagate and records nothing."""

    #: Whether it keeps its `_name`, `_start_time` and `parent_ids`, as a recorded span does.
    remembers = False
