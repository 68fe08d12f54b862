"""`ot-bridge demo`: shows traces of a real gateway and gRPC service, without a network.

A gRPC service and a Werkzeug gateway in front of it run on loopback. Five requests are sent with the headers
of older clients. The resulting spans are read from memory and printed as trees.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ot_bridge.bridge import Tracer
from ot_bridge.cli import viewing
from ot_bridge.cli.gateway.gateway import make_app
from ot_bridge.cli.gateway.service import serve
from ot_bridge.cli.serving import get, serving
from ot_bridge.installation import install, uninstall
from ot_bridge.otlp import OTLPSpanExporter
from ot_bridge.view import page
from ot_bridge.view.export import records
from ot_bridge.view.store import Store
from ot_bridge.view.terminal import Style, draw
from ot_bridge.view.tree import trees
from ot_bridge.wsgi import TracingMiddleware

PROPAGATORS = "tracecontext,baggage,jaeger,b3multi"


class Request(NamedTuple):
    """A request of an older client. caller: the trace id and span id in its headers, if they are usable."""

    sender: str
    headers: dict[str, str]
    caller: tuple[int, int] | None


REQUESTS = (
    Request(
        "jaeger-client, with baggage",
        {"uber-trace-id": "5b8aa5a2d2c872e8321cf37308d69df2:51581bf3cb55c13:0:1", "uberctx-user": "ann"},
        (0x5B8AA5A2D2C872E8321CF37308D69DF2, 0x51581BF3CB55C13),
    ),
    Request(
        "Envoy, speaking B3",
        {
            "x-b3-traceid": "463ac35c9f6413ad48485a3953bb6124",
            "x-b3-spanid": "a2fb4a1d1a96d312",
            "x-b3-sampled": "1",
        },
        (0x463AC35C9F6413AD48485A3953BB6124, 0xA2FB4A1D1A96D312),
    ),
    Request(
        "OpenTelemetry, speaking W3C",
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331),
    ),
    Request("a browser, with no header", {}, None),
    Request("a client with a broken header", {"uber-trace-id": "5b8aa5a2:not-hex:0:1"}, None),
)


class Outcome(NamedTuple):
    """The response to a request, and the spans that the request caused."""

    request: Request
    status: int
    spans: Sequence[ReadableSpan]

    @property
    def whole(self) -> bool:
        """Whether the request was answered and its spans are one complete trace.

        They all have the caller's trace id, if it sent one, and every parent is known. After a broken header
        the gateway has no span of its own, and the trace begins at the gRPC client.
        """
        known = {span.context.span_id for span in self.spans}
        tops = [span.parent for span in self.spans if span.parent is None or span.parent.span_id not in known]
        above = [(parent.trace_id, parent.span_id) if parent else None for parent in tops]
        traces = {span.context.trace_id for span in self.spans}
        spans = 4 if self.request.caller or not self.request.headers else 3
        return (
            self.status == 200
            and above == [self.request.caller]
            and len(traces) == 1
            and len(self.spans) == spans
        )


@contextmanager
def _services(tracer: Tracer) -> Iterator[int]:
    """Runs the gRPC service and the gateway. Yields the gateway's port."""
    server, port = serve(tracer=tracer)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            app = TracingMiddleware(make_app(channel, tracer=tracer), tracer)
            with serving(app) as gateway:
                yield gateway
    finally:
        server.stop(1).wait()


def play(exporters: Sequence[SpanExporter] = ()) -> tuple[list[Outcome], bool]:
    """Sends the requests. Returns their outcomes, and whether `exporters` have exported all spans."""
    memory = InMemorySpanExporter()
    tracer = install("demo", propagators=PROPAGATORS, exporters=[SimpleSpanProcessor(memory), *exporters])
    try:
        outcomes = []
        with _services(tracer) as port:
            for request in REQUESTS:
                status = get(port, "/v1/hello/ann", request.headers)
                outcomes.append((request, status, _settled(memory)))
        return [Outcome(*outcome) for outcome in outcomes], tracer.flush(5)
    finally:
        uninstall()


def _settled(memory: InMemorySpanExporter) -> Sequence[ReadableSpan]:
    """Waits for the spans of the last request: the gateway's ends after its response has been read."""
    pause = threading.Event()
    before = -1
    for _ in range(100):
        spans = memory.get_finished_spans()
        if len(spans) == before and len(spans) >= 3:
            break
        before = len(spans)
        pause.wait(0.02)
    memory.clear()
    return spans


EPILOG = """\
examples:
  ot-bridge demo
  ot-bridge demo --view
  ot-bridge demo --html demo.html
  ot-bridge demo --xray

exit status: 0 all requests were answered and every span was delivered, 1 not all were, 2 the file of
--html cannot be written.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the traces as JSON")
    parser.add_argument("--all", action="store_true", help="print every span, also similar siblings in a row")
    parser.add_argument(
        "--html", metavar="FILE", help="also write the traces as a page (-: to standard output)"
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--otlp", metavar="URL", help="also send the spans to this collector (OTLP over HTTP)")
    ways.add_argument("--view", action="store_true", help="show the traces in a browser, until Ctrl-C")
    ways.add_argument(
        "--xray", action="store_true", help="show sampling rules, and the segments that AWS X-Ray receives"
    )


def run(options: argparse.Namespace) -> int:
    """Runs the demo. Returns the exit status that `EPILOG` describes."""
    logging.getLogger("ot_bridge").setLevel(logging.ERROR)
    if options.xray:
        return _xray(options.json, options.all)
    if not options.view:
        return _play_and_print(options, options.otlp)
    with viewing.viewer(Store()) as address:
        status = _play_and_print(options, address.url)
        ended: list[int] = []
        with viewing.noted(ended):
            viewing.announce(address)
            viewing.serve(address, ended)
        return status


def _play_and_print(options: argparse.Namespace, collector: str | None) -> int:
    exporters: list[SpanExporter] = []
    if collector:
        exporters.append(OTLPSpanExporter(endpoint=collector.rstrip("/") + "/v1/traces"))
    outcomes, delivered = play(exporters)
    if options.json:
        print(json.dumps([_as_json(outcome) for outcome in outcomes], indent=2))
    elif options.html != "-":
        print(*_lines(outcomes, Style.of(sys.stdout), options.all), sep="\n")
    if not delivered:
        print(f"ot-bridge demo: {collector} did not take the spans", file=sys.stderr)
    if options.html and not page.write_page(_page(outcomes), options.html, "ot-bridge demo"):
        return 2
    return 0 if delivered and all(outcome.whole for outcome in outcomes) else 1


def _page(outcomes: Sequence[Outcome]) -> str:
    return page.of_traces(trees(records([span for outcome in outcomes for span in outcome.spans])))


def _xray(as_json: bool, everything: bool) -> int:
    try:
        from ot_bridge.cli import demo_xray
    except ModuleNotFoundError as missing:
        if not str(missing.name).startswith("botocore"):
            raise
        print("ot-bridge demo --xray needs botocore: pip install 'ot-bridge[demo,xray]'", file=sys.stderr)
        return 2
    return demo_xray.run(as_json, everything)


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "sender": outcome.request.sender,
        "headers": outcome.request.headers,
        "status": outcome.status,
        "whole": outcome.whole,
        "spans": [json.loads(span.to_json()) for span in outcome.spans],
    }


def _lines(outcomes: Sequence[Outcome], style: Style, everything: bool) -> Iterator[str]:
    whole = sum(outcome.whole for outcome in outcomes)
    for outcome in outcomes:
        yield from _tree(outcome, style, everything)
    yield f"{whole} of {len(outcomes)} traces are whole"


_PRINTED_TAGS: Final = ("component", "http.status_code", "user")


def _tree(outcome: Outcome, style: Style, everything: bool) -> Iterator[str]:
    yield style.fit(f"{outcome.request.sender} -> {outcome.status}")
    yield from draw(records(outcome.spans), style, keys=_PRINTED_TAGS, everything=everything)
