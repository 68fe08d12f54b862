"""`ot-bridge demo --xray`: runs the recipe of `xray_gateway` with real parts, without a network.

The gateway and its gRPC service run on loopback, once with a global configuration and once without. Their
spans go through botocore's own client to an X-Ray server in this process. The segments that arrive there are
printed as trees.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import botocore.session
import grpc

from ot_bridge.bridge import Tracer
from ot_bridge.cli.fake_xray import FakeXRay, fake_xray
from ot_bridge.cli.gateway import greeter_pb2 as pb
from ot_bridge.cli.gateway import greeter_pb2_grpc as rpc
from ot_bridge.cli.serving import get, serving
from ot_bridge.cli.xray_gateway.recipe import HEALTH_CHECK, global_sampler, make_app, serve
from ot_bridge.installation import install, uninstall
from ot_bridge.otlp.decode import BLANK, SpanRecord
from ot_bridge.view.terminal import Style, draw
from ot_bridge.xray import XRayExporter

Document = dict[str, Any]
SHARE = 0.5

# The random parts of two trace ids. The global share decides by their low halves: it samples only the first.
CHOSEN, PASSED_OVER = "0" * 23 + "1", "f" * 24


class Services(NamedTuple):
    """The running recipe: the gateway's port, and an untraced channel to the service."""

    port: int
    channel: grpc.Channel


class Request(NamedTuple):
    """A request. segments: the expected numbers with and without a global configuration."""

    title: str
    send: Callable[[Services], object]
    segments: tuple[int, int]


class Outcome(NamedTuple):
    """The segments that X-Ray received for a request, and whether these are the expected ones."""

    title: str
    documents: Sequence[Document]
    delivered: bool
    as_expected: bool


def _web(path: str, random_part: str) -> Callable[[Services], object]:
    """Makes a request as a load balancer forwards it: with a trace id and without a sampling decision."""

    def send(services: Services) -> int:
        root = f"Root=1-{int(time.time()):08x}-{random_part}"
        return get(services.port, path, {"X-Amzn-Trace-Id": root})

    return send


def _greet_all(services: Services) -> object:
    names = [pb.HelloRequest(name=name) for name in ("ann", "bob")]
    return rpc.GreeterStub(services.channel).GreetAll(iter(names), timeout=5)


def _check_health(services: Services) -> object:
    check: Any = services.channel.unary_unary(HEALTH_CHECK)
    return check(b"", timeout=5)


REQUESTS = (
    Request("GET /healthz: a health check has no span", _web("/healthz", CHOSEN), (0, 0)),
    Request(f"{HEALTH_CHECK[1:]}: nor has gRPC's", _check_health, (0, 0)),
    Request("GET /api/v1/hello/ann: always sampled", _web("/api/v1/hello/ann", PASSED_OVER), (4, 4)),
    Request("GET /v1/hello/ann: by the global share, chosen", _web("/v1/hello/ann", CHOSEN), (4, 0)),
    Request("GET /v1/hello/bob: by the global share, not", _web("/v1/hello/bob", PASSED_OVER), (0, 0)),
    Request(
        "GET /api/v1/hello/ann/stream: its gRPC method has no span",
        _web("/api/v1/hello/ann/stream", PASSED_OVER),
        (1, 1),
    ),
    Request("Greeter/GreetAll: a method with its own sampler", _greet_all, (1, 1)),
)


@contextmanager
def _services(tracer: Tracer) -> Iterator[Services]:
    server, port = serve(tracer)
    try:
        with (
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
            serving(make_app(channel, tracer)) as gateway,
        ):
            yield Services(gateway, channel)
    finally:
        server.stop(1).wait()


def play(share: float | None, xray: FakeXRay) -> list[Outcome]:
    """Sends the requests. share: sampled by the global configuration; None without one."""
    session = botocore.session.Session()
    session.set_credentials("demo", "demo")
    exporter = XRayExporter("eu-west-1", endpoint=xray.url, session=session)
    tracer = install("gateway", exporters=[exporter], sampler=global_sampler(share))
    try:
        with _services(tracer) as services:
            return [_outcome(request, share, services, tracer, xray) for request in REQUESTS]
    finally:
        uninstall()


def _outcome(
    request: Request, share: float | None, services: Services, tracer: Tracer, xray: FakeXRay
) -> Outcome:
    request.send(services)
    delivered = tracer.flush(10)
    documents = sorted(xray.take(), key=lambda document: float(document["start_time"]))
    expected = request.segments[share is None]
    one_trace = len({document["trace_id"] for document in documents}) <= 1
    return Outcome(request.title, documents, delivered, one_trace and len(documents) == expected)


def run(as_json: bool, everything: bool) -> int:
    """Prints the segments that arrived. Returns 0 if all expected segments were delivered, else 1."""
    with fake_xray() as xray:
        played = {
            f"with a global configuration, a share of {SHARE}": play(SHARE, xray),
            "without a global configuration": play(None, xray),
        }
    outcomes = [outcome for each in played.values() for outcome in each]
    if as_json:
        print(json.dumps([outcome._asdict() for outcome in outcomes], indent=2))
    else:
        print(*_lines(played, Style.of(sys.stdout), everything), sep="\n")
    return 0 if all(outcome.delivered and outcome.as_expected for outcome in outcomes) else 1


def _lines(played: dict[str, list[Outcome]], style: Style, everything: bool) -> Iterator[str]:
    for title, outcomes in played.items():
        yield f"== {title}"
        for outcome in outcomes:
            yield from _tree(outcome, style, everything)
        yield ""
    every = [outcome for outcomes in played.values() for outcome in outcomes]
    count = sum(len(outcome.documents) for outcome in every)
    fate = "all delivered" if all(outcome.delivered for outcome in every) else "some were not delivered"
    yield from (f"not as expected: {outcome.title}" for outcome in every if not outcome.as_expected)
    yield f"{count} segments, {fate}"


def _tree(outcome: Outcome, style: Style, everything: bool) -> Iterator[str]:
    trace = f" [{outcome.documents[0]['trace_id']}]" if outcome.documents else ""
    yield outcome.title + trace
    yield from draw(map(_record, outcome.documents), style, everything=everything, headed=False)


def _record(document: Document) -> SpanRecord:
    """The span record that corresponds to a segment."""
    url = document.get("http", {}).get("request", {}).get("url", "")
    return BLANK._replace(
        trace_id=document["trace_id"],
        span_id=document["id"],
        parent_id=document.get("parent_id", ""),
        parent_is_remote=document.get("type") != "subsegment",
        name=document["name"],
        kind=" ".join(filter(None, [document.get("type", "segment"), document.get("namespace", "")])),
        start=round(document["start_time"] * 1e9),
        end=round(document["end_time"] * 1e9),
        attributes={"url": url} if url else {},
    )
