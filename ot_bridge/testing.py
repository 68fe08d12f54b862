"""A tracer for tests: `finished_spans()` returns spans as OpenTracing code made them.

It has the API of OpenTracing's MockTracer, but is built on the tracer for production: parents, conversions
and headers are the same. Span and trace ids count up from 1. No span leaves the process.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import opentracing
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import SpanKind, StatusCode
from opentracing import Reference, ReferenceType, tags

from ot_bridge.bridge import SCOPE_NAME, Span, SpanContext, Tracer, convert

__all__ = ["LogData", "RecordedSpan", "RecordingTracer"]

#: OpenTelemetry's span kind -> the value of the OpenTracing tag.
_KINDS: Mapping[SpanKind, str] = {
    kind: kind.name.lower() for kind in SpanKind if kind is not SpanKind.INTERNAL
}
_ERRORS: Mapping[StatusCode, bool] = {StatusCode.ERROR: True, StatusCode.OK: False}
_ERROR_FIELDS: Mapping[str, str] = {
    "exception.type": "error.kind",
    "exception.message": "message",
    "exception.stacktrace": "stack",
}


class LogData(NamedTuple):
    """One log. key_values: as given to `log_kv`. timestamp: seconds since the epoch."""

    key_values: Mapping[Any, Any]
    timestamp: float


class RecordedSpan(Span):
    """A span as OpenTracing code sees it; `unwrap()` returns the OpenTelemetry SDK's span.

    Tags and logs have the values that the program passed, not the values that are exported.
    """

    def __init__(self, tracer: RecordingTracer, span: trace.Span, baggage: Any = None) -> None:
        super().__init__(tracer, span, baggage)
        self._tags: dict[Any, Any] = {}
        self._logs: dict[int, Mapping[Any, Any]] = {}  # by the index of the event that each became
        self._logging: Any = None  # the fields of the log that is being added
        self._count_events()
        tracer._keep(self)

    def _count_events(self) -> None:
        """Wraps `add_event` to remember which event each log becomes: `span.events` copies all of them."""
        if not self._otel_span.is_recording():
            return
        add = self._otel_span.add_event
        numbers = itertools.count(len(self._of_otel_span("events", ())))

        def add_event(*args: Any, **kwargs: Any) -> None:
            if self._otel_span.is_recording():
                number = next(numbers)
                if issubclass(type(self._logging), Mapping):
                    self._logs[number] = dict(self._logging)
            add(*args, **kwargs)

        self._otel_span.add_event = add_event

    def _of_otel_span(self, name: str, default: Any) -> Any:
        # A span that is not sampled lacks the attributes of the SDK's spans.
        return getattr(self._otel_span, name, default)

    @property
    def operation_name(self) -> str:
        name: str = self._of_otel_span("name", "")
        return name

    @property
    def tags(self) -> dict[Any, Any]:
        """All tags, including the attributes that OpenTelemetry code has set."""
        made = dict(self._of_otel_span("attributes", None) or {})
        if (kind := _KINDS.get(self._of_otel_span("kind", None))) is not None:
            made[tags.SPAN_KIND] = kind
        status = self._of_otel_span("status", None)
        if status is not None and status.status_code in _ERRORS:
            made[tags.ERROR] = _ERRORS[status.status_code]
        own_names = set(map(convert.key_name, self._tags))
        return {**{name: value for name, value in made.items() if name not in own_names}, **self._tags}

    @property
    def logs(self) -> list[LogData]:
        """All logs, including the events that OpenTelemetry code has added."""
        events = self._of_otel_span("events", ())
        return [
            LogData(self._logs[index] if index in self._logs else _as_log(event), event.timestamp / 1e9)
            for index, event in enumerate(events)
        ]

    @property
    def parent_id(self) -> int | None:
        """The parent's span id, None for a root."""
        return self.context.parent_id or None

    @property
    def references(self) -> list[Reference]:
        """The references that were given, otherwise one to the parent, if there is one."""
        parent: trace.SpanContext | None = self._of_otel_span("parent", None)
        links: list[Any] = [
            Reference(
                str((link.attributes or {}).get("opentracing.ref_type", ReferenceType.FOLLOWS_FROM)),
                SpanContext(link.context),
            )
            for link in self._of_otel_span("links", ())
        ]
        if parent is None or any(link.referenced_context == parent for link in links):
            return links
        return [Reference(ReferenceType.CHILD_OF, SpanContext(parent)), *links]

    @property
    def start_time(self) -> float:
        """Seconds since the epoch."""
        return float(self._of_otel_span("start_time", 0) / 1e9)

    @property
    def finish_time(self) -> float:
        """Seconds since the epoch, -1 while the span is not finished."""
        end: int | None = self._of_otel_span("end_time", None)
        return -1 if end is None else end / 1e9

    def set_tag(self, key: Any, value: Any) -> RecordedSpan:
        if self._otel_span.is_recording():
            self._tags[_hashable(key)] = value
        super().set_tag(key, value)
        return self

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> RecordedSpan:
        self._logging = key_values
        try:
            super().log_kv(key_values, timestamp)
        finally:
            self._logging = None
        return self

    def fail(self, exception: BaseException) -> None:
        self._logging = {
            "event": tags.ERROR,
            "message": convert.text(exception),
            "error.object": exception,
            "error.kind": type(exception),
            "stack": exception.__traceback__,
        }
        try:
            super().fail(exception)
        finally:
            self._logging = None


def _hashable(key: Any) -> Any:
    try:
        hash(key)
    except Exception:
        return convert.key_name(key)
    return key


def _as_log(event: sdk.Event) -> dict[str, Any]:
    """The fields of a log for an event that OpenTelemetry code has added."""
    fields = {_ERROR_FIELDS.get(name, name): value for name, value in (event.attributes or {}).items()}
    return {"event": tags.ERROR if event.name == "exception" else event.name, **fields}


class _Consecutive(IdGenerator):
    def __init__(self) -> None:
        self._traces: Iterator[int] = itertools.count(1)
        self._spans: Iterator[int] = itertools.count(1)

    def generate_trace_id(self) -> int:
        return next(self._traces)

    def generate_span_id(self) -> int:
        return next(self._spans)

    def is_trace_id_random(self) -> bool:
        return False


class _Recorder(sdk.SpanProcessor):
    """Passes every span that ends to the tracer, whichever API started it."""

    def __init__(self, tracer: RecordingTracer) -> None:
        self._tracer = tracer
        self._running: dict[int, sdk.Span] = {}

    def on_start(self, span: sdk.Span, parent_context: Context | None = None) -> None:
        self._running[span.context.span_id] = span

    def on_end(self, span: sdk.ReadableSpan) -> None:
        # `span` may be a read-only copy; the tracer needs the span itself.
        self._tracer._ended(self._running.pop(span.context.span_id))


_UNLIMITED = sdk.SpanLimits(
    max_span_attributes=sdk.SpanLimits.UNSET,
    max_events=sdk.SpanLimits.UNSET,
    max_links=sdk.SpanLimits.UNSET,
    max_event_attributes=sdk.SpanLimits.UNSET,
    max_link_attributes=sdk.SpanLimits.UNSET,
    max_span_attribute_length=sdk.SpanLimits.UNSET,
    max_attribute_length=sdk.SpanLimits.UNSET,
)


class RecordingTracer(Tracer):
    """Keeps every sampled span that ends, of both APIs. OpenTelemetry code uses `tracer.provider`.

    scope_manager: as for MockTracer; None stands for OpenTelemetry's context. propagators, maps_kind: as for
    `ot_bridge.create_tracer`. sampler: None samples every trace unless a caller's header forbids it.
    """

    wrapper_class = RecordedSpan

    def __init__(
        self,
        scope_manager: opentracing.ScopeManager | None = None,
        *,
        propagators: Any = "tracecontext,baggage,jaeger",
        sampler: Sampler | None = None,
        maps_kind: bool = True,
    ) -> None:
        provider = sdk.TracerProvider(
            sampler or sdk.sampling.DEFAULT_ON,
            Resource.get_empty(),
            id_generator=_Consecutive(),
            span_limits=_UNLIMITED,
            shutdown_on_exit=False,
        )
        provider._disabled = False  # the tests may run with OTEL_SDK_DISABLED=true
        provider.add_span_processor(_Recorder(self))
        self._kept: WeakValueDictionary[int, RecordedSpan] = WeakValueDictionary()
        self._finished: list[RecordedSpan] = []
        super().__init__(
            provider.get_tracer(SCOPE_NAME),
            provider,
            propagators=propagators,
            scope_manager=scope_manager,
            maps_kind=maps_kind,
        )

    def start_span(
        self,
        operation_name: str | None = None,
        child_of: Any = None,
        references: Any = None,
        tags: Any = None,
        start_time: float | None = None,
        ignore_active_span: bool = False,
        *,
        sampler: Sampler | None = None,
    ) -> RecordedSpan:
        span: Any = super().start_span(
            operation_name, child_of, references, tags, start_time, ignore_active_span, sampler=sampler
        )
        if issubclass(type(tags), Mapping):
            with contextlib.suppress(Exception):  # raised by a mapping of the program
                span._tags.update(tags)
        return span  # type: ignore[no-any-return]

    def _fast(self, *arguments: Any) -> None:
        """Returns None, so that every span is started by `start_span`, which keeps the tags."""

    def finished_spans(self) -> list[RecordedSpan]:
        """The spans that have ended since the start or the last `reset()`, in the order of their ends."""
        return list(self._finished)

    def reset(self) -> None:
        """Forgets the finished spans. Spans that are still running are kept when they end."""
        self._finished = []

    def _keep(self, span: RecordedSpan) -> None:
        if span.unwrap().is_recording():
            self._kept[span.unwrap().get_span_context().span_id] = span

    def _ended(self, otel_span: sdk.Span) -> None:
        span = self._kept.pop(otel_span.context.span_id, None) or RecordedSpan(self, otel_span)
        span.finished = True
        self._finished.append(span)
