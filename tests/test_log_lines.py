"""Log lines that are the only sign of a failure, each with its logger, its level and its words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import opentracing
import pytest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentracing.mocktracer import MockTracer

import ot_bridge
from ot_bridge import TracingMiddleware, engine
from ot_bridge.bridge import create_tracer
from ot_bridge.delivery import DeliveryProcessor
from ot_bridge.edge import starts
from ot_bridge.errors import bad_variable
from ot_bridge.jaeger_client.config import Config
from ot_bridge.sampling import JaegerRemoteSampler
from ot_bridge.semconv import SemconvExporter
from ot_bridge.variables import is_true


class Broken:
    """Raises in every method except for those that `sound` names."""

    def __init__(self, *sound: str) -> None:
        self._sound = sound

    def __getattr__(self, name: str) -> Any:
        if name in self._sound:
            return lambda *args, **kwargs: None
        raise RuntimeError(name)


class Breaking(SpanExporter):
    """Raises in one method."""

    def __init__(self, method: str) -> None:
        self._method = method

    def _maybe(self, method: str) -> None:
        if method == self._method:
            raise RuntimeError(method)

    def give_up_at(self, moment: float | None) -> None:
        self._maybe("give_up_at")

    def export(self, spans: Any) -> SpanExportResult:
        self._maybe("export")
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self._maybe("force_flush")
        return True

    def shutdown(self) -> None:
        self._maybe("shutdown")


class OnEnd(sdk.SpanProcessor):
    def on_end(self, span: Any) -> None:
        raise RuntimeError("on_end")


class OnStart(sdk.SpanProcessor):
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("on_start")


def _tracer(*processors: sdk.SpanProcessor, lean: bool = True, **options: Any) -> Any:
    provider = (engine.TracerProvider if lean else sdk.TracerProvider)(shutdown_on_exit=False, **options)
    for processor in processors:
        provider.add_span_processor(processor)
    return create_tracer(provider, propagators="tracecontext")


def _close_without_shutdown() -> None:
    tracer = _tracer()
    tracer.provider.shutdown = _raising
    tracer.close().result(10)


def _raising(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("broken")


def _flush_without_flush() -> None:
    tracer = _tracer()
    tracer.provider.force_flush = _raising
    assert tracer.flush() is False


def _deliver(method: str) -> None:
    processor = DeliveryProcessor(Breaking(method))
    _tracer(processor).start_span("a").finish()
    processor.force_flush()
    processor.shutdown()


def _call(**options: Any) -> None:
    def hello(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    app: Any = TracingMiddleware(hello, _tracer(), **options)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_TRACEPARENT": "broken"}
    list(app(environ, lambda status, headers: None))


def _twice_finished(*, lean: bool) -> None:
    span = _tracer(lean=lean).start_span("a")
    span.finish()
    span.set_tag("late", 1)


def _otel_twice_ended() -> None:
    span = engine.TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("a")
    span.end()
    span.end()


def _many_tags() -> None:
    engine.log_dropped(3, 7, "span")


class Contextless(opentracing.Span):
    @property
    def context(self) -> Any:
        raise RuntimeError("context")


def _odd_parent() -> None:
    span = Contextless(opentracing.Tracer(), opentracing.SpanContext())
    assert _tracer().start_span("a", child_of=span).unwrap().is_recording()


def _odd_for_names() -> None:
    SemconvExporter(InMemorySpanExporter(), "http").export([Broken()])  # type: ignore[list-item]


def _sampling(times: int) -> None:
    sampler = JaegerRemoteSampler("shop", endpoint="http://127.0.0.1:1/sampling", polling_interval=3600)
    for _ in range(times):
        sampler.refresh()
    sampler.close()


def _install_twice() -> None:
    for name in ("shop", "other"):
        ot_bridge.install(name, exporters=[], set_global=False)
    ot_bridge.uninstall()


class Case(NamedTuple):
    logger: str
    level: int
    text: str
    cause: Callable[[], Any]


WARNING, ERROR, DEBUG = logging.WARNING, logging.ERROR, logging.DEBUG
ONCE = " (logged at most once a minute)"
BRIDGE, DELIVERY = "ot_bridge.bridge", "ot_bridge.delivery"
LOST = "a sampler or span processor raised; the span is not recorded"
ENDING = "a span processor raised at the end of a span"

LINES = {
    "a flush": Case(
        BRIDGE,
        WARNING,
        "the provider's force_flush raised; spans may be lost" + ONCE,
        _flush_without_flush,
    ),
    "a shutdown": Case(
        BRIDGE,
        WARNING,
        "the provider's shutdown raised; spans may be lost" + ONCE,
        _close_without_shutdown,
    ),
    "a parent": Case(
        BRIDGE,
        WARNING,
        "child_of or references raised when read; the span starts without them" + ONCE,
        _odd_parent,
    ),
    "a span's start": Case(BRIDGE, WARNING, LOST + ONCE, lambda: _tracer(OnStart()).start_span("a")),
    "a span's start, not the shortest way": Case(
        BRIDGE, WARNING, LOST + ONCE, lambda: _tracer(OnStart()).start_span("a", start_time=1.0)
    ),
    "a span's end": Case(BRIDGE, WARNING, ENDING + ONCE, lambda: _tracer(OnEnd()).start_span("a").finish()),
    "a span's end at a time": Case(
        BRIDGE, WARNING, ENDING + ONCE, lambda: _tracer(OnEnd()).start_span("a").finish(2e9)
    ),
    "a span's end on the SDK": Case(
        BRIDGE, WARNING, ENDING + ONCE, lambda: _tracer(OnEnd(), lean=False).start_span("a").finish()
    ),
    "a tag of a finished span": Case(
        BRIDGE,
        DEBUG,
        "the span is finished, and a change to it was ignored: ",
        lambda: _twice_finished(lean=False),
    ),
    "a second end": Case(
        "opentelemetry.sdk.trace", WARNING, "Calling end() on an ended span.", _otel_twice_ended
    ),
    "tags that are too many": Case(
        "ot_bridge.engine",
        WARNING,
        "3 attributes were dropped, the oldest of each span, which holds 7; "
        "raise OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT to keep more" + ONCE,
        _many_tags,
    ),
    "an export": Case(
        DELIVERY, WARNING, "Breaking.export raised; its spans are lost" + ONCE, lambda: _deliver("export")
    ),
    "an exporter's limit": Case(
        DELIVERY, WARNING, "Breaking.give_up_at raised" + ONCE, lambda: _deliver("give_up_at")
    ),
    "an exporter's flush": Case(
        DELIVERY, WARNING, "Breaking.force_flush raised" + ONCE, lambda: _deliver("force_flush")
    ),
    "an exporter's shutdown": Case(
        DELIVERY, WARNING, "Breaking.shutdown raised" + ONCE, lambda: _deliver("shutdown")
    ),
    "a caller's headers": Case(
        "ot_bridge.edge", DEBUG, "the caller's tracing headers cannot be read: traceparent: ", _call
    ),
    "a function of the program": Case(
        "ot_bridge.edge",
        WARNING,
        "exclude failed; the request is served without it" + ONCE,
        lambda: _call(exclude=_raising),
    ),
    "a sampler for another tracer": Case(
        "ot_bridge.edge",
        DEBUG,
        "the sampler of start_options is ignored: it needs a tracer of ot_bridge",
        lambda: starts.sampler_argument(MockTracer(), starts.StartOptions(sampler=ALWAYS_ON)),
    ),
    "a span to be renamed": Case(
        "ot_bridge.semconv",
        WARNING,
        "a span could not be translated; it is exported under its old names" + ONCE,
        _odd_for_names,
    ),
    "a strategy": Case(
        "ot_bridge.sampling",
        WARNING,
        "no sampling strategy from http://127.0.0.1:1/sampling?service=shop: ",
        lambda: _sampling(1),
    ),
    "a strategy, again": Case(
        "ot_bridge.sampling",
        DEBUG,
        "no sampling strategy from http://127.0.0.1:1/sampling?service=shop: ",
        lambda: _sampling(2),
    ),
    "a variable": Case(
        "ot_bridge",
        ERROR,
        "OTEL_X='y': expected a number; 1 is taken",
        lambda: bad_variable("OTEL_X", "y", "expected a number", "1 is taken"),
    ),
    "a second set-up": Case(
        "ot_bridge",
        WARNING,
        "install() was called before, with other arguments: these are ignored",
        _install_twice,
    ),
    "a setting": Case(
        "jaeger_tracing",
        WARNING,
        "reporter_flush_interval: 'soon' cannot be used; it is ignored",
        lambda: Config({"reporter_flush_interval": "soon"}, service_name="shop").reporter_flush_interval,
    ),
}


@pytest.mark.parametrize("case", LINES.values(), ids=LINES)
def test_a_failure_is_logged_in_one_line_at_its_level(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        case.cause()
    found = [record for record in caplog.records if record.getMessage().startswith(case.text)]
    assert {record.levelno for record in found} >= {case.level}, caplog.messages
    assert {record.name for record in found} == {case.logger}
    # The remote sampler asks in the background as well.
    again = case.logger == "ot_bridge.sampling"
    assert again or len([record for record in found if record.levelno == case.level]) == 1


def test_an_invalid_boolean_variable_counts_as_false_and_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "yes")
    assert is_true("OTEL_SDK_DISABLED") is False
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (ERROR, "OTEL_SDK_DISABLED='yes': expected true or false; false is taken")
    ]
