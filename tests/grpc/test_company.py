"""Together with other code: current generated code, grpc's own services, and other interceptors."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import opentracing
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from grpc_tools import protoc  # type: ignore[import-untyped]
from opentelemetry.instrumentation.grpc import client_interceptor as otel_client_interceptor
from opentelemetry.instrumentation.grpc import grpcext as untyped_otel_grpcext
from opentelemetry.instrumentation.grpc import server_interceptor as otel_server_interceptor

from ot_bridge.grpc import (
    aio_client_interceptor,
    aio_server_interceptor,
    client_interceptor,
    server_interceptor,
    trace_channel,
)
from tests.conftest import Recorded
from tests.grpc.conftest import Finished
from tests.grpc.test_client import TRACED_BY
from tests.grpc.test_server import take
from tests.grpc.things import ARITIES, STREAMS_OUT, Seen, Sync, method, requests_for, stub, sync_server

otel_grpcext: Any = untyped_otel_grpcext
Code = grpc.StatusCode

PROTO = """
syntax = "proto3";
package company;
message Text { string text = 1; }
service Company {
  rpc UU(Text) returns (Text);
  rpc US(Text) returns (stream Text);
  rpc SU(stream Text) returns (Text);
  rpc SS(stream Text) returns (stream Text);
}
"""


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """What this protoc and its plugin make: messages, and stubs with their checks of versions."""
    folder: Path = tmp_path_factory.mktemp("generated")
    (folder / "company.proto").write_text(PROTO)
    done = protoc.main(
        ["", f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}", "company.proto"]
    )
    assert done == 0
    sys.path.insert(0, str(folder))
    yield importlib.import_module("company_pb2"), importlib.import_module("company_pb2_grpc")
    sys.path.remove(str(folder))


@contextmanager
def serving(*interceptors: Any, add: Any) -> Iterator[grpc.Channel]:
    server = grpc.server(ThreadPoolExecutor(4), interceptors=list(interceptors))
    add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        server.stop(None).wait()


def _servicer(messages: Any, stubs: Any) -> Any:
    class Company(stubs.CompanyServicer):  # type: ignore[misc]
        def UU(self, request: Any, context: Any) -> Any:
            return request

        def US(self, request: Any, context: Any) -> Any:
            yield request

        def SU(self, requests: Any, context: Any) -> Any:
            return messages.Text(text="".join(request.text for request in requests))

        def SS(self, requests: Any, context: Any) -> Any:
            yield from requests

    return Company()


@pytest.mark.parametrize("how", TRACED_BY)
@pytest.mark.parametrize("arity", ARITIES)
def test_current_generated_code_is_traced_on_both_sides(
    generated: tuple[Any, Any], finished: Finished, how: str, arity: str
) -> None:
    messages, stubs = generated

    def add(server: grpc.Server) -> None:
        stubs.add_CompanyServicer_to_server(_servicer(messages, stubs), server)

    text = messages.Text(text="hello")
    with serving(server_interceptor(message_events=True), add=add) as plain:
        call = getattr(stubs.CompanyStub(TRACED_BY[how](plain)), arity)
        response = call(iter([text]) if arity in {"SU", "SS"} else text, timeout=10)
        assert (list(response) if arity in STREAMS_OUT else [response]) == [text]
        client, server = sorted(finished(2), key=lambda span: span.kind.name)
    assert client.name == server.name == f"/company.Company/{arity}"
    assert server.parent is not None
    assert server.parent.span_id == client.context.span_id
    sizes = [dict(event.attributes or {})["message.uncompressed_size"] for event in server.events]
    assert sizes == [text.ByteSize()] * 2


@pytest.mark.parametrize("how", ["interceptor", "channel"])
async def test_current_generated_code_is_traced_by_grpc_aio(
    generated: tuple[Any, Any], finished: Finished, how: str
) -> None:
    messages, stubs = generated
    server = grpc.aio.server(ThreadPoolExecutor(2), interceptors=[aio_server_interceptor()])
    stubs.add_CompanyServicer_to_server(_servicer(messages, stubs), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    used = aio_client_interceptor() if how == "interceptor" else ()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=used) as plain:
        company = stubs.CompanyStub(trace_channel(plain) if how == "channel" else plain)
        text = messages.Text(text="hello")
        assert await company.UU(text) == text
        assert [response async for response in company.US(text)] == [text]
        assert await company.SU(iter([text])) == text
        assert [response async for response in company.SS(iter([text]))] == [text]
        await asyncio.to_thread(finished, 8)
    await server.stop(None)


def _health(server: grpc.Server) -> None:
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)


@pytest.mark.parametrize("options", [{}, {"exclude": ()}], ids=["by default", "if opted in"])
def test_health_checks_are_traced_only_if_configured(finished: Finished, options: Any) -> None:
    with serving(server_interceptor(**options), add=_health) as plain:
        for channel in (
            trace_channel(plain, **options),
            grpc.intercept_channel(plain, client_interceptor(**options)),
        ):
            checked = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert checked.status == health_pb2.HealthCheckResponse.SERVING
        finished(4 if options else 0)


async def test_health_checks_by_grpc_aio_are_not_traced(finished: Finished) -> None:
    server = grpc.aio.server(interceptors=[aio_server_interceptor()])
    aio_health: Any = health.aio
    health_pb2_grpc.add_HealthServicer_to_server(aio_health.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    target = f"127.0.0.1:{port}"
    async with grpc.aio.insecure_channel(target, interceptors=aio_client_interceptor()) as channel:
        request = health_pb2.HealthCheckRequest()
        checked = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=10)
        assert checked.status == health_pb2.HealthCheckResponse.SERVING
    await server.stop(None)
    finished(0)


def test_reflection_works(finished: Finished) -> None:
    def add(server: grpc.Server) -> None:
        reflection.enable_server_reflection([reflection.SERVICE_NAME], server)

    with serving(server_interceptor(), add=add) as plain:
        reflected = reflection_pb2_grpc.ServerReflectionStub(trace_channel(plain))
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (response,) = reflected.ServerReflectionInfo(iter([request]), timeout=10)
        assert [service.name for service in response.list_services_response.service] == [
            reflection.SERVICE_NAME
        ]
        finished(2)


class Rich(Sync):
    """Fails with a `google.rpc.Status`."""

    def UU(self, request: bytes, context: Any) -> bytes:
        detail = any_pb2.Any()
        detail.Pack(status_pb2.Status(message="more of it"))
        rich = status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message="no more", details=[detail])
        context.abort_with_status(rpc_status.to_status(rich))
        return request


def test_a_rich_status_arrives_and_is_recorded(seen: Seen, finished: Finished) -> None:
    with sync_server(Rich(seen), server_interceptor()) as address, grpc.insecure_channel(address) as plain:
        with pytest.raises(grpc.RpcError) as raised:
            take(trace_channel(plain), "UU", b"ok")
        rich: Any = rpc_status.from_call(raised.value)
        assert rich.message == "no more"
        assert len(rich.details) == 1
        for span in finished(2):
            assert span.attributes is not None
            assert span.attributes["rpc.grpc.status_code"] == Code.RESOURCE_EXHAUSTED.value[0]
            assert span.status.description == "RESOURCE_EXHAUSTED: no more"


class Details(grpc.ClientCallDetails):
    """Call details as an interceptor's author may write them: no named tuple, and not all attributes."""

    def __init__(self, of: Any) -> None:
        self.method = of.method
        self.metadata: Any = [*(of.metadata or ()), ("added", "1")]
        self.timeout = of.timeout


class Adding(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds to the metadata, which becomes a list."""

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(Details(client_call_details), request)

    intercept_unary_stream = intercept_unary_unary

    def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return continuation(Details(client_call_details), request_iterator)

    intercept_stream_stream = intercept_stream_unary


class Refusing(grpc.UnaryUnaryClientInterceptor):
    """Raises before there is a call."""

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        raise PermissionError("no")


class Cached(grpc.Future):  # type: ignore[type-arg]
    """A response that came from no server."""

    def result(self, timeout: Any = None) -> bytes:
        return b"cached"

    def done(self) -> bool:
        return True

    def exception(self, timeout: Any = None) -> None:
        return None

    def add_done_callback(self, fn: Any) -> None:
        fn(self)

    cancel = cancelled = running = lambda self: False
    traceback = exception


class Caching(grpc.UnaryUnaryClientInterceptor):
    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return Cached()


@pytest.fixture
def plain(seen: Seen) -> Iterator[grpc.Channel]:
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address) as channel:
        yield channel


@pytest.mark.parametrize("order", ["before", "after", "around"])
@pytest.mark.parametrize("arity", ARITIES)
def test_interceptors_that_change_metadata_work_together_with_ours(
    plain: grpc.Channel, seen: Seen, finished: Finished, arity: str, order: str
) -> None:
    ours, theirs = client_interceptor(), Adding()
    chain = {"before": [theirs, ours], "after": [ours, theirs], "around": [theirs, ours, theirs]}[order]
    channel = grpc.intercept_channel(plain, *chain)
    response = stub(channel, arity)(requests_for(arity, b"ok"), timeout=10, metadata=(("own", "1"),))
    if arity in STREAMS_OUT:
        list(response)
    keys = [key for key, _ in seen.metadata[0]]
    assert keys.count("added") == len(chain) - 1
    assert keys.count("own") == keys.count("traceparent") == 1
    finished(1)


def test_call_options_missing_in_another_interceptors_details_are_those_of_the_caller(
    plain: grpc.Channel, finished: Finished
) -> None:
    seen: list[Any] = []

    class Last(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
            seen.append(client_call_details)
            return continuation(client_call_details, request)

    channel = grpc.intercept_channel(plain, Adding(), client_interceptor(), Last())
    stub(channel, "UU")(b"ok", timeout=10, wait_for_ready=True)
    assert seen[0].method == method("UU")
    assert seen[0].timeout == 10
    assert seen[0].wait_for_ready is True
    finished(1)


def test_an_interceptor_that_raises_ends_the_span(plain: grpc.Channel, finished: Finished) -> None:
    channel = grpc.intercept_channel(plain, client_interceptor(), Refusing())
    with pytest.raises(PermissionError):
        stub(channel, "UU")(b"ok", timeout=10)
    with pytest.raises(PermissionError):
        stub(channel, "UU").future(b"ok", timeout=10).result()
    for span in finished(2):
        assert [event.name for event in span.events] == ["exception"]
        assert "PermissionError: no" in (span.status.description or "")


@pytest.mark.parametrize("options", [{}, {"log_payloads": True}], ids=["", "payloads"])
def test_a_response_from_a_cache_ends_the_span(plain: grpc.Channel, finished: Finished, options: Any) -> None:
    channel = grpc.intercept_channel(plain, client_interceptor(**options), Caching())
    assert stub(channel, "UU")(b"ok", timeout=10) == b"cached"
    assert stub(channel, "UU").future(b"ok", timeout=10).result() == b"cached"
    finished(2)


class Answering(grpc.aio.UnaryUnaryClientInterceptor, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return b"cached"

    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        raise NotImplementedError


class AioDoubling(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(client_call_details, request)

        async def doubled() -> Any:
            async for response in call:
                yield response * 2

        return doubled()


@pytest.mark.parametrize("options", [{}, {"log_payloads": True}], ids=["", "payloads"])
async def test_other_interceptors_of_grpc_aio_work_together_with_ours(
    seen: Seen, finished: Finished, options: Any
) -> None:
    with sync_server(Sync(seen)) as address:
        chain = [*aio_client_interceptor(**options), Answering(), AioDoubling()]
        async with grpc.aio.insecure_channel(address, interceptors=chain) as channel:
            assert await stub(channel, "UU")(b"ok") == b"cached"
            doubled = [response async for response in stub(channel, "US")(b"ok")]
            assert doubled == [b"00", b"11", b"22"]
            await asyncio.to_thread(finished, 2)


class Wrapping(grpc.ServerInterceptor):
    """A server interceptor as they are: it replaces the handler of each call."""

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = continuation(handler_call_details)

        def behavior(request: Any, context: Any) -> Any:
            context.noted = handler_call_details.method
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(behavior)


@pytest.mark.parametrize("order", ["before", "after"])
def test_other_server_interceptors_work_together_with_ours(
    seen: Seen, finished: Finished, order: str
) -> None:
    ours, theirs = server_interceptor(), Wrapping()
    chain = [theirs, ours] if order == "before" else [ours, theirs]
    with sync_server(Sync(seen), *chain) as address, grpc.insecure_channel(address) as channel:
        assert take(channel, "UU", b"ok") == b"ok"
        assert take(channel, "UU", b"ok") == b"ok"
    finished(2)
    assert seen.contexts[0].noted == method("UU")
    assert seen.active == seen.spans


@pytest.mark.parametrize("order", ["before", "after"])
def test_opentelemetrys_own_interceptors_and_ours_make_one_trace(
    seen: Seen, otel: Recorded, finished: Finished, order: str
) -> None:
    theirs = otel_server_interceptor(tracer_provider=otel.provider)  # type: ignore[no-untyped-call]
    chain = [theirs, server_interceptor()] if order == "before" else [server_interceptor(), theirs]
    with sync_server(Sync(seen), *chain) as address, grpc.insecure_channel(address) as plain:
        otels: Any = otel_client_interceptor(tracer_provider=otel.provider)  # type: ignore[no-untyped-call]
        if order == "before":
            channel = otel_grpcext.intercept_channel(trace_channel(plain), otels)
        else:
            inner = otel_grpcext.intercept_channel(plain, otels)
            channel = grpc.intercept_channel(inner, client_interceptor())
        with opentracing.global_tracer().start_active_span("request"):
            assert take(channel, "UU", b"ok") == b"ok"
    spans = finished(5)
    assert len({span.context.trace_id for span in spans}) == 1
