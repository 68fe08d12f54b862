"""What OpenTelemetry's exporters in other languages send to the viewer.

Node's bodies are those that `@opentelemetry/exporter-trace-otlp-http` and `-proto` 0.223.1 send, and Node
itself sends them, where it is installed. Go's and Ruby's requests have the headers and the framing of those
exporters' sources. Their bodies are protobuf made here, so the bytes are not those exporters' own.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.view.viewers import Running, viewer

START = 1_700_000_000_000_000_000

#: As the exporter for JSON writes spans: numbers as enums, times as text, ids in hexadecimal.
NODE_JSON: dict[str, Any] = {
    "resourceSpans": [
        {
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": "node-shop"}}],
                "droppedAttributesCount": 0,
            },
            "scopeSpans": [
                {
                    "scope": {"name": "shop", "version": "1.0"},
                    "spans": [
                        {
                            "traceId": "07d25d553018d7158788ed60a4058827",
                            "spanId": "4e107adbfbd49623",
                            "parentSpanId": "101110a6bd7ef8c6",
                            "name": "load",
                            "kind": 1,
                            "startTimeUnixNano": "1795907397731000000",
                            "endTimeUnixNano": "1795907397731459853",
                            "attributes": [{"key": "n", "value": {"intValue": 3}}],
                            "droppedAttributesCount": 0,
                            "events": [
                                {
                                    "attributes": [],
                                    "name": "retry",
                                    "timeUnixNano": "1795907397731291167",
                                    "droppedAttributesCount": 0,
                                }
                            ],
                            "droppedEventsCount": 0,
                            "status": {"code": 2, "message": "no"},
                            "links": [],
                            "droppedLinksCount": 0,
                            "flags": 257,
                        },
                        {
                            "traceId": "07d25d553018d7158788ed60a4058827",
                            "spanId": "101110a6bd7ef8c6",
                            "name": "GET /cart",
                            "kind": 1,
                            "startTimeUnixNano": "1795907397710000000",
                            "endTimeUnixNano": "1795907397732556643",
                            "attributes": [],
                            "droppedAttributesCount": 0,
                            "events": [],
                            "droppedEventsCount": 0,
                            "status": {"code": 0},
                            "links": [],
                            "droppedLinksCount": 0,
                            "flags": 257,
                        },
                    ],
                }
            ],
        }
    ]
}
#: As the exporter for protobuf writes spans: fields that are 0 are written too.
NODE_PROTOBUF = (
    b"\n\xf1\x01\n\x1f\n\x1b\n\x0cservice.name\x12\x0b\n\tnode-shop\x10\x00\x12\xcd\x01\n\x0b\n\x04shop"
    b"\x12\x031.0\x12q\n\x10k\x1dZu\xad\xd4\xcb\xf0\xc1\xa4T\x0eR\xaaX}\x12\x08_\xfc!\x99S\xd8\xb8\xbd"
    b'"\x08o\x14\x84\xd8>\x88\x9b\x02*\x04load0\x019\x00\xeb5\xe3CX\xec\x18A\xcf =\xe3CX\xec\x18J\x07\n'
    b"\x01n\x12\x02\x18\x03P\x00Z\x12\t\x83\xfc:\xe3CX\xec\x18\x12\x05retry \x00`\x00p\x00z\x06\x12\x02no"
    b"\x18\x02\x85\x01\x01\x01\x00\x00\x12K\n\x10k\x1dZu\xad\xd4\xcb\xf0\xc1\xa4T\x0eR\xaaX}\x12\x08o\x14"
    b"\x84\xd8>\x88\x9b\x02*\tGET /cart0\x019@\x1b\xcb\xe2CX\xec\x18Ag\x18@\xe3CX\xec\x18P\x00`\x00p\x00z"
    b"\x02\x18\x00\x85\x01\x01\x01\x00\x00"
)
BODIES = {"json": json.dumps(NODE_JSON).encode(), "x-protobuf": NODE_PROTOBUF}

#: The exporter pipes its body: no length is known, and it goes out in chunks.
NODE = """
const http = require("http"), zlib = require("zlib"), stream = require("stream");
const [url, kind, packed, body] = process.argv.slice(1);
const headers = {
  "Content-Type": "application/" + kind, "User-Agent": "OTel-OTLP-Exporter-JavaScript/0.223.1"};
if (packed) headers["Content-Encoding"] = "gzip";
const agent = new http.Agent({keepAlive: true});
const request = http.request(url, {method: "POST", headers, agent}, (answer) => {
  answer.resume().on("end", () => { console.log(answer.statusCode); agent.destroy(); });
});
const source = stream.Readable.from([Buffer.from(body, "base64")]);
(packed ? source.pipe(zlib.createGzip()) : source).pipe(request);
"""


@pytest.fixture
def running() -> Iterator[Running]:
    with viewer() as found:
        yield found


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.parametrize("packed", ["", "gzip"], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", BODIES)
def test_traces_sent_by_node_are_in_the_list(running: Running, kind: str, packed: str) -> None:
    body = base64.b64encode(BODIES[kind]).decode()
    command = ["node", "-e", NODE, f"{running.url}/v1/traces", kind, packed, body]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == "200\n"
    (trace,) = running.list()
    assert (trace["name"], trace["services"], trace["errors"]) == ("GET /cart", ["node-shop"], 1)
    found = running.store.trace(trace["id"])
    assert found is not None
    root, child = found["spans"]
    assert (root["name"], child["name"], child["depth"]) == ("GET /cart", "load", 1)
    assert (child["attributes"], child["message"]) == ([("n", "3")], "no")
    assert [each[1] for each in child["events"]] == ["retry"]


def _request(number: int) -> bytes:
    """A span in protobuf, with what those exporters fill in."""
    request = ExportTraceServiceRequest()
    part = request.resource_spans.add(schema_url="https://opentelemetry.io/schemas/1.26.0")
    part.resource.attributes.add(key="service.name").value.string_value = "peer"
    spans = part.scope_spans.add(schema_url="https://opentelemetry.io/schemas/1.26.0")
    spans.scope.name = "tracer"
    span = spans.spans.add(name=f"span {number}", kind=1, flags=0x101)
    span.trace_id, span.span_id = number.to_bytes(16, "big"), number.to_bytes(8, "big")
    span.start_time_unix_nano, span.end_time_unix_nano = START, START + 1000
    return request.SerializeToString()


GO = {"User-Agent": "OTel OTLP Exporter Go/1.28.0", "Accept-Encoding": "gzip"}
PEERS = {
    "Go": GO,
    "Go, gzip in chunks": {**GO, "Content-Encoding": "gzip", "Transfer-Encoding": "chunked"},
    "Ruby": {
        "User-Agent": "OTel-OTLP-Exporter-Ruby/0.29.0 Ruby/3.3.0 (x86_64-linux; ruby/3.3.0)",
        "Content-Encoding": "gzip",
        "Accept": "*/*",
        "Accept-Encoding": "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
    },
}


@pytest.mark.parametrize("headers", PEERS.values(), ids=PEERS)
def test_traces_sent_by_other_languages_are_in_the_list(running: Running, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    for number in (1, 2, 3):
        body = _request(number)
        body = gzip.compress(body) if "Content-Encoding" in headers else body
        chunked = "Transfer-Encoding" in headers
        connection.request(
            "POST",
            "/v1/traces",
            iter([body]) if chunked else body,
            {"Content-Type": "application/x-protobuf", **headers},
            encode_chunked=chunked,
        )
        response = connection.getresponse()
        assert (response.status, response.getheader("Content-Type"), response.read()) == (
            200,
            "application/x-protobuf",
            b"",
        )
    connection.close()
    assert {each["name"] for each in running.list()} == {"span 1", "span 2", "span 3"}
    assert running.list()[0]["services"] == ["peer"]
