"""A Jaeger configuration in OpenTelemetry's variables: every line of four configurations."""

from __future__ import annotations

from typing import Any

import pytest

from ot_bridge.jaeger_client.translate import lines

#: name -> (dictionary, variables, lines)
CASES: dict[str, tuple[dict[str, Any], dict[str, str], list[str]]] = {
    "everything": (
        {
            "service_name": "s p",
            "tags": {"a": "b c"},
            "sampler": {"type": "ratelimiting", "param": 3},
            "local_agent": {"reporting_host": "::1"},
            "reporter_queue_size": 50,
            "reporter_batch_size": 5,
            "reporter_flush_interval": 0.5,
            "logging": True,
            "propagation": "b3",
            "trace_id_header": "t",
            "max_tag_value_length": 9,
            "throttler": {},
            "generate_128bit_trace_id": True,
        },
        {},
        [
            "OTEL_SERVICE_NAME=s p",
            "OTEL_RESOURCE_ATTRIBUTES=a=b%20c",
            "# OpenTelemetry has no rate limiting sampler; this one is of ot-bridge:",
            "OTEL_TRACES_SAMPLER=ot_bridge",
            "OTEL_TRACES_SAMPLER_ARG=3/s",
            "OTEL_TRACES_EXPORTER=otlp",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://[::1]:4318/v1/traces",
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            "OTEL_BSP_MAX_QUEUE_SIZE=50",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=5",
            "OTEL_BSP_SCHEDULE_DELAY=500",
            "# logging: OTEL_TRACES_EXPORTER=otlp,console prints each span, at length",
            "OTEL_PROPAGATORS=b3multi",
            "# without ot-bridge that needs opentelemetry-propagator-b3",
            "# trace_id_header: OpenTelemetry's jaeger propagator knows no header but its own",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=9",
            "# throttler: OpenTelemetry does not limit debug traces, nor has it any",
        ],
    ),
    "remote": (
        {"sampling_refresh_interval": 7, "local_agent": {"reporting_host": "h", "sampling_port": 1}},
        {"JAEGER_DISABLED": "true", "JAEGER_PROPAGATION": "jaeger,w3c"},
        [
            "OTEL_SDK_DISABLED=true",
            "# OTEL_SERVICE_NAME: no service_name is given",
            "# OpenTelemetry for Python has no remote sampler; this one is of ot-bridge:",
            "OTEL_TRACES_SAMPLER=parentbased_jaeger_remote",
            "OTEL_TRACES_SAMPLER_ARG=endpoint=http://h:1/sampling,pollingIntervalMs=7000,initialSamplingRate=0.001",
            "OTEL_TRACES_EXPORTER=otlp",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://h:4318/v1/traces",
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            "OTEL_PROPAGATORS=jaeger,tracecontext,baggage",
            "# without ot-bridge that needs opentelemetry-propagator-jaeger",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=1024",
            "# trace ids will have 128 bits: neighbours that know 64 only cut them",
        ],
    ),
    "an unknown sampler and gRPC": (
        {"service_name": "s", "sampler": {"type": "lucky"}},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        [
            "OTEL_SERVICE_NAME=s",
            "# sampler: 'lucky' is none of const, probabilistic, ratelimiting, rate_limiting, remote",
            "OTEL_TRACES_EXPORTER=otlp",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://localhost:4317",
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
            "OTEL_PROPAGATORS=jaeger",
            "# without ot-bridge that needs opentelemetry-propagator-jaeger",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=1024",
            "# trace ids will have 128 bits: neighbours that know 64 only cut them",
        ],
    ),
    "OpenTelemetry's variables": (
        {"service_name": "s"},
        {
            "OTEL_TRACES_SAMPLER": "always_on",
            "OTEL_TRACES_SAMPLER_ARG": "x",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
            "OTEL_PROPAGATORS": "b3",
        },
        [
            "OTEL_SERVICE_NAME=s",
            "OTEL_TRACES_SAMPLER=always_on",
            "OTEL_TRACES_SAMPLER_ARG=x",
            "OTEL_TRACES_EXPORTER=otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318",
            "OTEL_PROPAGATORS=b3",
            "# without ot-bridge that needs opentelemetry-propagator-b3",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=1024",
            "# trace ids will have 128 bits: neighbours that know 64 only cut them",
        ],
    ),
}


#: A dictionary, variables -> the lines that begin with the third, without that beginning.
PARTS: dict[str, tuple[dict[str, Any], dict[str, str], str, list[str]]] = {
    "switched off by nonsense": ({}, {"JAEGER_DISABLED": "maybe"}, "OTEL_SDK_DISABLED=", []),
    "logging by nonsense": ({"logging": "maybe"}, {}, "# logging", []),
    "short ids by nonsense": (
        {"generate_128bit_trace_id": "maybe"},
        {},
        "# trace ids will have 128 bits",
        [": neighbours that know 64 only cut them"],
    ),
    "long ids": ({"generate_128bit_trace_id": "true"}, {}, "# trace ids", []),
    "all": (
        {"sampler": {"type": "const", "param": 1}},
        {},
        "OTEL_TRACES_SAMPLER=",
        ["parentbased_always_on"],
    ),
    "none": (
        {"sampler": {"type": "const", "param": 0}},
        {},
        "OTEL_TRACES_SAMPLER=",
        ["parentbased_always_off"],
    ),
    "none by nonsense": (
        {"sampler": {"type": "const", "param": "maybe"}},
        {},
        "OTEL_TRACES_SAMPLER=",
        ["parentbased_always_off"],
    ),
    "a share": (
        {"sampler": {"type": "probabilistic", "param": 0.5}},
        {},
        "OTEL_TRACES_SAMPLER",
        ["=parentbased_traceidratio", "_ARG=0.5"],
    ),
    "a rate, spelled otherwise": (
        {"sampler": {"type": "rate_limiting", "param": 2}},
        {},
        "OTEL_TRACES_SAMPLER",
        ["=ot_bridge", "_ARG=2/s"],
    ),
    "remote": (
        {"sampler": {"type": "remote", "param": 0.5}},
        {"JAEGER_SAMPLING_ENDPOINT": "http://h:1/s"},
        "OTEL_TRACES_SAMPLER_ARG=endpoint=",
        ["http://h:1/s,pollingIntervalMs=60000,initialSamplingRate=0.5"],
    ),
    "OpenTelemetry's sampler without an argument": (
        {},
        {"OTEL_TRACES_SAMPLER": "always_on"},
        "OTEL_TRACES_SAMPLER",
        ["=always_on"],
    ),
    "a collector": (
        {},
        {"JAEGER_ENDPOINT": "http://c:14268/api/traces"},
        "OTEL_EXPORTER_OTLP",
        ["_TRACES_ENDPOINT=http://c:4318/v1/traces", "_PROTOCOL=http/protobuf"],
    ),
    "an agent in the dictionary and a collector": (
        {"local_agent": {"reporting_host": "agent"}},
        {"JAEGER_ENDPOINT": "http://c:14268/api/traces"},
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=",
        ["http://agent:4318/v1/traces"],
    ),
    "an agent in the dictionary and OpenTelemetry's endpoint": (
        {"local_agent": {"reporting_host": "agent"}},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1/x"},
        "OTEL_EXPORTER_OTLP",
        ["_TRACES_ENDPOINT=http://c:1/x"],
    ),
    "OpenTelemetry's endpoint and protocol": (
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
        "OTEL_EXPORTER_OTLP",
        ["_ENDPOINT=http://c:1", "_PROTOCOL=grpc"],
    ),
    "another exporter": ({}, {"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER=", ["console"]),
    "sizes by variables": (
        {},
        {"JAEGER_REPORTER_MAX_QUEUE_SIZE": "7", "JAEGER_REPORTER_FLUSH_INTERVAL": "250ms"},
        "OTEL_BSP_",
        ["MAX_QUEUE_SIZE=7", "SCHEDULE_DELAY=250"],
    ),
    "no interval": ({"reporter_flush_interval": 0}, {}, "OTEL_BSP_", []),
    "formats of two packages": (
        {},
        {"JAEGER_PROPAGATION": "b3,jaeger"},
        "# without ot-bridge that needs ",
        ["opentelemetry-propagator-b3, opentelemetry-propagator-jaeger"],
    ),
    "formats of no package": ({}, {"JAEGER_PROPAGATION": "w3c"}, "# without ot-bridge", []),
    **{
        header: (
            {header: "x"},
            {},
            f"# {header}",
            [": OpenTelemetry's jaeger propagator knows no header but its own"],
        )
        for header in ("trace_id_header", "baggage_header_prefix", "debug_id_header")
    },
    "tags": (
        {"tags": {"a,b": "c=d"}},
        {"JAEGER_TAGS": "e=f"},
        "OTEL_RESOURCE_ATTRIBUTES=",
        ["a%2Cb=c%3Dd,e=f"],
    ),
}


@pytest.mark.parametrize(("config", "variables", "begin", "expected"), PARTS.values(), ids=PARTS)
def test_each_setting_is_translated_by_itself(
    config: dict[str, Any], variables: dict[str, str], begin: str, expected: list[str]
) -> None:
    made = [str(line) for line in lines({"service_name": "s", **config}, variables)]
    assert [line.removeprefix(begin) for line in made if line.startswith(begin)] == expected


@pytest.mark.parametrize(("config", "variables", "expected"), CASES.values(), ids=CASES)
def test_every_line_of_the_translation_is_as_expected(
    config: dict[str, Any], variables: dict[str, str], expected: list[str]
) -> None:
    assert [str(line) for line in lines(config, variables)] == expected
