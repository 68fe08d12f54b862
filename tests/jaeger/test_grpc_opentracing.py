"""grpcio-opentracing's names, and interceptors that were written against its `grpcext`."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import grpc
import grpc_opentracing as theirs
import grpc_opentracing.grpcext as their_grpcext
import pytest

from ot_bridge import grpc_opentracing as ours
from ot_bridge.grpc_opentracing import grpcext
from tests.grpc.things import ARITIES, SERVICE, Seen, Sync, handlers, method, requests_for, stub, sync_server
from tests.jaeger.sides import OURS, REAL

BOTH = pytest.mark.parametrize("module", [their_grpcext, grpcext], ids=["theirs", "ours"])


@pytest.mark.parametrize(
    ("real", "mine"), [(theirs, ours), (their_grpcext, grpcext)], ids=["package", "grpcext"]
)
def test_every_public_name_exists_with_the_same_arguments(real: ModuleType, mine: ModuleType) -> None:
    names = {
        name for name, value in vars(real).items() if getattr(value, "__module__", None) == real.__name__
    }
    assert names <= set(dir(mine))
    functions = [name for name in sorted(names) if inspect.isfunction(getattr(real, name))]
    assert functions
    for name in functions:
        expected = list(inspect.signature(getattr(real, name)).parameters)
        assert list(inspect.signature(getattr(mine, name)).parameters)[: len(expected)] == expected


class _Client:
    """What a program wrote once."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def intercept_unary(self, request: Any, metadata: Any, client_info: Any, invoker: Any) -> Any:
        assert not hasattr(client_info, "is_client_stream")
        self.calls.append((client_info.full_method, client_info.timeout))
        return invoker(request, (*(metadata or ()), ("mine", "1")))

    def intercept_stream(
        self, request_or_iterator: Any, metadata: Any, client_info: Any, invoker: Any
    ) -> Any:
        info = client_info
        self.calls.append((info.full_method, info.is_client_stream, info.is_server_stream, info.timeout))
        return invoker(request_or_iterator, (*(metadata or ()), ("mine", "1")))


class _Server:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def intercept_unary(self, request: Any, servicer_context: Any, server_info: Any, handler: Any) -> Any:
        assert not hasattr(server_info, "is_client_stream")
        self.calls.append(server_info.full_method)
        return handler(request, servicer_context)

    def intercept_stream(
        self, request_or_iterator: Any, servicer_context: Any, server_info: Any, handler: Any
    ) -> Any:
        info = server_info
        self.calls.append((info.full_method, info.is_client_stream, info.is_server_stream))
        return handler(request_or_iterator, servicer_context)


def _client(module: Any, *kinds: str) -> Any:
    bases = tuple(getattr(module, f"{kind}ClientInterceptor") for kind in kinds or ("Unary", "Stream"))
    return type("Mine", (_Client, *bases), {})()


def _server(module: Any, *kinds: str) -> Any:
    bases = tuple(getattr(module, f"{kind}ServerInterceptor") for kind in kinds or ("Unary", "Stream"))
    return type("Mine", (_Server, *bases), {})()


@BOTH
@pytest.mark.parametrize("arity", ARITIES)
def test_interceptors_of_the_program_are_called(module: Any, arity: str) -> None:
    seen, client, server = Seen(), _client(module), _server(module)
    with sync_server(Sync(seen), wrap=lambda real: module.intercept_server(real, server)) as address:
        channel = module.intercept_channel(grpc.insecure_channel(address), client)
        result = stub(channel, arity)(requests_for(arity, b"ok"), timeout=10)
        if isinstance(result, Iterator):
            list(result)
        channel.close()
    streams = (arity in {"SU", "SS"}, arity in {"US", "SS"}) if arity != "UU" else ()
    assert [tuple(each) for each in client.calls] == [(method(arity), *streams, 10)]
    assert server.calls == [(method(arity), *streams) if streams else method(arity)]
    assert ("mine", "1") in [tuple(pair) for pair in seen.metadata[0]]


@BOTH
def test_every_way_to_call_a_method_is_intercepted(module: Any) -> None:
    with sync_server(Sync(Seen())) as address:
        client = _client(module)
        channel = module.intercept_channel(grpc.insecure_channel(address), client)
        response, call = stub(channel, "UU").with_call(b"ok")
        assert (response, call.code()) == (b"ok", grpc.StatusCode.OK)
        assert stub(channel, "UU").future(b"ok").result(10) == b"ok"
        assert stub(channel, "SU").future(iter([b"ok"])).result(10) == b"ok"
        assert len(client.calls) == 3
        channel.close()


@BOTH
@pytest.mark.parametrize("kind", ["Unary", "Stream"])
def test_an_interceptor_of_one_kind_sees_that_kind(module: Any, kind: str) -> None:
    client, server = _client(module, kind), _server(module, kind)
    with sync_server(Sync(Seen()), wrap=lambda real: module.intercept_server(real, server)) as address:
        channel = module.intercept_channel(grpc.insecure_channel(address), client)
        for arity in ARITIES:
            result = stub(channel, arity)(requests_for(arity, b"ok"))
            if isinstance(result, Iterator):
                list(result)
        channel.close()
    expected = 1 if kind == "Unary" else 3
    assert (len(client.calls), len(server.calls)) == (expected, expected)


_REFUSED = r"interceptor must be either a grpcext\.Unary{0}Interceptor or a grpcext\.Stream{0}Interceptor$"


@BOTH
def test_an_object_that_is_not_an_interceptor_is_refused(module: Any) -> None:
    with pytest.raises(TypeError, match=_REFUSED.format("Client")):
        module.intercept_channel(None, object())
    with pytest.raises(TypeError, match=_REFUSED.format("Server")):
        module.intercept_server(None, object())


@BOTH
def test_the_last_interceptor_is_the_outermost(module: Any) -> None:
    order: list[str] = []

    class Named(_Client, module.UnaryClientInterceptor):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self.name = name

        def intercept_unary(self, request: Any, metadata: Any, client_info: Any, invoker: Any) -> Any:
            order.append(self.name)
            return invoker(request, metadata)

    with sync_server(Sync(Seen())) as address:
        channel = module.intercept_channel(grpc.insecure_channel(address), Named("first"), Named("last"))
        stub(channel, "UU")(b"ok")
        channel.close()
    assert order == ["last", "first"]


@pytest.mark.parametrize("arity", ARITIES)
def test_our_interceptors_trace_through_grpcext_on_a_jaeger_tracer(arity: str) -> None:
    tracer, reporter = OURS.tracer()
    on_client = ours.open_tracing_client_interceptor(tracer)
    on_server = ours.open_tracing_server_interceptor(tracer)
    with (
        sync_server(Sync(Seen()), wrap=lambda real: grpcext.intercept_server(real, on_server)) as address,
        tracer.start_active_span("outer"),
    ):
        channel = grpcext.intercept_channel(grpc.insecure_channel(address), on_client)
        result = stub(channel, arity)(requests_for(arity, b"ok"))
        if isinstance(result, Iterator):
            list(result)
        channel.close()
    served, called, outer = sorted(reporter.get_spans(), key=lambda span: -span.start_time)
    assert (served.operation_name, called.operation_name) == (method(arity), method(arity))
    assert (served.parent_id, called.parent_id) == (called.span_id, outer.span_id)
    assert (served.is_rpc(), served.is_rpc_client(), called.is_rpc_client()) == (True, False, True)


def test_grpc_opentracings_interceptors_run_on_our_tracer_and_ours_on_jaeger_clients() -> None:
    def spans(tracer: Any, reporter: Any, package: Any, ext: Any) -> Any:
        on_server = package.open_tracing_server_interceptor(tracer, log_payloads=True)
        on_client = package.open_tracing_client_interceptor(tracer, log_payloads=True)
        with sync_server(Sync(Seen()), wrap=lambda real: ext.intercept_server(real, on_server)) as address:
            channel = ext.intercept_channel(grpc.insecure_channel(address), on_client)
            stub(channel, "UU")(b"ok")
            channel.close()
        return [
            (
                span.operation_name,
                sorted(
                    tag.key
                    for tag in span.tags
                    if not tag.key.startswith(("sampler", "rpc.grpc", "peer.port"))
                ),
                [[field.key for field in log.fields] for log in span.logs],
            )
            for span in sorted(reporter.get_spans(), key=lambda span: span.is_rpc_client())
        ]

    found = [
        spans(*side.tracer(), package, ext)
        for side in (REAL, OURS)
        for package, ext in ((theirs, their_grpcext), (ours, grpcext))
    ]
    assert found[0] == found[1] == found[2] == found[3]


@pytest.mark.skipif(
    not hasattr(grpc.Server, "add_registered_method_handlers"), reason="such stubs need grpcio 1.63"
)
def test_handlers_of_newly_generated_stubs_are_intercepted() -> None:
    mine, tracer = _server(grpcext), OURS.tracer()[0]
    server = grpcext.intercept_server(
        grpc.server(ThreadPoolExecutor(2)), mine, ours.open_tracing_server_interceptor(tracer)
    )
    registered: dict[str, Any] = {"UU": grpc.unary_unary_rpc_method_handler(Sync(Seen()).UU)}
    server.add_generic_rpc_handlers((handlers(Sync(Seen())),))
    server.add_registered_method_handlers(SERVICE, registered)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
            channel: Any = opened
            call = channel.unary_unary(method("UU"), _registered_method=True)
            assert call(b"ok") == b"ok"
            with pytest.raises(grpc.RpcError) as raised:
                channel.unary_unary(f"/{SERVICE}/Unknown")(b"ok")
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    finally:
        server.stop(None).wait()
    assert mine.calls == [method("UU")]
    assert isinstance(server, grpc.Server)


def test_an_intercepted_channel_is_a_channel() -> None:
    connected = threading.Event()

    def watch(state: Any) -> None:
        if state is grpc.ChannelConnectivity.READY:
            connected.set()

    with (
        sync_server(Sync(Seen())) as address,
        grpcext.intercept_channel(grpc.insecure_channel(address), _client(grpcext)) as channel,
    ):
        assert isinstance(channel, grpc.Channel)
        channel.subscribe(watch, try_to_connect=True)
        assert connected.wait(10)
        channel.unsubscribe(watch)
        assert stub(channel, "UU")(b"ok", wait_for_ready=True, compression=grpc.Compression.Gzip) == b"ok"


def _interceptors(*kinds: str) -> list[Any]:
    made = {"grpcext": _client(grpcext), "ours": ours.open_tracing_client_interceptor(OURS.tracer()[0])}
    return [made[kind] for kind in kinds]


@pytest.mark.parametrize("kinds", [["grpcext"], ["ours"], ["grpcext", "ours"], ["ours", "grpcext"]], ids=str)
def test_an_intercepted_channel_closes_with_its_block(kinds: list[str]) -> None:
    with sync_server(Sync(Seen())) as address:
        real = grpc.insecure_channel(address)
        with grpcext.intercept_channel(real, *_interceptors(*kinds)) as channel:
            call = stub(channel, "UU")
            assert call(b"ok", timeout=10) == b"ok"
        with pytest.raises(ValueError, match="closed channel"):
            call(b"ok", timeout=10)


@pytest.mark.parametrize("kind", ["grpcext", "ours"])
def test_a_subscriber_to_an_intercepted_channel_has_to_ask_for_a_connection(kind: str) -> None:
    with grpcext.intercept_channel(grpc.insecure_channel("localhost:1"), *_interceptors(kind)) as channel:
        assert inspect.signature(channel.subscribe).parameters["try_to_connect"].default is False


def test_the_state_of_an_intercepted_channel_is_told_until_the_subscription_ends() -> None:
    ready, lost = threading.Event(), threading.Event()
    told: list[Any] = []

    def watch(state: Any) -> None:
        (ready if state is grpc.ChannelConnectivity.READY else lost).set()

    with ExitStack() as serving:
        real = grpc.insecure_channel(serving.enter_context(sync_server(Sync(Seen()))))
        with grpcext.intercept_channel(real, _client(grpcext)) as channel:
            channel.subscribe(told.append, try_to_connect=True)
            channel.subscribe(watch)
            assert ready.wait(10)
            channel.unsubscribe(told.append)
            before = list(told)
            lost.clear()
            serving.close()
            assert lost.wait(10)
            assert told == before != []


@pytest.mark.parametrize(
    "base",
    [
        "UnaryClientInterceptor",
        "StreamClientInterceptor",
        "UnaryServerInterceptor",
        "StreamServerInterceptor",
    ],
)
def test_our_interceptors_are_instances_of_grpcexts_classes(base: str) -> None:
    make = ours.open_tracing_client_interceptor if "Client" in base else ours.open_tracing_server_interceptor
    assert isinstance(make(OURS.tracer()[0]), getattr(grpcext, base))
