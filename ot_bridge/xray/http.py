"""The `http` part of a segment document, from OpenTelemetry's present and former attributes and
OpenTracing's tags (semantic conventions 1.23 and later, those before, and OpenTracing's list of tags).
"""

from __future__ import annotations

import re
from typing import Any

from opentelemetry.trace import SpanKind

from ot_bridge.xray.attributes import Attributes, filled, first, number, text

# A span is about HTTP if it has one of these attributes. Hosts and addresses alone do not show that.
_SIGNS = (
    "http.request.method",
    "http.method",
    "http.response.status_code",
    "http.status_code",
    "http.url",
    "http.target",
    "http.scheme",
    "http.host",
    "http.user_agent",
    "url.full",
    "url.path",
    "url.scheme",
    "user_agent.original",
)
_HOSTS = {
    SpanKind.SERVER: ("http.host", "http.server_name", "server.address", "net.host.name"),
    SpanKind.CLIENT: (
        "http.host",
        "server.address",
        "net.peer.name",
        "peer.hostname",
        "net.peer.ip",
        "network.peer.address",
    ),
}
_PORTS = {
    SpanKind.SERVER: ("server.port", "net.host.port"),
    SpanKind.CLIENT: ("server.port", "net.peer.port", "peer.port", "network.peer.port"),
}
_USUAL_PORTS = {("http", 80), ("https", 443)}
_PEERS = ("network.peer.address", "net.sock.peer.addr", "net.peer.ip", "peer.ipv4", "peer.ipv6")
# Attributes whose values are contained in the URL. (Addresses of the connection are not.)
_IN_URL = ("url.scheme", "http.scheme", "url.path", "url.query", "http.target", "http.host", "server.address")
_IN_URL_BY_SIDE = {
    SpanKind.SERVER: (*_IN_URL, *_PORTS[SpanKind.SERVER], "http.server_name", "net.host.name"),
    SpanKind.CLIENT: (*_IN_URL, *_PORTS[SpanKind.CLIENT], "net.peer.name", "peer.hostname"),
}


def http(attributes: Attributes, kind: SpanKind) -> dict[str, Any]:
    """The request and the response; empty if the span is not about HTTP. Takes the attributes it contains."""
    if attributes.get(*_SIGNS) is None:
        return {}
    side = SpanKind.SERVER if kind is SpanKind.SERVER else SpanKind.CLIENT
    request = filled(
        method=text(attributes.take("http.request.method", "http.method")),
        url=_url(attributes, side),
        user_agent=text(attributes.take("user_agent.original", "http.user_agent")),
        **(_caller(attributes) if side is SpanKind.SERVER else {}),
    )
    response = filled(
        status=number(attributes.take("http.response.status_code", "http.status_code")),
        content_length=number(attributes.take("http.response.body.size", "http.response_content_length")),
    )
    attributes.take(*_IN_URL_BY_SIDE[side])
    return filled(request=request, response=response)


def _url(attributes: Attributes, side: SpanKind) -> str | None:
    known = attributes.take("url.full", "http.url")
    if known is not None and "://" in str(known):
        return text(known)
    host = attributes.get(*_HOSTS[side])
    # OpenTracing programs also put a path alone into http.url.
    path = attributes.get("http.target", "url.path") or known
    query = str(attributes.get("url.query") or "") if attributes.get("http.target") is None else ""
    query = query and "?" + query.removeprefix("?")
    if host is None:
        return text(path and f"{path}{query}")
    scheme = str(attributes.get("url.scheme", "http.scheme") or "http")
    port = number(attributes.get(*_PORTS[side]))
    authority = f"[{host}]" if str(host).count(":") > 1 and "[" not in str(host) else str(host)
    if port and (scheme, port) not in _USUAL_PORTS and not _has_port(authority):
        authority += f":{port}"
    return text(f"{scheme}://{authority}{path or '/'}{query}")


def _has_port(authority: str) -> bool:
    return re.search(r":\d+$", authority) is not None


def _caller(attributes: Attributes) -> dict[str, Any]:
    """The caller: the client that a proxy reports, or else the other end of the connection."""
    peer = first(attributes.rest, *_PEERS)
    client = attributes.take("client.address", "http.client_ip")
    attributes.take(*_PEERS)
    return {
        "client_ip": text(client if client is not None else peer),
        "x_forwarded_for": client is not None and client != peer,
    }
