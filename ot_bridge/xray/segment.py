"""Translates a span into an X-Ray segment document, without I/O.

Sources: AWS's page "X-Ray segment documents" and its schema (xray-segmentdocument-schema-v1.0.0). Where they
leave a choice, this does what the OpenTelemetry Collector's `awsxray` exporter does. document.py trims
documents to X-Ray's 64 kB.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, format_span_id

from ot_bridge.xray.attributes import Attributes, filled, first, text, texts
from ot_bridge.xray.aws import call, is_sdk_call, place
from ot_bridge.xray.cause import cause, flags
from ot_bridge.xray.http import http
from ot_bridge.xray.names import name
from ot_bridge.xray.secrets import cleaned

MOST_ANNOTATIONS = 50
LONGEST_ANNOTATION = 1000
_KEY_REFUSED = re.compile(r"[^a-zA-Z0-9_]")
# Former and present names of SQL databases, and OpenTracing's `sql`.
_SQL = {"cockroachdb", "db2", "derby", "hive", "ibm.db2", "mariadb", "microsoft.sql_server", "mssql"} | {
    *("mysql", "oracle", "oracle.db", "other_sql", "postgresql", "redshift", "aws.redshift", "sql"),
    *("sqlite", "teradata"),
}

Annotate = Collection[str] | Literal["all"]


def segment(
    span: ReadableSpan, *, annotate: Annotate = (), service_version: str | None = None
) -> dict[str, Any]:
    """The segment document of a span, ready for `json.dumps`. The span may still be open.

    annotate: the attributes that become annotations, by which X-Ray can search: a collection of names (those
    of the resource begin with `otel.resource.`), or "all". service_version: replaces the resource's.
    A span of kind SERVER, and one without a local parent, is a segment; any other is a subsegment.
    """
    given = cleaned(span.attributes)
    attributes = Attributes(given)
    resource: Mapping[str, Any] = cleaned(span.resource.attributes)
    parent = span.parent
    whole = span.kind is SpanKind.SERVER or parent is None or parent.is_remote
    here, origin = place(resource) if whole else ({}, None)
    parts = {
        "type": None if whole else "subsegment",
        "parent_id": format_span_id(parent.span_id) if parent else None,
        "namespace": _namespace(span),
        **flags(span),
        "cause": cause(span),
        "http": http(attributes, span.kind),
        "aws": {**here, **call(attributes)},
        "sql": _sql(attributes, span.name),
        "links": [_link(link.context, link.attributes) for link in span.links],
    }
    if whole:
        parts["origin"] = origin
        parts["service"] = filled(version=text(service_version or _version(resource)))
        parts["user"] = text(attributes.take("enduser.id", "user.id"))
    left = attributes.rest | {f"otel.resource.{key}": value for key, value in resource.items() if whole}
    parts |= _annotations_and_metadata(given, left, _events(span), annotate)
    return {**_required(span), **filled(**parts)}


def trace_id(context: SpanContext) -> str:
    """X-Ray's form of a trace id: `1-` 8 digits `-` 24 digits."""
    digits = f"{context.trace_id:032x}"
    return f"1-{digits[:8]}-{digits[8:]}"


def _required(span: ReadableSpan) -> dict[str, Any]:
    # A span that ended has a context and a start; the SDK types both as optional.
    context = span.context or SpanContext(0, 0, is_remote=False)
    times = {"start_time": (span.start_time or 0) / 1e9}
    ended = {"in_progress": True} if span.end_time is None else {"end_time": span.end_time / 1e9}
    ids = {"id": format_span_id(context.span_id), "trace_id": trace_id(context)}
    return {"name": name(span), **ids, **times, **ended}


def _namespace(span: ReadableSpan) -> str | None:
    if is_sdk_call(span.attributes or {}):
        return "aws"
    return "remote" if span.kind is SpanKind.CLIENT else None


def _version(resource: Mapping[str, Any]) -> Any:
    tags = [*texts(resource.get("container.image.tags")), None]
    return first(resource, "service.version", "container.image.tag") or tags[0]


def _sql(attributes: Attributes, url: str) -> dict[str, Any]:
    system = attributes.get("db.system.name", "db.system", "db.type")
    if str(system).lower() not in _SQL:
        return {}
    connection = attributes.take("db.connection_string")
    host = attributes.take("server.address", "net.peer.name", "peer.hostname", "peer.address")
    database = attributes.take("db.namespace", "db.name", "db.instance")
    attributes.take("db.system.name", "db.system", "db.type")
    where = str(connection or host or "localhost")
    return filled(
        # X-Ray's console shows `url` as the operation, so it gets the span's name.
        url=text(url),
        connection_string=f"{where}/{database}" if database else where,
        database_type=text(system),
        user=text(attributes.take("db.user")),
        sanitized_query=attributes.take("db.query.text", "db.statement"),
    )


def _link(context: SpanContext, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "trace_id": trace_id(context),
        "id": format_span_id(context.span_id),
        **filled(attributes=cleaned(attributes)),
    }


def _events(span: ReadableSpan) -> list[dict[str, Any]]:
    return [
        {"time": event.timestamp / 1e9, "name": event.name, **filled(attributes=cleaned(event.attributes))}
        for event in span.events
        if event.name != "exception"
    ]


def _annotations_and_metadata(
    given: dict[str, Any], left: dict[str, Any], events: list[dict[str, Any]], annotate: Annotate
) -> dict[str, dict[str, Any]]:
    """Annotations and metadata.

    given: the span's attributes. left: the attributes of span and resource that no other part contains.
    """
    listed = left.pop("aws.xray.annotations", None)
    wanted = {
        *(annotate if annotate != "all" else ()),
        *(listed if isinstance(listed, (list, tuple)) else ()),
    }
    # An attribute that another part contains becomes an annotation too, if `annotate` or the span names it.
    candidates = {key: value for key, value in given.items() if key in wanted} | left
    annotations: dict[str, Any] = {}
    for key, value in candidates.items():
        clean = _KEY_REFUSED.sub("_", key)[:500]
        if annotate != "all" and key not in wanted:
            continue
        if len(annotations) < MOST_ANNOTATIONS and clean not in annotations and _is_scalar(value):
            annotations[clean] = value[:LONGEST_ANNOTATION] if isinstance(value, str) else value
            left.pop(key, None)
    default = left | ({"otel.events": events} if events else {})
    return {"annotations": annotations, "metadata": {"default": default} if default else {}}


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))
