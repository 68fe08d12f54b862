"""All settings of `Config` as rows: key, environment variables and default.

`OTEL_*` variables override the dictionary, and the dictionary overrides `JAEGER_*` variables. `resolve`
returns a setting with its source; `value` converts it as jaeger-client does.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ot_bridge.errors import bad_variable, log_once
from ot_bridge.exporters import PROTOCOLS
from ot_bridge.jaeger_client import constants
from ot_bridge.jaeger_client.readers import (
    collector,
    count,
    duration,
    formats,
    host,
    known_sampler,
    milliseconds,
    one_of,
    port,
    propagators,
    seconds,
    whole,
)
from ot_bridge.jaeger_client.utils import get_boolean
from ot_bridge.sampling import ConstSampler, JaegerSampler, ProbabilisticSampler, RateLimitingSampler
from ot_bridge.sampling.remote import strategies_url

Environment = Mapping[str, str]

_log: Final = logging.getLogger("jaeger_tracing")


class Setting(NamedTuple):
    """A value and its source: a variable's name, `config`, or `default`."""

    value: Any
    source: str


class Row(NamedTuple):
    """One setting.

    key: in the dictionary; `a.b` is key b in the dictionary a. otel, jaeger: variables -> functions that read
    their text. kind: type of the value: bool, int, float, str, or object for any. check: converts the value
    in the dictionary; a value that it refuses is logged and ignored.
    """

    key: str = ""
    default: Any = None
    kind: type = object
    otel: Mapping[str, Callable[[str], Any]] = {}
    jaeger: Mapping[str, Callable[[str], Any]] = {}
    check: Callable[[Any], Any] | None = None


#: Type of a sampler -> function that makes the sampler of its param; None stands for the remote one.
SAMPLERS: Final[Mapping[str, Callable[[Any], JaegerSampler | None]]] = {
    "const": lambda param: ConstSampler(get_boolean(param, False)),
    "probabilistic": lambda param: ProbabilisticSampler(float(param)),
    "ratelimiting": lambda param: RateLimitingSampler(float(param)),
    "rate_limiting": lambda param: RateLimitingSampler(float(param)),
    "remote": lambda param: None,
}

_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_LENGTHS: Final = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
_STRATEGIES: Final = ("JAEGER_SAMPLING_ENDPOINT", "JAEGER_SAMPLER_MANAGER_HOST_PORT")

ROWS: Final[Mapping[str, Row]] = {
    "service_name": Row("service_name", None, str, {"OTEL_SERVICE_NAME": str}, {"JAEGER_SERVICE_NAME": str}),
    "disabled": Row("", False, bool, {"OTEL_SDK_DISABLED": str}, {"JAEGER_DISABLED": str}),
    "enabled": Row("enabled", True, bool),
    "logging": Row("logging", False, bool, {}, {"JAEGER_REPORTER_LOG_SPANS": str}),
    "metrics": Row("metrics", True, bool),
    "sampler_type": Row(
        "sampler.type",
        None,
        str,
        {"OTEL_TRACES_SAMPLER": known_sampler},
        {"JAEGER_SAMPLER_TYPE": one_of(SAMPLERS)},
    ),
    "sampler_param": Row("sampler.param", None, object, {}, {"JAEGER_SAMPLER_PARAM": str}),
    "sampler_arg": Row("", None, str, {"OTEL_TRACES_SAMPLER_ARG": str}),
    "exporter": Row("", "otlp", str, {"OTEL_TRACES_EXPORTER": str}),
    "protocol": Row("", "http/protobuf", str, dict.fromkeys(_PROTOCOLS, one_of(PROTOCOLS))),
    "traces_endpoint": Row("", None, str, dict.fromkeys(_ENDPOINTS, str), {"JAEGER_ENDPOINT": collector}),
    "reporting_host": Row(
        "local_agent.reporting_host", "localhost", str, {}, {"JAEGER_AGENT_HOST": host}, host
    ),
    "reporting_port": Row(
        "local_agent.reporting_port", 6831, int, {}, {"JAEGER_AGENT_PORT": port}, check=int
    ),
    "sampling_port": Row("local_agent.sampling_port", 5778, int, check=int),
    "sampling_endpoint": Row("", None, str, {}, dict.fromkeys(_STRATEGIES, strategies_url)),
    "local_agent_enabled": Row("local_agent.enabled", True, bool),
    "reporter_batch_size": Row("reporter_batch_size", 10, int, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": count}),
    "reporter_queue_size": Row(
        "reporter_queue_size",
        100,
        int,
        {"OTEL_BSP_MAX_QUEUE_SIZE": count},
        {"JAEGER_REPORTER_MAX_QUEUE_SIZE": count},
    ),
    "reporter_flush_interval": Row(
        "reporter_flush_interval",
        constants.DEFAULT_FLUSH_INTERVAL,
        float,
        {"OTEL_BSP_SCHEDULE_DELAY": milliseconds},
        {"JAEGER_REPORTER_FLUSH_INTERVAL": duration},
        check=lambda value: value and seconds(value),  # 0 and None mean no interval
    ),
    "sampling_refresh_interval": Row(
        "sampling_refresh_interval",
        constants.DEFAULT_SAMPLING_INTERVAL,
        float,
        {},
        {"JAEGER_SAMPLER_REFRESH_INTERVAL": duration},
        check=seconds,
    ),
    "max_operations": Row("max_operations", None, object, {}, {"JAEGER_SAMPLER_MAX_OPERATIONS": count}),
    "propagation": Row(
        "propagation", None, str, {"OTEL_PROPAGATORS": propagators}, {"JAEGER_PROPAGATION": formats}
    ),
    "trace_id_header": Row("trace_id_header", constants.TRACE_ID_HEADER, str),
    "baggage_header_prefix": Row("baggage_header_prefix", constants.BAGGAGE_HEADER_PREFIX, str),
    "debug_id_header": Row("debug_id_header", constants.DEBUG_ID_HEADER_KEY, str),
    "generate_128bit_trace_id": Row(
        "generate_128bit_trace_id", False, bool, {}, {"JAEGER_TRACEID_128BIT": lambda text: text == "true"}
    ),
    "max_tag_value_length": Row(
        "max_tag_value_length", constants.MAX_TAG_VALUE_LENGTH, float, dict.fromkeys(_LENGTHS, whole)
    ),
    "max_traceback_length": Row("max_traceback_length", constants.MAX_TRACEBACK_LENGTH, float),
    "throttler_port": Row("throttler.port", 5778, int, check=int),
    "throttler_refresh_interval": Row(
        "throttler.refresh_interval",
        constants.DEFAULT_THROTTLER_REFRESH_INTERVAL,
        int,
        check=lambda value: seconds(int(value)),
    ),
}

#: The keys that `Config(..., validate=True)` accepts: all except three that jaeger-client refuses, too.
VALID_KEYS: Final = {"tags", *(row.key.partition(".")[0] for row in ROWS.values() if row.key)} - {
    *("metrics", "max_operations", "debug_id_header")
}


def problems(config: Mapping[str, Any]) -> list[str]:
    """Describes what is wrong in a dictionary, for tools. (`Config` raises what jaeger-client raises.)"""
    found = []
    for group in (*_GROUPS, "tags"):
        if not isinstance(config.get(group) or {}, Mapping):
            found.append(f"{group}: expected keys and values, not {config[group]!r}")
    for row in ROWS.values():
        given, due = _given(row, config), _DUE.get(row.kind)
        if given is not None and due is not None and row.check is not int and not isinstance(given, due[0]):
            found.append(f"{row.key}: expected a {due[1]}, not {given!r}")
    return found


def unread(config: Mapping[str, Any]) -> list[str]:
    """The keys that `Config` does not read, for tools. A key b in a dictionary a is `a.b`."""
    found = []
    for key, value in config.items():
        within = value if key in _GROUPS and isinstance(value, Mapping) else {}
        found += [f"{key}.{inner}" for inner in within if f"{key}.{inner}" not in KEYS]
        if key not in KEYS and key not in (*_GROUPS, "tags"):
            found.append(str(key))
    return found


#: The keys of all settings, as `a.b` if they are in a dictionary a. The keys in `tags` are the program's own.
KEYS: Final = {row.key for row in ROWS.values() if row.key}
_GROUPS: Final = sorted({key.partition(".")[0] for key in KEYS if "." in key})
_NUMBER: Final = ((int, float), "number")
_DUE: Final[Mapping[type, tuple[Any, str]]] = {str: (str, "text"), int: _NUMBER, float: _NUMBER}


def value(name: str, config: Mapping[str, Any], environment: Environment) -> Any:
    """The value of a setting, converted as in jaeger-client. Raises ValueError if a size is no number."""
    row, found = ROWS[name], resolve(name, config, environment).value
    if row.kind is bool:
        return get_boolean(found, row.default)
    return int(found) if row.kind is int else found


def resolve(name: str, config: Mapping[str, Any], environment: Environment) -> Setting:
    """A setting, unconverted, and its source. A variable that cannot be read is logged and ignored."""
    row = ROWS[name]
    return (
        _from_variables(row.otel, environment)
        or _from_config(row, config)
        or _from_variables(row.jaeger, environment)
        or Setting(row.default, "default")
    )


def _from_variables(table: Mapping[str, Callable[[str], Any]], environment: Environment) -> Setting | None:
    for variable, parse in table.items():
        text = environment.get(variable, "").strip()
        if not text:
            continue
        try:
            value = parse(text)
        except ValueError as error:
            bad_variable(variable, text, str(error), "it counts as unset")
            continue
        if value is not None:
            return Setting(value, variable)
    return None


def _given(row: Row, config: Any, default: Any = None) -> Any:
    for key in row.key.split("."):
        if not isinstance(config, Mapping) or key not in config:
            return default
        config = config[key]
    return config


def _from_config(row: Row, config: Any) -> Setting | None:
    given = _given(row, config, _ABSENT)
    if given is _ABSENT or row.check is None:
        return None if given is _ABSENT else Setting(given, "config")
    try:
        return Setting(row.check(given), "config")
    except (TypeError, ValueError, OverflowError):
        text = f"{row.key}: {given!r:.80} cannot be used; it is ignored"
        log_once(_log, logging.WARNING, text)
        return None


_ABSENT: Final = object()


def tags(config: Mapping[str, Any], environment: Environment) -> dict[str, Setting]:
    """The tags of the process. Those in `JAEGER_TAGS` (`key=value,...`) override the dictionary's."""
    found = {key: Setting(value, "config") for key, value in (config.get("tags") or {}).items()}
    for pair in environment.get("JAEGER_TAGS", "").split(","):
        key, equals, value = pair.partition("=")
        if equals:
            found[key.strip()] = Setting(_expanded(value.strip(), environment), "JAEGER_TAGS")
    return found


_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([^}]*))?\}")


def _expanded(text: str, environment: Environment) -> str:
    """Replaces `${name:default}` by a variable's value, as Jaeger's clients for other languages did."""
    return _VARIABLE.sub(lambda match: environment.get(match[1]) or match[2] or "", text)
