"""The sync server: every arity and way to end, what is active in a handler, and what its context can do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
import opentracing
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from ot_bridge.grpc import ActiveSpanSource, server_interceptor
from tests.conftest import Recorded
from tests.grpc.conftest import Finished
from tests.grpc.things import (
    ARITIES,
    STREAMS_OUT,
    Broken,
    Seen,
    Sync,
    handlers,
    method,
    requests_for,
    stub,
    sync_server,
)

Code = grpc.StatusCode
every_arity = pytest.mark.parametrize("arity", ARITIES)

#: script -> code, a word of the status, the type of the exception that is recorded
OUTCOMES: dict[bytes, tuple[grpc.StatusCode, str, str | None]] = {
    b"ok": (Code.OK, "", None),
    b"raise": (Code.UNKNOWN, "the handler is broken", "tests.grpc.things.Broken"),
    b"abort": (Code.NOT_FOUND, "nothing here", "StatusCode.NOT_FOUND"),
    b"abort_with_status": (Code.DATA_LOSS, "bits fell out", "StatusCode.DATA_LOSS"),
    b"set_code": (Code.ALREADY_EXISTS, "there is one", "StatusCode.ALREADY_EXISTS"),
    b"set_and_raise": (Code.FAILED_PRECONDITION, "with a code", "tests.grpc.things.Broken"),
    b"wait": (Code.DEADLINE_EXCEEDED, "", "StatusCode.DEADLINE_EXCEEDED"),
}


@pytest.fixture
def channel(seen: Seen) -> Iterator[grpc.Channel]:
    with sync_server(Sync(seen), server_interceptor()) as address, grpc.insecure_channel(address) as channel:
        yield channel


def take(channel: Any, arity: str, script: bytes, timeout: float = 10, **more: Any) -> Any:
    response = stub(channel, arity)(requests_for(arity, script), timeout=timeout, **more)
    return list(response) if arity in STREAMS_OUT else response


def check(span: ReadableSpan, arity: str, script: bytes) -> None:
    code, words, recorded = OUTCOMES[script]
    attributes: dict[str, Any] = dict(span.attributes or {})
    assert span.name == method(arity)
    assert span.kind is SpanKind.SERVER
    assert attributes["component"] == "grpc"
    assert attributes["peer.ipv4"] == "127.0.0.1"
    assert attributes["peer.port"].isdigit()
    assert attributes["rpc.grpc.status_code"] == code.value[0]
    types = [event.attributes["exception.type"] for event in span.events if event.attributes]
    assert types == ([] if recorded is None else [recorded])
    if code is Code.OK:
        assert span.status.status_code is StatusCode.UNSET
    else:
        assert span.status.status_code is StatusCode.ERROR
        assert (span.status.description or "").startswith(code.name)
        assert words in (span.status.description or "")


@every_arity
@pytest.mark.parametrize("script", OUTCOMES, ids=lambda script: script.decode())
def test_the_span_ends_once_with_the_status_code_that_the_client_gets(
    channel: grpc.Channel, finished: Finished, arity: str, script: bytes
) -> None:
    code = OUTCOMES[script][0]
    if code is Code.OK:
        take(channel, arity, script)
    else:
        with pytest.raises(grpc.RpcError) as raised:
            take(channel, arity, script, timeout=0.2 if script == b"wait" else 10)
        error: Any = raised.value
        assert error.code() is code
    check(finished(1)[0], arity, script)


@every_arity
def test_a_cancelled_rpc_has_the_status_code_cancelled(
    channel: grpc.Channel, seen: Seen, finished: Finished, arity: str
) -> None:
    call = stub(channel, arity)
    starting = call if arity in STREAMS_OUT else call.future
    rpc = starting(requests_for(arity, b"wait"), timeout=10)
    assert seen.begun.wait(5)
    rpc.cancel()
    (span,) = finished(1)
    assert span.attributes is not None
    assert span.attributes["rpc.grpc.status_code"] == Code.CANCELLED.value[0]


@pytest.mark.parametrize("arity", sorted(STREAMS_OUT))
def test_a_stream_that_the_client_abandons_ends_as_cancelled(
    channel: grpc.Channel, finished: Finished, arity: str
) -> None:
    call = stub(channel, arity)(requests_for(arity, b"endless"), timeout=10)
    assert next(call) == b"0"
    del call
    (span,) = finished(1)
    assert span.attributes is not None
    assert span.attributes["rpc.grpc.status_code"] == Code.CANCELLED.value[0]


@every_arity
def test_the_span_is_active_in_the_handler(
    channel: grpc.Channel, seen: Seen, otel: Recorded, finished: Finished, arity: str
) -> None:
    take(channel, arity, b"ok")
    (span,) = finished(1)
    assert seen.active == seen.spans
    assert seen.active[0].context.span_id == span.context.span_id


class Nested(Sync):
    """Makes spans by both APIs, between responses too."""

    def US(self, request: bytes, context: Any) -> Iterator[bytes]:
        with opentracing.global_tracer().start_active_span("outer"):
            yield b"0"
            with trace.get_tracer_provider().get_tracer("t").start_as_current_span("unrecorded"):
                yield b"1"
            opentracing.global_tracer().start_span("inner").finish()


def test_a_scope_that_stays_open_between_responses_is_the_parent_of_what_comes_after(
    seen: Seen, finished: Finished
) -> None:
    with (
        sync_server(Nested(seen), server_interceptor()) as address,
        grpc.insecure_channel(address) as channel,
    ):
        assert take(channel, "US", b"ok") == [b"0", b"1"]
    spans = {span.name: span for span in finished(3)}
    parents = {name: span.parent.span_id if span.parent else None for name, span in spans.items()}
    assert parents == {
        method("US"): None,
        "outer": spans[method("US")].context.span_id,
        "inner": spans["outer"].context.span_id,
    }


@every_arity
def test_nothing_stays_active_in_the_servers_threads(seen: Seen, finished: Finished, arity: str) -> None:
    tracer = opentracing.global_tracer()
    pool = ThreadPoolExecutor(1)
    server = grpc.server(pool, handlers=[handlers(Sync(seen))], interceptors=[server_interceptor()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for script in (b"ok", b"raise", b"abort"):
                with suppress(grpc.RpcError):
                    take(channel, arity, script)
                assert pool.submit(lambda: tracer.active_span).result() is None
    finally:
        server.stop(None).wait()
    assert all(span.parent is None for span in finished(3))


@every_arity
def test_the_callers_span_is_the_parent(channel: grpc.Channel, finished: Finished, arity: str) -> None:
    take(channel, arity, b"ok", metadata=(("uber-trace-id", "abc:def:0:1"),))
    (span,) = finished(1)
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id, span.parent.is_remote) == (0xABC, 0xDEF, True)


class Asking(Sync):
    """Uses everything that a servicer context has."""

    def UU(self, request: bytes, context: Any) -> bytes:
        for kind in (grpc.ServicerContext, ActiveSpanSource):
            assert isinstance(context, kind)
        assert context.code() is None
        assert context.details() is None
        assert context.trailing_metadata() is None
        context.set_compression(grpc.Compression.Gzip)
        context.send_initial_metadata((("initial", "1"),))
        context.set_trailing_metadata((("trailing", "2"),))
        assert context.trailing_metadata() == (("trailing", "2"),)
        context.disable_next_message_compression()
        assert context.peer().startswith("ipv4:127.0.0.1:")
        assert context.peer_identities() is None
        assert context.peer_identity_key() is None
        assert isinstance(context.auth_context(), dict)
        assert context.time_remaining() > 0
        assert context.is_active()
        assert context.add_callback(self.seen.stop.set)
        context.set_details("fine")
        assert context.details() == b"fine"
        context.user = "ann"
        assert context.user == "ann"
        context.set_code(Code.OK)
        return request


def test_the_handler_context_has_all_functions_of_grpcs_own(seen: Seen, finished: Finished) -> None:
    with (
        sync_server(Asking(seen), server_interceptor()) as address,
        grpc.insecure_channel(address) as channel,
    ):
        response, call = stub(channel, "UU").with_call(b"ok", timeout=10)
        assert response == b"ok"
        assert dict(call.initial_metadata())["initial"] == "1"
        assert dict(call.trailing_metadata())["trailing"] == "2"
        assert seen.stop.wait(5)
    assert finished(1)[0].status.status_code is StatusCode.UNSET


def test_an_unknown_method_is_refused_as_without_tracing(channel: grpc.Channel, otel: Recorded) -> None:
    unheard: Any = channel.unary_unary("/things.Things/Unheard")
    with pytest.raises(grpc.RpcError) as raised:
        unheard(b"ok", timeout=10)
    error: Any = raised.value
    assert error.code() is Code.UNIMPLEMENTED
    assert not otel.exporter.get_finished_spans()


def test_the_cache_of_methods_is_bounded(otel: Recorded) -> None:
    interceptor = server_interceptor()
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda request, context: request)

    class Details:
        method = ""
        invocation_metadata = ()

    def traced() -> Iterator[Any]:
        details = Details()
        for number in range(3000):
            details.method = f"/made.up/{number}"
            yield interceptor.intercept_service(lambda _: handler, details)

    first = list(traced())
    assert handler not in first
    assert sum(one is other for one, other in zip(first, traced(), strict=True)) == 1024


class Attributed(Sync):
    """Handlers with the attributes that grpc looks for on them."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="chosen")

        def unary(request: bytes, context: Any) -> bytes:
            import threading

            return threading.current_thread().name.encode()

        def non_blocking(request: bytes, context: Any, send: Any) -> None:
            send(b"0")
            send(b"1")
            send(None)

        unary.experimental_thread_pool = self.pool  # type: ignore[attr-defined]
        non_blocking.experimental_non_blocking = True  # type: ignore[attr-defined]
        self.UU = unary  # type: ignore[method-assign]
        self.US = non_blocking  # type: ignore[assignment, method-assign]


def test_a_handlers_own_thread_pool_is_used(seen: Seen, finished: Finished) -> None:
    service = Attributed(seen)
    with sync_server(service, server_interceptor()) as address, grpc.insecure_channel(address) as channel:
        assert take(channel, "UU", b"ok").startswith(b"chosen")
    finished(1)


def test_a_handler_that_sends_its_responses_by_a_callback_is_not_traced(seen: Seen, otel: Recorded) -> None:
    service = Attributed(seen)
    with sync_server(service, server_interceptor()) as address, grpc.insecure_channel(address) as channel:
        assert take(channel, "US", b"ok") == [b"0", b"1"]
    assert not otel.exporter.get_finished_spans()


class Eager(Sync):
    """Streams by functions that are no generators."""

    def US(self, request: bytes, context: Any) -> Iterator[bytes]:
        if request == b"raise":
            raise Broken("before there was an iterator")
        return None if request == b"none" else iter([b"0", b"1"])  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("script", "details"),
    [
        (b"raise", "Exception calling application: before there was an iterator"),
        (b"none", "Exception iterating responses: 'NoneType' object is not an iterator"),
    ],
)
def test_a_stream_that_fails_to_start_gives_the_same_error_as_without_tracing(
    seen: Seen, finished: Finished, script: bytes, details: str
) -> None:
    with sync_server(Eager(seen), server_interceptor()) as address, grpc.insecure_channel(address) as channel:
        assert take(channel, "US", b"ok") == [b"0", b"1"]
        with pytest.raises(grpc.RpcError) as raised:
            take(channel, "US", script)
    error: Any = raised.value
    assert error.details() == details
    assert [dict(span.attributes or {})["rpc.grpc.status_code"] for span in finished(2)] == [0, 2]
