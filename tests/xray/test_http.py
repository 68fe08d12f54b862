from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind

from ot_bridge.xray import segment
from tests.xray.spans import LOCAL, span

SERVER, CLIENT = SpanKind.SERVER, SpanKind.CLIENT
HTTPS = {"net.host.port": 443}


@pytest.mark.parametrize(
    ("kind", "attributes", "wanted"),
    [
        (SERVER, {"http.method": "GET", "http.target": "/a?b=c", "http.host": "h:81"}, "http://h:81/a?b=c"),
        (
            SERVER,
            {"http.target": "/", "http.server_name": "h", "http.scheme": "https", **HTTPS},
            "https://h/",
        ),
        (
            SERVER,
            {"url.path": "/a", "url.query": "b", "net.host.name": "h", "server.port": 80},
            "http://h/a?b",
        ),
        (
            SERVER,
            {"url.path": "/", "url.query": "?b", "server.address": "h", "server.port": "81"},
            "http://h:81/?b",
        ),
        (SERVER, {"http.method": "GET", "server.address": "::1", "server.port": 81}, "http://[::1]:81/"),
        (SERVER, {"url.path": "/a"}, "/a"),
        (SERVER, {"http.method": "GET", "http.url": "/a?b"}, "/a?b"),
        (SERVER, {"http.method": "GET"}, None),
        (CLIENT, {"url.full": "https://u:p@h/a@b?c=d@e"}, "https://h/a@b?c=d@e"),
        (CLIENT, {"http.url": "http://h/" + "a" * 300}, "http://h/" + "a" * 241),
        (CLIENT, {"http.method": "GET", "net.peer.name": "h", "net.peer.port": 81}, "http://h:81/"),
        (CLIENT, {"http.method": "GET", "net.peer.ip": "10.0.0.1"}, "http://10.0.0.1/"),
        (
            CLIENT,
            {"http.method": "GET", "http.url": "/a", "peer.hostname": "h", "peer.port": 81},
            "http://h:81/a",
        ),
    ],
    ids=str,
)
def test_the_url_is_an_attribute_or_built_from_its_parts(
    kind: SpanKind, attributes: Any, wanted: str | None
) -> None:
    found = segment(span("s", kind, attributes, resource=Resource({})))
    assert found.get("http", {}).get("request", {}).get("url") == wanted


@pytest.mark.parametrize(
    ("attributes", "ip", "forwarded"),
    [
        ({"client.address": "1.1.1.1", "network.peer.address": "2.2.2.2"}, "1.1.1.1", True),
        ({"client.address": "1.1.1.1", "network.peer.address": "1.1.1.1"}, "1.1.1.1", None),
        ({"http.client_ip": "1.1.1.1"}, "1.1.1.1", True),
        ({"net.peer.ip": "2.2.2.2"}, "2.2.2.2", None),
        ({"net.sock.peer.addr": "2.2.2.2"}, "2.2.2.2", None),
        ({"peer.ipv4": "2.2.2.2"}, "2.2.2.2", None),
        ({}, None, None),
    ],
)
def test_the_client_ip_is_the_forwarded_address_or_the_peer_address(
    attributes: Any, ip: Any, forwarded: Any
) -> None:
    request = segment(span("s", SERVER, {"http.method": "GET", **attributes}))["http"]["request"]
    assert (request.get("client_ip"), request.get("x_forwarded_for")) == (ip, forwarded)
    calling = segment(span("s", CLIENT, {"http.method": "GET", **attributes}))["http"]["request"]
    assert "client_ip" not in calling


def test_addresses_alone_make_no_http_part() -> None:
    attributes = {
        "server.address": "h",
        "server.port": 1,
        "network.peer.address": "10.0.0.1",
        "client.address": "x",
    }
    found = segment(span("s", CLIENT, attributes, parent=LOCAL))
    assert "http" not in found
    assert found["metadata"]["default"] == attributes


def test_attributes_without_a_place_in_x_ray_are_metadata() -> None:
    attributes = {
        "http.method": "GET",
        "component": "x",
        "net.peer.name": "caller",
        "db.statement": "SELECT 1",
    }
    found = segment(span("s", SERVER, attributes, resource=Resource({})))
    assert found["metadata"]["default"] == {key: attributes[key] for key in list(attributes)[1:]}
