"""Row "Config": every key, every variable, and which of them takes precedence."""

from __future__ import annotations

import logging
import time
from typing import Any

import opentracing
import pytest
from opentelemetry import propagate, trace
from opentracing import Format
from opentracing.scope_managers.contextvars import ContextVarsScopeManager

from ot_bridge.delivery.exit import PROCESSORS
from ot_bridge.jaeger_client import Config, ConstSampler, Span, Tracer, settings
from ot_bridge.jaeger_client.settings import ROWS, VALID_KEYS
from tests.jaeger.servers import Agent, Collector
from tests.jaeger.sides import OURS, Side, both

PROPERTIES = [
    "service_name",
    "enabled",
    "logging",
    "metrics",
    "reporter_batch_size",
    "reporter_queue_size",
    "reporter_flush_interval",
    "sampling_refresh_interval",
    "max_operations",
    "trace_id_header",
    "baggage_header_prefix",
    "debug_id_header",
    "generate_128bit_trace_id",
    "max_tag_value_length",
    "max_traceback_length",
    "local_agent_enabled",
    "local_agent_reporting_host",
    "local_agent_reporting_port",
    "local_agent_sampling_port",
    "throttler_port",
    "throttler_refresh_interval",
    "tags",
]

CONFIGS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "booleans as text": {"enabled": "false", "logging": "True", "generate_128bit_trace_id": "1"},
    "booleans as numbers": {"enabled": 0, "logging": 1, "metrics": 0},
    "no boolean at all": {"enabled": "maybe", "logging": "maybe", "generate_128bit_trace_id": ""},
    "agent": {
        "local_agent": {"reporting_host": "agent", "reporting_port": 1, "sampling_port": 2, "enabled": False}
    },
    "ports as text": {"local_agent": {"reporting_port": "6832", "sampling_port": "5779"}},
    "ports as nonsense": {"local_agent": {"reporting_port": "x", "sampling_port": None}},
    "agent as nonsense": {"local_agent": None},
    "queue": {"reporter_batch_size": "5", "reporter_queue_size": 50, "reporter_flush_interval": 0.5},
    "headers": {"trace_id_header": "t", "baggage_header_prefix": "b", "debug_id_header": "d"},
    "lengths": {"max_tag_value_length": 5, "max_traceback_length": 6},
    "sampling": {"sampling_refresh_interval": 7, "max_operations": 8},
    "throttler": {"throttler": {"port": "9", "refresh_interval": 10}},
    "throttler by default": {"throttler": {}},
    "tags": {"tags": {"a": 1, "b": "two"}},
    "misspelled": {"smapler": {"type": "const"}, "loging": True},
}

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "none": {},
    "agent": {"JAEGER_AGENT_HOST": "elsewhere", "JAEGER_AGENT_PORT": "7000"},
    "tags": {"JAEGER_TAGS": "a=9, c = 3"},
    "bits": {"JAEGER_TRACEID_128BIT": "true"},
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_every_key_is_read_as_jaeger_client_reads_it(
    config: dict[str, Any], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in environment.items():
        monkeypatch.setenv(name, text)

    def program(side: Side) -> Any:
        made = side.package.Config({**config}, service_name="service")
        return {name: getattr(made, name) for name in PROPERTIES}

    both(program)


@pytest.mark.parametrize(
    "key", [*sorted(VALID_KEYS), "debug_id_header", "max_operations", "metrics", "smapler", "a,b"]
)
def test_validate_raises_the_same_messages_as_jaeger_client(key: str) -> None:
    def program(side: Side) -> Any:
        try:
            side.package.Config({key: {}, "nonsense": 1}, service_name="service", validate=True)
        except ValueError as error:
            return str(error)

    both(program)


@pytest.mark.parametrize("config", [{}, {"service_name": None}, {"service_name": ""}], ids=str)
def test_a_service_needs_a_name(config: dict[str, Any]) -> None:
    def program(side: Side) -> Any:
        with pytest.raises(ValueError, match="service_name required in the config or param"):
            side.package.Config(config, service_name=None if not config else "given")

    if "service_name" not in config or config["service_name"] in (None, ""):
        both(program)


def test_the_service_name_in_the_dictionary_takes_precedence_over_the_argument() -> None:
    assert both(lambda side: side.package.Config({"service_name": "a"}, service_name="b").service_name) == "a"


SAMPLERS: dict[str, Any] = {
    "const": {"type": "const", "param": 1},
    "const off": {"type": "const", "param": "false"},
    "const without": {"type": "const"},
    "probabilistic": {"type": "probabilistic", "param": "0.5"},
    "ratelimiting": {"type": "ratelimiting", "param": 3},
    "rate_limiting": {"type": "rate_limiting", "param": "2.5"},
    "none": {},
    "unknown": {"type": "lucky", "param": 1},
    "bad param": {"type": "probabilistic", "param": "much"},
}


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_the_sampler_is_the_one_configured(sampler: Any) -> None:
    def program(side: Side) -> Any:
        try:
            return str(side.package.Config({"sampler": sampler}, service_name="service").sampler)
        except ValueError as error:
            return str(error)

    both(program)


def test_a_sampler_object_is_taken_as_it_is() -> None:
    sampler = ConstSampler(False)
    assert Config({"sampler": sampler}, service_name="service").sampler is sampler


def test_b3_is_for_http_headers_alone() -> None:
    def program(side: Side) -> Any:
        config = side.package.Config({"propagation": "b3"}, service_name="service")
        tracer = config.create_tracer(side.package.reporter.NullReporter(), side.package.ConstSampler(True))
        context = side.package.SpanContext(1, 2, 3, 1)
        carriers: list[dict[str, str]] = [{}, {}]
        tracer.inject(context, Format.HTTP_HEADERS, carriers[0])
        tracer.inject(context, Format.TEXT_MAP, carriers[1])
        back = tracer.extract(Format.HTTP_HEADERS, carriers[0])
        return carriers, (back.trace_id, back.span_id, back.parent_id, back.flags)

    both(program)


def _written(config: Config) -> tuple[set[str], set[str]]:
    tracer = config.create_tracer(OURS.package.reporter.NullReporter(), ConstSampler(True))
    carriers: list[dict[str, str]] = [{}, {}]
    span = tracer.start_span("op").set_baggage_item("k", "v")
    tracer.inject(span, Format.HTTP_HEADERS, carriers[0])
    tracer.inject(span, Format.TEXT_MAP, carriers[1])
    for carrier, format in zip(carriers, (Format.HTTP_HEADERS, Format.TEXT_MAP), strict=True):
        assert tracer.extract(format, carrier).trace_id == span.trace_id
        assert type(tracer.extract(format, carrier)) is OURS.package.SpanContext
    return set(carriers[0]), set(carriers[1])


B3 = {"X-B3-TraceId", "X-B3-SpanId", "X-B3-Sampled"}


def test_the_environment_can_name_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config({}, service_name="service")
    monkeypatch.setenv("JAEGER_PROPAGATION", "jaeger, b3,w3c")
    both_ways = {"uber-trace-id", "uberctx-k", "traceparent", "baggage", *B3}
    assert _written(config) == (both_ways, both_ways)
    monkeypatch.setenv("OTEL_PROPAGATORS", "tracecontext")
    assert _written(config) == ({"traceparent"}, {"traceparent"})
    monkeypatch.setenv("OTEL_PROPAGATORS", "b3")  # OpenTelemetry's b3 is the single header
    assert _written(config) == ({"b3"}, {"b3"})


def test_a_foreign_propagator_can_be_among_the_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.propagators.composite import CompositePropagator
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    from ot_bridge.jaeger_client.codecs import PropagatorCodec, codec_of

    codec: Any = codec_of(CompositePropagator([TraceContextTextMapPropagator()]))
    assert codec.__class__ is PropagatorCodec
    carrier: dict[str, str] = {}
    codec.inject(OURS.package.SpanContext(1, 2, None, 1), carrier)
    assert carrier == {"traceparent": f"00-{1:032x}-{2:016x}-01"}
    found: Any = codec.extract(carrier)
    assert found.span_id == 2
    assert codec.extract({}) is None


def test_an_unknown_value_of_propagation_has_no_effect() -> None:
    assert Config({"propagation": "other"}, service_name="service").propagation == {}


# variable, text, property, value
VARIABLES = [
    ("JAEGER_SERVICE_NAME", "from jaeger", "service_name", "from jaeger"),
    ("OTEL_SERVICE_NAME", "from otel", "service_name", "from otel"),
    ("JAEGER_REPORTER_LOG_SPANS", "true", "logging", True),
    ("JAEGER_REPORTER_MAX_QUEUE_SIZE", "77", "reporter_queue_size", 77),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "78", "reporter_queue_size", 78),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "9", "reporter_batch_size", 9),
    ("JAEGER_REPORTER_FLUSH_INTERVAL", "500", "reporter_flush_interval", 0.5),
    ("JAEGER_REPORTER_FLUSH_INTERVAL", "1m30s", "reporter_flush_interval", 90.0),
    ("JAEGER_REPORTER_FLUSH_INTERVAL", "250ms", "reporter_flush_interval", 0.25),
    ("OTEL_BSP_SCHEDULE_DELAY", "250", "reporter_flush_interval", 0.25),
    ("JAEGER_AGENT_HOST", "there", "local_agent_reporting_host", "there"),
    ("JAEGER_AGENT_PORT", "6832", "local_agent_reporting_port", 6832),
    ("JAEGER_SAMPLER_REFRESH_INTERVAL", "2s", "sampling_refresh_interval", 2.0),
    ("JAEGER_SAMPLER_MAX_OPERATIONS", "5", "max_operations", 5),
    ("JAEGER_TRACEID_128BIT", "true", "generate_128bit_trace_id", True),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5", "max_tag_value_length", 5),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "6", "max_tag_value_length", 6),
    ("JAEGER_TAGS", "a=1,b=${HERE:none},c=${THERE:x=y},broken", "tags", {"a": "1", "b": "here", "c": "x=y"}),
]


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"), VARIABLES, ids=[f"{v[0]}={v[1]}" for v in VARIABLES]
)
def test_a_variable_replaces_a_key_of_the_dictionary(
    variable: str, text: str, name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERE", "here")
    monkeypatch.setenv(variable, text)
    needed = None if name == "service_name" else "service"
    assert getattr(Config({}, service_name=needed), name) == value


@pytest.mark.parametrize("row", [name for name, row in ROWS.items() if row.otel and row.jaeger])
def test_opentelemetrys_variables_win_over_jaegers(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (otel, *_), (jaeger, *_) = ROWS[row].otel, ROWS[row].jaeger
    # The others are free text, or numbers.
    known = {"sampler_type": ("always_on", "const"), "propagation": ("b3", "jaeger,w3c")}
    ours, theirs = known.get(row, ("2", "1"))
    assert settings.resolve(row, {}, {otel: ours, jaeger: theirs}).source == otel
    assert settings.resolve(row, {}, {jaeger: theirs}).source == jaeger
    assert settings.resolve(row, {}, {jaeger: " "}) == (ROWS[row].default, "default")


#: What a `Config` without a dictionary has: jaeger-client's defaults, and ours where it had no such setting.
DEFAULTS = {
    "service_name": None,
    "disabled": False,
    "enabled": True,
    "logging": False,
    "metrics": True,
    "sampler_type": None,
    "sampler_param": None,
    "sampler_arg": None,
    "exporter": "otlp",
    "protocol": "http/protobuf",
    "traces_endpoint": None,
    "reporting_host": "localhost",
    "reporting_port": 6831,
    "sampling_port": 5778,
    "sampling_endpoint": None,
    "local_agent_enabled": True,
    "reporter_batch_size": 10,
    "reporter_queue_size": 100,
    "reporter_flush_interval": 1,
    "sampling_refresh_interval": 60,
    "max_operations": None,
    "propagation": None,
    "trace_id_header": "uber-trace-id",
    "baggage_header_prefix": "uberctx-",
    "debug_id_header": "jaeger-debug-id",
    "generate_128bit_trace_id": False,
    "max_tag_value_length": 1024,
    "max_traceback_length": 4096,
    "throttler_port": 5778,
    "throttler_refresh_interval": 5,
}

#: Variable -> its text, the setting, and what is then meant.
EACH = {
    "OTEL_SERVICE_NAME": ("shop", "service_name", "shop"),
    "JAEGER_SERVICE_NAME": ("shop", "service_name", "shop"),
    "OTEL_SDK_DISABLED": ("true", "disabled", True),
    "JAEGER_DISABLED": ("true", "disabled", True),
    "JAEGER_REPORTER_LOG_SPANS": ("true", "logging", True),
    "OTEL_TRACES_SAMPLER": ("always_on", "sampler_type", "always_on"),
    "JAEGER_SAMPLER_TYPE": ("const", "sampler_type", "const"),
    "JAEGER_SAMPLER_PARAM": ("0.5", "sampler_param", "0.5"),
    "OTEL_TRACES_SAMPLER_ARG": ("0.5", "sampler_arg", "0.5"),
    "OTEL_TRACES_EXPORTER": ("console", "exporter", "console"),
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": ("grpc", "protocol", "grpc"),
    "OTEL_EXPORTER_OTLP_PROTOCOL": ("grpc", "protocol", "grpc"),
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ("http://h:1/x", "traces_endpoint", "http://h:1/x"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("http://h:1", "traces_endpoint", "http://h:1"),
    "JAEGER_AGENT_HOST": ("there", "reporting_host", "there"),
    "JAEGER_AGENT_PORT": ("7", "reporting_port", 7),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": ("7", "reporter_batch_size", 7),
    "OTEL_BSP_MAX_QUEUE_SIZE": ("7", "reporter_queue_size", 7),
    "JAEGER_REPORTER_MAX_QUEUE_SIZE": ("7", "reporter_queue_size", 7),
    "OTEL_BSP_SCHEDULE_DELAY": ("700", "reporter_flush_interval", 0.7),
    "JAEGER_REPORTER_FLUSH_INTERVAL": ("7s", "reporter_flush_interval", 7.0),
    "JAEGER_SAMPLER_REFRESH_INTERVAL": ("7s", "sampling_refresh_interval", 7.0),
    "JAEGER_SAMPLER_MAX_OPERATIONS": ("7", "max_operations", 7),
    "JAEGER_TRACEID_128BIT": ("true", "generate_128bit_trace_id", True),
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": ("7", "max_tag_value_length", 7),
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": ("7", "max_tag_value_length", 7),
    "JAEGER_ENDPOINT": ("http://h:14268/api/traces", "traces_endpoint", "http://h:4318/v1/traces"),
    "JAEGER_SAMPLING_ENDPOINT": ("http://h:1/sampling", "sampling_endpoint", "http://h:1/sampling"),
    "JAEGER_SAMPLER_MANAGER_HOST_PORT": ("h:1", "sampling_endpoint", "http://h:1/sampling"),
    "OTEL_PROPAGATORS": ("b3,tracecontext", "propagation", "b3,tracecontext"),
    "JAEGER_PROPAGATION": ("jaeger,w3c", "propagation", "jaeger,w3c"),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_setting_that_is_not_given_has_its_default(row: str) -> None:
    assert settings.resolve(row, {}, {}) == (DEFAULTS[row], "default")
    assert len(DEFAULTS) == len(ROWS)


@pytest.mark.parametrize("variable", EACH)
def test_each_variable_sets_its_setting(variable: str) -> None:
    text, row, meant = EACH[variable]
    assert settings.value(row, {}, {variable: text}) == meant
    assert settings.resolve(row, {}, {variable: text}).source == variable


def test_the_table_of_variables_is_complete() -> None:
    known = {variable for row in ROWS.values() for variable in (*row.otel, *row.jaeger)}
    assert known == {*EACH}


KEYED = [name for name, row in ROWS.items() if row.key]


@pytest.mark.parametrize("row", KEYED)
def test_each_key_of_the_dictionary_sets_its_setting(row: str) -> None:
    key = {
        "reporting_host": "local_agent.reporting_host",
        "reporting_port": "local_agent.reporting_port",
        "sampling_port": "local_agent.sampling_port",
        "local_agent_enabled": "local_agent.enabled",
        "sampler_type": "sampler.type",
        "sampler_param": "sampler.param",
        "throttler_port": "throttler.port",
        "throttler_refresh_interval": "throttler.refresh_interval",
    }.get(row, row)
    group, dot, name = key.partition(".")
    given: Any = "there" if row == "reporting_host" else 7
    assert settings.resolve(row, {group: {name: given} if dot else given}, {}) == (given, "config")


def test_the_dictionary_overrides_jaegers_variables_and_opentelemetrys_override_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JAEGER_REPORTER_MAX_QUEUE_SIZE", "1000")
    config = Config({"reporter_queue_size": 2000}, service_name="service")
    assert config.reporter_queue_size == 2000
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "3000")
    assert config.reporter_queue_size == 3000


def test_an_invalid_variable_of_opentelemetry_is_logged_and_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "many of them")
    assert Config({"reporter_queue_size": 7}, service_name="service").reporter_queue_size == 7
    assert "OTEL_BSP_MAX_QUEUE_SIZE='many of them'" in caplog.text


@pytest.mark.parametrize(
    ("variables", "sizes", "problems"),
    [
        (
            {"JAEGER_REPORTER_MAX_QUEUE_SIZE": "5"},
            (5, 5),
            ["a batch of 10 spans is larger than the queue; batches of 5 are sent"],
        ),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "5"},
            (5, 5),
            ["a batch of 10 spans is larger than the queue; batches of 5 are sent"],
        ),
        (
            {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "x", "JAEGER_REPORTER_FLUSH_INTERVAL": "soon"},
            (100, 10),
            [
                "expected a whole number above 0; it counts as unset",
                "could not convert string to float: 'soon'; it counts as unset",
            ],
        ),
        (
            {"JAEGER_REPORTER_MAX_QUEUE_SIZE": "-5", "OTEL_BSP_SCHEDULE_DELAY": "0"},
            (100, 10),
            [
                "expected a whole number above 0; it counts as unset",
                "expected a time above 0; it counts as unset",
            ],
        ),
        ({"JAEGER_REPORTER_MAX_QUEUE_SIZE": "7", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "7"}, (7, 7), []),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_an_invalid_variable_of_the_reporter_never_stops_a_program(
    variables: dict[str, str],
    sizes: tuple[int, int],
    problems: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    config = Config({"sampler": {"type": "const", "param": 1}}, service_name="service")
    tracer: Any = config.new_tracer()
    assert (tracer.reporter.queue_capacity, tracer.reporter.batch_size) == sizes
    messages = {record.getMessage() for record in caplog.records if record.levelname == "ERROR"}
    assert messages == {
        f"{name}={text!r}: {problem}"
        for (name, text), problem in zip(variables.items(), problems, strict=bool(problems))
    }
    tracer.close().result(10)


def test_a_larger_batch_is_accepted_with_the_queue_that_replaces_jaeger_clients_default(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "500")
    config = Config({"sampler": {"type": "const", "param": 1}}, service_name="service")
    before = set(PROCESSORS)
    tracer = config.new_tracer()
    (processor,) = set(PROCESSORS) - before
    settings = processor.worker.settings
    assert (settings.queue, settings.batch) == (2048, 500)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    tracer.close().result(10)


def test_sizes_in_the_dictionary_that_do_not_fit_are_refused_as_by_jaeger_client() -> None:
    with pytest.raises(ValueError, match="Queue capacity cannot be less than batch size"):
        Config({"reporter_queue_size": 5}, service_name="service").new_tracer()


@pytest.mark.parametrize(
    ("kind", "param", "expected"),
    [
        ("const", "1", "ConstSampler(True)"),
        ("probabilistic", "0.25", "ProbabilisticSampler(0.25)"),
        ("ratelimiting", "3", "RateLimitingSampler(3.0)"),
        ("remote", "0.5", "None"),
    ],
)
def test_the_environment_can_name_a_sampler(
    kind: str, param: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAEGER_SAMPLER_TYPE", kind)
    monkeypatch.setenv("JAEGER_SAMPLER_PARAM", param)
    assert str(Config({}, service_name="service").sampler) == expected


def test_an_invalid_sampler_param_in_a_variable_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JAEGER_SAMPLER_PARAM", "many")
    config = Config({"sampler": {"type": "probabilistic"}}, service_name="service")
    with pytest.raises(TypeError):  # as jaeger-client raises, which does not read the variable
        config.sampler  # noqa: B018
    assert (
        "JAEGER_SAMPLER_PARAM='many': no sampler (could not convert string to float: 'many'); "
        "it counts as unset" in caplog.text
    )


def test_a_sampler_type_in_a_variable_that_does_not_fit_the_param_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JAEGER_SAMPLER_TYPE", "probabilistic")
    assert Config({"sampler": {"param": "many"}}, service_name="service").sampler is None
    (message,) = caplog.messages
    assert message == (
        "JAEGER_SAMPLER_TYPE='probabilistic': no sampler (could not convert string to float: 'many'); "
        "it counts as unset"
    )


def test_opentelemetrys_sampler_wins_over_the_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="service").new_tracer()
    assert not tracer.start_span("op").is_sampled()
    tracer.close().result(5)


@pytest.mark.parametrize("variable", ["JAEGER_DISABLED", "OTEL_SDK_DISABLED"])
def test_tracing_can_be_switched_off(
    variable: str, monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    monkeypatch.setenv(variable, "true")
    tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="service").initialize_tracer()
    assert isinstance(tracer, Tracer)
    with tracer.start_active_span("op", tags={"a": 1}) as scope:
        scope.span.set_tag("b", 2).log_kv({"event": "c"})
        tracer.inject(scope.span, Format.HTTP_HEADERS, {})
    given: Any = tracer.start_span("op", start_time=1e9)
    now: Any = tracer.start_span("op")
    assert given.start_time == 1e9
    assert abs(now.start_time - time.time()) < 60
    tracer.close().result(5)
    assert collector.spans == []


def test_enabled_does_what_it_did_in_jaeger_client_which_is_nothing() -> None:
    config = Config({"enabled": False}, service_name="service")
    tracer = config.create_tracer(OURS.package.reporter.NullReporter(), ConstSampler(True))
    assert (config.enabled, tracer.start_span("op").is_sampled()) == (False, True)


def test_without_a_sampler_it_is_the_remote_one_at_one_in_a_thousand(
    monkeypatch: pytest.MonkeyPatch, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    agent.status = 503
    config = Config(
        {
            "local_agent": {"reporting_host": "127.0.0.1", "sampling_port": str(agent.port)},
            "max_operations": 3,
        },
        service_name="the service",
    )
    tracer = config.new_tracer()
    agent.wait_for(lambda: agent.requests)
    assert agent.requests[0][0] == "/sampling?service=the+service"
    assert str(tracer.sampler) == "RemoteControlledSampler(ProbabilisticSampler(0.001))"
    assert tracer.sampler.max_operations == 3
    assert "no sampler is configured; ProbabilisticSampler(0.001) decides until" in caplog.text
    tracer.close().result(5)


def test_the_environment_can_select_the_remote_sampler(monkeypatch: pytest.MonkeyPatch, agent: Agent) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("JAEGER_SAMPLER_TYPE", "remote")
    monkeypatch.setenv("JAEGER_SAMPLER_PARAM", "0.5")
    monkeypatch.setenv("JAEGER_SAMPLER_MANAGER_HOST_PORT", f"127.0.0.1:{agent.port}")
    agent.status = 503
    tracer = Config({}, service_name="service").new_tracer()
    agent.wait_for(lambda: agent.requests)
    assert str(tracer.sampler.sampler) == "ProbabilisticSampler(0.5)"
    tracer.close().result(5)


def test_the_throttler_requests_credits_from_the_host_of_the_agent(
    monkeypatch: pytest.MonkeyPatch, agent: Agent
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    config = {
        "sampler": {"type": "const", "param": 0},
        "local_agent": {"reporting_host": "127.0.0.1"},
        "throttler": {"port": agent.port, "refresh_interval": 60},
    }
    tracer = Config(config, service_name="service").new_tracer()
    span = tracer.start_span("op").set_tag("sampling.priority", 1)
    assert not span.is_debug()
    assert tracer.throttler.refresh()
    assert agent.requests[0][0] == f"/credits?service=service&uuid={tracer.tags['client-uuid']}&operations=op"
    assert tracer.start_span("op").set_tag("sampling.priority", 1).is_debug()
    tracer.throttler.close()
    tracer.close().result(5)


def test_initialize_tracer_sets_the_global_tracer_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    caplog.set_level(logging.INFO, "jaeger_tracing")
    config = Config({"sampler": {"type": "const", "param": True}}, service_name="service")
    assert not Config.initialized()
    tracer = config.initialize_tracer()
    assert isinstance(tracer, Tracer)
    assert opentracing.global_tracer() is opentracing.tracer is tracer
    assert Config.initialized()
    assert config.initialize_tracer() is None
    assert [record.getMessage() for record in caplog.records] == [
        "Using sampler ConstSampler(True)",
        f"opentracing.tracer initialized to {tracer}[app_name=service]",
        "Jaeger tracer already initialized, skipping",
    ]
    tracer.close().result(5)


@pytest.mark.parametrize("logs", [True, False])
def test_the_error_reporter_logs_only_with_the_option_logging(logs: bool) -> None:
    def program(side: Side) -> Any:
        logger = side.package.Config({"logging": logs}, service_name="service").error_reporter.logger
        return logger and logger.name

    assert both(program) == ("jaeger_tracing" if logs else None)


@pytest.mark.parametrize("group", ["local_agent", "throttler"])
def test_a_group_of_the_dictionary_is_returned_as_it_is(group: str) -> None:
    def program(side: Side) -> Any:
        made = [
            side.package.Config(given, service_name="service") for given in ({}, {group: {"enabled": False}})
        ]
        return [getattr(config, f"{group}_group")() for config in made]

    assert both(program) == [None, {"enabled": False}]


#: Key `reporting_host`, variables -> where the spans are sent.
HOSTS = {
    "the collector": (None, {}, "collector"),
    "not the agent in a variable": (None, {"JAEGER_AGENT_HOST": "agent"}, "collector"),
    "but the agent in the code": ("agent", {}, "agent"),
}


@pytest.mark.parametrize(("key", "variables", "host"), HOSTS.values(), ids=HOSTS)
def test_spans_go_to_the_collector_of_jaeger_endpoint_unless_the_code_names_an_agent(
    key: str | None,
    variables: dict[str, str],
    host: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for variable, text in {"JAEGER_ENDPOINT": "http://collector:14268/api/traces", **variables}.items():
        monkeypatch.setenv(variable, text)
    agent = {"local_agent": {"reporting_host": key}} if key else {}
    config = Config({"sampler": {"type": "const", "param": 1}, **agent}, service_name="shop")
    tracer = config.new_tracer()
    assert f"spans are sent by OTLP to http://{host}:4318/v1/traces;" in caplog.text
    tracer.close().result(5)


def test_tests_may_reset_initialized_and_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    config = Config({"sampler": {"type": "const", "param": True}}, service_name="service")
    first = config.initialize_tracer()
    Config._initialized = False
    second = config.initialize_tracer()
    assert None not in (first, second)
    assert opentracing.global_tracer() is second
    other = config.new_tracer()
    opentracing.set_global_tracer(other)
    assert opentracing.global_tracer() is other
    for tracer in (first, second, other):
        assert tracer is not None
        tracer.close().result(5)


def test_spans_of_opentelemetrys_instrumentation_join_the_traces_of_the_global_tracer(
    collector: Collector,
) -> None:
    config = Config(
        {"sampler": {"type": "const", "param": True}, "trace_id_header": "x-trace"}, service_name="service"
    )
    tracer: Any = config.initialize_tracer()
    with tracer.start_active_span("outer") as scope:
        headers: dict[str, str] = {}
        with trace.get_tracer("somebody").start_as_current_span("inner"):
            propagate.inject(headers)
    assert headers["x-trace"].startswith(f"{scope.span.trace_id:x}:")
    assert tracer.close().result(10)
    assert sorted(collector.names) == ["inner", "outer"]


def test_an_existing_opentelemetry_setup_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    provider, textmap = TracerProvider(shutdown_on_exit=False), propagate.get_global_textmap()
    trace.set_tracer_provider(provider)
    tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="service").initialize_tracer()
    assert tracer is not None
    assert trace.get_tracer_provider() is provider
    assert propagate.get_global_textmap() is textmap
    tracer.close().result(5)


def test_logging_reports_each_span(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jaeger_tracing")
    config = Config({"sampler": {"type": "const", "param": 1}, "logging": True}, service_name="service")
    tracer = config.new_tracer()
    span = tracer.start_span("op")
    span.finish()
    assert f"Reporting span {span}" in caplog.text
    assert tracer.close().result(10)
    assert collector.names == ["op"]


def test_the_scope_manager_is_used() -> None:
    manager = ContextVarsScopeManager()
    config = Config({}, service_name="service", scope_manager=manager)
    tracer = config.create_tracer(OURS.package.reporter.NullReporter(), ConstSampler(True))
    with tracer.start_active_span("op") as scope:
        assert manager.active is scope
    assert isinstance(scope.span, Span)


@pytest.mark.filterwarnings("ignore:This package is no longer supported:DeprecationWarning")
def test_flask_tracing_runs_on_it() -> None:
    import flask
    from flask_opentracing import FlaskTracing

    reporter = OURS.package.reporter.InMemoryReporter()
    tracer = Config({}, service_name="service").create_tracer(reporter, ConstSampler(True))
    app = flask.Flask("app")
    tracing = FlaskTracing(tracer, True, app)

    @app.route("/hello")
    def hello() -> str:
        span = tracing.get_span()
        span.set_tag("user", "me")
        return f"{span.trace_id:x}"

    response = app.test_client().get("/hello", headers={"uber-trace-id": "abc:def:0:1"})
    (span,) = reporter.get_spans()
    assert (response.get_data(as_text=True), span.parent_id, span.is_rpc()) == ("abc", 0xDEF, True)
    assert {"user", "http.method", "http.url", "http.status_code"} <= {tag.key for tag in span.tags}
