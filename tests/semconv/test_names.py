"""The table of names against what is exported; hosts, ports and URLs at their limits."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from ot_bridge.semconv import SemconvExporter
from ot_bridge.semconv.addresses import host_and_port, number, split
from ot_bridge.semconv.names import RENAMED, SECRETS, why_it_stays
from tests.semconv.sides import attributes

#: Old name -> a value that becomes each of its new names, and what has to be beside it.
VALUES: dict[str, tuple[Any, dict[str, Any]]] = {
    "http.method": ("brew", {}),
    "http.status_code": (200, {}),
    "http.url": ("http://h:81/a?b=1", {}),
    "db.type": ("redis", {}),
    "db.instance": ("mysql://h:81/shop", {}),
    "db.statement": ("GET", {}),
    "peer.hostname": ("h", {}),
    "peer.address": ("h:81", {}),
    "peer.ipv4": ("192.0.2.7", {}),
    "peer.ipv6": ("::1", {}),
    "peer.port": (81, {"peer.ipv4": "192.0.2.7", "peer.hostname": "h"}),
    "rpc.grpc.status_code": (0, {}),
}
#: What makes a span one of the group, and what becomes of that.
GROUPS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "http": ({"http.method": "GET"}, {"http.request.method"}),
    "database": ({"db.statement": "x"}, {"db.query.text"}),
    "rpc": ({"component": "grpc"}, {"component", "rpc.system.name", "rpc.method"}),
}
#: What a server's span keeps under its old name.
CLIENTS_ONLY = {"peer.hostname", "peer.address"}


def test_each_name_of_the_table_is_tried_here() -> None:
    assert VALUES.keys() == RENAMED.keys()


@pytest.mark.parametrize("kind", ["client", "server"])
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("name", VALUES)
def test_a_name_becomes_the_names_in_the_table_in_spans_of_its_groups(
    name: str, group: str, kind: str
) -> None:
    value, beside = VALUES[name]
    signs, usual = GROUPS[group]
    row = RENAMED[name]
    found = attributes(group, {**signs, **beside, name: value, "span.kind": kind})
    due = set(row.server or row.new) if kind == "server" else set(row.new)
    if group not in row.groups or (kind == "server" and name in CLIENTS_ONLY):
        assert name in found or name in signs
    elif kind == "server" and "client.address" in due and group != "http":
        assert set(found) - usual == {"network.peer.address"}
    else:
        assert due <= set(found)
        assert name not in found
        others = set().union(*(set(RENAMED[each].new + RENAMED[each].server) for each in beside))
        assert set(found) <= due | usual | others | beside.keys()


@pytest.mark.parametrize("name", RENAMED)
def test_the_first_new_name_is_there_for_every_value(name: str) -> None:
    value, beside = VALUES[name]
    group = RENAMED[name].groups[0]
    found = attributes(group, {**GROUPS[group][0], **beside, name: value, "span.kind": "client"})
    assert RENAMED[name].new[0] in found


def test_the_names_with_secrets_are_these() -> None:
    assert SECRETS == {
        "http.url": "user and password in front of the host, and the query",
        "db.instance": "user and password where it is a URL",
        "db.statement": "values that a library puts into the statement",
        "redis.key": "keys that name people",
        "sql.params": "the statement's values",
        "command": "the command with its values",
        "error.object": "a traceback, with what the exception's message holds",
    }


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        *(("net.peer.name", True), ("net", False), ("sql", True), ("sql.params", True), ("sqlx", False)),
        *(("http.request.header.accept", True), ("http.requests", False), ("component", True)),
        *(("component.x", False), ("db.user", True), ("http.method", False)),
    ],
)
def test_a_name_that_ends_in_a_point_stands_for_all_that_begin_so(name: str, stays: bool) -> None:
    assert (why_it_stays(name) is not None) is stays


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("ws://h/", ("ws", "h", None, 80)),
        ("wss://h/", ("wss", "h", None, 443)),
        ("HTTPS://H/", ("https", "H", None, 443)),
        ("http://h", ("http", "h", None, 80)),
        ("http://Zone-Z:8/", ("http", "Zone-Z", 8, 8)),
        ("ftp://h/", ("ftp", "h", None, None)),
        ("http://h:1/", ("http", "h", 1, 1)),
        ("http://h:65535", ("http", "h", 65535, 65535)),
        ("http://h:/", ("http", "h", None, 80)),
        ("http://[fe80::1%25eth0]:81", ("http", "fe80::1%25eth0", 81, 81)),
        ("sqlite:///file", ("sqlite", "", None, None)),
        ("a" * 31 + "://h", ("a" * 31, "h", None, None)),
        *(
            (url, None)
            for url in ("http://h:0/", "http://h:65536", "http://h:123456/", "://h", "/a", "1a://h")
        ),
        *((url, None) for url in ("http://h h/", "http://[::1", "http://a\\b/", "a" * 32 + "://h", "h:80")),
    ],
    ids=str,
)
def test_the_origin_of_a_url_is_read_at_its_limits(url: str, origin: tuple[Any, ...] | None) -> None:
    for _ in range(2):  # the second time from what is kept
        found, rest = split(url)
        if origin is None:
            assert (found, rest) == (None, url) if "://" not in url[1:] else found is None
        else:
            assert found is not None
            assert (found.scheme, found.host, found.explicit_port, found.port) == origin


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        *(("http://h/a/b?c#d", "/a/b?c#d"), ("http://h?a/b", "?a/b"), ("http://h#a?b/c", "#a?b/c")),
        *(("http://h", ""), ("https://u:p@h:81/a", "/a"), ("http://h?a#b", "?a#b")),
    ],
)
def test_the_rest_of_a_url_begins_behind_its_origin(url: str, rest: str) -> None:
    assert [split(url)[1], split(url)[1]] == [rest, rest]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *(
            ("h:1", ("h", 1)),
            ("ZZ:1", ("ZZ", 1)),
            ("h:65535", ("h", 65535)),
            ("[::1]:81", ("::1", 81)),
            ("h:0", None),
        ),
        *(("h:65536", None), ("h:", None), ("h", None), ("a,b:1", None), ("a b:1", None), ("::1:81", None)),
    ],
)
def test_host_and_port_are_read_at_their_limits(text: str, found: tuple[str, int] | None) -> None:
    assert host_and_port(text) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        *((100, 100), (599, 599), (99, None), (600, None), ("100", 100), ("599", 599), ("00100", 100)),
        *(("000100", None), ("99", None), ("1e2", None), ("٢٠٠", None), ("", None), (" 200", None)),
        *(
            (100.0, 100),
            (599.0, 599),
            (599.5, None),
            (99.9, None),
            (float("nan"), None),
            (float("inf"), None),
        ),
        *((True, None), (None, None), (b"200", None)),
    ],
    ids=repr,
)
def test_a_whole_number_is_read_from_its_forms(value: Any, found: int | None) -> None:
    read = number(value, 100, 599)
    assert read == found
    assert type(read) in (int, type(None))


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        ({"db.instance": "mysql://h:81/shop"}, set()),
        ({"db.instance": "mysql://h:81/shop", "server.address": "other"}, {"db.instance"}),
        ({"db.instance": "mysql://h:81/shop", "server.port": 82}, {"db.instance"}),
        ({"db.instance": "mysql://h:81/shop", "db.namespace": "other"}, {"db.instance"}),
        ({"db.statement": "a", "db.query.text": "b"}, {"db.statement"}),
        ({"db.type": "redis", "peer.address": "h:81", "server.address": "other"}, {"peer.address"}),
        ({"db.type": "redis", "peer.address": "h:81", "server.port": 82}, {"peer.address"}),
        ({"db.type": "redis", "db.system.name": "other"}, {"db.type"}),
        *(
            ({"db.type": "redis", name: "h", "network.peer.address": other}, kept)
            for name in ("peer.ipv4", "peer.ipv6")
            for other, kept in (("h", set()), ("other", {name}))
        ),
        ({"db.type": "redis", "peer.ipv4": "h", "peer.port": 81}, set()),
        ({"db.type": "redis", "peer.ipv4": "h", "peer.port": 81, "network.peer.port": 82}, {"peer.port"}),
        ({"db.type": "redis", "peer.hostname": "h", "server.address": "h"}, set()),
        ({"db.type": "redis", "peer.hostname": "h", "server.address": "other"}, {"peer.hostname"}),
    ],
    ids=str,
)
def test_an_old_name_stays_if_one_of_its_new_names_has_another_value(
    tags: dict[str, Any], kept: set[str]
) -> None:
    found = attributes("database", tags)
    assert {name for name in tags if name in found and name in RENAMED} == kept
    assert {name: found[name] for name in tags if name not in RENAMED} == {
        name: value for name, value in tags.items() if name not in RENAMED
    }


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        ({"http.url": "http://h:81/a?b"}, set()),
        ({"http.url": "http://h:81/a?b", "url.query": "other"}, {"http.url"}),
        ({"http.url": "http://h:81/a?b", "url.path": "/other"}, {"http.url"}),
        ({"http.url": "http://h:81/a?b", "server.port": 82}, {"http.url"}),
        ({"http.url": "http://h:81/a?b", "url.scheme": "https"}, {"http.url"}),
        ({"http.url": "http://h:81/a?"}, set()),
        ({"http.method": "brew", "http.request.method_original": "other"}, {"http.method"}),
        ({"http.method": "GET", "http.request.method": "POST"}, {"http.method"}),
        ({"http.status_code": 200, "http.response.status_code": 201}, {"http.status_code"}),
        ({"http.method": "GET", "peer.ipv4": "h"}, set()),
        ({"http.method": "GET", "peer.ipv4": "h", "client.address": "other"}, set()),
        ({"http.method": "GET", "peer.ipv4": "h", "network.peer.address": "h"}, set()),
        ({"http.method": "GET", "peer.ipv4": "h", "network.peer.address": "other"}, {"peer.ipv4"}),
    ],
    ids=str,
)
def test_an_old_name_of_a_servers_request_stays_if_a_new_one_has_another_value(
    tags: dict[str, Any], kept: set[str]
) -> None:
    found = attributes("http", {**tags, "span.kind": "server"})
    assert {name for name in tags if name in found and name in RENAMED} == kept


@pytest.mark.parametrize(
    ("port", "read"), [(0, None), (1, 1), ("65535", 65535), (65536, None), (-1, None), ("x", None)]
)
def test_a_port_is_a_number_from_1_to_65535(port: Any, read: int | None) -> None:
    tags = {"http.method": "GET", "peer.hostname": "h", "peer.port": port}
    found = attributes("http", tags)
    assert (found.get("server.port"), found.get("peer.port")) == (read, port if read is None else None)
    served = attributes("http", {**tags, "peer.ipv4": "192.0.2.7", "span.kind": "server"})
    assert (served.get("network.peer.port"), served.get("peer.port")) == (
        read,
        port if read is None else None,
    )


def test_a_copy_has_what_the_original_has_besides() -> None:
    span = ReadableSpan("a", attributes={"http.method": "GET"}, context=SpanContext(1, 2, False))
    span.note = "kept"  # type: ignore[attr-defined]
    exporter = InMemorySpanExporter()
    SemconvExporter(exporter, "http").export([span])
    (copy,) = exporter.get_finished_spans()
    assert copy is not span
    assert copy.note == "kept"  # type: ignore[attr-defined]
    assert not hasattr(copy, "none")
