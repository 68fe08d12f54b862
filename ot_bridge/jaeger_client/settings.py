"""Every setting of a `Config` as a row: its key, the variables that stand for it, and its default.

`OTEL_*` wins over the dictionary, and the dictionary over `JAEGER_*`. `resolve` gives a setting with its
source, `value` the same as jaeger-client understands it; nothing here acts on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from ot_bridge.choices import sampler_is_named
from ot_bridge.errors import bad_variable
from ot_bridge.exporters import PROTOCOLS
from ot_bridge.jaeger_client import constants
from ot_bridge.jaeger_client.utils import get_boolean
from ot_bridge.propagation.parse import names_in_environment, parse_propagators
from ot_bridge.sampling import ConstSampler, JaegerSampler, ProbabilisticSampler, RateLimitingSampler

Environment = Mapping[str, str]


class Setting(NamedTuple):
    """A value and its source: a variable's name, `config`, or `default`."""

    value: Any
    source: str


class Row(NamedTuple):
    """key: in the dictionary, where `a.b` is b within a. otel, jaeger: variables -> what their text means.

    kind: of the value that is due: bool, int, float, str or, for what is taken as it is, object.
    forgiving: whether what is no integer in the dictionary counts as nothing there.
    """

    key: str = ""
    default: Any = None
    kind: type = object
    otel: Mapping[str, Callable[[str], Any]] = {}
    jaeger: Mapping[str, Callable[[str], Any]] = {}
    forgiving: bool = False


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


def _milliseconds(text: str) -> float:
    if not float(text) > 0:
        raise ValueError("a number above 0 is due")
    return float(text) / 1000


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


def _one_of(names: Iterable[str]) -> Callable[[str], str]:
    def known(text: str) -> str:
        if text.lower() not in names:
            raise ValueError(f"known are {', '.join(names)}")
        return text.lower()

    return known


def _propagators(text: str) -> str | None:
    return ",".join(names_in_environment("the configuration's propagation", text)) or None


def _formats(text: str) -> str:
    """Raises ConfigurationError, a ValueError, for an unknown name."""
    parse_propagators(propagators_of(text))
    return text


#: A format in `JAEGER_PROPAGATION` -> the propagators that it stands for; any other name stands for itself.
_FORMATS: Final = {"jaeger": ("jaeger",), "b3": ("b3multi",), "w3c": ("tracecontext", "baggage")}


def propagators_of(text: str) -> list[str]:
    """The names of propagators for the formats in `JAEGER_PROPAGATION`, as `jaeger,b3`."""
    formats = map(str.strip, text.split(","))
    return [name for each in formats for name in _FORMATS.get(each, (each,))]


#: Type of a sampler -> the sampler of its param; None: the remote one.
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
        {"OTEL_TRACES_SAMPLER": _known_sampler},
        {"JAEGER_SAMPLER_TYPE": _one_of(SAMPLERS)},
    ),
    "sampler_param": Row("sampler.param", None, object, {}, {"JAEGER_SAMPLER_PARAM": str}),
    "sampler_arg": Row("", None, str, {"OTEL_TRACES_SAMPLER_ARG": str}),
    "exporter": Row("", "otlp", str, {"OTEL_TRACES_EXPORTER": str}),
    "protocol": Row("", "http/protobuf", str, dict.fromkeys(_PROTOCOLS, _one_of(PROTOCOLS))),
    "traces_endpoint": Row("", None, str, dict.fromkeys(_ENDPOINTS, str), {"JAEGER_ENDPOINT": _collector}),
    "reporting_host": Row("local_agent.reporting_host", "localhost", str, {}, {"JAEGER_AGENT_HOST": str}),
    "reporting_port": Row(
        "local_agent.reporting_port", 6831, int, {}, {"JAEGER_AGENT_PORT": _port}, forgiving=True
    ),
    "sampling_port": Row("local_agent.sampling_port", 5778, int, forgiving=True),
    "sampling_endpoint": Row("", None, str, {}, dict.fromkeys(_STRATEGIES, _strategies)),
    "local_agent_enabled": Row("local_agent.enabled", True, bool),
    "reporter_batch_size": Row("reporter_batch_size", 10, int, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": _count}),
    "reporter_queue_size": Row(
        "reporter_queue_size",
        100,
        int,
        {"OTEL_BSP_MAX_QUEUE_SIZE": _count},
        {"JAEGER_REPORTER_MAX_QUEUE_SIZE": _count},
    ),
    "reporter_flush_interval": Row(
        "reporter_flush_interval",
        constants.DEFAULT_FLUSH_INTERVAL,
        float,
        {"OTEL_BSP_SCHEDULE_DELAY": _milliseconds},
        {"JAEGER_REPORTER_FLUSH_INTERVAL": _duration},
    ),
    "sampling_refresh_interval": Row(
        "sampling_refresh_interval",
        constants.DEFAULT_SAMPLING_INTERVAL,
        float,
        {},
        {"JAEGER_SAMPLER_REFRESH_INTERVAL": _duration},
    ),
    "max_operations": Row("max_operations", None, object, {}, {"JAEGER_SAMPLER_MAX_OPERATIONS": _count}),
    "propagation": Row(
        "propagation", None, str, {"OTEL_PROPAGATORS": _propagators}, {"JAEGER_PROPAGATION": _formats}
    ),
    "trace_id_header": Row("trace_id_header", constants.TRACE_ID_HEADER, str),
    "baggage_header_prefix": Row("baggage_header_prefix", constants.BAGGAGE_HEADER_PREFIX, str),
    "debug_id_header": Row("debug_id_header", constants.DEBUG_ID_HEADER_KEY, str),
    "generate_128bit_trace_id": Row(
        "generate_128bit_trace_id", False, bool, {}, {"JAEGER_TRACEID_128BIT": lambda text: text == "true"}
    ),
    "max_tag_value_length": Row(
        "max_tag_value_length", constants.MAX_TAG_VALUE_LENGTH, float, dict.fromkeys(_LENGTHS, _whole)
    ),
    "max_traceback_length": Row("max_traceback_length", constants.MAX_TRACEBACK_LENGTH, float),
    "throttler_port": Row("throttler.port", 5778, int, forgiving=True),
    "throttler_refresh_interval": Row(
        "throttler.refresh_interval", constants.DEFAULT_THROTTLER_REFRESH_INTERVAL, int, forgiving=True
    ),
}

#: What `Config(..., validate=True)` accepts: all keys but three, which jaeger-client has left out as well.
VALID_KEYS: Final = {"tags", *(row.key.partition(".")[0] for row in ROWS.values() if row.key)} - {
    *("metrics", "max_operations", "debug_id_header")
}


def problems(config: Mapping[str, Any]) -> list[str]:
    """What is wrong in a dictionary, in words; for tools: a `Config` raises what jaeger-client raises."""
    found = []
    for group in ("local_agent", "sampler", "throttler", "tags"):
        if not isinstance(config.get(group) or {}, Mapping):
            found.append(f"{group}: keys and values are due, and {config[group]!r} is given")
    for row in ROWS.values():
        given, due = _from_config(row, config), _DUE.get(row.kind)
        if given is None or given.value is None or due is None or row.forgiving:
            continue
        if not isinstance(given.value, due[0]):
            found.append(f"{row.key}: a {due[1]} is due, and {given.value!r} is given")
    return found


_NUMBER: Final = ((int, float), "number")
_DUE: Final[Mapping[type, tuple[Any, str]]] = {str: (str, "text"), int: _NUMBER, float: _NUMBER}


def value(name: str, config: Mapping[str, Any], environment: Environment) -> Any:
    """A setting as jaeger-client understands it. Raises ValueError for a size that is no number."""
    row, found = ROWS[name], resolve(name, config, environment).value
    if row.kind is bool:
        return get_boolean(found, row.default)
    return int(found) if row.kind is int else found


def resolve(name: str, config: Mapping[str, Any], environment: Environment) -> Setting:
    """A setting as given, and its source. A variable that cannot be read is logged, and counts as unset."""
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
    for key in row.key.split("."):
        if not isinstance(config, Mapping) or key not in config:
            return None
        config = config[key]
    if row.forgiving:
        try:
            config = int(config)
        except (TypeError, ValueError):
            return None
    return Setting(config, "config")


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
