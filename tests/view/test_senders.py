"""What OpenTelemetry's exporters in other languages send to the viewer.

Node's requests go out by Node itself, where it is installed. Go's and Ruby's are made by hand here as those
exporters make them: protobuf with their headers, several requests on one connection, Ruby's gzip.
"""

from __future__ import annotations

import gzip
import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.view.spans import TRACE
from tests.view.viewers import Running, viewer

START = 1_700_000_000_000_000_000

#: As `@opentelemetry/otlp-transformer` writes a span: numbers as enums, times as text, ids in hexadecimal.
NODE_BODY: dict[str, Any] = {
    "resourceSpans": [
        {
            "resource": {
                "attributes": [
                    {"key": "service.name", "value": {"stringValue": "node"}},
                    {"key": "process.pid", "value": {"intValue": 42}},
                ],
                "droppedAttributesCount": 0,
            },
            "scopeSpans": [
                {
                    "scope": {"name": "http", "version": "1.0"},
                    "spans": [
                        {
                            "traceId": TRACE,
                            "spanId": f"{2:016x}",
                            "parentSpanId": f"{1:016x}",
                            "name": "GET",
                            "kind": 3,
                            "startTimeUnixNano": str(START + 1_000_000),
                            "endTimeUnixNano": str(START + 2_000_000),
                            "attributes": [{"key": "ratio", "value": {"doubleValue": 0.5}}],
                            "droppedAttributesCount": 0,
                            "events": [],
                            "droppedEventsCount": 0,
                            "status": {"code": 2, "message": "no"},
                            "links": [],
                            "droppedLinksCount": 0,
                            "flags": 257,
                        },
                        {
                            "traceId": TRACE,
                            "spanId": f"{1:016x}",
                            "name": "GET /cart",
                            "kind": 2,
                            "startTimeUnixNano": str(START),
                            "endTimeUnixNano": str(START + 3_000_000),
                            "attributes": [],
                            "status": {"code": 0},
                            "flags": 257,
                        },
                    ],
                }
            ],
        }
    ]
}

#: With gzip the exporter pipes its body: no length is known, and it goes out in chunks.
NODE = """
const http = require("http"), zlib = require("zlib"), stream = require("stream");
const [url, packed, body] = process.argv.slice(1);
const headers = {"Content-Type": "application/json", "User-Agent": "OTel-OTLP-Exporter-JavaScript/0.200.0"};
if (packed) headers["Content-Encoding"] = "gzip";
else headers["Content-Length"] = Buffer.byteLength(body);
const agent = new http.Agent({keepAlive: true});
const request = http.request(url, {method: "POST", headers, agent}, (answer) => {
  answer.resume().on("end", () => { console.log(answer.statusCode); agent.destroy(); });
});
const source = stream.Readable.from([Buffer.from(body)]);
packed ? source.pipe(zlib.createGzip()).pipe(request) : request.end(body);
"""


@pytest.fixture
def running() -> Iterator[Running]:
    with viewer() as found:
        yield found


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.parametrize("packed", ["", "gzip"], ids=["plain", "gzip in chunks"])
def test_what_node_sends_is_in_the_list(running: Running, packed: str) -> None:
    command = ["node", "-e", NODE, f"{running.url}/v1/traces", packed, json.dumps(NODE_BODY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == "200\n"
    (trace,) = running.list()
    assert (trace["name"], trace["services"], trace["spans"], trace["errors"]) == (
        "GET /cart",
        ["node"],
        2,
        1,
    )
    found = running.store.trace(TRACE)
    assert found is not None
    assert [(each["name"], each["kind"], each["depth"]) for each in found["spans"]] == [
        ("GET /cart", "server", 0),
        ("GET", "client", 1),
    ]


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


PEERS = {
    "Go": {"User-Agent": "OTel OTLP Exporter Go/1.28.0", "Accept-Encoding": "gzip"},
    "Ruby": {
        "User-Agent": "OTel-OTLP-Exporter-Ruby/0.29.0 Ruby/3.3.0 (x86_64-linux; ruby/3.3.0)",
        "Content-Encoding": "gzip",
        "Accept": "*/*",
        "Accept-Encoding": "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
    },
}


@pytest.mark.parametrize("headers", PEERS.values(), ids=PEERS)
def test_what_other_languages_send_is_in_the_list(running: Running, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    for number in (1, 2, 3):
        body = _request(number)
        body = gzip.compress(body) if "Content-Encoding" in headers else body
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf", **headers})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Content-Type"), answer.read()) == (
            200,
            "application/x-protobuf",
            b"",
        )
    connection.close()
    assert {each["name"] for each in running.list()} == {"span 1", "span 2", "span 3"}
    assert running.list()[0]["services"] == ["peer"]
