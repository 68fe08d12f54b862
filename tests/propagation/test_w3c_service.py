"""A service on our middleware, talked to over real HTTP as the W3C's harness does, in its strict mode.

Each vector of `tracecontext` is sent; what the service tells the next one must be a trace that the standard
allows. The order of headers, blanks around values and repeated headers go over the wire as they stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from threading import Thread
from typing import Any

import pytest
from opentelemetry.trace import TraceFlags
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Request, Response

from ot_bridge.wire import Remote
from tests.propagation.w3c_service import service
from tests.wire.vectors import Vector, load

Headers = list[tuple[str, str]]
valid = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-(0[0-3])").fullmatch

KNOWS_RANDOM = hasattr(TraceFlags, "RANDOM_TRACE_ID")  # older SDKs, and so our engine on them, do not

TRACE = "12345678901234567890123456789012"
PARENT = f"00-{TRACE}-1234567890123456-01"


class Harness:
    """Sends requests to the service and keeps the headers of the callbacks."""

    def __init__(self) -> None:
        self.heard: list[Headers] = []
        self.servers = [_serve(service()), _serve(self._listen)]

    def _listen(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.heard.append([(name.lower(), value) for name, value in request.headers.items()])
        return Response()(environ, start_response)

    def send(self, headers: Headers, count: int = 1) -> list[dict[str, str]]:
        """The tracing headers of the callbacks to one request."""
        target, own = (server.port for server in self.servers)
        orders = [{"url": f"http://127.0.0.1:{own}/{number}", "arguments": []} for number in range(count)]
        body = json.dumps(orders).encode()
        self.heard.clear()
        connection = HTTPConnection("127.0.0.1", target, timeout=5)
        connection.putrequest("POST", "/")
        for name, value in [
            *headers,
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
        ]:
            connection.putheader(name, value)
        connection.endheaders(body)
        assert connection.getresponse().status == 200
        connection.close()
        heard = [
            {n: v for n, v in each if n in ("traceparent", "tracestate", "baggage")} for each in self.heard
        ]
        assert len(heard) == count
        return heard

    def close(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()


def _serve(app: Any) -> BaseWSGIServer:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    running = Harness()
    yield running
    running.close()


def _on_the_wire(headers: dict[str, Any]) -> Headers:
    return [
        (name, v) for name, value in headers.items() for v in (value if isinstance(value, list) else [value])
    ]


def _sendable(vector: Vector) -> bool:
    return all(
        re.fullmatch("[\x20-\x7e\t\u00a0-\u00ff]*", value) for _, value in _on_the_wire(vector.headers)
    )


VECTORS = [p for p in load() if p.values[0].format == "tracecontext" and _sendable(p.values[0])]


def _ids(headers: dict[str, str]) -> tuple[int, int, int]:
    match = valid(headers["traceparent"])
    assert match, headers
    return int(match[1], 16), int(match[2], 16), int(match[3], 16)


@pytest.mark.parametrize("vector", VECTORS)
def test_the_service_sends_the_headers_that_the_standard_requires(harness: Harness, vector: Vector) -> None:
    [headers] = harness.send(_on_the_wire(vector.headers))
    trace_id, span_id, flags = _ids(headers)
    assert span_id
    sent = re.findall("[0-9a-f]{32}", str(vector.headers))
    if vector.remote is None:
        assert trace_id
        assert f"{trace_id:032x}" not in sent
        assert "tracestate" not in headers
        return
    remote: Remote = vector.remote
    assert trace_id == remote.trace_id
    assert span_id != remote.span_id
    assert bool(flags & 1) == remote.sampled
    assert bool(flags & 2) == (bool(remote.extras) and KNOWS_RANDOM)
    assert headers.get("tracestate", "") == remote.tracestate


def test_every_callback_has_its_own_parent_id(harness: Harness) -> None:
    ids = [_ids(each) for each in harness.send([("traceparent", PARENT)], 3)]
    assert {f"{trace_id:032x}" for trace_id, _, _ in ids} == {TRACE}
    assert len({span_id for _, span_id, _ in ids}) == 3


@pytest.mark.parametrize(
    "headers", [[], [("traceparent", PARENT.replace(TRACE, "0" * 32))]], ids=["none", "broken"]
)
def test_without_a_trace_to_continue_a_new_one_is_started(harness: Harness, headers: Headers) -> None:
    ids = [_ids(each) for each in harness.send(headers, 3)]
    assert all(trace_id for trace_id, _, _ in ids)
    assert len({span_id for _, span_id, _ in ids}) == 3


def test_tracestate_in_several_headers_is_one_list_in_their_order(harness: Harness) -> None:
    states = [
        ("tracestate", "foo=1,bar=2"),
        ("TraceState", ""),
        ("tracestate", "rojo=1,congo=2"),
        ("TRACESTATE", "baz=3"),
    ]
    [headers] = harness.send([("traceparent", PARENT), *states])
    assert headers["tracestate"] == "foo=1,bar=2,rojo=1,congo=2,baz=3"


def test_at_least_512_characters_of_a_long_tracestate_are_forwarded(harness: Harness) -> None:
    members = [f"k{number}={'x' * 60}" for number in range(30)]
    [headers] = harness.send([("traceparent", PARENT), ("tracestate", ",".join(members))])
    assert headers["tracestate"] == ",".join(members)


def test_baggage_is_forwarded_with_its_properties(harness: Harness) -> None:
    baggage = "userId=alice,serverNode=DF%2028;property;key=value,isProduction=false"
    [headers] = harness.send([("traceparent", PARENT), ("baggage", baggage)])
    assert headers["baggage"] == baggage
    [headers] = harness.send(
        [("baggage", "userId = alice"), ("Baggage", "serverNode=DF%2028 , isProduction=false")]
    )
    assert headers["baggage"] == "userId=alice,serverNode=DF%2028,isProduction=false"


def test_64_members_and_8192_bytes_of_baggage_are_forwarded(harness: Harness) -> None:
    for baggage in (",".join(f"key{number}=value" for number in range(64)), "a=" + "0123456789" * 819):
        [headers] = harness.send([("traceparent", PARENT), ("baggage", baggage)])
        assert headers["baggage"] == baggage
