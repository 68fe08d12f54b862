"""The recipe that grpc-gateway documents for OpenCensus and AWS X-Ray, row by row, on whole installations.

What each part does in detail is tested in its own room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import grpc
import opentracing
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from werkzeug.test import Client
from werkzeug.wrappers import Response

import ot_bridge
from ot_bridge import TracingMiddleware
from ot_bridge.bridge import Tracer
from ot_bridge.cli.gateway import greeter_pb2 as pb
from ot_bridge.cli.gateway import greeter_pb2_grpc as rpc
from ot_bridge.cli.gateway.gateway import Gateway
from ot_bridge.cli.gateway.service import Greeter
from ot_bridge.errors import ConfigurationError
from ot_bridge.grpc import client_interceptor, server_interceptor, trace_channel
from ot_bridge.sampling import PathSampler, always_off, always_on, probability, with_sampler
from ot_bridge.xray import XRayExporter
from tests.xray.conftest import FakeXRay, error
from tests.xray.conftest import Response as XRayResponse

CALLER = {"traceparent": f"00-{0xABC:032x}-{0xDEF:016x}-01"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_XRAY_DAEMON_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    yield
    ot_bridge.uninstall()


@pytest.fixture
def xray() -> Iterator[FakeXRay]:
    with FakeXRay() as server:
        yield server
        server.shutdown()


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def spans(memory: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """The finished ones by kind and name."""
    return {f"{span.kind.name} {span.name}": span for span in memory.get_finished_spans()}


class Service(NamedTuple):
    """A gateway, and channels to the service behind it."""

    web: Client
    plain: grpc.Channel
    traced: grpc.Channel


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    """Starts service and gateway on the global tracer. server, client, web: options for each of them."""
    closing: list[Callable[[], object]] = []

    def start(server: Any = None, client: Any = None, web: Any = None) -> Service:
        running = grpc.server(ThreadPoolExecutor(4), interceptors=[server_interceptor(**server or {})])
        rpc.add_GreeterServicer_to_server(Greeter(), running)
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), running)
        port = running.add_insecure_port("127.0.0.1:0")
        running.start()
        plain = grpc.insecure_channel(f"127.0.0.1:{port}")
        closing.extend((plain.close, lambda: running.stop(None).wait()))
        traced = trace_channel(plain, **client or {})
        app = TracingMiddleware(Gateway(rpc.GreeterStub(traced)), **web or {})
        return Service(Client(app), plain, traced)

    yield start
    for close in closing:
        close()


def install(memory: InMemorySpanExporter, **options: Any) -> Tracer:
    exporters = [SimpleSpanProcessor(memory), *options.pop("exporters", ())]
    return ot_bridge.install("gateway", exporters=exporters, **options)


def test_row_1_the_exporter_is_built_with_region_and_version_or_names_what_is_missing(
    xray: FakeXRay,
) -> None:
    tracer = ot_bridge.install(
        "gateway", exporters=[XRayExporter("us-west-2", service_version="1.4", endpoint=xray.url)]
    )
    tracer.start_span("a").finish()
    assert tracer.flush()
    assert "/us-west-2/xray/" in xray.requests[0].headers["Authorization"]
    assert xray.requests[0].documents[0]["service"] == {"version": "1.4"}
    ot_bridge.uninstall()
    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        ot_bridge.install("gateway", exporters=["xray"])


def test_row_2_flush_waits_and_returns_whether_all_spans_were_delivered(xray: FakeXRay) -> None:
    tracer = ot_bridge.install("gateway", exporters=[XRayExporter("us-west-2", endpoint=xray.url)])
    xray.responses = [error(429, "ThrottledException"), XRayResponse(), error(400, "InvalidRequestException")]
    tracer.start_span("taken at the second attempt").finish()
    assert tracer.flush() is True
    assert len(xray.requests) == 2
    tracer.start_span("refused").finish()
    assert tracer.flush() is False
    assert tracer.flush() is True


def test_row_3_every_exporter_gets_the_sampled_spans_and_only_those(
    xray: FakeXRay, memory: InMemorySpanExporter
) -> None:
    exporter = XRayExporter("us-west-2", endpoint=xray.url)
    tracer = install(memory, exporters=[exporter], sampler=always_off)
    tracer.start_span("unsampled").finish()
    tracer.start_span("sampled", sampler=always_on).finish()
    assert tracer.flush()
    (span,) = memory.get_finished_spans()
    ((id_,),) = xray.batches
    assert span.context.span_id == int(id_, 16)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_row_4_a_probability_decides_process_wide_on_the_low_half_of_an_id_that_begins_with_the_time(
    memory: InMemorySpanExporter, share: float
) -> None:
    tracer = install(memory, sampler=probability(share), propagators="xray")
    otel = trace.get_tracer("library")
    contexts = [tracer.start_span("a").unwrap().get_span_context() for _ in range(200)]
    contexts += [otel.start_span("b").get_span_context() for _ in range(200)]
    assert len({context.trace_id >> 104 for context in contexts}) <= 2
    for context in contexts:
        assert context.trace_flags.sampled is (context.trace_id & (1 << 64) - 1 < share * (1 << 64))


def test_row_4_always_on_samples_even_if_the_caller_did_not(memory: InMemorySpanExporter) -> None:
    tracer = install(memory, sampler=always_on)
    caller = tracer.extract(opentracing.Format.TEXT_MAP, {"traceparent": CALLER["traceparent"][:-1] + "0"})
    assert tracer.start_span("a", child_of=caller).context.sampled


def test_row_5_the_client_interceptor_makes_a_span_with_messages_and_status(
    memory: InMemorySpanExporter, start: Callable[..., Service]
) -> None:
    install(memory)
    channel = grpc.intercept_channel(start().plain, client_interceptor(message_events=True))
    reply = rpc.GreeterStub(channel).SayHello(pb.HelloRequest(name="ann"), timeout=5)
    span = spans(memory)["CLIENT /greeter.v1.Greeter/SayHello"]
    logged = [dict(event.attributes or {}) for event in span.events]
    assert [(each["message.type"], each["message.uncompressed_size"]) for each in logged] == [
        ("SENT", pb.HelloRequest(name="ann").ByteSize()),
        ("RECEIVED", reply.ByteSize()),
    ]
    assert (span.attributes or {})["rpc.grpc.status_code"] == 0


def test_row_6_the_middleware_is_above_the_client_which_is_above_the_server(
    memory: InMemorySpanExporter, start: Callable[..., Service]
) -> None:
    install(memory)
    assert start().web.get("/v1/hello/ann", headers=CALLER, buffered=True).status_code == 200
    found, method = spans(memory), "/greeter.v1.Greeter/SayHello"
    chain = [found["SERVER ServeHTTP"], found[f"CLIENT {method}"], found[f"SERVER {method}"]]
    chain.append(found["INTERNAL compose greeting"])
    assert {span.context.trace_id for span in chain} == {0xABC}
    parents = [span.parent.span_id if span.parent else 0 for span in chain]
    assert parents == [0xDEF, *(span.context.span_id for span in chain[:-1])]


PATHS = {
    "by start_options": (
        {"start_options": lambda environ: always_on if environ["PATH_INFO"].startswith("/v1/") else None},
        probability(0),
    ),
    "as data": ({}, PathSampler([("/v1", always_on)], default=always_off)),
}


@pytest.mark.parametrize(("web", "sampler"), PATHS.values(), ids=PATHS)
def test_row_7_paths_under_a_prefix_are_always_sampled(
    memory: InMemorySpanExporter, start: Callable[..., Service], web: Any, sampler: Any
) -> None:
    install(memory, sampler=sampler)
    client = start(web=web).web
    assert client.get("/elsewhere", buffered=True).status_code == 404
    assert not memory.get_finished_spans()
    assert client.get("/v1/hello/ann?q=/elsewhere", buffered=True).status_code == 200
    assert len(memory.get_finished_spans()) == 4


def test_row_8_one_span_brings_its_own_sampler_even_under_a_local_parent(
    memory: InMemorySpanExporter,
) -> None:
    tracer, otel = install(memory, sampler=probability(0)), trace.get_tracer("library")
    with tracer.start_active_span("parent"):
        tracer.start_span("ours", sampler=always_on).finish()
        otel.start_span("plain", context=with_sampler(always_on)).end()
        otel.start_span("neither").end()
    assert [span.name for span in memory.get_finished_spans()] == ["ours", "plain"]


class Busy(health.HealthServicer):  # type: ignore[misc]
    """A health check that makes its own spans."""

    def Check(self, request: Any, context: Any) -> Any:
        with trace.get_tracer("library").start_as_current_span("below"):
            opentracing.global_tracer().start_span("below").finish()
        return super().Check(request, context)


@pytest.mark.parametrize("sampler", [None, always_on], ids=["default", "always_on"])
@pytest.mark.parametrize("switched", [False, True], ids=["default", "switched on"])
def test_row_9_health_checks_and_calls_below_them_have_no_span_by_default(
    memory: InMemorySpanExporter,
    start: Callable[..., Service],
    monkeypatch: pytest.MonkeyPatch,
    sampler: Any,
    switched: bool,
) -> None:
    monkeypatch.setattr(health, "HealthServicer", Busy)
    monkeypatch.setattr(Gateway, "health", _busy_health)
    install(memory, sampler=sampler)
    given: dict[str, Any] = {"exclude": ()} if switched else {}
    service = start(server=given, client=given, web=given)
    assert service.web.get("/healthz", buffered=True).status_code == 200
    stub = health_pb2_grpc.HealthStub(service.traced)
    assert stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status == 1
    names = sorted(span.name for span in memory.get_finished_spans())
    check = "/grpc.health.v1.Health/Check"
    assert names == ([check, check, "ServeHTTP", "below", "below", "below"] if switched else [])


def _busy_health(self: Gateway, request: Any) -> Any:
    opentracing.global_tracer().start_span("below").finish()
    return Response("ok\n")


def test_row_10_a_public_endpoint_links_its_caller_and_starts_a_new_trace(
    memory: InMemorySpanExporter, start: Callable[..., Service]
) -> None:
    install(memory)
    service = start(server={"public_endpoint": True}, web={"public_endpoint": True})
    service.web.get("/nothing", headers=CALLER, buffered=True)
    rpc.GreeterStub(service.plain).SayHello(pb.HelloRequest(), metadata=tuple(CALLER.items()), timeout=5)
    found = spans(memory)
    for span in (found["SERVER ServeHTTP"], found["SERVER /greeter.v1.Greeter/SayHello"]):
        assert span.parent is None
        assert span.context.trace_id != 0xABC
        assert [link.context.trace_id for link in span.links] == [0xABC]
