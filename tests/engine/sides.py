"""The SDK's provider and ours, with the same set-up, for tests that make the same calls on both."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ot_bridge import engine, ids

RESOURCE = Resource({"service.name": "sides"})


class Heard(logging.Handler):
    """Counts what the SDK's loggers say, by level and text."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: Counter[tuple[str, str]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.startswith(
            "Attributes dict is full"
        ):  # ours logs one line where the SDK logs one for each
            self.messages[record.levelname, text] += 1


class Side:
    """A provider with one tracer, everything that it exported, and what was logged for it."""

    def __init__(self, kind: type[sdk.TracerProvider], **settings: Any) -> None:
        processors = settings.pop("processors", ())
        self.exporter = InMemorySpanExporter()
        self.provider = kind(resource=RESOURCE, shutdown_on_exit=False, **settings)
        for make in processors:
            self.provider.add_span_processor(make())
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer: Any = self.provider.get_tracer("sides", "1.0")
        self.heard = Heard()
        self.spans: list[Any] = []
        self.managers: list[Any] = []

    @property
    def exported(self) -> tuple[sdk.ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def do(self, step: Callable[[Side], Any]) -> Any:
        """The step's result, or the type of what it raised."""
        logger = logging.getLogger("opentelemetry")
        logger.addHandler(self.heard)
        try:
            return step(self)
        except Exception as error:
            return type(error)
        finally:
            logger.removeHandler(self.heard)


class Sides:
    def __init__(self, **settings: Any) -> None:
        settings.setdefault("id_generator", ids.RandomIds())
        self.theirs = Side(sdk.TracerProvider, **settings)
        self.ours = Side(engine.TracerProvider, **settings)

    def do(self, step: Callable[[Side], Any]) -> tuple[Any, Any]:
        """The step on both sides, with the same random numbers: ids come out the same."""
        state = ids._random.getstate()
        theirs = self.theirs.do(step)
        ids._random.setstate(state)
        return theirs, self.ours.do(step)

    def agree(self, step: Callable[[Side], Any]) -> Any:
        theirs, ours = self.do(step)
        assert ours == theirs
        return ours


_NOW = 10**15  # nanoseconds: times that a test gives are smaller, times of the clock are larger


def without_clock(spans: Any) -> Any:
    """The OTLP request for `spans`, with times that were read off the clock set to 1."""
    request = encode_spans(spans)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                _reset(span, "start_time_unix_nano", "end_time_unix_nano")
                for event in span.events:
                    _reset(event, "time_unix_nano")
                    for attribute in event.attributes:
                        if attribute.key == "exception.stacktrace":  # lists the tracer's own frames
                            attribute.value.string_value = ""
    return request


def _reset(message: Any, *names: str) -> None:
    for name in names:
        if getattr(message, name) > _NOW:
            setattr(message, name, 1)
