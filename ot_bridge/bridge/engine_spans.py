"""OpenTracing spans on the engine: one object is the span of both APIs and the processors' `ReadableSpan`.

`bridge.Span` and the engine define how a span behaves; this module only joins the two. The bridge uses these
parts of the engine: `Tracer.start`; `note`, `end`, `ids` and `parent_ids` of spans; and contexts that are
made when they are needed (see `full_context` in `engine.current`).

`set_tag`, `log_kv` and `finish` have a fast path for what most programs pass. It does not check whether the
span is recorded, and skips the functions of `convert` that would change nothing. In tests/bridge,
test_names_and_values.py and test_tags.py run on both providers and check that both paths agree; benchmark
rows root, child and tagged need the fast one.
"""

from __future__ import annotations

import logging
from time import time_ns
from typing import Any, Final

from ot_bridge import engine
from ot_bridge.bridge import convert, logs
from ot_bridge.bridge.span import Span
from ot_bridge.errors import log_failure

_log = logging.getLogger("ot_bridge.bridge")
_MAX_TEXT: Final = convert.MAX_TEXT
_KNOWN: Final = convert.KNOWN
_MOST_NOTES: Final = engine.MOST_NOTES
_SET_AT_START: Final = ("_tracer", "_baggage")
_LEAST: Final = -(1 << 63)
_MOST: Final = (1 << 63) - 1


class _OnEngine(Span):
    """The code that recorded and dropped spans have in common."""

    ids: Any = None
    parent_ids: Any = None

    @property
    def _otel_span(self) -> Any:
        return self


class EngineSpan(_OnEngine, engine.Span):
    """A recorded span."""

    _expected: tuple[str, ...] = (*engine.Span._expected, *_SET_AT_START, "finished", "_raised", "_frozen")

    def set_tag(self, key: str, value: Any) -> EngineSpan:
        if type(key) is not str or key not in _KNOWN or self._end_time is not None:
            return super().set_tag(key, value)
        kind = type(value)
        if kind is str:
            if len(value) > _MAX_TEXT or not value.isascii():
                value = convert.attribute(value)
        elif kind is not int or not _LEAST <= value <= _MOST:
            value = convert.attribute(value)
        notes = self._notes
        notes.append((key, value))
        if len(notes) > _MOST_NOTES or not self._waits:
            self._settle()
        return self

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> EngineSpan:
        if timestamp is not None or self._end_time is not None:
            return super().log_kv(key_values, timestamp)
        name, attributes, exception = logs.event(key_values)
        if exception is None:
            self.note((name, attributes, time_ns()))
        else:
            self._record(exception, attributes, None)
        return self

    def end(self, end_time: int | None = None) -> None:
        if self.priority_flags is not None:
            # A later `sampling.priority` changes what is propagated, not the flags of the exported span.
            self.priority_flags = None
            self._thaw()
        _end(self, end_time)

    def finish(self, finish_time: float | None = None) -> None:
        if finish_time is not None or self.priority_flags is not None or self._end_time is not None:
            super().finish(finish_time)
            return
        self.finished = True
        self._raised = None  # its traceback refers to frames that refer to this span
        try:
            _end(self)
        except Exception:
            log_failure(_log, "a span processor raised at the end of a span")


_end: Final = engine.Span.end


class EngineDroppedSpan(_OnEngine, engine.DroppedSpan):
    """A span that the sampler dropped. It keeps baggage and `sampling.priority`, and nothing else."""

    _expected: tuple[str, ...] = (*engine.DroppedSpan._expected, *_SET_AT_START, "finished", "_frozen")

    def set_tag(self, key: str, value: Any) -> EngineDroppedSpan:
        if type(key) is str and key == "sampling.priority":
            super().set_tag(key, value)
        return self

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> EngineDroppedSpan:
        return self

    def finish(self, finish_time: float | None = None) -> None:
        self.finished = True
