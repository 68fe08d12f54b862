"""grpcio-opentracing beside us: its functions, its interceptors on our tracer, its ways to intercept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import grpc
import grpc_opentracing as untyped_old
import jaeger_client as untyped_jaeger_client
import pytest
from grpc_opentracing import grpcext as untyped_grpcext
from jaeger_client.reporter import InMemoryReporter
from opentracing.mocktracer import MockTracer

from ot_bridge.grpc import (
    aio_server_interceptor,
    client_interceptor,
    open_tracing_client_interceptor,
    open_tracing_server_interceptor,
    server_interceptor,
)
from tests.conftest import Recorded
from tests.grpc.conftest import Finished
from tests.grpc.test_server import take
from tests.grpc.things import ARITIES, STREAMS_OUT, Seen, Sync, method, requests_for, stub, sync_server

old: Any = untyped_old
grpcext: Any = untyped_grpcext
jaeger_client: Any = untyped_jaeger_client
Code = grpc.StatusCode
every_arity = pytest.mark.parametrize("arity", ARITIES)


def old_take(channel: Any, arity: str, script: bytes, way: str = "__call__") -> Any:
    """A call as grpcio-opentracing knows it: by position, without `wait_for_ready` and its like."""
    call = getattr(stub(channel, arity), way)(requests_for(arity, script), 10)
    if way == "future":
        return call.result()
    if way == "with_call":
        return call[0]
    return list(call) if arity in STREAMS_OUT else call


EXPECTED = {
    "UU": b"ok",
    "US": [b"0", b"1", b"2"],
    "SU": b"ok,second",
    "SS": [b"0", b"1", b"2", b"second"],
}
WAYS = [*((arity, "__call__") for arity in ARITIES)] + [
    (arity, way) for arity in ("UU", "SU") for way in ("with_call", "future")
]
every_way = pytest.mark.parametrize(("arity", "way"), WAYS)


@every_way
@pytest.mark.parametrize("make", [client_interceptor, open_tracing_client_interceptor])
@pytest.mark.parametrize("script", [b"ok", b"abort"], ids=["ok", "abort"])
def test_grpcext_accepts_our_client_interceptor(
    seen: Seen, finished: Finished, make: Any, arity: str, way: str, script: bytes
) -> None:
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address) as plain:
        channel = grpcext.intercept_channel(plain, make())
        if script == b"ok":
            assert old_take(channel, arity, script, way) == EXPECTED[arity]
        else:
            with pytest.raises(grpc.RpcError):
                old_take(channel, arity, script, way)
    (span,) = finished(1)
    attributes = dict(span.attributes or {})
    assert span.name == method(arity)
    assert attributes["rpc.grpc.status_code"] == (0 if script == b"ok" else Code.NOT_FOUND.value[0])
    assert "traceparent" in dict(seen.metadata[0])


@every_arity
@pytest.mark.parametrize("make", [server_interceptor, open_tracing_server_interceptor])
@pytest.mark.parametrize("script", [b"ok", b"set_code"], ids=["ok", "set_code"])
def test_grpcext_accepts_our_server_interceptor(
    seen: Seen, finished: Finished, make: Any, arity: str, script: bytes
) -> None:
    interceptor = make()

    def wrap(server: Any) -> Any:
        return grpcext.intercept_server(server, interceptor)

    with sync_server(Sync(seen), wrap=wrap) as address, grpc.insecure_channel(address) as channel:
        if script == b"ok":
            assert take(channel, arity, script) == EXPECTED[arity]
        else:
            with pytest.raises(grpc.RpcError):
                take(channel, arity, script)
    (span,) = finished(1)
    attributes = dict(span.attributes or {})
    assert attributes["rpc.grpc.status_code"] == (0 if script == b"ok" else Code.ALREADY_EXISTS.value[0])
    assert seen.active[0] is seen.spans[0]


def test_a_call_that_is_not_traced_also_works_through_grpcext(seen: Seen, otel: Recorded) -> None:
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address) as plain:
        channel = grpcext.intercept_channel(plain, client_interceptor(exclude=["*"]))
        assert old_take(channel, "UU", b"ok") == b"ok"
    assert not otel.exporter.get_finished_spans()


def test_without_grpcio_opentracing_the_interceptors_work() -> None:
    script = (
        "import sys\n"
        "sys.modules['grpc_opentracing'] = None\n"
        "from ot_bridge.grpc import client_interceptor, server_interceptor\n"
        "client_interceptor(), server_interceptor()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def _new_client(channel: grpc.Channel, tracer: Any) -> grpc.Channel:
    return grpc.intercept_channel(channel, open_tracing_client_interceptor(tracer))


def _old_client(channel: grpc.Channel, tracer: Any) -> Any:
    return grpcext.intercept_channel(channel, old.open_tracing_client_interceptor(tracer))


def _new_server(tracer: Any) -> dict[str, Any]:
    return {"wrap": lambda server: grpcext.intercept_server(server, open_tracing_server_interceptor(tracer))}


def _old_server(tracer: Any) -> dict[str, Any]:
    interceptor = old.open_tracing_server_interceptor(tracer)
    return {"wrap": lambda server: grpcext.intercept_server(server, interceptor)}


CLIENTS: dict[str, Callable[..., Any]] = {"new client": _new_client, "old client": _old_client}
SERVERS: dict[str, Callable[..., dict[str, Any]]] = {"new server": _new_server, "old server": _old_server}


@every_arity
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", SERVERS)
def test_old_and_new_make_one_trace_with_the_same_names_and_tags(
    seen: Seen, otel: Recorded, finished: Finished, client: str, server: str, arity: str
) -> None:
    with (
        sync_server(Sync(seen), **SERVERS[server](otel.tracer)) as address,
        grpc.insecure_channel(address) as plain,
    ):
        channel = CLIENTS[client](plain, otel.tracer)
        assert old_take(channel, arity, b"ok") == EXPECTED[arity]
    spans = {span.kind.name: span for span in finished(2)}
    assert spans["SERVER"].parent is not None
    assert spans["SERVER"].parent.span_id == spans["CLIENT"].context.span_id
    assert {span.name for span in spans.values()} == {method(arity)}
    for span in spans.values():
        attributes = dict(span.attributes or {})
        assert attributes["component"] == "grpc"
        assert ("peer.ipv4" in attributes) is (span.kind.name == "SERVER")


@pytest.mark.filterwarnings("ignore:This package is no longer supported:DeprecationWarning")
@pytest.mark.parametrize("side", ["jaeger calls", "jaeger serves"])
def test_a_service_with_jaeger_client_and_one_with_ot_bridge_make_one_trace(
    seen: Seen, otel: Recorded, finished: Finished, side: str
) -> None:
    reporter = InMemoryReporter()
    sampler = jaeger_client.ConstSampler(True)
    # With a given address, jaeger-client opens no sockets to look it up, which it would leave open.
    jaeger = jaeger_client.Tracer("neighbour", reporter, sampler, tags={"ip": "127.0.0.1"})
    calling = side == "jaeger calls"
    serving = _new_server(otel.tracer) if calling else _old_server(jaeger)
    with sync_server(Sync(seen), **serving) as address, grpc.insecure_channel(address) as plain:
        channel = _old_client(plain, jaeger) if calling else _new_client(plain, otel.tracer)
        assert old_take(channel, "UU", b"ok") == b"ok"
    ours: Any = finished(1)[0]
    (theirs,) = reporter.get_spans()
    assert ours.context.trace_id == theirs.trace_id
    assert theirs.operation_name == ours.name == method("UU")
    above, below = (theirs.span_id, ours.parent) if calling else (ours.context.span_id, theirs)
    assert (below.span_id if calling else below.parent_id) == above


def emissions(tracer: MockTracer) -> list[Any]:
    """Names, tags and logs, without those that only we set and those that differ in every run."""
    (span,) = tracer.finished_spans()
    tags = {name: value for name, value in span.tags.items() if name != "rpc.grpc.status_code"}
    if "peer.port" in tags:
        assert tags.pop("peer.port").isdigit()
    logs: list[Any] = []
    for log in span.logs:
        fields = dict(log.key_values)
        if (
            "error.object" in fields
        ):  # there the class of what was raised, here what was raised and its status
            raised = fields.pop("error.object")
            fields["error.object"] = raised if isinstance(raised, type) else type(raised)
            fields = {name: fields[name] for name in ("event", "error.object")}
        if (
            fields not in logs[-1:] or "error.object" not in fields
        ):  # grpcio-opentracing records the exception twice
            logs.append(fields)
    return [span.operation_name, tags, sorted(logs, key=repr)]  # the order of requests and responses varies


def _outcome(call: Callable[[], Any]) -> None:
    try:
        call()
    except grpc.RpcError:
        pass
    except grpc.FutureCancelledError:
        pass


@every_way
@pytest.mark.parametrize("script", [b"ok", b"raise", b"set_code"], ids=["ok", "raise", "set_code"])
@pytest.mark.parametrize("log_payloads", [False, True], ids=["", "payloads"])
def test_a_client_span_is_the_same_as_grpcio_opentracings(
    seen: Seen, arity: str, way: str, script: bytes, log_payloads: bool
) -> None:
    emitted = []
    for make in (old.open_tracing_client_interceptor, open_tracing_client_interceptor):
        tracer = MockTracer()
        with sync_server(Sync(seen)) as address, grpc.insecure_channel(address) as plain:
            channel = grpcext.intercept_channel(plain, make(tracer, log_payloads=log_payloads))
            _outcome(lambda: old_take(channel, arity, script, way))  # noqa: B023
            _wait_for(tracer)
        emitted.append(emissions(tracer))
    theirs, ours = emitted
    if arity in STREAMS_OUT and script != b"ok" and "error.object" not in ours[2][0]:
        # Our span ends with the status of the stream, before the exception is raised.
        del theirs[2][0]["error.object"]
        assert ours[2][0].pop("error.kind").startswith("StatusCode.")
        assert ours[2][0].pop("message")
    assert ours == theirs


@every_arity
@pytest.mark.parametrize("script", [b"ok", b"raise", b"set_code"], ids=["ok", "raise", "set_code"])
@pytest.mark.parametrize("log_payloads", [False, True], ids=["", "payloads"])
def test_a_server_span_is_the_same_as_grpcio_opentracings(
    seen: Seen, arity: str, script: bytes, log_payloads: bool
) -> None:
    emitted = []
    for make in (old.open_tracing_server_interceptor, open_tracing_server_interceptor):
        tracer = MockTracer()
        interceptor = make(tracer, log_payloads=log_payloads)
        serving: dict[str, Any] = {"wrap": lambda server: grpcext.intercept_server(server, interceptor)}  # noqa: B023
        with sync_server(Sync(seen), **serving) as address, grpc.insecure_channel(address) as plain:
            _outcome(lambda: take(plain, arity, script))
            _wait_for(tracer)
        emitted.append(emissions(tracer))
    theirs, ours = emitted
    # There, a caller without a trace made MockTracer complain, which was logged on the span.
    theirs[2] = [log for log in theirs[2] if log.get("error.object") is not _complaint()]
    assert ours == theirs


def _complaint() -> type:
    try:
        MockTracer().extract("http_headers", {})
    except Exception as error:
        return type(error)
    raise AssertionError("MockTracer has got better")


def _wait_for(tracer: MockTracer) -> None:
    import threading

    pause = threading.Event()
    for _ in range(500):
        if tracer.finished_spans():
            return
        pause.wait(0.01)


def test_the_aio_variants_are_interceptors_of_grpc_aio() -> None:
    interceptors = open_tracing_client_interceptor(aio=True)
    assert [isinstance(each, grpc.aio.ClientInterceptor) for each in interceptors] == [True] * 4
    server = open_tracing_server_interceptor(aio=True)
    assert type(server) is type(aio_server_interceptor())
    assert isinstance(server, grpc.aio.ServerInterceptor)


def test_arguments_may_be_positional_as_in_grpcio_opentracing() -> None:
    tracer = MockTracer()
    for ours, theirs in (
        (open_tracing_client_interceptor, old.open_tracing_client_interceptor),
        (open_tracing_server_interceptor, old.open_tracing_server_interceptor),
    ):
        arguments: list[Any] = [tracer, *(None,) * (theirs.__code__.co_argcount - 1)]
        ours(*arguments)
        assert (
            ours.__code__.co_varnames[: theirs.__code__.co_argcount]
            == (theirs.__code__.co_varnames[: theirs.__code__.co_argcount])
        )
