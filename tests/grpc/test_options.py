"""The options of the interceptors: filters, names, samplers, messages, decorators."""

from __future__ import annotations

from typing import Any

import grpc
import opentracing
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind
from opentracing.mocktracer import MockTracer

from ot_bridge.errors import ConfigurationError
from ot_bridge.grpc import (
    ActiveSpanSource,
    RpcInfo,
    SpanDecorator,
    StartOptions,
    aio_client_interceptor,
    aio_server_interceptor,
    client_interceptor,
    server_interceptor,
)
from tests.conftest import Recorded
from tests.grpc.conftest import Finished
from tests.grpc.sides import CLIENTS, Call, broken, clients, clients_and_servers, every_arity, servers
from tests.grpc.things import Seen, method

Code = grpc.StatusCode


@clients_and_servers
@pytest.mark.parametrize(
    "exclude",
    [
        [method("UU")],
        method("UU"),
        ["/things.*"],
        ["*"],
        lambda info: info.full_method.endswith("UU"),
        lambda info: info.metadata is not None and info.request == b"ok",
    ],
    ids=["method", "only one", "service", "all", "predicate", "by request"],
)
def test_an_excluded_method_has_no_span(call: Call, seen: Seen, otel: Recorded, exclude: Any) -> None:
    assert call(seen, "UU", b"ok", exclude=exclude) == b"ok"
    assert not otel.exporter.get_finished_spans()


@clients_and_servers
@every_arity
def test_a_method_that_is_not_excluded_has_a_span(
    call: Call, seen: Seen, finished: Finished, arity: str
) -> None:
    call(seen, arity, b"ok", exclude=["/other.*", "/things"])
    finished(1)


@servers
def test_spans_below_an_excluded_rpc_are_not_recorded_as_roots(
    call: Call, seen: Seen, otel: Recorded
) -> None:
    class Making(Seen):
        def note(self, context: Any) -> None:
            otel.tracer.start_span("below").finish()
            otel.provider.get_tracer("plain").start_span("below, by OpenTelemetry").end()
            super().note(context)

    making = Making()
    call(making, "UU", b"ok", exclude=["*"])
    assert not otel.exporter.get_finished_spans()
    assert making.spans[0] is not None
    assert otel.tracer.active_span is None


@servers
def test_an_excluded_rpc_of_another_tracer_is_served(call: Call, seen: Seen) -> None:
    tracer = MockTracer()
    assert call(seen, "UU", b"ok", tracer=tracer, exclude=["*"]) == b"ok"
    assert not tracer.finished_spans()
    seen.spans[0].set_tag("harmless", 1)


@clients_and_servers
@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (None, method("UU")),
        (True, method("UU")),
        ("named", "named"),
        (StartOptions(name="named"), "named"),
        (False, None),
        (StartOptions(trace=False), None),
        (ALWAYS_OFF, None),
        (ALWAYS_ON, method("UU")),
        (StartOptions(ALWAYS_OFF), None),
        (SpanKind.CONSUMER, method("UU")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_start_options_choose_name_and_sampler(
    call: Call, seen: Seen, finished: Finished, choice: Any, name: str | None
) -> None:
    received: list[RpcInfo] = []

    def start_options(info: RpcInfo) -> Any:
        received.append(info)
        return choice

    assert call(seen, "UU", b"ok", start_options=start_options) == b"ok"
    assert [(info.full_method, info.request) for info in received] == [(method("UU"), b"ok")]
    assert [span.name for span in finished(0 if name is None else 1)] == ([name] if name else [])


@clients_and_servers
@pytest.mark.parametrize("option", ["exclude", "start_options", "span_decorator"])
def test_a_hook_that_raises_does_not_affect_the_call_or_its_span(
    call: Call, seen: Seen, finished: Finished, option: str
) -> None:
    assert call(seen, "UU", b"ok", **{option: broken}) == b"ok"
    finished(1)


@clients_and_servers
def test_a_sampler_in_start_options_is_ignored_by_another_tracer(call: Call, seen: Seen) -> None:
    tracer = MockTracer()
    call(seen, "UU", b"ok", tracer=tracer, start_options=lambda info: ALWAYS_OFF)
    assert [span.operation_name for span in tracer.finished_spans()] == [method("UU")]


RESPONSES = {
    "UU": [b"ok"],
    "US": [b"0", b"1", b"2"],
    "SU": [b"ok,second"],
    "SS": [b"0", b"1", b"2", b"second"],
}
REQUESTS = {"UU": [b"ok"], "US": [b"ok"], "SU": [b"ok", b"second"], "SS": [b"ok", b"second"]}


@clients_and_servers
@every_arity
def test_payloads_are_logged_one_by_one(call: Call, seen: Seen, arity: str) -> None:
    tracer = MockTracer()
    call(seen, arity, b"ok", tracer=tracer, log_payloads=True)
    (span,) = tracer.finished_spans()
    logged = [log.key_values for log in span.logs]
    assert [fields["request"] for fields in logged if "request" in fields] == REQUESTS[arity]
    assert [fields["response"] for fields in logged if "response" in fields] == RESPONSES[arity]
    assert len(logged) == len(REQUESTS[arity]) + len(RESPONSES[arity])


@clients_and_servers
@every_arity
def test_message_events_have_direction_number_and_size(
    call: Call, seen: Seen, finished: Finished, arity: str
) -> None:
    call(seen, arity, b"ok", message_events=True)
    (span,) = finished(1)
    events = [dict(event.attributes or {}) for event in span.events if event.name == "message"]
    sizes = {
        kind: [
            (event["message.id"], event["message.uncompressed_size"])
            for event in events
            if event["message.type"] == kind
        ]
        for kind in ("SENT", "RECEIVED")
    }
    outward, inward = ("SENT", "RECEIVED") if call in CLIENTS else ("RECEIVED", "SENT")
    assert sizes[outward] == [(number, len(m)) for number, m in enumerate(REQUESTS[arity], 1)]
    assert sizes[inward] == [(number, len(m)) for number, m in enumerate(RESPONSES[arity], 1)]


class Noting(SpanDecorator):
    def __init__(self) -> None:
        self.infos: list[RpcInfo] = []

    def __call__(self, span: opentracing.Span, rpc_info: RpcInfo) -> None:
        self.infos.append(rpc_info)
        span.set_tag("decorated", True)


@clients_and_servers
@every_arity
def test_a_span_decorator_gets_all_details_of_an_rpc(
    call: Call, seen: Seen, finished: Finished, arity: str
) -> None:
    decorator = Noting()
    call(seen, arity, b"ok", span_decorator=decorator)
    (span,) = finished(1)
    (info,) = decorator.infos
    assert dict(span.attributes or {})["decorated"] is True
    assert info.full_method == method(arity)
    assert dict(info.metadata)
    assert info.timeout is not None
    assert info.timeout > 0
    assert info.error is None
    assert (info.request == b"ok") is (arity in {"UU", "US"})
    assert info.response == (RESPONSES[arity][0] if arity in {"UU", "SU"} else None)


@clients_and_servers
@every_arity
def test_a_span_decorator_gets_the_error(call: Call, seen: Seen, finished: Finished, arity: str) -> None:
    decorator = Noting()
    with pytest.raises(grpc.RpcError):
        call(seen, arity, b"set_code", span_decorator=decorator)
    finished(1)
    (info,) = decorator.infos
    code = info.error if isinstance(info.error, Code) else info.error.code()
    assert code is Code.ALREADY_EXISTS


class Source(ActiveSpanSource):
    def __init__(self, span: Any) -> None:
        self._span = span

    def get_active_span(self) -> Any:
        if isinstance(self._span, Exception):
            raise self._span
        return self._span


@clients
def test_the_span_of_the_active_span_source_is_the_parent(
    call: Call, seen: Seen, otel: Recorded, finished: Finished
) -> None:
    known = otel.tracer.start_span("known")
    call(seen, "UU", b"ok", active_span_source=Source(known))
    known.finish()
    rpc, parent = finished(2)
    assert rpc.parent is not None
    assert rpc.parent.span_id == parent.context.span_id


@clients
@pytest.mark.parametrize("found", [None, ValueError("broken")], ids=["none", "broken"])
def test_without_a_span_from_its_source_the_active_one_is_the_parent(
    call: Call, seen: Seen, otel: Recorded, finished: Finished, found: Any
) -> None:
    with otel.tracer.start_active_span("outer") as outer:
        call(seen, "UU", b"ok", active_span_source=Source(found))
    rpc, _ = finished(2)
    assert rpc.parent is not None
    assert rpc.parent.span_id == outer.span.context.span_id  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("make", "options", "option"),
    [
        (server_interceptor, {"trust": "everybody"}, "trust"),
        (aio_server_interceptor, {"on_corrupt": "cry"}, "on_corrupt"),
        (client_interceptor, {"exclude": [1]}, "exclude"),
        (aio_client_interceptor, {"exclude": [b"/a/b"]}, "exclude"),
    ],
)
def test_an_invalid_option_is_refused_immediately(make: Any, options: Any, option: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make(**options)
    assert raised.value.option == option


class Failing(opentracing.Tracer):
    """A tracer that fails in `start_span` or in certain methods of its spans."""

    def __init__(self, works: str) -> None:
        super().__init__()
        self._works = works

    def start_span(self, *args: Any, **kwargs: Any) -> Any:
        if self._works == "nothing":
            raise ValueError("start_span is broken")
        span = opentracing.Span(self, opentracing.SpanContext())
        for name in {"ends": ("set_tag", "finish"), "logs": ("log_kv", "finish")}.get(self._works, ()):
            setattr(span, name, broken)
        return span

    def start_active_span(self, *args: Any, **kwargs: Any) -> Any:
        span = self.start_span()
        scope = opentracing.Scope(opentracing.ScopeManager(), span)
        scope.close = broken  # type: ignore[method-assign]
        return scope

    def extract(self, format: Any, carrier: Any) -> Any:
        if self._works == "no format":
            raise opentracing.UnsupportedFormatException
        return super().extract(format, carrier)


@clients_and_servers
@every_arity
@pytest.mark.parametrize("works", ["nothing", "ends", "logs", "no format"])
def test_an_rpc_is_served_whatever_the_tracer_does(call: Call, seen: Seen, arity: str, works: str) -> None:
    result = call(seen, arity, b"ok", tracer=Failing(works), log_payloads=works == "logs")
    assert result == (RESPONSES[arity] if arity in {"US", "SS"} else RESPONSES[arity][0])
