from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext, SpanKind

from ot_bridge.xray import segment
from ot_bridge.xray.segment import trace_id
from tests.xray.spans import LOCAL, REMOTE, span

SERVER, CLIENT, PRODUCER = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER


def test_a_trace_id_keeps_its_digits_and_is_never_too_old() -> None:
    context = SpanContext(0x00000001_00000000_00000000_0000000A, 1, is_remote=False)
    assert trace_id(context) == "1-00000001-00000000000000000000000a"


@pytest.mark.parametrize(
    ("kind", "parent", "type_"),
    [
        (SERVER, None, None),
        (SERVER, REMOTE, None),
        (SERVER, LOCAL, None),
        (SpanKind.INTERNAL, None, None),
        (SpanKind.CONSUMER, REMOTE, None),
        (SpanKind.INTERNAL, LOCAL, "subsegment"),
        (CLIENT, LOCAL, "subsegment"),
        (PRODUCER, LOCAL, "subsegment"),
    ],
)
def test_a_span_is_a_segment_if_it_serves_or_has_no_local_parent(
    kind: SpanKind, parent: Any, type_: Any
) -> None:
    found = segment(span(kind=kind, parent=parent))
    assert found.get("type") == type_
    assert found.get("parent_id") == (parent and f"{parent.span_id:016x}")


@pytest.mark.parametrize(
    ("kind", "attributes", "wanted"),
    [
        (SERVER, {"aws.local.service": "mine", "peer.service": "peer"}, "mine"),
        (SpanKind.INTERNAL, {"aws.local.service": "mine"}, "mine"),
        (CLIENT, {"aws.remote.service": "AWS.SDK.S3", "peer.service": "peer"}, "S3"),
        (CLIENT, {"aws.remote.service": "AWS::SQS"}, "SQS"),
        (CLIENT, {"aws.local.service": "mine", "peer.service": "peer"}, "peer"),
        (SERVER, {"peer.service": "peer"}, "peer"),
        (CLIENT, {"service.peer.name": "peer", "db.name": "db"}, "peer"),
        (CLIENT, {"aws.service": "S3", "db.name": "db"}, "S3"),
        (
            CLIENT,
            {"db.name": "db", "db.connection_string": "jdbc:mysql://db.example.com:3306"},
            "db@db.example.com",
        ),
        (CLIENT, {"db.name": "db", "db.connection_string": "Server=db;Port=1"}, "db"),
        (CLIENT, {"db.name": "db", "db.connection_string": "http://[broken"}, "db"),
        (CLIENT, {"db.namespace": "db", "net.peer.name": "host"}, "db@host"),
        (CLIENT, {"db.instance": "db", "peer.address": "mysql://127.0.0.1:3306"}, "db@127.0.0.1"),
        (SERVER, {"rpc.service": "pkg.Service"}, "shop"),
        (CLIENT, {"rpc.service": "pkg.Service", "http.host": "host"}, "pkg.Service"),
        (CLIENT, {"rpc.system": "grpc", "rpc.method": "pkg.Service/Get"}, "pkg.Service"),
        (CLIENT, {"rpc.system.name": "x", "rpc.method": "Get", "server.address": "host"}, "host"),
        (CLIENT, {"http.host": "host", "net.peer.name": "other"}, "host"),
        (CLIENT, {"net.peer.name": "host"}, "host"),
        (CLIENT, {"peer.hostname": "host"}, "host"),
        (CLIENT, {"peer.service": ""}, "operation"),
        (CLIENT, {"peer.service": "<>"}, "operation"),
        (CLIENT, {"peer.service": "Größe & 漢字 <b>\t\\x"}, "Größe & 漢字 bx"),
        (CLIENT, {"peer.service": "a" * 300}, "a" * 200),
        (SpanKind.INTERNAL, {}, "operation"),
    ],
    ids=str,
)
def test_the_name_is_that_of_the_service(kind: SpanKind, attributes: Any, wanted: str) -> None:
    assert segment(span("operation", kind, attributes))["name"] == wanted


def test_without_a_service_name_a_segment_has_the_name_of_its_span_or_span() -> None:
    nameless = Resource({})
    assert segment(span("GET /", SERVER, {"server.address": "me"}, resource=nameless))["name"] == "GET /"
    assert segment(span("<>", SERVER, resource=nameless))["name"] == "span"
    assert segment(span("", SERVER, resource=nameless))["name"] == "span"


@pytest.mark.parametrize(
    ("kind", "attributes", "wanted"),
    [
        (CLIENT, {}, "remote"),
        (CLIENT, {"rpc.system": "aws-api"}, "aws"),
        (CLIENT, {"rpc.system.name": "aws-api"}, "aws"),
        (PRODUCER, {"aws.service": "SQS"}, "aws"),
        (PRODUCER, {}, None),
        (SERVER, {}, None),
    ],
)
def test_the_namespace_is_aws_or_remote(kind: SpanKind, attributes: Any, wanted: str) -> None:
    assert segment(span("s", kind, attributes, parent=LOCAL)).get("namespace") == wanted


@pytest.mark.parametrize("system", ["postgresql", "mysql", "sqlite", "microsoft.sql_server", "sql", "MySQL"])
def test_spans_of_sql_databases_have_an_sql_part(system: str) -> None:
    found = segment(span("query", CLIENT, {"db.system": system, "db.user": "me"}, parent=LOCAL))
    assert found["sql"] == {
        "url": "query",
        "connection_string": "localhost",
        "database_type": system,
        "user": "me",
    }


@pytest.mark.parametrize("system", ["redis", "mongodb", ""])
def test_attributes_of_other_databases_are_metadata(system: str) -> None:
    found = segment(span("query", CLIENT, {"db.system": system, "db.user": "me"}, parent=LOCAL))
    assert "sql" not in found
    assert found["metadata"]["default"]["db.user"] == "me"


def test_a_connection_string_loses_its_password() -> None:
    attributes = {
        "db.system": "mysql",
        "db.connection_string": "mysql://me:secret@db:3306",
        "db.name": "shop",
    }
    assert segment(span("q", CLIENT, attributes))["sql"]["connection_string"] == "mysql://db:3306/shop"


@pytest.mark.parametrize(
    ("resource", "given_version", "wanted"),
    [
        ({"service.version": "1", "container.image.tag": "2"}, None, "1"),
        ({"service.version": "1"}, "9", "9"),
        ({"container.image.tag": "2"}, None, "2"),
        ({"container.image.tags": ("3", "4")}, None, "3"),
        ({"container.image.tags": ()}, None, None),
        ({}, None, None),
    ],
)
def test_the_version_is_that_of_the_service_or_of_its_image(
    resource: Any, given_version: Any, wanted: Any
) -> None:
    found = segment(span("s", SERVER, resource=Resource(resource)), service_version=given_version)
    assert found.get("service") == (wanted and {"version": wanted})


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        ({"cloud.platform": "aws_ec2"}, "AWS::EC2::Instance"),
        ({"cloud.platform": "aws_ecs"}, "AWS::ECS::Container"),
        ({"cloud.platform": "aws_ecs", "aws.ecs.launchtype": "ec2"}, "AWS::ECS::EC2"),
        ({"cloud.platform": "aws_ecs", "aws.ecs.launchtype": "fargate"}, "AWS::ECS::Fargate"),
        ({"cloud.platform": "aws_app_runner"}, "AWS::AppRunner::Service"),
        ({"cloud.platform": "aws_lambda"}, None),
        ({"cloud.provider": "gcp", "cloud.platform": "aws_ec2"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_origin_is_what_the_program_runs_on(resource: Any, wanted: str | None) -> None:
    assert segment(span("s", SERVER, resource=Resource(resource))).get("origin") == wanted


def test_a_host_id_is_an_ec2_instance_only_if_the_cloud_provider_is_aws() -> None:
    assert "aws" not in segment(span("s", SERVER, resource=Resource({"host.id": "laptop"})))
    there = segment(span("s", SERVER, resource=Resource({"host.id": "i-1", "cloud.provider": "aws"})))
    assert there["aws"] == {"ec2": {"instance_id": "i-1"}}
