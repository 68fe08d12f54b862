"""Converts spans of this process to records. `OTEL_TRACES_EXPORTER=ot_bridge_tree` prints traces as trees.

1. `TreeExporter` waits for no lock, since the stream's own code, or a signal handler, may end a span while a
   tree is printed. What arrives is appended to a deque.
2. Only the thread that has the turn takes it out and prints. A thread that does not get the turn leaves its
   spans to the one that has it. That one looks again after it has given the turn back.

The tests, by number, in tests/view/:
1. test_receiving.py::test_a_signal_handler_may_export_while_a_tree_is_printed,
   test_receiving.py::test_a_stream_may_end_a_span
2. test_receiving.py::test_what_arrives_at_the_end_of_a_turn_is_printed
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, TextIO

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ot_bridge.otlp.decode import SpanRecord, decode
from ot_bridge.otlp.encode import encode
from ot_bridge.view.terminal import Style, draw

_MOST: Final = 10_000  # the number of spans that may wait for their local root
_REMEMBERED: Final = 10_000  # the number of printed traces whose late spans are printed at once


def records(spans: Sequence[ReadableSpan]) -> list[SpanRecord]:
    """Ended spans as a collector would receive them."""
    return decode(encode(spans).body)


class TreeExporter(SpanExporter):
    """Prints a trace when its local root (a root, or a span whose parent is remote) has ended.

    Later spans of the trace are printed as a tree of their own. Spans without a local root are printed at
    shutdown. At most 10,000 spans wait; the number of spans that were left out is printed.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._arrived: deque[list[SpanRecord] | None] = deque()  # None: print the rest
        self._turn = threading.Lock()  # no thread waits for it
        self._waiting: dict[str, list[SpanRecord]] = {}
        self._held = 0
        self._left_out = 0
        self._printed: OrderedDict[str, None] = OrderedDict()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._take_in(records(spans))
        return SpanExportResult.SUCCESS

    def _take_in(self, arrived: list[SpanRecord] | None) -> None:
        if arrived and len(self._arrived) >= _MOST:  # the stream takes nothing
            self._left_out += len(arrived)
            return
        self._arrived.append(arrived)
        while self._arrived and self._turn.acquire(blocking=False):
            try:
                while self._arrived:
                    self._work(self._arrived.popleft())
            finally:
                self._turn.release()

    def _work(self, arrived: list[SpanRecord] | None) -> None:
        if arrived is None:
            self._show(list(self._waiting), rooted=False)
            return
        for span in arrived:
            if self._held < _MOST:
                self._waiting.setdefault(span.trace_id, []).append(span)
                self._held += 1
            else:
                self._left_out += 1
        self._show({span.trace_id for span in arrived if span.trace_id in self._waiting})

    def _show(self, traces: Iterable[str], rooted: bool = True) -> None:
        """Prints the traces that have a local root, or all of them if `rooted` is False."""
        ready = [
            span
            for trace_id in traces
            if not rooted or trace_id in self._printed or _rooted(self._waiting[trace_id])
            for span in self._take(trace_id)
        ]
        with suppress(OSError, ValueError):  # a program may close its standard error
            self._print(ready, bool(ready) or not rooted)

    def _print(self, ready: Sequence[SpanRecord], is_complete: bool) -> None:
        stream = self._stream or sys.stderr
        lines = list(draw(ready, Style.of(stream)))
        if self._left_out and is_complete:
            spans = "1 span was" if self._left_out == 1 else f"{self._left_out} spans were"
            lines.append(f"{spans} left out: more than {_MOST} waited for their root")
            self._left_out = 0
        stream.write("".join(line + "\n" for line in lines))
        stream.flush()

    def _take(self, trace_id: str) -> list[SpanRecord]:
        spans = self._waiting.pop(trace_id)
        self._held -= len(spans)
        self._printed[trace_id] = None
        if len(self._printed) > _REMEMBERED:
            self._printed.popitem(last=False)
        return spans

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def shutdown(self) -> None:
        self._take_in(None)


def _rooted(spans: Sequence[SpanRecord]) -> bool:
    # If the parent of a span may still end in this process, the span waits for it.
    return any(not span.parent_id or span.parent_is_remote for span in spans)
