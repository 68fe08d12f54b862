"""Keeps the viewer's traces in memory, packed and within bounds.

1. A span is kept as bytes (`marshal`, which only this module writes and reads). Its resource is kept once for
   each trace, and equal resources share their bytes. Trees and summaries are made on request.
2. Traces are numbered in the order of their arrival (`serial`). The oldest trace is dropped first, as a
   whole. A reader drops all traces with a number below `first`.
3. Every change of a trace gets a number (`changed`). A reader requests the changes after the last number that
   it has.
4. The lock is held while bytes are stored or read, never while a tree is made.

The tests, by number, in tests/view/:
1. test_viewer.py::test_a_resource_is_stored_once_per_trace
2. test_viewer.py::test_the_oldest_traces_are_removed_first_and_counted
3. test_viewer.py::test_only_changed_traces_are_returned
4. test_viewer.py::test_spans_can_be_stored_while_a_tree_is_made
"""

from __future__ import annotations

import marshal
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from ot_bridge.otlp.decode import EventRecord, LinkRecord, SpanRecord
from ot_bridge.view.page import summary, trace_data
from ot_bridge.view.tree import Tree, identity, trees

KEEP: Final = 10_000  # traces
MOST_BYTES: Final = 64 << 20  # of all packed spans
MOST_SPANS: Final = 20_000  # of a trace
_AT_ONCE: Final = 1000  # summaries in one response
_OVERHEAD: Final = 150  # bytes that a packed span takes in addition to its own
_RESOURCES: Final = 1000  # the number of resources that can be shared

_RESOURCE: Final = SpanRecord._fields.index("resource")
_EVENTS: Final = SpanRecord._fields.index("events")
_LINKS: Final = SpanRecord._fields.index("links")


class _Trace:
    __slots__ = ("changed", "left_out", "resources", "serial", "size", "spans", "summary")

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.changed = 0
        self.size = 0
        self.left_out = 0
        self.spans: dict[str, tuple[bytes, int]] = {}  # by identity: the packed span, its resource's place
        self.resources: dict[bytes, int] = {}  # packed resources and their places
        self.summary: dict[str, Any] | None = None


class Store:
    """Holds at most `keep` traces. Safe to use from several threads."""

    def __init__(self, keep: int = KEEP, most_bytes: int = MOST_BYTES, most_spans: int = MOST_SPANS) -> None:
        self._keep, self._most_bytes, self._most_spans = keep, most_bytes, most_spans
        self._lock = threading.Lock()
        self._traces: dict[str, _Trace] = {}  # in the order of their arrival
        self._by_change: OrderedDict[str, _Trace] = OrderedDict()
        self._resources: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0
        self._now = 0
        self._serial = 0
        self._gone = 0
        self._run = os.urandom(4).hex()

    def add(self, spans: Iterable[SpanRecord]) -> None:
        """Adds spans of any traces in any order. A span that is stored already is replaced."""
        for span in spans:
            packed, resource = _packed(span), marshal.dumps(span.resource)
            with self._lock:
                self._put(span, packed, resource)

    def _put(self, span: SpanRecord, packed: bytes, resource: bytes) -> None:
        trace = self._traces.get(span.trace_id)
        if trace is None:
            self._serial += 1
            trace = self._traces[span.trace_id] = self._by_change[span.trace_id] = _Trace(self._serial)
        key = identity(span)
        before = trace.spans.get(key)
        size = len(packed) + _OVERHEAD
        full = len(trace.spans) >= self._most_spans or trace.size + size > self._most_bytes
        if before is None and full:
            trace.left_out += 1
        else:
            grown = size - (len(before[0]) + _OVERHEAD if before else 0)
            trace.spans[key] = packed, self._resource(trace, resource)
            trace.size += grown
            self._size += grown
        self._now += 1
        trace.changed, trace.summary = self._now, None
        self._by_change.move_to_end(span.trace_id)
        while len(self._traces) > self._keep or (self._size > self._most_bytes and len(self._traces) > 1):
            self._forget(next(iter(self._traces)))
            self._gone += 1

    def _resource(self, trace: _Trace, resource: bytes) -> int:
        """The index of a resource in its trace."""
        place = trace.resources.get(resource)
        if place is not None:
            return place
        shared = self._resources.setdefault(resource, resource)
        if len(self._resources) > _RESOURCES:
            self._resources.popitem(last=False)
        trace.size += len(shared)
        self._size += len(shared)
        return trace.resources.setdefault(shared, len(trace.resources))

    def _forget(self, trace_id: str) -> None:
        self._size -= self._traces.pop(trace_id).size
        del self._by_change[trace_id]

    def clear(self) -> None:
        """Forgets all traces."""
        with self._lock:
            self._traces.clear()
            self._by_change.clear()
            self._resources.clear()
            self._size = self._gone = 0
            self._now += 1

    def changes(self, after: int) -> dict[str, Any]:
        """The summaries of traces that have changed after the change with this number.

        run: an id of this store. now: the number for the next call. first: the serial of the oldest trace.
        gone: how many traces were dropped to make room. more: whether to call again at once.
        """
        with self._lock:
            newest_first = reversed(self._by_change.items())
            changed = []
            for trace_id, trace in newest_first:
                if trace.changed <= after:
                    break
                changed.append((trace_id, trace, trace.changed))
            more = len(changed) > _AT_ONCE
            chosen = changed[-_AT_ONCE:]
            first = next(iter(self._traces.values())).serial if self._traces else self._serial + 1
            found = {"run": self._run, "first": first, "gone": self._gone, "more": more}
            found["now"] = chosen[0][2] if more else self._now
        found["traces"] = [self._summary(*each) for each in reversed(chosen)]
        return found

    def _summary(self, trace_id: str, trace: _Trace, changed: int) -> dict[str, Any]:
        found = trace.summary
        if found is None:
            found = {**summary(self._tree(trace)), "serial": trace.serial}
            if trace.changed == changed:
                trace.summary = found
        return found

    def _tree(self, trace: _Trace) -> Tree:
        with self._lock:
            held, resources = list(trace.spans.values()), list(trace.resources)
        known = list(map(marshal.loads, resources))
        (tree,) = trees(_unpacked(packed, known[place]) for packed, place in held)
        return tree

    def trace(self, trace_id: str) -> dict[str, Any] | None:
        """A trace for the page, or None if it is not stored."""
        trace = self._traces.get(trace_id)
        return None if trace is None else {**trace_data(self._tree(trace)), "left_out": trace.left_out}

    def everything(self) -> Iterator[list[SpanRecord]]:
        """The spans of each trace, oldest first."""
        with self._lock:
            traces = list(self._traces.values())
        for trace in traces:
            yield [node.span for node in self._tree(trace).nodes]


def _packed(span: SpanRecord) -> bytes:
    plain: list[Any] = list(span)
    plain[_RESOURCE] = None
    plain[_EVENTS] = tuple(map(tuple, span.events))
    plain[_LINKS] = tuple(map(tuple, span.links))
    return marshal.dumps(tuple(plain))


def _unpacked(packed: bytes, resource: dict[str, Any]) -> SpanRecord:
    plain: list[Any] = list(marshal.loads(packed))
    plain[_RESOURCE] = resource
    plain[_EVENTS] = tuple(EventRecord(*each) for each in plain[_EVENTS])
    plain[_LINKS] = tuple(LinkRecord(*each) for each in plain[_LINKS])
    return SpanRecord(*plain)
