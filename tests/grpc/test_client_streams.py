"""Streams that are not read to their end, and which span user code sees while one is open."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from grpc.experimental import ChannelOptions

from ot_bridge.grpc import client_interceptor, trace_channel
from tests.conftest import Recorded
from tests.grpc.conftest import Finished
from tests.grpc.test_client import TRACED_BY, check
from tests.grpc.things import STREAMS_OUT, Seen, Sync, method, requests_for, stub, sync_server

Code = grpc.StatusCode
Trace = Callable[[grpc.Channel], grpc.Channel]

every_stream = pytest.mark.parametrize("arity", sorted(STREAMS_OUT))


@pytest.fixture(params=TRACED_BY)
def traced(request: pytest.FixtureRequest) -> Trace:
    return TRACED_BY[request.param]


@pytest.fixture
def plain(seen: Seen) -> Iterator[grpc.Channel]:
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address) as channel:
        yield channel


def _drop_half_read(channel: grpc.Channel, arity: str) -> None:
    call = stub(channel, arity)(requests_for(arity, b"half"), timeout=30)
    assert next(call) == b"0"


def _seconds_until_the_server_knows(channel: grpc.Channel, seen: Seen, arity: str) -> float:
    seen.done.clear()
    seen.stop.clear()
    _drop_half_read(channel, arity)
    dropped = time.perf_counter()
    assert seen.done.wait(5)
    return time.perf_counter() - dropped


@every_stream
def test_a_half_read_stream_that_is_dropped_is_cancelled_as_soon_as_without_tracing(
    plain: grpc.Channel, traced: Trace, seen: Seen, finished: Finished, arity: str
) -> None:
    without = min(_seconds_until_the_server_knows(plain, seen, arity) for _ in range(5))
    with_tracing = min(_seconds_until_the_server_knows(traced(plain), seen, arity) for _ in range(5))
    assert with_tracing < without + 0.05
    for span in finished(5):
        check(span, arity, Code.CANCELLED, "Cancelled upon garbage collection!")


@every_stream
def test_a_stream_that_is_never_iterated_is_sent_as_without_tracing(
    plain: grpc.Channel, traced: Trace, seen: Seen, finished: Finished, arity: str
) -> None:
    call = stub(traced(plain), arity)(requests_for(arity, b"ok"), timeout=10)
    assert seen.begun.wait(5)
    del call
    check(finished(1)[0], arity, Code.CANCELLED, "Cancelled upon garbage collection!")


@every_stream
def test_tracing_keeps_no_reference_to_a_call(
    plain: grpc.Channel, traced: Trace, finished: Finished, arity: str
) -> None:
    gc.disable()
    try:
        call = stub(traced(plain), arity)(requests_for(arity, b"half"), timeout=10)
        next(call)
        alive = weakref.ref(call)
        del call
        assert alive() is None
    finally:
        gc.enable()
    finished(1)


@every_stream
def test_user_code_runs_in_its_own_context_while_a_stream_is_open(
    plain: grpc.Channel, traced: Trace, otel: Recorded, finished: Finished, arity: str
) -> None:
    with otel.tracer.start_active_span("outer") as outer:
        call = stub(traced(plain), arity)(requests_for(arity, b"ok"), timeout=10)
        active = [otel.tracer.active_span for _ in call]
        assert len(active) > 2
        assert {*active} == {outer.span}
    assert otel.tracer.active_span is None
    call = stub(traced(plain), arity)(requests_for(arity, b"ok"), timeout=10)
    next(call)
    with otel.tracer.start_active_span("between"):
        list(call)
    assert otel.tracer.active_span is None
    spans = {span.name: span for span in finished(4)}
    assert spans["between"].parent is None


@pytest.mark.parametrize("script", [b"ok", b"raise"], ids=["ok", "raise"])
def test_a_single_threaded_stream_ends_its_span_when_it_is_read(
    seen: Seen, finished: Finished, script: bytes
) -> None:
    options = [(ChannelOptions.SingleThreadedUnaryStream, 1)]
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address, options=options) as channel:
        call = stub(trace_channel(channel), "US")(script, timeout=10)
        if script == b"ok":
            assert len(list(call)) == 3
        else:
            with pytest.raises(grpc.RpcError):
                list(call)
    check(finished(1)[0], "US", Code.OK if script == b"ok" else Code.UNKNOWN, "the handler is broken")


def test_a_single_threaded_stream_ends_its_span_when_it_is_dropped(seen: Seen, finished: Finished) -> None:
    options = [(ChannelOptions.SingleThreadedUnaryStream, 1)]
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address, options=options) as channel:
        _drop_half_read(trace_channel(channel), "US")
        check(finished(1)[0], "US", Code.CANCELLED, "Cancelled upon garbage collection!")


class Doubled(grpc.UnaryStreamClientInterceptor):
    """Another interceptor, which returns its own iterator, as grpc's examples do."""

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return (response * 2 for response in continuation(client_call_details, request))


@pytest.mark.parametrize(
    ("take", "script", "code"),
    [
        (list, b"ok", Code.OK),
        (list, b"raise", Code.UNKNOWN),
        (next, b"half", Code.CANCELLED),
    ],
    ids=["to the end", "to an error", "and dropped"],
)
def test_an_iterator_returned_by_another_interceptor_ends_the_span_at_its_end(
    plain: grpc.Channel, finished: Finished, take: Any, script: bytes, code: grpc.StatusCode
) -> None:
    channel = grpc.intercept_channel(plain, client_interceptor(), Doubled())
    responses = stub(channel, "US")(script, timeout=10)
    if code is Code.UNKNOWN:
        with pytest.raises(grpc.RpcError):
            take(responses)
    else:
        taken = take(responses)
        assert (taken if script == b"half" else taken[0]) == b"00"
    del responses
    (span,) = finished(1)
    assert span.name == method("US")
    assert span.attributes is not None
    assert span.attributes["rpc.grpc.status_code"] == code.value[0]
