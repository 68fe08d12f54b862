"""Each attribute that a part of a document is made from, by itself; and which of several is taken."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind

from ot_bridge.xray import segment
from ot_bridge.xray.segment import _SQL
from tests.xray.spans import LOCAL, span

SERVER, CLIENT = SpanKind.SERVER, SpanKind.CLIENT
NONE = Resource({})


class Row(NamedTuple):
    """A field, and the attributes that it is made from: the first that is there. taken: whether they leave
    the metadata.
    """

    kind: SpanKind
    field: str
    names: tuple[str, ...]
    others: dict[str, Any] = {}
    form: str = "{}"
    taken: bool = True


GET = {"http.method": "GET"}
SDK = {"rpc.system": "aws-api"}
SQL = {"db.system": "mysql"}
HOSTS = ("server.address", "net.peer.name", "peer.hostname")
ROWS = (
    Row(CLIENT, "aws.operation", ("aws.operation",)),
    Row(CLIENT, "aws.operation", ("aws.operation", "rpc.method"), SDK, taken=False),
    Row(CLIENT, "aws.account_id", ("aws.account_id", "aws.account.id")),
    Row(CLIENT, "aws.region", ("aws.region", "cloud.region")),
    Row(CLIENT, "aws.request_id", ("aws.request_id", "aws.requestId")),
    Row(
        *(CLIENT, "aws.queue_url"),
        ("aws.sqs.queue.url", "aws.queue_url", "aws.queue.url", "messaging.url"),
    ),
    Row(CLIENT, "aws.table_name", ("aws.table_name", "aws.table.name", "aws.dynamodb.table_names")),
    Row(CLIENT, "http.request.method", ("http.request.method", "http.method")),
    Row(CLIENT, "http.request.url", ("url.full", "http.url"), form="http://{}/"),
    Row(CLIENT, "http.request.user_agent", ("user_agent.original", "http.user_agent")),
    Row(SERVER, "http.request.user_agent", ("user_agent.original", "http.user_agent")),
    Row(SERVER, "http.request.client_ip", ("client.address", "http.client_ip"), GET),
    Row(
        *(SERVER, "http.request.client_ip"),
        ("network.peer.address", "net.sock.peer.addr", "net.peer.ip", "peer.ipv4", "peer.ipv6"),
        GET,
    ),
    Row(SERVER, "user", ("enduser.id", "user.id")),
    Row(CLIENT, "sql.database_type", ("db.system.name", "db.system", "db.type"), form="mysql"),
    Row(CLIENT, "sql.user", ("db.user",), SQL),
    Row(CLIENT, "sql.sanitized_query", ("db.query.text", "db.statement"), SQL),
    Row(
        *(CLIENT, "sql.connection_string"),
        ("db.connection_string", *HOSTS, "peer.address"),
        SQL,
    ),
    Row(CLIENT, "name", ("peer.service", "service.peer.name", "aws.service"), taken=False),
    Row(CLIENT, "name", ("db.namespace", "db.name", "db.instance"), taken=False),
    Row(CLIENT, "name", ("http.host", "net.peer.name", "server.address", "peer.hostname"), taken=False),
)


def _documents(row: Row, names: tuple[str, ...]) -> Any:
    given = {name: row.form.format(f"v{number}") for number, name in enumerate(names)}
    return segment(
        span(
            "s",
            row.kind,
            {**row.others, **given},
            parent=LOCAL if row.kind is CLIENT else None,
            resource=NONE,
        )
    )


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document.get(name, {})
    return document


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.field}: {', '.join(row.names)}")
def test_a_field_is_made_from_the_first_of_its_attributes(row: Row) -> None:
    for number in range(len(row.names)):
        left = row.names[number:]
        found = _documents(row, left)
        assert _at(found, row.field) == row.form.format("v0"), left
        alone = _documents(row, left[:1])
        assert _at(alone, row.field) == row.form.format("v0"), left[0]
        if row.taken:
            assert not set(left) & set(_at(found, "metadata.default"))


@pytest.mark.parametrize(
    ("field", "names", "others"),
    [
        ("http.response.status", ("http.response.status_code", "http.status_code"), GET),
        ("http.response.content_length", ("http.response.body.size", "http.response_content_length"), GET),
        ("aws.retries", ("aws.xray.retries", "retry_attempts"), {}),
    ],
)
def test_a_number_is_made_from_the_first_of_its_attributes(
    field: str, names: tuple[str, ...], others: dict[str, Any]
) -> None:
    both = segment(span("s", CLIENT, {**others, names[0]: 201, names[-1]: 202}, resource=NONE))
    assert _at(both, field) == 201
    assert "metadata" not in both
    for name in names:
        assert _at(segment(span("s", CLIENT, {**others, name: "203"}, resource=NONE)), field) == 203


def test_several_tables_are_a_list_of_tables() -> None:
    found = segment(span("s", CLIENT, {"aws.dynamodb.table_names": ("a", "b")}))
    assert found["aws"] == {"table_names": ["a", "b"]}
    named = segment(span("s", CLIENT, {"aws.dynamodb.table_names": ("a", "b"), "aws.table_name": "c"}))
    assert named["aws"] == {"table_name": "c", "table_names": ["a", "b"]}


#: Side -> the attributes of the host and of the port, as they are looked for.
SIDES: dict[SpanKind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    SERVER: (
        ("http.host", "http.server_name", "server.address", "net.host.name"),
        ("server.port", "net.host.port"),
    ),
    CLIENT: (
        ("http.host", *HOSTS, "net.peer.ip", "network.peer.address"),
        ("server.port", "net.peer.port", "peer.port", "network.peer.port"),
    ),
}
#: Those that the URL does not stand for.
CONNECTION = {"net.peer.ip", "network.peer.address"}


@pytest.mark.parametrize("kind", SIDES)
def test_host_and_port_of_a_url_are_the_first_that_are_there(kind: SpanKind) -> None:
    hosts, ports = SIDES[kind]

    def url(**given: dict[str, Any]) -> tuple[str, set[str]]:
        attributes = {**GET, **given["hosts"], **given["ports"]}
        found = segment(span("s", kind, attributes, resource=NONE))
        return found["http"]["request"]["url"], set(_at(found, "metadata.default"))

    for number in range(len(hosts)):
        several = {name: name for name in hosts[number:]}
        address, left = url(hosts=several, ports={})
        assert address == f"http://{hosts[number]}/"
        assert left <= CONNECTION
        assert url(hosts={hosts[number]: "h"}, ports={})[0] == "http://h/"
    for number in range(len(ports)):
        rising = {name: 81 + place for place, name in enumerate(ports[number:])}
        assert url(hosts={hosts[0]: "h"}, ports=rising) == ("http://h:81/", set())


@pytest.mark.parametrize(
    ("scheme", "port", "shown"),
    [("http", 80, ""), ("https", 443, ""), ("http", 443, ":443"), ("https", 80, ":80"), ("http", 0, "")],
)
@pytest.mark.parametrize("name", ["url.scheme", "http.scheme"])
def test_the_usual_port_of_a_scheme_is_not_shown(name: str, scheme: str, port: int, shown: str) -> None:
    attributes = {name: scheme, "server.address": "h", "server.port": port}
    found = segment(span("s", CLIENT, attributes, resource=NONE))
    assert found["http"]["request"]["url"] == f"{scheme}://h{shown}/"


SIGNS = (
    *("http.request.method", "http.method", "http.response.status_code", "http.status_code", "http.url"),
    *("http.target", "http.scheme", "http.host", "http.user_agent", "url.full", "url.path", "url.scheme"),
    "user_agent.original",
)


@pytest.mark.parametrize("sign", SIGNS)
def test_each_attribute_of_http_alone_makes_a_span_one_of_http(sign: str) -> None:
    found = segment(span("s", CLIENT, {sign: 200 if "status" in sign else "/h"}, resource=NONE))
    assert "metadata" not in found
    assert ("http" in found) is ("scheme" not in sign)


IN_URL = ("url.scheme", "http.scheme", "url.path", "url.query", "http.target", "http.host", "server.address")
OF_SIDE = {
    SERVER: ("server.port", "net.host.port", "http.server_name", "net.host.name"),
    CLIENT: (*SIDES[CLIENT][1], "net.peer.name", "peer.hostname"),
}


@pytest.mark.parametrize("kind", OF_SIDE)
def test_what_the_url_contains_is_no_metadata(kind: SpanKind) -> None:
    given = dict.fromkeys((*IN_URL, *OF_SIDE[SERVER], *OF_SIDE[CLIENT], *CONNECTION), "1")
    left = _at(segment(span("s", kind, {**GET, **given}, resource=NONE)), "metadata.default")
    other = OF_SIDE[SERVER if kind is CLIENT else CLIENT]
    peers = set() if kind is SERVER else CONNECTION  # a server's are its caller's
    assert set(left) == (set(other) - set(OF_SIDE[kind])) | peers


SYSTEMS = (
    *("aws.redshift", "cockroachdb", "db2", "derby", "hive", "ibm.db2", "mariadb", "microsoft.sql_server"),
    *("mssql", "mysql", "oracle", "oracle.db", "other_sql", "postgresql", "redshift", "sql", "sqlite"),
    "teradata",
)


def test_the_systems_that_speak_sql_are_those_of_the_conventions() -> None:
    assert sorted(_SQL) == list(SYSTEMS)


EC2, ECS = {"cloud.platform": "aws_ec2"}, {"cloud.platform": "aws_ecs"}
BEANSTALK = {"cloud.platform": "aws_elastic_beanstalk"}
EKS = {"cloud.platform": "aws_eks"}
PLACES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("account_id", "cloud.account.id", {}),
    ("ec2.instance_id", "host.id", EC2),
    ("ec2.availability_zone", "cloud.availability_zone", EC2),
    ("ec2.instance_size", "host.type", EC2),
    ("ec2.ami_id", "host.image.id", EC2),
    ("ecs.container", "container.name", ECS),
    ("ecs.container_id", "container.id", ECS),
    ("ecs.availability_zone", "cloud.availability_zone", ECS),
    ("ecs.container_arn", "aws.ecs.container.arn", ECS),
    ("ecs.cluster_arn", "aws.ecs.cluster.arn", ECS),
    ("ecs.task_arn", "aws.ecs.task.arn", ECS),
    ("ecs.task_family", "aws.ecs.task.family", ECS),
    ("ecs.launch_type", "aws.ecs.launchtype", ECS),
    ("eks.cluster_name", "k8s.cluster.name", {}),
    ("eks.cluster_name", "k8s.cluster.name", EKS),
    ("eks.pod", "k8s.pod.name", EKS),
    ("eks.container_id", "container.id", EKS),
    ("elastic_beanstalk.environment_name", "service.namespace", BEANSTALK),
    ("elastic_beanstalk.version_label", "service.version", BEANSTALK),
    ("xray.sdk", "telemetry.sdk.name", {}),
    ("xray.sdk_version", "telemetry.sdk.version", {}),
)


@pytest.mark.parametrize(("field", "name", "others"), PLACES, ids=str)
def test_a_field_about_the_place_is_made_from_its_attribute_of_the_resource(
    field: str, name: str, others: dict[str, str]
) -> None:
    found = segment(span("s", SERVER, resource=Resource({**others, name: "v" * 300})))["aws"]
    assert found == _nested(field, "v" * 250)
    below = segment(span("s", CLIENT, parent=LOCAL, resource=Resource({**others, name: "v"})))
    assert "aws" not in below


def _nested(path: str, value: object) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    ("resource", "aws"),
    [
        (
            {"telemetry.sdk.name": "otel", "telemetry.sdk.language": "python"},
            {"xray": {"sdk": "otel for python"}},
        ),
        ({"telemetry.sdk.language": "python"}, None),
        ({"telemetry.auto.version": "1"}, {"xray": {"auto_instrumentation": True}}),
        ({"telemetry.distro.name": "x"}, {"xray": {"auto_instrumentation": True}}),
        ({**BEANSTALK, "service.instance.id": "32"}, {"elastic_beanstalk": {"deployment_id": 32}}),
        ({"aws.log.group.names": "a&b"}, {"cloudwatch_logs": [{"log_group": "a"}, {"log_group": "b"}]}),
        (
            {"aws.log.group.arns": "arn:aws:logs:r:1:log-group:a:*", "aws.log.group.names": "b"},
            {"cloudwatch_logs": [{"log_group": "a", "arn": "arn:aws:logs:r:1:log-group:a:*"}]},
        ),
        (
            {"aws.log.group.arns": "arn:aws:logs:r:1:a"},
            {"cloudwatch_logs": [{"log_group": "arn:aws:logs:r:1:a", "arn": "arn:aws:logs:r:1:a"}]},
        ),
    ],
    ids=str,
)
def test_the_place_has_the_sdk_its_log_groups_and_its_deployment(resource: Any, aws: Any) -> None:
    assert segment(span("s", SERVER, resource=Resource(resource))).get("aws") == aws


@pytest.mark.parametrize(
    ("platform", "origin"),
    [
        ("aws_app_runner", "AWS::AppRunner::Service"),
        ("aws_ec2", "AWS::EC2::Instance"),
        ("aws_eks", "AWS::EKS::Container"),
        ("aws_elastic_beanstalk", "AWS::ElasticBeanstalk::Environment"),
    ],
)
def test_each_platform_has_its_origin(platform: str, origin: str) -> None:
    assert segment(span("s", SERVER, resource=Resource({"cloud.platform": platform})))["origin"] == origin
