"""The table of names: the names of OpenTracing and its libraries, and OpenTelemetry's names for the same.

Sources: OpenTracing's "Semantic Conventions" 1.1; OpenTelemetry's semantic conventions 1.45. The values are
translated by the rules in `rules`; `ot-bridge check --tags` and `ot-bridge rewrite --semconv` read the names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from ot_bridge import rpc_status


class Names(NamedTuple):
    """The new names for an old one. groups: it is translated in spans that belong to one of these.

    new: the names in a client's span. server: the names in a server's span, if they are different. The first
    name is the one that a query would use in place of the old one.
    """

    groups: tuple[str, ...]
    new: tuple[str, ...]
    server: tuple[str, ...] = ()


_ALL: Final = ("http", "database", "rpc")

RENAMED: Final[Mapping[str, Names]] = {
    "http.method": Names(("http",), ("http.request.method", "http.request.method_original")),
    "http.status_code": Names(("http",), ("http.response.status_code",)),
    "http.url": Names(
        ("http",),
        ("url.full", "server.address", "server.port"),
        ("url.path", "url.query", "url.scheme", "server.address", "server.port"),
    ),
    "db.type": Names(("database",), ("db.system.name",)),
    "db.instance": Names(("database",), ("db.namespace", "server.address", "server.port")),
    "db.statement": Names(("database",), ("db.query.text",)),
    "peer.hostname": Names(_ALL, ("server.address",)),
    "peer.address": Names(("database",), ("server.address", "server.port")),
    "peer.ipv4": Names(
        _ALL, ("network.peer.address", "server.address"), ("network.peer.address", "client.address")
    ),
    "peer.ipv6": Names(
        _ALL, ("network.peer.address", "server.address"), ("network.peer.address", "client.address")
    ),
    "peer.port": Names(_ALL, ("server.port", "network.peer.port"), ("network.peer.port",)),
    rpc_status.NUMBER: Names(("rpc",), (rpc_status.NAME,)),
}

#: All new names.
NEW: Final = frozenset().union(*(names.new + names.server for names in RENAMED.values()))

#: A span with one of these names belongs to the group. `translate` describes which spans are RPCs.
SIGNS: Final[Mapping[str, frozenset[str]]] = {
    "http": frozenset({"http.method", "http.url", "http.status_code"}),
    "database": frozenset({"db.type", "db.instance", "db.statement"}),
    "rpc": frozenset(),
}

_DEVELOPMENT: Final = "its successor is still in development"
_LIBRARY: Final = "a library's own name, not OpenTracing's"
_OTEL: Final = "OpenTelemetry's own name; its instrumentation obeys the variable itself"
_NO_HEIR: Final = "it has no successor"

#: Names that are never translated, and why. A name that ends in `.` stands for all names that begin with it.
STAYS: Final[Mapping[str, str]] = {
    "component": "it has no successor; the scope's name comes nearest",
    "peer.service": f"{_DEVELOPMENT} (service.peer.name), and service maps are drawn by the old name",
    "message_bus.destination": f"{_DEVELOPMENT} (messaging)",
    "celery.": f"{_DEVELOPMENT} (messaging)",
    "db.user": _NO_HEIR,
    "db.rows_produced": f"{_DEVELOPMENT} (db.response.returned_rows)",
    "error.": "OpenTelemetry records errors as status and exception events",
    "span.kind": "it is the span's kind, not an attribute",
    "error": "it is the span's status, not an attribute",
    "sampling.priority": "it is a decision, not an attribute",
    **dict.fromkeys(
        ("sql", "sql.", "command.name", "namespace", "event.reply", "redis.", "elasticsearch.", "boto3."),
        _LIBRARY,
    ),
    "sqlalchemy.": _LIBRARY,
    "pyramid.": _LIBRARY,
    **dict.fromkeys(
        (
            "http.target",
            "http.host",
            "http.scheme",
            "http.route",
            "net.",
            "rpc.system",
            "rpc.service",
            "code.",
        ),
        _OTEL,
    ),
    "http.request.header.": "OpenTelemetry wants a list of texts; this is changed where it is captured",
    "http.response.header.": "OpenTelemetry wants a list of texts; this is changed where it is captured",
}

#: Names whose values may contain secrets -> which secrets.
SECRETS: Final[Mapping[str, str]] = {
    "http.url": "user and password in front of the host, and the query",
    "db.instance": "user and password where it is a URL",
    "db.statement": "values that a library puts into the statement",
    "redis.key": "keys that name people",
    "sql.params": "the statement's values",
    "command": "the command with its values",
    "error.object": "a traceback, with what the exception's message holds",
}


def why_it_stays(name: str) -> str | None:
    """Why a name is not translated; None if it is translated, or is not in the table `STAYS`."""
    if name in RENAMED:
        return None
    stems = [name, *(name[: match.end()] for match in re.finditer(r"\.", name))]
    return next((STAYS[stem] for stem in stems if stem in STAYS), None)


#: `db.type` -> `db.system.name`, if that is another word. Any other value is used in lower case.
SYSTEMS: Final[Mapping[str, str]] = {
    "postgres": "postgresql",
    "mssql": "microsoft.sql_server",
    "sqlserver": "microsoft.sql_server",
    "oracle": "oracle.db",
    "db2": "ibm.db2",
    "dynamodb": "aws.dynamodb",
    "cosmosdb": "azure.cosmosdb",
    "redshift": "aws.redshift",
    "spanner": "gcp.spanner",
    "h2": "h2database",
    "firebird": "firebirdsql",
    "hanadb": "sap.hana",
    "mongo": "mongodb",
}

#: `component` in lower case -> `db.system.name`, for spans whose `db.type` is only `sql`.
DRIVERS: Final[Mapping[str, str]] = {
    "psycopg2": "postgresql",
    "mysqldb": "mysql",
    "pymysql": "mysql",
    "sqlite3": "sqlite",
}

#: gRPC's status codes by number (gRPC, "Status codes and their use in gRPC").
GRPC_CODES: Final = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
    *("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
