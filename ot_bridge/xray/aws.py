"""The parts of a segment document that are about AWS: `aws`, `origin`, and calls of an AWS SDK.

The attributes have the present and the former names of the semantic conventions for AWS SDKs and cloud
resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ot_bridge.xray.attributes import Attributes, filled, first, number, text, texts

_ECS_ORIGINS = {"ec2": "AWS::ECS::EC2", "fargate": "AWS::ECS::Fargate"}
_ORIGINS = {
    "aws_app_runner": "AWS::AppRunner::Service",
    "aws_ec2": "AWS::EC2::Instance",
    "aws_eks": "AWS::EKS::Container",
    "aws_elastic_beanstalk": "AWS::ElasticBeanstalk::Environment",
}
_QUEUES = ("aws.sqs.queue.url", "aws.queue_url", "aws.queue.url", "messaging.url")

Resource = Mapping[str, Any]


def is_sdk_call(attributes: Mapping[str, Any]) -> bool:
    """Whether a span is a call of an AWS SDK."""
    return first(attributes, "rpc.system", "rpc.system.name") == "aws-api" or "aws.service" in attributes


def call(attributes: Attributes) -> dict[str, Any]:
    """The operation, and the AWS resource that it was called on. Takes the attributes that it contains."""
    tables = texts(attributes.take("aws.dynamodb.table_names"))
    table = attributes.take("aws.table_name", "aws.table.name")
    operation = attributes.take("aws.operation")
    if is_sdk_call(attributes.rest):
        operation = operation or attributes.take("rpc.method")
    return filled(
        operation=text(operation),
        account_id=text(attributes.take("aws.account_id", "aws.account.id")),
        region=text(attributes.take("aws.region", "cloud.region")),
        request_id=text(attributes.take("aws.request_id", "aws.requestId")),
        queue_url=text(attributes.take(*_QUEUES)),
        table_name=text(table if table or len(tables) != 1 else tables[0]),
        table_names=tables if len(tables) > 1 else None,
        retries=number(attributes.take("aws.xray.retries", "retry_attempts")),
    )


def place(resource: Resource) -> tuple[dict[str, Any], str | None]:
    """Where the program runs: the `aws` part (with the SDK that traces it), and `origin`, the type of place.

    Both are for segments only, since a subsegment is at the place of its segment.
    """
    if resource.get("cloud.provider", "aws") != "aws":
        return {}, None
    platform = resource.get("cloud.platform")
    aws = filled(
        account_id=text(resource.get("cloud.account.id")),
        ec2=_ec2(resource) if platform == "aws_ec2" or _is_instance(resource) else None,
        ecs=_ecs(resource) if platform == "aws_ecs" else None,
        eks=_eks(resource) if platform == "aws_eks" or resource.get("k8s.cluster.name") else None,
        elastic_beanstalk=_beanstalk(resource) if platform == "aws_elastic_beanstalk" else None,
        cloudwatch_logs=_log_groups(resource),
        xray=_sdk(resource),
    )
    if platform == "aws_ecs":
        launched = str(resource.get("aws.ecs.launchtype")).lower()
        return aws, _ECS_ORIGINS.get(launched, "AWS::ECS::Container")
    return aws, _ORIGINS.get(str(platform))


def _is_instance(resource: Resource) -> bool:
    # Any host may have an id. It is the id of an EC2 instance only if a cloud provider is named.
    return "host.id" in resource and "cloud.provider" in resource


def _ec2(resource: Resource) -> dict[str, Any]:
    return filled(
        instance_id=text(resource.get("host.id")),
        availability_zone=text(resource.get("cloud.availability_zone")),
        instance_size=text(resource.get("host.type")),
        ami_id=text(resource.get("host.image.id")),
    )


def _ecs(resource: Resource) -> dict[str, Any]:
    return filled(
        container=text(resource.get("container.name")),
        container_id=text(resource.get("container.id")),
        availability_zone=text(resource.get("cloud.availability_zone")),
        container_arn=text(resource.get("aws.ecs.container.arn")),
        cluster_arn=text(resource.get("aws.ecs.cluster.arn")),
        task_arn=text(resource.get("aws.ecs.task.arn")),
        task_family=text(resource.get("aws.ecs.task.family")),
        launch_type=text(resource.get("aws.ecs.launchtype")),
    )


def _eks(resource: Resource) -> dict[str, Any]:
    return filled(
        cluster_name=text(resource.get("k8s.cluster.name")),
        pod=text(resource.get("k8s.pod.name")),
        container_id=text(resource.get("container.id")),
    )


def _beanstalk(resource: Resource) -> dict[str, Any]:
    return filled(
        environment_name=text(resource.get("service.namespace")),
        version_label=text(resource.get("service.version")),
        deployment_id=number(resource.get("service.instance.id")),
    )


def _log_groups(resource: Resource) -> list[dict[str, str]]:
    # OTEL_RESOURCE_ATTRIBUTES has them in one string, separated by "&".
    arns, names = (
        [name for listed in texts(resource.get(key)) for name in listed.split("&")]
        for key in ("aws.log.group.arns", "aws.log.group.names")
    )
    if arns:
        return [{"log_group": _log_group(arn), "arn": arn} for arn in arns]
    return [{"log_group": name} for name in names]


def _log_group(arn: str) -> str:
    parts = arn.split(":")  # arn:aws:logs:REGION:ACCOUNT:log-group:NAME
    return parts[6] if len(parts) > 6 else arn


def _sdk(resource: Resource) -> dict[str, Any]:
    name, language = resource.get("telemetry.sdk.name"), resource.get("telemetry.sdk.language")
    return filled(
        sdk=text(f"{name} for {language}" if name and language else name),
        sdk_version=text(resource.get("telemetry.sdk.version")),
        auto_instrumentation="telemetry.auto.version" in resource or "telemetry.distro.name" in resource,
    )
