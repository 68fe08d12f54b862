"""The names of the OpenTracing API and of the packages around it. Tables, no state.

A dotted name is written as the shortest one that works: `opentracing.ext.tags.ERROR` is
`opentracing.tags.ERROR`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ot_bridge.semconv.names import RENAMED

API: Final = "opentracing"

#: Top packages of tracers, whose set-up a person replaces (OTB401, OTB402).
TRACERS: Final = frozenset({"jaeger_client", "lightstep", "basictracer", "opentracing_prometheus"})

#: Top packages that tie OpenTracing to a web framework or to gRPC (OTB404).
FRAMEWORKS: Final = frozenset(
    {
        "flask_opentracing", "django_opentracing", "tornado_opentracing", "starlette_opentracing",
        "bottle_opentracing", "fastapi_opentracing", "pyramid_opentracing", "sanic_opentracing",
        "grpc_opentracing", "grpcext",
    }
)  # fmt: skip

#: Top packages that trace clients: databases, HTTP, queues (OTB405).
CLIENTS: Final = frozenset(
    {
        "opentracing_instrumentation", "opentracing_utils", "requests_opentracing", "pymongo_opentracing",
        "sqlalchemy_opentracing", "redis_opentracing", "elasticsearch_opentracing", "celery_opentracing",
        "dbapi_opentracing", "cassandra_opentracing", "aioredis_opentracing", "asyncpg_opentracing",
        "opentracing_decorator", "confluent_kafka_opentracing", "opentracing_async_instrumentation",
    }
)  # fmt: skip

PACKAGES: Final = frozenset({API}) | TRACERS | FRAMEWORKS | CLIENTS

_SET_UP: Final = ("Config", "Tracer", "BasicTracer", "initialize_tracer", "create_tracer", "new_tracer")

#: Attributes of objects of other legacy packages that have a counterpart in the set-up.
SET_UP_METHODS: Final = frozenset({*_SET_UP, "trace", "get_span", "init_app"})

#: A module of `opentracing` -> the shortest prefix for its names. `None`: the name of the module itself.
MODULES: Final[Mapping[str, str]] = {
    "opentracing": "opentracing",
    "opentracing.ext": "opentracing.ext",
    "opentracing.ext.tags": "opentracing.tags",
    "opentracing.tags": "opentracing.tags",
    "opentracing.logs": "opentracing.logs",
    "opentracing.propagation": "opentracing",
    "opentracing.span": "opentracing",
    "opentracing.scope": "opentracing",
    "opentracing.scope_manager": "opentracing",
    "opentracing.mocktracer": "opentracing.mocktracer",
    "opentracing.mocktracer.tracer": "opentracing.mocktracer",
    "opentracing.harness": "opentracing.harness",
    "opentracing.scope_managers": "opentracing.scope_managers",
}

#: Constants -> their values, which dashboards use.
CONSTANTS: Final[Mapping[str, str]] = {
    **{
        f"opentracing.tags.{name}": value
        for name, value in {
            "SPAN_KIND": "span.kind",
            "SPAN_KIND_RPC_CLIENT": "client",
            "SPAN_KIND_RPC_SERVER": "server",
            "SPAN_KIND_CONSUMER": "consumer",
            "SPAN_KIND_PRODUCER": "producer",
            "SERVICE": "service",
            "ERROR": "error",
            "COMPONENT": "component",
            "SAMPLING_PRIORITY": "sampling.priority",
            "PEER_SERVICE": "peer.service",
            "PEER_HOSTNAME": "peer.hostname",
            "PEER_ADDRESS": "peer.address",
            "PEER_HOST_IPV4": "peer.ipv4",
            "PEER_HOST_IPV6": "peer.ipv6",
            "PEER_PORT": "peer.port",
            "HTTP_URL": "http.url",
            "HTTP_METHOD": "http.method",
            "HTTP_STATUS_CODE": "http.status_code",
            "DATABASE_INSTANCE": "db.instance",
            "DATABASE_STATEMENT": "db.statement",
            "DATABASE_TYPE": "db.type",
            "DATABASE_USER": "db.user",
            "MESSAGE_BUS_DESTINATION": "message_bus.destination",
        }.items()
    },
    "opentracing.logs.ERROR_KIND": "error.kind",
    "opentracing.logs.ERROR_OBJECT": "error.object",
    "opentracing.logs.EVENT": "event",
    "opentracing.logs.MESSAGE": "message",
    "opentracing.logs.STACK": "stack",
}

#: Tags -> OpenTelemetry's names, for `--semconv`. Tags that are not here have no other name, and stay.
TODAY: Final[Mapping[str, str]] = {
    **{old: names.new[0] for old, names in RENAMED.items()},
    "message_bus.destination": "messaging.destination.name",
}

#: Carriers' formats -> whether `propagate` has a counterpart.
FORMATS: Final[Mapping[str, bool]] = {
    "opentracing.Format.HTTP_HEADERS": True,
    "opentracing.Format.TEXT_MAP": True,
    "opentracing.Format.BINARY": False,
}
FORMAT_TEXTS: Final = frozenset({"text_map", "http_headers"})

#: Classes of the API -> the kind of their values (see `values`), and OpenTelemetry's class or None.
CLASSES: Final[Mapping[str, tuple[str, str | None]]] = {
    "opentracing.Tracer": ("tracer", "Tracer"),
    "opentracing.Span": ("span", "Span"),
    "opentracing.SpanContext": ("context", "SpanContext"),
    "opentracing.Scope": ("scope", None),
    "opentracing.ScopeManager": ("manager", None),
}

#: Exceptions of inject and extract, which OpenTelemetry never raises (OTB206).
EXCEPTIONS: Final = frozenset(
    f"opentracing.{name}"
    for name in ("InvalidCarrierException", "SpanContextCorruptedException", "UnsupportedFormatException")
)
REFERENCES: Final = frozenset(
    f"opentracing.{name}" for name in ("child_of", "follows_from", "Reference", "ReferenceType")
)

#: The members of each kind of value: kind -> attribute -> code.
METHODS: Final[Mapping[str, Mapping[str, str]]] = {
    "tracer": {
        "start_span": "OTB102",
        "start_active_span": "OTB102",
        "inject": "OTB106",
        "extract": "OTB106",
        "active_span": "OTB107",
        "scope_manager": "OTB107",
        "close": "OTB401",
        "flush": "OTB401",
        "finished_spans": "OTB207",
        "reset": "OTB207",
        "register_required_propagators": "OTB402",
    },
    "span": {
        "set_tag": "OTB103",
        "log_kv": "OTB104",
        "log_event": "OTB104",
        "log": "OTB104",
        "finish": "OTB105",
        "set_operation_name": "OTB105",
        "context": "OTB107",
        "tracer": "OTB309",
        "set_baggage_item": "OTB204",
        "get_baggage_item": "OTB204",
    },
    "scope": {"span": "OTB107", "close": "OTB303", "manager": "OTB303"},
    "manager": {"active": "OTB107", "activate": "OTB107"},
    "context": {"baggage": "OTB204", "trace_id": "OTB107", "span_id": "OTB107"},
    "extracted": {"baggage": "OTB204"},
}

#: Names that are rare elsewhere. In a file that imports OpenTracing they count as its names on any receiver.
TELLING: Final = frozenset(
    {"start_active_span", "set_tag", "log_kv", "set_baggage_item", "get_baggage_item", "set_operation_name"}
)

#: Attributes of an ended span that a test reads, and names of such spans: `span.events`, `spans[0].status`.
SEEN: Final = frozenset({"events", "logs", "status"})
SPANS: Final = re.compile(r"(?:^|_)spans?$")

#: Messages about the set-up, by code.
SETUP: Final = {
    "OTB401": "set-up: ot_bridge.install(service), or the SDK's provider, processor and exporter",
    "OTB402": "set-up of a tracer: samplers, exporters and propagators of OpenTelemetry take its place",
    "OTB403": "the global tracer: ot_bridge.install(service) sets it, and OpenTelemetry has its own",
    "OTB404": "a framework's package: ot_bridge's middleware, interceptors, or opentelemetry-instrumentation",
    "OTB405": "a client library's package: opentelemetry-instrumentation takes its place",
}
#: The start of a name of the API -> its code, and its replacement.
_OTHERS: Final = {
    "opentracing.mocktracer": (
        "OTB207",
        "MockTracer: ot_bridge.testing.RecordingTracer, or the SDK's in-memory exporter",
    ),
    "opentracing.harness": ("OTB207", "OpenTracing's own test harness"),
    "opentracing.scope_managers": (
        "OTB208",
        "OpenTelemetry's context follows threads' and tasks' variables by itself",
    ),
    "opentracing.set_global_tracer": ("OTB403", SETUP["OTB403"]),
    "opentracing.is_global_tracer_registered": ("OTB403", SETUP["OTB403"]),
    "opentracing.start_child_span": ("OTB309", "start_child_span asks a span for its tracer"),
}
_OTHER: Final = ("OTB308", "this is no part of OpenTracing's public API")

#: The end of a name -> the kind of a receiver with this name.
BY_NAME: Final = re.compile(r"(?:^|_|\.)(span|tracer|scope)$")

#: Arguments by position.
ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "start_span": (
        "operation_name", "child_of", "references", "tags", "start_time", "ignore_active_span",
    ),
    "start_active_span": (
        "operation_name", "child_of", "references", "tags", "start_time", "ignore_active_span",
        "finish_on_close",
    ),
    "inject": ("span_context", "format", "carrier"),
    "extract": ("format", "carrier"),
    "set_tag": ("key", "value"),
    "log_kv": ("key_values", "timestamp"),
    "log_event": ("event", "payload"),
    "log": (),
    "finish": ("finish_time",),
    "set_operation_name": ("operation_name",),
    "activate": ("span", "finish_on_close"),
}  # fmt: skip


def canonical(dotted: str) -> str:
    """The shortest equivalent of a dotted name: `opentracing.tags.ERROR` for `opentracing.ext.tags.ERROR`."""
    head, _, last = dotted.rpartition(".")
    return f"{MODULES[head]}.{last}" if head in MODULES else dotted


def top(dotted: str) -> str:
    return dotted.partition(".")[0]


def package_code(dotted: str) -> str:
    """The code for a name of a legacy package other than `opentracing`."""
    package, last = top(dotted), dotted.rpartition(".")[2]
    if package in FRAMEWORKS:
        return "OTB404"
    if package in CLIENTS:
        return "OTB405"
    return "OTB401" if last in (*_SET_UP, package) else "OTB402"


def advice(name: str) -> tuple[str, str]:
    """The code and the message for a name without a counterpart, or for one of another legacy package."""
    if top(name) != API:
        code = package_code(name)
        return code, SETUP[code]
    return next((found for start, found in _OTHERS.items() if name.startswith(start)), _OTHER)
