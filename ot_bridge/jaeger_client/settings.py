"""Every setting of a `Config` as a row: its key, the variables that stand for it, and its default.

What `OTEL_*` says wins, then the dictionary, then what `JAEGER_*` says. `resolve` tells the value and who
said it; nothing here acts on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from ot_bridge.choices import sampler_is_named
from ot_bridge.errors import bad_variable
from ot_bridge.exporters import PROTOCOLS
from ot_bridge.jaeger_client import constants
from ot_bridge.jaeger_client.utils import get_boolean
from ot_bridge.propagation.parse import names_in_environment, parse_propagators

Environment = Mapping[str, str]


class Setting(NamedTuple):
    """A value and its source: a variable's name, `config`, or `default`."""

    value: Any
    source: str


class Row(NamedTuple):
    """key: path in the dictionary. otel, jaeger: variable -> what its text means; first named wins.

    whole: an integer; something else in the dictionary counts as nothing there.
    """

    key: tuple[str, ...]
    default: Any = None
    otel: Mapping[str, Callable[[str], Any]] = {}
    jaeger: Mapping[str, Callable[[str], Any]] = {}
    whole: bool = False


def _yes(text: str) -> bool:
    return get_boolean(text, False)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("a whole number from 0 on is due")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ValueError("a whole number above 0 is due")
    return int(text)


def _port(text: str) -> int:
    """Kubernetes sets `JAEGER_AGENT_PORT=tcp://10.96.0.7:6831` beside a Service called jaeger-agent."""
    try:
        return _count(text)
    except ValueError:
        raise ValueError("the number of a port is due") from None


def _above_zero(number: float) -> float:
    if not number > 0:
        raise ValueError("a number above 0 is due")
    return number


def _milliseconds(text: str) -> float:
    return _above_zero(float(text)) / 1000


_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def _duration(text: str) -> float:
    """Seconds of `500` (milliseconds, as Java's client reads it), `500ms`, `1s` (as Go's does)."""
    parts = _DURATION.findall(text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else _milliseconds(text)


def _collector(text: str) -> str:
    """The OTLP endpoint on the host of a Jaeger collector."""
    parts = urlsplit(text)
    host = parts.hostname or "localhost"
    return f"{parts.scheme or 'http'}://{f'[{host}]' if ':' in host else host}:4318/v1/traces"


def _strategies(text: str) -> str:
    return text if "://" in text else f"http://{text}/sampling"


def _known_sampler(text: str) -> str | None:
    return text if sampler_is_named(text) else None


def _known_protocol(text: str) -> str:
    if text.lower() not in PROTOCOLS:
        raise ValueError(f"known are {', '.join(PROTOCOLS)}")
    return text.lower()


def _known_propagators(text: str) -> str | None:
    return ",".join(names_in_environment("the configuration's propagation", text)) or None


def _kind(text: str) -> str:
    if text not in SAMPLER_TYPES:
        raise ValueError(f"known are {', '.join(SAMPLER_TYPES)}")
    return text


def _formats(text: str) -> str:
    """Raises ConfigurationError, a ValueError, for a name that nobody knows."""
    parse_propagators([name for each in text.split(",") for name in formats_of(each.strip())])
    return text


#: A format in `JAEGER_PROPAGATION` -> those of ours.
_FORMATS: Final = {"jaeger": ("jaeger",), "b3": ("b3multi",), "w3c": ("tracecontext", "baggage")}


def formats_of(name: str) -> tuple[str, ...]:
    """The propagators that a name in `JAEGER_PROPAGATION` stands for."""
    return _FORMATS.get(name, (name,))


SAMPLER_TYPES: Final = ("const", "probabilistic", "ratelimiting", "rate_limiting", "remote")
_SAME: Final = str

ROWS: Final[Mapping[str, Row]] = {
    "service_name": Row(
        ("service_name",), None, {"OTEL_SERVICE_NAME": _SAME}, {"JAEGER_SERVICE_NAME": _SAME}
    ),
    "disabled": Row((), False, {"OTEL_SDK_DISABLED": _yes}, {"JAEGER_DISABLED": _yes}),
    "enabled": Row(("enabled",), True),
    "logging": Row(("logging",), False, {}, {"JAEGER_REPORTER_LOG_SPANS": _SAME}),
    "metrics": Row(("metrics",), True),
    "sampler_type": Row(
        ("sampler", "type"),
        None,
        {"OTEL_TRACES_SAMPLER": _known_sampler},
        {"JAEGER_SAMPLER_TYPE": _kind},
    ),
    "sampler_param": Row(("sampler", "param"), None, {}, {"JAEGER_SAMPLER_PARAM": _SAME}),
    "sampler_arg": Row((), None, {"OTEL_TRACES_SAMPLER_ARG": _SAME}),
    "exporter": Row((), "otlp", {"OTEL_TRACES_EXPORTER": _SAME}),
    "protocol": Row(
        (),
        "http/protobuf",
        {
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": _known_protocol,
            "OTEL_EXPORTER_OTLP_PROTOCOL": _known_protocol,
        },
    ),
    "traces_endpoint": Row(
        (),
        None,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": _SAME, "OTEL_EXPORTER_OTLP_ENDPOINT": _SAME},
        {"JAEGER_ENDPOINT": _collector},
    ),
    "reporting_host": Row(("local_agent", "reporting_host"), "localhost", {}, {"JAEGER_AGENT_HOST": _SAME}),
    "reporting_port": Row(("local_agent", "reporting_port"), 6831, {}, {"JAEGER_AGENT_PORT": _port}, True),
    "sampling_port": Row(("local_agent", "sampling_port"), 5778, whole=True),
    "sampling_endpoint": Row(
        (),
        None,
        {},
        {"JAEGER_SAMPLING_ENDPOINT": _strategies, "JAEGER_SAMPLER_MANAGER_HOST_PORT": _strategies},
    ),
    "local_agent_enabled": Row(("local_agent", "enabled"), True),
    "reporter_batch_size": Row(("reporter_batch_size",), 10, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": _count}),
    "reporter_queue_size": Row(
        ("reporter_queue_size",),
        100,
        {"OTEL_BSP_MAX_QUEUE_SIZE": _count},
        {"JAEGER_REPORTER_MAX_QUEUE_SIZE": _count},
    ),
    "reporter_flush_interval": Row(
        ("reporter_flush_interval",),
        constants.DEFAULT_FLUSH_INTERVAL,
        {"OTEL_BSP_SCHEDULE_DELAY": _milliseconds},
        {"JAEGER_REPORTER_FLUSH_INTERVAL": _duration},
    ),
    "sampling_refresh_interval": Row(
        ("sampling_refresh_interval",),
        constants.DEFAULT_SAMPLING_INTERVAL,
        {},
        {"JAEGER_SAMPLER_REFRESH_INTERVAL": _duration},
    ),
    "max_operations": Row(("max_operations",), None, {}, {"JAEGER_SAMPLER_MAX_OPERATIONS": _count}),
    "propagation": Row(
        ("propagation",),
        None,
        {"OTEL_PROPAGATORS": _known_propagators},
        {"JAEGER_PROPAGATION": _formats},
    ),
    "trace_id_header": Row(("trace_id_header",), constants.TRACE_ID_HEADER),
    "baggage_header_prefix": Row(("baggage_header_prefix",), constants.BAGGAGE_HEADER_PREFIX),
    "debug_id_header": Row(("debug_id_header",), constants.DEBUG_ID_HEADER_KEY),
    "generate_128bit_trace_id": Row(
        ("generate_128bit_trace_id",), False, {}, {"JAEGER_TRACEID_128BIT": lambda text: text == "true"}
    ),
    "max_tag_value_length": Row(
        ("max_tag_value_length",),
        constants.MAX_TAG_VALUE_LENGTH,
        {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": _whole, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": _whole},
    ),
    "max_traceback_length": Row(("max_traceback_length",), constants.MAX_TRACEBACK_LENGTH),
    "throttler_port": Row(("throttler", "port"), 5778, whole=True),
    "throttler_refresh_interval": Row(
        ("throttler", "refresh_interval"), constants.DEFAULT_THROTTLER_REFRESH_INTERVAL, whole=True
    ),
}

#: What `Config(..., validate=True)` accepts: jaeger-client's list, with what that forgot left out, too.
VALID_KEYS: Final = (
    "logging",
    "local_agent",
    "sampler",
    "tags",
    "enabled",
    "reporter_batch_size",
    "reporter_queue_size",
    "propagation",
    "max_tag_value_length",
    "max_traceback_length",
    "reporter_flush_interval",
    "sampling_refresh_interval",
    "trace_id_header",
    "generate_128bit_trace_id",
    "baggage_header_prefix",
    "service_name",
    "throttler",
)


_TEXTS: Final = ("service_name", "sampler_type", "reporting_host", "propagation", "trace_id_header")
_TEXTS_TOO: Final = ("baggage_header_prefix", "debug_id_header")
_NUMBERS: Final = ("reporter_batch_size", "reporter_queue_size", "reporter_flush_interval")
_NUMBERS_TOO: Final = ("sampling_refresh_interval", "max_tag_value_length", "max_traceback_length")


def problems(config: Mapping[str, Any]) -> list[str]:
    """What is of no use in a dictionary, in words; for tools: a `Config` raises what jaeger-client does."""
    found = []
    for group in ("local_agent", "sampler", "throttler", "tags"):
        if not isinstance(config.get(group) or {}, Mapping):
            found.append(f"{group}: keys and values are due, and {config[group]!r} is given")
    for names, kinds, due in (
        (_TEXTS + _TEXTS_TOO, str, "text"),
        (_NUMBERS + _NUMBERS_TOO, (int, float), "number"),
    ):
        for name in names:
            value = _given(ROWS[name].key, config)
            if value is not None and not isinstance(value, kinds):
                found.append(f"{'.'.join(ROWS[name].key)}: a {due} is due, and {value!r} is given")
    return found


def _given(key: tuple[str, ...], config: Any) -> Any:
    for name in key:
        config = config.get(name) if isinstance(config, Mapping) else None
    return config


def resolve(name: str, config: Mapping[str, Any], environment: Environment) -> Setting:
    """What a setting is, and who says so. A variable that cannot be read is said, and counts as unset."""
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


def _from_config(row: Row, config: Any) -> Setting | None:
    for key in row.key:
        if not isinstance(config, Mapping) or key not in config:
            return None
        config = config[key]
    if row.whole:
        try:
            config = int(config)
        except (TypeError, ValueError):
            return None
    return Setting(config, "config") if row.key else None


def tags(config: Mapping[str, Any], environment: Environment) -> dict[str, Setting]:
    """The tags of the process; those in `JAEGER_TAGS` (`key=value,...`) win."""
    found = {key: Setting(value, "config") for key, value in (config.get("tags") or {}).items()}
    for pair in environment.get("JAEGER_TAGS", "").split(","):
        key, equals, value = pair.partition("=")
        if equals:
            found[key.strip()] = Setting(_expanded(value.strip(), environment), "JAEGER_TAGS")
    return found


_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([^}]*))?\}")


def _expanded(text: str, environment: Environment) -> str:
    """`${name:default}` replaced, as all of Jaeger's clients but Python's did."""
    return _VARIABLE.sub(lambda match: environment.get(match[1]) or match[2] or "", text)
