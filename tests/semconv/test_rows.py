"""Every name and value of the table: without opt-in, with it, with `/dup`, with another group's."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ot_bridge.semconv import SemconvExporter
from tests.semconv.sides import PROVIDERS, attributes, exported, finish, installed

SERVER = {"span.kind": "server"}
CLIENT = {"span.kind": "client"}
GRPC = {"component": "grpc"}
ON_GRPC = {"component": "grpc", "rpc.system.name": "grpc", "rpc.method": "pkg.Svc/M"}


class Row(NamedTuple):
    """tags: what the program sets. new: the names that come. stays: the old names that stay when on."""

    group: str
    tags: dict[str, Any]
    new: dict[str, Any]
    stays: tuple[str, ...] = ()
    logs: tuple[Mapping[str, Any], ...] = ()


def http(tags: dict[str, Any], new: dict[str, Any], *stays: str) -> Row:
    return Row("http", tags, new, stays)


def database(tags: dict[str, Any], new: dict[str, Any], *stays: str) -> Row:
    return Row("database", tags, new, stays)


def rpc(tags: dict[str, Any], new: dict[str, Any], *stays: str, logs: Any = ()) -> Row:
    return Row("rpc", GRPC | tags, ON_GRPC | new, ("component", *stays), logs)


def method(value: Any, *stays: str, **new: Any) -> Row:
    return http(
        {"http.method": value}, {f"http.request.{key}": renamed for key, renamed in new.items()}, *stays
    )


def url(value: Any, new: dict[str, Any], kind: dict[str, Any], *stays: str) -> Row:
    return http(kind | {"http.url": value}, new, *stays)


def system(value: Any, system_name: Any, *stays: str, **others: str) -> Row:
    more = {name.replace("__", "."): other for name, other in others.items()}
    return database(
        {"db.type": value} | more, {"db.system.name": system_name} if system_name else {}, *stays, *more
    )


def failed(kind: str) -> tuple[dict[str, Any], ...]:
    return ({"event": "error", "error.kind": kind, "message": "gone"},)


HOST = {"server.address": "shop.example", "server.port": 8080}
FULL = HOST | {"url.full": "http://shop.example:8080/a?b=1"}
PARTS = HOST | {"url.scheme": "http", "url.path": "/a", "url.query": "b=1"}
URL = "http://shop.example:8080/a?b=1"
PEER = {"network.peer.address": "192.0.2.7", "network.peer.port": 41946}
MYSQL = "mysql+pymysql://root:***@db.example:3306/shop"

ROWS = {
    "a known method": method("GET", method="GET"),
    "QUERY": method("QUERY", method="QUERY"),
    "a method in lower case": method("get", method="GET", method_original="get"),
    "an unknown method": method("BREW", method="_OTHER", method_original="BREW"),
    "an empty method": method("", "http.method"),
    "a method that is no text": method(7, "http.method"),
    "a status": http({"http.status_code": 200}, {"http.response.status_code": 200}),
    "the lowest status": http({"http.status_code": 100}, {"http.response.status_code": 100}),
    "the highest status": http(
        SERVER | {"http.status_code": 599}, {"http.response.status_code": 599, "error.type": "599"}
    ),
    "a status as text": http({"http.status_code": "200"}, {"http.response.status_code": 200}),
    "a status as a float": http({"http.status_code": 200.0}, {"http.response.status_code": 200}),
    "a status that is none": http({"http.status_code": 99}, {}, "http.status_code"),
    "a status of 600": http({"http.status_code": 600}, {}, "http.status_code"),
    "a status with a reason": http({"http.status_code": "200 OK"}, {}, "http.status_code"),
    "a status that is a truth value": http({"http.status_code": True}, {}, "http.status_code"),
    "a client's URL": url(URL, FULL, CLIENT),
    "a URL without a kind": url(URL, FULL, {}),
    "a producer's URL": url(URL, FULL, {"span.kind": "producer"}),
    "a client's URL without a port": url(
        "https://h/a", {"url.full": "https://h/a", "server.address": "h", "server.port": 443}, CLIENT
    ),
    "a URL with user and password": url(
        "http://me:secret@h/",
        {"url.full": "http://REDACTED:REDACTED@h/", "server.address": "h", "server.port": 80},
        CLIENT,
    ),
    "a URL with a user": url(
        "https://me@h/a",
        {"url.full": "https://REDACTED:REDACTED@h/a", "server.address": "h", "server.port": 443},
        CLIENT,
    ),
    "a URL of an IPv6 host": url(
        "http://[::1]:81/",
        {"url.full": "http://[::1]:81/", "server.address": "::1", "server.port": 81},
        CLIENT,
    ),
    "a client's path": url("/a?b=1", {}, CLIENT, "http.url"),
    "a client's URL that cannot be read": url("http://[::1/", {}, CLIENT, "http.url"),
    "a client's URL with a port that is none": url("http://h:99999/", {}, CLIENT, "http.url"),
    "a URL that is no text": url(5, {}, CLIENT, "http.url"),
    "a server's URL": url(URL, PARTS, SERVER),
    "a consumer's URL": url(URL, PARTS, {"span.kind": "consumer"}),
    "a server's URL without a path": url(
        "https://h", {"url.scheme": "https", "url.path": "/", "server.address": "h"}, SERVER
    ),
    "a server's path": url("/a?b=1", {"url.path": "/a", "url.query": "b=1"}, SERVER),
    "a server's IPv6 host": url(
        "http://[::1]:81/",
        {"url.scheme": "http", "url.path": "/", "server.address": "::1", "server.port": 81},
        SERVER,
    ),
    "a server's word": url("users", {}, SERVER, "http.url"),
    "a server's URL with a fragment": url(
        "/a#b", {"url.path": "/a"}, SERVER, "http.url"
    ),
    "MySQL": system("MySQL", "mysql"),
    "postgres": system("postgres", "postgresql"),
    "mssql": system("mssql", "microsoft.sql_server"),
    "sqlserver": system("sqlserver", "microsoft.sql_server"),
    "oracle": system("oracle", "oracle.db"),
    "db2": system("db2", "ibm.db2"),
    "dynamodb": system("dynamodb", "aws.dynamodb"),
    "cosmosdb": system("cosmosdb", "azure.cosmosdb"),
    "redshift": system("redshift", "aws.redshift"),
    "spanner": system("spanner", "gcp.spanner"),
    "h2": system("h2", "h2database"),
    "firebird": system("firebird", "firebirdsql"),
    "hanadb": system("hanadb", "sap.hana"),
    "mongo": system("mongo", "mongodb"),
    "redis": system("redis", "redis"),
    "a system that is no text": system(7, None, "db.type"),
    "sql": system("sql", "other_sql"),
    "sql by SQLAlchemy's dialect": system(
        "sql", "postgresql", component="MySQLdb", sqlalchemy__dialect="postgresql"
    ),
    "sql by psycopg2": system("sql", "postgresql", component="psycopg2"),
    "sql by MySQLdb": system("sql", "mysql", component="MySQLdb"),
    "sql by pymysql": system("sql", "mysql", component="PyMySQL"),
    "sql by sqlite3": system("sql", "sqlite", component="sqlite3"),
    "sql by another component": system("sql", "other_sql", component="shop"),
    "sql by the scheme of its URL": database(
        {"db.type": "sql", "db.instance": MYSQL},
        {"db.system.name": "mysql", "db.namespace": "shop"}
        | {"server.address": "db.example", "server.port": 3306},
    ),
    "a database's name": database({"db.instance": "shop"}, {"db.namespace": "shop"}),
    "a database's URL": database(
        {"db.instance": "postgresql://me:secret@db.example/shop"},
        {"db.namespace": "shop", "server.address": "db.example"},
    ),
    "a file's URL": database({"db.instance": "sqlite:////tmp/shop.db"}, {"db.namespace": "shop.db"}),
    "a database in memory": database({"db.instance": "sqlite://"}, {}, "db.instance"),
    "a statement": database({"db.statement": "SELECT 1"}, {"db.query.text": "SELECT 1"}),
    "the host of a client": http(
        {"http.method": "GET", "peer.hostname": "h", "peer.port": "81"},
        {"http.request.method": "GET", "server.address": "h", "server.port": 81},
    ),
    "the host below the URL's": http(
        {"http.url": "http://h/", "peer.hostname": "other", "peer.port": 80},
        {"url.full": "http://h/", "server.address": "h", "server.port": 80},
        "peer.hostname",
    ),
    "the host of a server": http(
        SERVER | {"http.method": "GET", "peer.hostname": "h"}, {"http.request.method": "GET"}, "peer.hostname"
    ),
    "the address of a client": database(
        CLIENT | {"db.type": "redis", "peer.ipv4": "192.0.2.7", "peer.port": "41946"},
        {"db.system.name": "redis", "server.address": "192.0.2.7"} | PEER,
    ),
    "the address below the host": database(
        {"db.type": "redis", "peer.ipv4": "192.0.2.7", "peer.hostname": "h"},
        {"db.system.name": "redis", "server.address": "h", "network.peer.address": "192.0.2.7"},
    ),
    "the address of a caller": http(
        SERVER | {"http.method": "GET", "peer.ipv6": "::1"},
        {"http.request.method": "GET", "network.peer.address": "::1", "client.address": "::1"},
    ),
    "the address of a caller behind a proxy": http(
        SERVER
        | {"http.method": "GET", "peer.ipv4": "192.0.2.7"}
        | {"network.peer.address": "10.0.0.1", "client.address": "192.0.2.7"},
        {"http.request.method": "GET", "network.peer.address": "10.0.0.1", "client.address": "192.0.2.7"},
    ),
    "two addresses": http(
        SERVER | {"http.method": "GET", "peer.ipv4": "192.0.2.7", "peer.ipv6": "::1"},
        {"http.request.method": "GET", "network.peer.address": "192.0.2.7", "client.address": "192.0.2.7"},
        "peer.ipv6",
    ),
    "a port that is none": http(
        {"http.method": "GET", "peer.hostname": "h", "peer.port": "http"},
        {"http.request.method": "GET", "server.address": "h"},
        "peer.port",
    ),
    "a port alone, of a server": http(
        SERVER | {"http.method": "GET", "peer.port": 81}, {"http.request.method": "GET"}, "peer.port"
    ),
    "host and port of a database": database(
        {"db.type": "redis", "peer.address": "h:6379"},
        {"db.system.name": "redis", "server.address": "h", "server.port": 6379},
    ),
    "a JDBC URL": database(
        {"db.type": "h2", "peer.address": "jdbc:h2:mem:x"}, {"db.system.name": "h2database"}, "peer.address"
    ),
    "the host and port of another group": http(
        {"http.method": "GET", "peer.address": "h:81"}, {"http.request.method": "GET"}, "peer.address"
    ),
    "a gRPC server": rpc(SERVER | {"peer.ipv4": "192.0.2.7", "peer.port": "41946"}, PEER),
    "a gRPC client": rpc(
        CLIENT | {"peer.ipv4": "192.0.2.7", "peer.port": 41946}, PEER | {"server.address": "192.0.2.7"}
    ),
    "gRPC's OK": rpc(CLIENT | {"rpc.grpc.status_code": 0}, {"rpc.status_code": "OK"}),
    "gRPC's last code": rpc(
        SERVER | {"rpc.grpc.status_code": 16},
        {"rpc.status_code": "UNAUTHENTICATED", "error.type": "UNAUTHENTICATED"},
    ),
    "a gRPC code that is none": rpc(
        CLIENT | {"rpc.grpc.status_code": 17}, {}, "rpc.grpc.status_code"
    ),
    "gRPC's code in the log of an error": rpc(
        SERVER,
        {"rpc.status_code": "NOT_FOUND", "error.type": "NOT_FOUND"},
        logs=failed("StatusCode.NOT_FOUND"),
    ),
    "a gRPC code's name as an exception's type": rpc(
        SERVER | {"error": True}, {"error.type": "NOT_FOUND"}, logs=failed("NOT_FOUND")
    ),
    "a status code that gRPC does not have": rpc(
        SERVER | {"error": True}, {"error.type": "StatusCode.NOPE"}, logs=failed("StatusCode.NOPE")
    ),
    "an error without more": http(
        {"http.method": "GET", "error": True}, {"http.request.method": "GET", "error.type": "_OTHER"}
    ),
    "an error with an exception": Row(
        "database",
        {"db.type": "redis", "error": True},
        {"db.system.name": "redis", "error.type": "KeyError"},
        logs=({"event": "error", "error.kind": "KeyError", "message": "x"},),
    ),
    "an error with two exceptions": Row(
        "database",
        {"db.type": "redis", "error": True},
        {"db.system.name": "redis", "error.type": "OSError"},
        logs=({"event": "error", "error.kind": "KeyError"}, {"event": "error", "error.kind": "OSError"}),
    ),
    "a code before an exception": Row(
        "http",
        CLIENT | {"http.status_code": 500, "error": True},
        {"http.response.status_code": 500, "error.type": "500"},
        logs=({"event": "error", "error.kind": "KeyError"},),
    ),
    "a server's 499": http(SERVER | {"http.status_code": 499}, {"http.response.status_code": 499}),
    "a consumer's 404": http(
        {"span.kind": "consumer", "http.status_code": 404}, {"http.response.status_code": 404}
    ),
    "a client's 399": http(CLIENT | {"http.status_code": 399}, {"http.response.status_code": 399}),
    "a client's 400": http(
        CLIENT | {"http.status_code": 400}, {"http.response.status_code": 400, "error.type": "400"}
    ),
    "a server's 500": http(
        SERVER | {"http.status_code": 500}, {"http.response.status_code": 500, "error.type": "500"}
    ),
    "a server's 404": http(SERVER | {"http.status_code": 404}, {"http.response.status_code": 404}),
    "a client's 404": http(
        CLIENT | {"http.status_code": 404}, {"http.response.status_code": 404, "error.type": "404"}
    ),
    "a 500 that the program calls good": http(
        CLIENT | {"http.status_code": 500, "error": False}, {"http.response.status_code": 500}
    ),
}  # fmt: skip
OTHERS = {"http": "database,rpc", "database": "http,rpc", "rpc": "http,database"}
ALONE = {"http": "http", "database": "database", "rpc": "rpc"}


@functools.cache
def _exported(semconv: str, provider: str) -> Mapping[str, ReadableSpan]:
    """The span of each row, by the row's name. One installation makes them all, one after the other."""
    with installed(semconv, provider) as (tracer, exporter):
        for row in ROWS.values():
            finish(tracer, row.tags, logs=row.logs)
        assert tracer.flush()
        return dict(zip(ROWS, exporter.get_finished_spans(), strict=True))


def _attributes(semconv: str, name: str, provider: str) -> dict[str, Any]:
    return dict(_exported(semconv, provider)[name].attributes or {})


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", ROWS)
def test_an_old_name_is_exported_as_its_new_name(name: str, provider: str) -> None:
    row, off = ROWS[name], _attributes("", name, provider)
    assert {key: value for key, value in off.items() if key not in row.tags} == {}
    on = _attributes(ALONE[row.group], name, provider)
    assert on == row.new | {key: off[key] for key in row.stays if key in off}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", ROWS)
def test_the_dup_mode_exports_both_old_and_new_names(name: str, provider: str) -> None:
    row, off = ROWS[name], _attributes("", name, provider)
    assert _attributes(f"{row.group}/dup", name, provider) == off | row.new


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", ROWS)
def test_another_groups_opt_in_changes_nothing(name: str, provider: str) -> None:
    assert _attributes(OTHERS[ROWS[name].group], name, provider) == _attributes("", name, provider)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dup", ["", "/dup"], ids=["on", "dup"])
@pytest.mark.parametrize("name", ROWS)
def test_a_translated_span_is_not_translated_again(name: str, dup: str, provider: str) -> None:
    semconv = f"{ROWS[name].group}{dup}"
    once = _exported(semconv, provider)[name]
    before = dict(once.attributes or {})
    again = InMemorySpanExporter()
    SemconvExporter(again, semconv).export([once])
    (twice,) = again.get_finished_spans()
    assert twice.attributes == before
    assert once.attributes == before


KNOWN = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"]


@pytest.mark.parametrize("method", KNOWN)
def test_each_known_http_method_is_kept(method: str) -> None:
    assert attributes("http", {"http.method": method}) == {"http.request.method": method}


METHODS = {
    "/pkg.Svc/M": "pkg.Svc/M",
    "pkg.Svc/M": "pkg.Svc/M",
    "work": None,
    "/a/b/c": None,
    "/pkg.Svc/": None,
}


@pytest.mark.parametrize(("name", "method"), METHODS.items(), ids=METHODS)
def test_the_grpc_method_is_taken_from_the_span_name(name: str, method: str | None) -> None:
    span = exported("rpc", GRPC | CLIENT, name=name)
    assert span.name == name
    assert (span.attributes or {}).get("rpc.method") == method


@pytest.mark.parametrize("code", grpc.StatusCode, ids=lambda code: code.name)
def test_a_grpc_status_code_is_written_as_its_name(code: grpc.StatusCode) -> None:
    renamed = attributes("rpc", GRPC | CLIENT | {"rpc.grpc.status_code": code.value[0]})
    assert renamed["rpc.status_code"] == code.name


@pytest.mark.parametrize("component", ["psycopg2", "MySQLdb", "PyMySQL", "sqlite3"])
def test_the_driver_determines_the_name_of_the_sql_database(component: str) -> None:
    named = {"psycopg2": "postgresql", "MySQLdb": "mysql", "PyMySQL": "mysql", "sqlite3": "sqlite"}
    renamed = attributes("database", {"db.type": "sql", "component": component})
    assert renamed["db.system.name"] == named[component]
