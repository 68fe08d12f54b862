"""Case-sensitive carriers, propagators of other packages, and headers that cannot hold bytes."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import opentracing
import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentracing import Format

from ot_bridge.bridge import create_tracer
from ot_bridge.jaeger_client import codecs
from ot_bridge.propagation import LOWER_CASE, MetadataHeaders, Propagator, WsgiHeaders, lower_case
from ot_bridge.wire import FORMATS, Remote

HTTP_FORMATS = [name for name, format in FORMATS.items() if not format.raw]
BINARY_FORMATS = [name for name, format in FORMATS.items() if format.raw]
WITH_TRACE = [name for name in HTTP_FORMATS if name != "baggage"]
SENT = Remote(0x5759E988BD862E3F0000000000000001, 2, 0, True)


class Attributes(Getter[Any], Setter[Any]):
    """As OpenTelemetry's instrumentation of celery reads and writes a task's headers."""

    def get(self, carrier: Any, key: str) -> list[str] | None:
        value = getattr(carrier, key, None)
        return None if value is None else [value]

    def keys(self, carrier: Any) -> list[str]:
        return []

    def set(self, carrier: Any, key: str, value: str) -> None:
        setattr(carrier, key, value)


class Cased(Getter[Mapping[str, str]]):
    """A mapping's names as they are."""

    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        return [carrier[key]] if key in carrier else None

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        return list(carrier)


def _span_context(remote: Remote) -> Context:
    flags = trace.TraceFlags(1 if remote.sampled else 0)
    context = trace.SpanContext(remote.trace_id, remote.span_id, False, flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(context))


def _ids(context: Context) -> tuple[int, int]:
    found = trace.get_current_span(context).get_span_context()
    return found.trace_id & (1 << 64) - 1, found.span_id


@pytest.mark.parametrize("name", WITH_TRACE)
def test_headers_that_we_write_can_be_read_from_a_case_sensitive_carrier(name: str) -> None:
    propagator, attributes = Propagator([name]), Attributes()
    task = SimpleNamespace()
    propagator.inject(task, _span_context(SENT), attributes)
    assert set(vars(task)) <= propagator.fields
    assert _ids(propagator.extract(task, Context(), attributes)) == (1, 2)
    message = dict(vars(task))
    assert _ids(propagator.extract(message, Context(), Cased())) == (1, 2)
    lower = {key.lower(): value for key, value in message.items()}
    assert _ids(propagator.extract(lower, Context(), Cased())) == (1, 2)


@pytest.mark.parametrize("name", ["jaeger", "ottrace"])
def test_baggage_in_header_names_is_read_from_a_case_sensitive_carrier(name: str) -> None:
    propagator = Propagator([name])
    message: dict[str, str] = {}
    propagator.encode(SENT._replace(baggage={"userId": "1"}), message)
    assert baggage.get_all(propagator.extract(message, Context(), Cased())) == {"userid": "1"}


class Binary(Getter[Any]):
    """Reads names and values that are bytes. knows_keys: whether it can list the names."""

    def __init__(self, knows_keys: bool) -> None:
        self.knows_keys = knows_keys

    def get(self, carrier: Any, key: Any) -> list[Any] | None:
        found = carrier.get(key if isinstance(key, bytes) else key.encode())
        return None if found is None else [found]

    def keys(self, carrier: Any) -> Any:
        return [*carrier] if self.knows_keys else None


@pytest.mark.parametrize("knows_keys", [True, False])
def test_the_trace_is_read_if_names_are_bytes_or_the_getter_cannot_list_names(knows_keys: bool) -> None:
    carrier = {b"uber-trace-id": b"1:2:0:1", b"uberctx-k": b"v"}
    context = Propagator(["jaeger"]).extract(carrier, Context(), Binary(knows_keys))
    assert _ids(context) == (1, 2)
    assert baggage.get_all(context) == ({"k": "v"} if knows_keys else {})


def test_two_propagators_do_not_turn_one_baggage_item_into_two() -> None:
    carrier = {"baggage": "userId=1,b=2", "uberctx-userid": "1", "uberctx-b": "2"}
    for one, other in [
        (W3CBaggagePropagator(), Propagator(["jaeger"])),
        (Propagator(["jaeger"]), Propagator(["baggage"])),
        (Propagator(["baggage"]), Propagator(["ottrace", "jaeger"])),
    ]:
        context = CompositePropagator([one, other]).extract(carrier, Context())
        assert baggage.get_all(context) == {"userId": "1", "b": "2"}


GLOBAL = f"00-{1:032x}-{2:016x}-01"
CARRIERS: dict[str, Any] = {
    "dict": {"TraceParent": GLOBAL, "BAGGAGE": "k=v", "x": 7},
    "lower case": {"traceparent": GLOBAL, "baggage": "k=v"},
    "a list of one": {"Traceparent": [GLOBAL], "Baggage": ["k=v"]},
    "pairs": [("Traceparent", GLOBAL), ("Baggage", "k=v")],
    "bytes": [(b"Traceparent", GLOBAL.encode()), (b"Baggage", b"k=v")],
    "a header twice": [("Traceparent", GLOBAL), ("Baggage", "j=1"), ("BAGGAGE", "k=v")],
    "environ": WsgiHeaders({"HTTP_TRACEPARENT": GLOBAL, "HTTP_BAGGAGE": "k=v"}),
}


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS)
@pytest.mark.parametrize("propagators", [None, "theirs", "mixed", "ours"])
def test_a_tracer_on_opentelemetrys_propagators_reads_names_in_any_case(
    carrier: Any, propagators: Any
) -> None:
    given = {
        "theirs": CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()]),
        "mixed": [Propagator(["tracecontext"]), W3CBaggagePropagator()],
        "ours": "tracecontext,baggage",
    }.get(propagators)
    tracer = create_tracer(TracerProvider(shutdown_on_exit=False), propagators=given)
    found = tracer.extract(Format.HTTP_HEADERS, carrier)
    assert found is not None
    assert (found.trace_id, found.span_id, found.baggage["k"]) == (1, 2, "v")


@pytest.mark.parametrize("carrier", [None, 7, "text", b"", [1], ["abc"]], ids=repr)
def test_an_invalid_carrier_is_refused_with_opentelemetrys_propagators_too(carrier: Any) -> None:
    tracer = create_tracer(TracerProvider(shutdown_on_exit=False))
    for format in (Format.HTTP_HEADERS, Format.TEXT_MAP):
        with pytest.raises(opentracing.InvalidCarrierException):
            tracer.extract(format, carrier)


def test_binary_header_values_stay_bytes_in_a_composite_propagator() -> None:
    get: Any = LOWER_CASE.get
    headers = lower_case({"Grpc-Trace-Bin": b"\0\0", "Text": b"abc", "None": None, "Other": [["a"], "b"]})
    assert get(headers, "GRPC-Trace-Bin") == [b"\0\0"]
    assert get(headers, "TEXT") == ["abc"]
    assert get(headers, "none") is None
    assert get(headers, "missing") is None
    assert get(headers, "other") == ["a,b"]
    assert LOWER_CASE.keys(headers) == ["grpc-trace-bin", "text", "none", "other"]


@pytest.mark.parametrize("name", BINARY_FORMATS)
def test_bytes_and_numbers_go_into_no_http_header(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    propagator = Propagator([name])
    context = _span_context(SENT)
    carrier: dict[str, Any] = {}
    propagator.inject(carrier, context)
    propagator.inject(carrier, context, Attributes())
    propagator.text_map.encode(SENT, carrier)
    CompositePropagator([propagator, Propagator(["b3", name])]).inject(carrier, context)
    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", propagator)
    propagate.inject(carrier, context)
    for tracer in (
        create_tracer(TracerProvider(shutdown_on_exit=False), propagators=["b3", name]),
        create_tracer(TracerProvider(shutdown_on_exit=False)),
    ):
        for format in (Format.HTTP_HEADERS, Format.TEXT_MAP):
            tracer.inject(tracer.start_span("op"), format, carrier)
    codecs.codec_of(Propagator(["b3", name])).inject(tracer.start_span("op"), carrier)
    assert carrier.keys() == {"b3"}
    assert vars(SimpleNamespace(**carrier)) == carrier


@pytest.mark.parametrize("name", BINARY_FORMATS)
def test_a_binary_format_is_written_into_grpc_metadata_and_into_carriers_of_its_own_format(name: str) -> None:
    metadata = MetadataHeaders()
    Propagator(["b3", name]).inject(metadata, _span_context(SENT))
    assert {"b3", *FORMATS[name].fields[:1]} <= metadata.keys()
    tracer = create_tracer(TracerProvider(shutdown_on_exit=False), propagators={"own": name})
    carrier: dict[str, Any] = {}
    tracer.inject(tracer.start_span("op"), "own", carrier)
    assert FORMATS[name].fields[0] in carrier
    assert tracer.extract("own", carrier) is not None


def test_no_request_is_refused_for_a_header_of_bytes() -> None:
    heard: list[Mapping[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(dict(self.headers))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        tracer = create_tracer(
            TracerProvider(shutdown_on_exit=False), propagators=["b3multi", "grpc-trace-bin", "binary"]
        )
        for number in _ids_with_line_breaks():
            span = tracer.start_span("op", child_of=tracer.extract(Format.HTTP_HEADERS, number))
            headers: dict[str, str] = {}
            tracer.inject(span, Format.HTTP_HEADERS, headers)
            address = f"http://127.0.0.1:{server.server_address[1]}/"
            urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10).close()
        server.shutdown()
    assert len(heard) == 8
    assert all("X-B3-Traceid" in {name.title() for name in headers} for headers in heard)


def _ids_with_line_breaks() -> Iterable[dict[str, str]]:
    for number in range(8):
        yield {
            "x-b3-traceid": f"0d0a0d0a{number:024x}",
            "x-b3-spanid": "0d0a0d0a0d0a0d0a",
            "x-b3-sampled": "1",
        }
