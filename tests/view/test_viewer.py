"""The viewer as a collector: what it accepts, refuses, keeps and returns."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as TheirExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

import ot_bridge
from ot_bridge.otlp import OTLPSpanExporter
from ot_bridge.otlp.decode_json import decode_json, encode_json
from ot_bridge.view import serving
from ot_bridge.view.app import Viewer, host_name
from ot_bridge.view.grpc_port import GrpcPort
from ot_bridge.view.receive import MOST
from ot_bridge.view.serving import Packets, Server, bound
from ot_bridge.view.store import Store
from ot_bridge.view.tree import trees
from tests.view.spans import TRACE, many, span
from tests.view.viewers import JSON, PROTOBUF, Running, viewer


@pytest.fixture
def running() -> Iterator[Running]:
    with viewer() as found:
        yield found


def send_with(exporter: SpanExporter) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("shop")
    with tracer.start_as_current_span("GET /cart"), tracer.start_as_current_span("load"):
        pass
    provider.shutdown()


EXPORTERS: dict[str, Any] = {
    "ours": lambda url: OTLPSpanExporter(endpoint=url),
    "ours, gzip": lambda url: OTLPSpanExporter(endpoint=url, compression="gzip"),
    "OpenTelemetry's": lambda url: TheirExporter(endpoint=url),
    "OpenTelemetry's, gzip": lambda url: TheirExporter(endpoint=url, compression=Compression.Gzip),
}


@pytest.mark.parametrize("make", EXPORTERS.values(), ids=EXPORTERS)
def test_traces_sent_by_real_exporters_are_in_the_list(running: Running, make: Any) -> None:
    send_with(make(f"{running.url}/v1/traces"))
    (trace,) = running.list()
    assert (trace["name"], trace["spans"], trace["errors"]) == ("GET /cart", 2, 0)


def test_grpc_is_received_if_grpcio_is_installed() -> None:
    theirs = pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    store = Store()
    port = GrpcPort(store, port=0)
    try:
        send_with(theirs.OTLPSpanExporter(endpoint=f"127.0.0.1:{port.port}", insecure=True))
        assert store.changes(0)["traces"][0]["spans"] == 2
        with pytest.raises(OSError, match="in use"):
            GrpcPort(store, port=port.port)
        with grpc.insecure_channel(f"127.0.0.1:{port.port}") as channel:
            export: Any = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            with pytest.raises(grpc.RpcError) as raised:
                export(b"\xff", timeout=5)
            assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert str(raised.value.details()).startswith("no ExportTraceServiceRequest: ")
            assert export(PROTO.SerializeToString(), timeout=5) == b""
            nameless = ExportTraceServiceRequest()
            nameless.resource_spans.add().scope_spans.add().spans.add().name = "without ids"
            response = ExportTraceServiceResponse.FromString(export(nameless.SerializeToString(), timeout=5))
            assert response.partial_success.rejected_spans == 1
    finally:
        port.stop()


def test_grpc_on_the_http_port_is_reported_with_the_right_port(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        connection.recv(100)
    (message,) = running.messages
    assert message == (
        "a program speaks gRPC to the port for HTTP; the port for gRPC is 4317: "
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="has one loopback address")
def test_all_addresses_have_the_same_port() -> None:
    hosts = ["127.0.0.1", "127.0.0.2"]
    made = bound(hosts, 0)
    (port,) = {each.getsockname()[1] for each in made}
    for each in made:
        each.close()
    made = bound(hosts, port)
    assert [each.getsockname() for each in made] == [(host, port) for host in hosts]
    made[0].close()
    with pytest.raises(OSError, match="in use"):  # on one of them is not enough
        bound(hosts, port)
    made[1].close()


def test_a_stopped_server_has_closed_its_socket() -> None:
    (listening,) = bound(["127.0.0.1"], 0)
    server = Server(Viewer(Store()), listening, print)
    assert listening.fileno() == -1
    assert server.socket.fileno() > 0
    server.stop()
    assert server.socket.fileno() == -1


def test_no_address_is_nothing_to_listen_on() -> None:
    with pytest.raises(OSError, match=r"^no address to listen on$"):
        bound([], 0)


BODY = encode_json([span(1), span(2, 1)]).encode()
PROTO = ExportTraceServiceRequest()
_SPAN = PROTO.resource_spans.add().scope_spans.add().spans.add()
_SPAN.trace_id, _SPAN.span_id, _SPAN.name = bytes.fromhex(TRACE), b"12345678", "GET"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(("body", "kind"), [(BODY, JSON), (PROTO.SerializeToString(), PROTOBUF)])
def test_a_successful_response_is_empty_and_has_the_same_content_type(
    running: Running, body: bytes, kind: str, packed: bool
) -> None:
    headers = {"Content_Encoding": "gzip"} if packed else {}
    response = running.post(gzip.compress(body) if packed else body, kind, **headers)
    assert (response.status, response.headers["Content-Type"]) == (200, kind)
    assert response.body == (b"{}" if kind == JSON else b"")
    assert len(running.list()) == 1


def test_metrics_and_logs_are_accepted_and_ignored_with_one_message(running: Running) -> None:
    for path in ("/v1/metrics", "/v1/logs", "/v1/logs"):
        assert running.send("POST", path, b"", Content_Type=PROTOBUF).status == 200
    assert running.messages == [
        f"{path}: received and discarded; the viewer shows only traces"
        for path in ("/v1/metrics", "/v1/logs")
    ]


def test_downloaded_traces_can_be_read_back_unchanged(running: Running) -> None:
    spans = [
        *many(30),
        span(1, trace_id="a" * 32, attributes={"b": b"\0", "l": [1, None, 0.5], "m": {"k": True}}),
    ]
    running.store.add(spans)
    response = running.send("GET", "/api/download")
    assert {(each.trace_id, each.span_id): each for each in decode_json(response.body)} == {
        (each.trace_id, each.span_id): each for each in spans
    }
    other = Store()
    other.add(decode_json(response.body))
    assert len(other.changes(0)["traces"]) == 2


REFUSED = {
    "no protobuf": (b"\xff\xff", PROTOBUF, {}, 400),
    "cut": (PROTO.SerializeToString()[:-3], PROTOBUF, {}, 400),
    "no JSON": (b"{", JSON, {}, 400),
    "JSON of another kind": (b'{"resourceSpans": 1}', JSON, {}, 400),
    "10,000 levels": (b"[" * 10_000, JSON, {}, 400),
    "a number that is too long": (b"9" * 100_000, JSON, {}, 400),
    "a time of more than 64 bits": (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"1%s"}]}]}]}' % (b"0" * 300),
        JSON,
        {},
        200,
    ),
    "no gzip": (b"hello", JSON, {"Content_Encoding": "gzip"}, 400),
    "gzip that is cut": (gzip.compress(BODY)[:-9], JSON, {"Content_Encoding": "gzip"}, 400),
    "another encoding": (BODY, JSON, {"Content_Encoding": "br"}, 415),
    "another type": (BODY, "text/plain", {}, 415),
    "no type": (BODY, "", {}, 415),
    "too large": (b"x" * (MOST + 1), JSON, {}, 413),
    "a bomb": (None, JSON, {"Content_Encoding": "gzip"}, 413),
}


def _bomb() -> bytes:
    """Takes a second, which each process that collects the tests would spend."""
    return gzip.compress(bytes(200 << 20), 1)


@pytest.mark.parametrize(("body", "kind", "headers", "status"), REFUSED.values(), ids=REFUSED)
def test_an_invalid_request_is_refused_and_the_viewer_continues(
    running: Running,
    body: bytes | None,
    kind: str,
    headers: dict[str, str],
    status: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert running.post(_bomb() if body is None else body, kind, **headers).status == status
    assert running.post(BODY, JSON).status == 200
    assert "Traceback" not in capfd.readouterr().err


TYPES = "the content type is to be one of application/x-protobuf, application/json\n"
#: what is wrong -> (method, path, headers, the status, the text of the response)
REASONS: dict[str, tuple[str, str, dict[str, str], int, str]] = {
    "the host": (
        *("GET", "/", {"host": "evil.example"}, 400),
        "the Host is not one of this viewer's; name it with --host\n",
    ),
    "the origin": (
        *("GET", "/", {"Origin": "https://evil.example"}, 403),
        "the request comes from a page of another origin\n",
    ),
    "the site": (
        *("GET", "/", {"Sec_Fetch_Site": "cross-site"}, 403),
        "the request comes from a page of another site\n",
    ),
    "the path": ("GET", "/nothing", {}, 404, "no GET /nothing\n"),
    "a long path": ("GET", "/" + "x" * 200, {}, 404, f"no GET /{'x' * 99}\n"),
    "the method": ("PUT", "/api/clear", {}, 405, "no PUT /api/clear\n"),
    "the trace": ("GET", "/api/trace/none", {}, 404, "no such trace\n"),
    "the type": ("POST", "/v1/traces", {"Content_Type": "text/plain"}, 415, TYPES),
    "the type of logs": ("POST", "/v1/logs", {"Content_Type": "text/plain"}, 415, TYPES),
    "the encoding": (
        *("POST", "/v1/logs", {"Content_Type": JSON, "Content_Encoding": "x" * 50}, 415),
        f"the content encoding {'x' * 40} is not known; gzip is\n",
    ),
}


@pytest.mark.parametrize(("method", "path", "headers", "status", "text"), REASONS.values(), ids=REASONS)
def test_the_response_to_a_refused_request_says_why(
    running: Running, method: str, path: str, headers: dict[str, Any], status: int, text: str
) -> None:
    response = running.send(method, path, **headers)
    assert (response.status, response.body.decode()) == (status, text)
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_refusal_of_traces_has_the_form_of_the_request(running: Running) -> None:
    refused = running.post(b"{", JSON)
    assert refused.headers["Content-Type"] == JSON
    (name, text), *more = json.loads(refused.body).items()
    assert (name, more) == ("message", [])
    assert text.startswith("no ExportTraceServiceRequest: ")
    refused = running.post(b"\xff\xff", PROTOBUF)
    assert refused.headers["Content-Type"] == PROTOBUF
    assert refused.body[:2] == bytes([0x12, len(refused.body) - 2])  # a Status with its field `message`
    assert refused.body[2:].startswith(b"no ExportTraceServiceRequest: ")
    refused = running.post(b"", JSON, Content_Encoding="br")
    assert json.loads(refused.body) == {"message": "the content encoding br is not known; gzip is"}


def test_a_download_has_a_name_and_the_viewer_says_which_program_it_is(running: Running) -> None:
    headers = running.send("GET", "/api/download").headers
    assert headers["Content-Disposition"] == 'attachment; filename="traces.json"'
    about = json.loads(running.send("GET", "/api/about").body)
    assert about == {"program": "ot-bridge view", "version": ot_bridge.__version__}


def test_an_invalid_span_does_not_affect_other_spans(running: Running) -> None:
    request = json.loads(BODY)
    spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[0]["traceId"] = "xyz"
    spans.append({**spans[1], "spanId": "00"})
    response = running.post(json.dumps(request).encode(), JSON)
    assert json.loads(response.body)["partialSuccess"]["rejectedSpans"] == "2"
    assert [trace["spans"] for trace in running.list()] == [1]
    bad = ExportTraceServiceRequest()
    bad.CopyFrom(PROTO)
    bad.resource_spans[0].scope_spans[0].spans.add().name = "without ids"
    partial = ExportTraceServiceResponse.FromString(
        running.post(bad.SerializeToString()).body
    ).partial_success
    assert partial.rejected_spans == 1
    assert (
        partial.error_message == "a span needs a trace id of 16 bytes and a span id of 8, not all of them 0"
    )


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:4318", "localhost"),
        ("[::1]:4318", "::1"),
        ("[::1]", "::1"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("::1", ""),
        ("[::1]x", ""),
        ("[::1:4318", ""),
        ("a:b", ""),
        ("[evil]:1", ""),
        ("", ""),
    ],
)
def test_the_host_name_is_parsed_from_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:1"}, 200),
        ({"host": "[::1]:4318"}, 200),
        ({"host": "evil.example"}, 400),
        ({"host": "localhost.evil.example"}, 400),
        ({"host": "[evil]"}, 400),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
    ],
)
def test_a_web_page_of_another_origin_can_neither_read_nor_send(
    running: Running, headers: dict[str, Any], status: int
) -> None:
    got = running.send("GET", "/api/traces", **headers)
    assert got.status == status
    assert running.post(BODY, JSON, **headers).status == status
    assert not [name for name in got.headers if name.lower().startswith("access-control")]
    assert running.send("GET", "/", Origin=running.url).status == 200


def test_only_post_changes_anything(running: Running) -> None:
    running.post(BODY, JSON)
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        assert running.send(method, "/api/clear").status in (404, 405)
    assert len(running.list()) == 1
    assert running.send("POST", "/api/clear").status == 200
    assert running.list() == []


def test_a_viewer_on_all_addresses_accepts_any_address_but_no_host_name() -> None:
    with viewer(names=frozenset({Viewer.ANY_ADDRESS, "traces.lan"})) as running:
        assert running.send("GET", "/", host="192.0.2.1:4318").status == 200
        assert running.send("GET", "/", host="traces.lan").status == 200
        assert running.send("GET", "/", host="evil.example").status == 400


KINDS = {
    "/": "text/html; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/page.css": "text/css; charset=utf-8",
    "/favicon.ico": "image/x-icon",
    "/api/traces": "application/json",
    "/api/download": "application/json",
    "/api/about": "application/json",
}


@pytest.mark.parametrize(("path", "kind"), KINDS.items(), ids=KINDS)
def test_each_path_has_its_type_for_get_and_head(running: Running, path: str, kind: str) -> None:
    for method in ("GET", "HEAD"):
        response = running.send(method, path)
        assert (response.status, response.headers["Content-Type"]) == (200, kind)
    assert running.send("POST", path, b"").status == 405


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/api/traces", "/nothing"])
def test_headers_forbid_what_the_page_does_not_need(running: Running, path: str) -> None:
    headers = running.send("GET", path).headers
    assert headers["Content-Security-Policy"].split("; ") == [
        *("default-src 'none'", "connect-src 'self'", "script-src 'self'", "style-src 'self'"),
        *("img-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"),
    ]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


def test_a_trace_grows_in_any_order_and_a_span_that_arrives_twice_is_stored_once(running: Running) -> None:
    spans = many(20)
    for part in (spans[10:], spans[5:12], spans[:6]):
        running.post(encode_json(part).encode(), JSON)
    trace = json.loads(running.send("GET", f"/api/trace/{TRACE}").body)
    assert len(trace["spans"]) == 20
    assert not any("warnings" in each for each in trace["spans"])
    assert running.send("GET", "/api/trace/none").status == 404


def test_a_client_and_a_server_that_share_an_id_are_both_shown(running: Running) -> None:
    for kind in ("SERVER", "CLIENT", "SERVER"):
        running.post(encode_json([span(1, name=kind, kind=kind)]).encode(), JSON)
    rows = json.loads(running.send("GET", f"/api/trace/{TRACE}").body)["spans"]
    assert [(each["name"], each["depth"]) for each in rows] == [("CLIENT", 0), ("SERVER", 1)]


def test_only_changed_traces_are_returned() -> None:
    store = Store()
    for at in range(1, 2501):
        store.add([span(1, trace_id=f"{at:032x}")])
    after, got, more = 0, [], True
    while more:
        changes = store.changes(after)
        assert len(changes["traces"]) <= 1000
        got += [each["id"] for each in changes["traces"]]
        after, more = changes["now"], changes["more"]
    assert len({*got}) == 2500
    assert store.changes(after)["traces"] == []
    store.add([span(2, 1, trace_id=f"{7:032x}")])
    assert [each["spans"] for each in store.changes(after)["traces"]] == [2]


@pytest.mark.parametrize(("after", "listed"), [("1", [2]), ("2", []), ("x", [1, 2]), ("9" * 20, [1, 2])])
def test_a_request_for_changes_says_after_which_one(running: Running, after: str, listed: list[int]) -> None:
    for at in (1, 2):
        running.store.add([span(1, trace_id=f"{at:032x}")])
    response = running.send("GET", f"/api/traces?after={after}")
    assert response.status == 200
    assert sorted(int(each["id"], 16) for each in json.loads(response.body)["traces"]) == listed


def test_the_oldest_traces_are_removed_first_and_counted() -> None:
    store = Store(keep=10)
    for at in range(1, 31):
        store.add([span(1, trace_id=f"{at:032x}")])
    changes = store.changes(0)
    assert (changes["gone"], len(changes["traces"]), changes["first"]) == (20, 10, 21)
    assert store.trace(f"{20:032x}") is None


def test_the_size_of_a_trace_is_bounded_and_omitted_spans_are_counted() -> None:
    store = Store(most_spans=100)
    store.add(many(150))
    trace = store.trace(TRACE)
    assert trace is not None
    assert (len(trace["spans"]), trace["left_out"]) == (100, 50)


def test_a_resource_is_stored_once_per_trace() -> None:
    store = Store(most_bytes=1 << 20)
    large = [{"service.name": f"service {at}", "text": "x" * 10_000} for at in range(10)]
    store.add([span(at, resource=large[at % 10]) for at in range(1, 1001)])
    trace = store.trace(TRACE)
    assert trace is not None
    assert (len(trace["spans"]), trace["left_out"]) == (1000, 0)


def test_the_stored_bytes_are_bounded_too() -> None:
    store = Store(most_bytes=1 << 20)
    for at in range(1, 101):
        store.add([span(1, trace_id=f"{at:032x}", attributes={"big": "x" * 100_000})])
    assert 5 <= len(store.changes(0)["traces"]) <= 10
    store.add([span(at, trace_id="f" * 32, attributes={"big": "x" * 100_000}) for at in range(1, 101)])
    last = store.trace("f" * 32)
    assert last is not None
    assert last["left_out"] > 80


def test_the_bytes_of_resources_are_bounded_with_the_others() -> None:
    store = Store(most_bytes=1 << 20)
    for at in range(1, 101):
        store.add([span(1, trace_id=f"{at:032x}", resource={"text": f"{at}" + "x" * 100_000})])
    assert 5 <= len(store.changes(0)["traces"]) <= 10
    store.add([span(2, trace_id=f"{100:032x}", attributes={"big": "x" * 950_000})])
    last = store.trace(f"{100:032x}")
    assert last is not None
    assert (len(last["spans"]), last["left_out"]) == (1, 1)  # with its resource the trace would be too large


def test_spans_can_be_stored_while_a_tree_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    store.add([span(1)])
    made: list[bool] = []

    def slowly(spans: Any) -> Any:
        adding = threading.Thread(target=store.add, args=([span(2)],), daemon=True)
        adding.start()
        adding.join(10)
        made.append(not adding.is_alive())
        return trees(spans)

    monkeypatch.setattr("ot_bridge.view.store.trees", slowly)
    assert store.trace(TRACE) is not None
    assert store.changes(0)["traces"]
    assert list(store.everything())
    assert made == [True] * 3


def test_ten_thousand_traces_fit_in_64_megabytes_and_more_take_no_more() -> None:
    """A fifth of it is measured."""

    def fill(first: int, count: int) -> None:
        for at in range(first, first + count):
            store.add(each._replace(trace_id=f"{at:032x}") for each in five)

    attributes = {f"key {at}": f"a value of usual length {at}" for at in range(5)}
    five = [span(at, at // 2, begin=at, attributes=attributes) for at in range(1, 6)]
    tracemalloc.start()
    store = Store(keep=2_000)
    fill(1, 2_000)
    whole = 5 * tracemalloc.get_traced_memory()[0]
    fill(2_001, 600)
    after = 5 * tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    print(f"10,000 traces of 5 spans: {whole / 2**20:.1f} MB")
    assert whole < 64 << 20
    assert after < whole * 1.05


OLD_CLIENT = """
import sys
import time
import jaeger_client
agent = {"reporting_host": "127.0.0.1", "reporting_port": int(sys.argv[1])}
sampler = {"type": "const", "param": 1}
config = jaeger_client.Config({"sampler": sampler, "local_agent": agent}, service_name="old", validate=True)
tracer = config.new_tracer()
root = tracer.start_span("old root", tags={"span.kind": "server"})
child = tracer.start_span("child", child_of=root, tags={"error": True})
child.log_kv({"event": "retry", "n": 2})
child.finish()
root.finish()
closed = tracer.close()
while not closed.done():
    time.sleep(0.05)
"""


def test_a_client_that_sends_nothing_for_half_a_minute_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert serving._Handler.timeout == 30.0
    monkeypatch.setattr(serving._Handler, "timeout", 0.1)
    with viewer() as running, socket.create_connection(("127.0.0.1", running.port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        assert client.recv(1) == b""


def test_spans_of_an_old_jaeger_client_are_shown_in_the_same_trace() -> None:
    store, before = Store(), {*threading.enumerate()}
    packets = Packets(store, port=0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bad:
            for packet in (b"", b"\x82", b"\xff" * 100, zlib.compress(b"x")):
                bad.sendto(packet, ("127.0.0.1", packets.port))
        subprocess.run([sys.executable, "-c", OLD_CLIENT, str(packets.port)], check=True, timeout=50)
        end = time.monotonic() + 20
        while time.monotonic() < end and [each["spans"] for each in store.changes(0)["traces"]] != [2]:
            time.sleep(0.05)
        (summary,) = store.changes(0)["traces"]
        assert (summary["name"], summary["services"], summary["errors"]) == ("old root", ["old"], 1)
        trace = store.trace(summary["id"])
        assert trace is not None
        assert [(each["depth"], each["kind"]) for each in trace["spans"]] == [(0, "server"), (1, "internal")]
        assert trace["spans"][1]["events"][0][1:] == ["retry", [("n", "2")]]
        assert not {*threading.enumerate()} <= before
    finally:
        packets.stop()
    assert {*threading.enumerate()} <= before
