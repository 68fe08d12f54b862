"""The name of a segment: the service that did the work or was called. X-Ray draws its map from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from ot_bridge.xray.attributes import first

LONGEST_NAME = 200
_REFUSED = re.compile(r"[^\w .:/%&#=+\-@]")
_CALLS = (SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER)
_HOSTS = ("http.host", "net.peer.name", "server.address", "peer.hostname")


def name(span: ReadableSpan) -> str:
    """The name of a span's segment: 1 to 200 letters, digits, spaces and `_ . : / % & # = + - @`."""
    attributes: Mapping[str, Any] = span.attributes or {}
    found = (
        _aws_service(span.kind, attributes)
        or first(attributes, "peer.service", "service.peer.name", "aws.service")
        or _database(attributes)
        or (span.resource.attributes.get("service.name") if span.kind is SpanKind.SERVER else None)
        or _rpc_service(attributes)
        or (None if span.kind is SpanKind.SERVER else first(attributes, *_HOSTS))
    )
    return cleaned(str(found or "")) or cleaned(span.name) or "span"


def cleaned(text: str) -> str:
    return _REFUSED.sub("", text)[:LONGEST_NAME]


def _aws_service(kind: SpanKind, attributes: Mapping[str, Any]) -> str:
    if kind not in _CALLS:
        return str(first(attributes, "aws.local.service") or "")
    service = str(first(attributes, "aws.remote.service") or "")
    return service.removeprefix("AWS.SDK.").removeprefix("AWS::")


def _database(attributes: Mapping[str, Any]) -> str | None:
    """The name of a call to a database, `database@host`. None if the span is not such a call."""
    database = first(attributes, "db.namespace", "db.name", "db.instance")
    if database is None:
        return None
    connection = str(first(attributes, "db.connection_string", "peer.address") or "").removeprefix("jdbc:")
    host = _host_in(connection) or first(attributes, "server.address", "net.peer.name", "peer.hostname")
    return f"{database}@{host}" if host else str(database)


def _host_in(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _rpc_service(attributes: Mapping[str, Any]) -> str:
    service = str(first(attributes, "rpc.service") or "")
    if not service and first(attributes, "rpc.system", "rpc.system.name") is not None:
        # Since semantic conventions 1.38 `rpc.method` is the full name: package.Service/Method.
        service = str(attributes.get("rpc.method") or "").rpartition("/")[0]
    return service
