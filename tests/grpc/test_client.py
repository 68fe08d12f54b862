"""The sync client: every arity, way to call and way to end, through interceptor and traced channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from ot_bridge.grpc import client_interceptor, trace_channel
from tests.conftest import Recorded
from tests.grpc.conftest import Finished
from tests.grpc.things import (
    ARITIES,
    STREAMS_OUT,
    Seen,
    Sync,
    method,
    requests_for,
    stub,
    sync_server,
)

Code = grpc.StatusCode

TRACED_BY: dict[str, Callable[[grpc.Channel], grpc.Channel]] = {
    "interceptor": lambda channel: grpc.intercept_channel(channel, client_interceptor()),
    "channel": trace_channel,
}

OUTCOMES = {
    b"ok": (Code.OK, None),
    b"raise": (Code.UNKNOWN, "the handler is broken"),
    b"abort": (Code.NOT_FOUND, "nothing here"),
    b"abort_with_status": (Code.DATA_LOSS, "bits fell out"),
    b"set_code": (Code.ALREADY_EXISTS, "there is one"),
    b"wait": (Code.DEADLINE_EXCEEDED, "Deadline Exceeded"),
}


@pytest.fixture
def address(seen: Seen) -> Iterator[str]:
    with sync_server(Sync(seen)) as address:
        yield address


@pytest.fixture(params=TRACED_BY)
def channel(request: pytest.FixtureRequest, address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as channel:
        yield TRACED_BY[request.param](channel)


def waits(call: Any, argument: Any, timeout: float) -> Any:
    response = call(argument, timeout=timeout)
    return list(response) if hasattr(response, "__next__") else response


def with_call(call: Any, argument: Any, timeout: float) -> Any:
    response, rpc = call.with_call(argument, timeout=timeout)
    assert isinstance(rpc, grpc.Call)
    assert rpc.code() is Code.OK
    return response


def future(call: Any, argument: Any, timeout: float) -> Any:
    return call.future(argument, timeout=timeout).result()


WAYS = [
    *((arity, waits) for arity in ARITIES),
    *((arity, way) for arity in ("UU", "SU") for way in (with_call, future)),
]
IDS = [f"{arity}-{way.__name__}" for arity, way in WAYS]


def check(span: ReadableSpan, arity: str, code: grpc.StatusCode, details: str | None) -> None:
    attributes = dict(span.attributes or {})
    assert span.name == method(arity)
    assert span.kind is SpanKind.CLIENT
    assert attributes["component"] == "grpc"
    assert attributes["rpc.grpc.status_code"] == code.value[0]
    if code is Code.OK:
        assert span.status.status_code is StatusCode.UNSET
        assert not span.events
    else:
        assert span.status.status_code is StatusCode.ERROR
        assert (span.status.description or "").startswith(code.name)
        assert (details or "") in (span.status.description or "")
        (event,) = span.events
        assert event.name == "exception"


@pytest.mark.parametrize(("arity", "way"), WAYS, ids=IDS)
@pytest.mark.parametrize("script", OUTCOMES, ids=lambda script: script.decode())
def test_the_span_ends_once_with_the_status_code(
    channel: grpc.Channel, finished: Finished, arity: str, way: Any, script: bytes
) -> None:
    code, details = OUTCOMES[script]
    call = stub(channel, arity)
    timeout = 0.2 if script == b"wait" else 10
    if code is Code.OK:
        expected = {"UU": b"ok", "US": [b"0", b"1", b"2"], "SU": b"ok,second"}
        expected["SS"] = [*expected["US"], b"second"]
        assert way(call, requests_for(arity, script), timeout) == expected[arity]
    else:
        with pytest.raises(grpc.RpcError) as raised:
            way(call, requests_for(arity, script), timeout)
        error: Any = raised.value
        assert error.code() is code
    check(finished(1)[0], arity, code, details)


def test_the_active_span_is_the_parent(channel: grpc.Channel, otel: Recorded, finished: Finished) -> None:
    with otel.tracer.start_active_span("outer") as scope:
        stub(channel, "UU")(b"ok", timeout=10)
        assert otel.tracer.active_span is scope.span
    inner, outer = finished(2)
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id


def test_the_server_gets_the_spans_context(channel: grpc.Channel, seen: Seen, finished: Finished) -> None:
    stub(channel, "UU")(b"ok", timeout=10)
    (span,) = finished(1)
    headers: Any = dict(seen.metadata[0])
    ids = f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"
    assert headers["traceparent"].split("-")[1:3] == list(ids)
    assert [int(part, 16) for part in headers["uber-trace-id"].split(":")[:2]] == [int(id, 16) for id in ids]


@pytest.mark.parametrize("arity", ["UU", "SU"])
def test_a_cancelled_future_is_cancelled(
    channel: grpc.Channel, seen: Seen, finished: Finished, arity: str
) -> None:
    future = stub(channel, arity).future(requests_for(arity, b"wait"))
    assert isinstance(future, grpc.Future)
    assert isinstance(future, grpc.Call)
    assert seen.begun.wait(5)
    assert future.cancel()
    assert future.cancelled()
    check(finished(1)[0], arity, Code.CANCELLED, "Locally cancelled")


@pytest.mark.parametrize("arity", sorted(STREAMS_OUT))
def test_a_cancelled_stream_is_cancelled(channel: grpc.Channel, finished: Finished, arity: str) -> None:
    call = stub(channel, arity)(requests_for(arity, b"half"), timeout=10)
    assert next(call) == b"0"
    assert isinstance(call, grpc.Call)
    assert call.cancel()
    with pytest.raises(grpc.RpcError):
        list(call)  # type: ignore[call-overload]
    check(finished(1)[0], arity, Code.CANCELLED, "Locally cancelled")


@pytest.mark.parametrize("arity", sorted(STREAMS_OUT))
def test_a_returned_call_has_every_method_of_grpcs_own_calls(
    channel: grpc.Channel, address: str, arity: str
) -> None:
    with grpc.insecure_channel(address) as plain:
        bare = stub(plain, arity)(requests_for(arity, b"ok"), timeout=10)
        call = stub(channel, arity)(requests_for(arity, b"ok"), timeout=10)
        assert type(call) is type(bare)
        for each in (bare, call):
            list(each)
            assert each.code() is Code.OK
            assert each.details() == ""
            assert each.initial_metadata() is not None
            assert each.trailing_metadata() == ()
            assert not each.is_active()
            assert each.time_remaining() > 0
            assert each.done()
            assert not each.cancel()
            assert not each.add_callback(list)


def test_a_call_on_a_closed_channel_ends_the_span(address: str, finished: Finished) -> None:
    channel = trace_channel(grpc.insecure_channel(address))
    call = stub(channel, "UU")
    channel.close()
    with pytest.raises(ValueError, match="closed channel"):
        call(b"ok")
    (span,) = finished(1)
    assert span.attributes is not None
    assert span.attributes["rpc.grpc.status_code"] == Code.UNKNOWN.value[0]
    assert [event.name for event in span.events] == ["exception"]


def test_a_call_to_a_missing_server_ends_as_unavailable(finished: Finished) -> None:
    with grpc.insecure_channel("127.0.0.1:1") as plain:
        for traced in TRACED_BY.values():
            with pytest.raises(grpc.RpcError):
                stub(traced(plain), "UU")(b"ok", timeout=5)
    for span in finished(2):
        check(span, "UU", Code.UNAVAILABLE, "")
