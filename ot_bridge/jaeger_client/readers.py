"""Functions that read the text of a variable or the value of a dictionary. All raise ValueError."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from ot_bridge.choices import sampler_is_named
from ot_bridge.propagation.parse import names_in_environment, parse_propagators


def whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("expected a whole number from 0 on")
    return int(text)


def count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ValueError("expected a whole number above 0")
    return int(text)


def port(text: str) -> int:
    """A port's number. Kubernetes sets `JAEGER_AGENT_PORT` to a URL if a Service is called jaeger-agent."""
    try:
        return count(text)
    except ValueError:
        raise ValueError("expected the number of a port") from None


def seconds(value: Any) -> float:
    """A number of seconds for which a thread can wait."""
    if not 0 < float(value) <= threading.TIMEOUT_MAX:
        raise ValueError("expected a time above 0")
    return value if isinstance(value, (int, float)) else float(value)


def milliseconds(text: str) -> float:
    return seconds(float(text) / 1000)


def host(value: Any) -> str:
    """A host's name or address that can be part of a URL."""
    text = "" if value is None else str(value)
    return text if _NAME.fullmatch(text) else str(ip_address(text))


_NAME: Final = re.compile(r"[^\s/\[\]?#@:]+")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def duration(text: str) -> float:
    """The seconds in `500` (milliseconds, as in Jaeger's Java client), `500ms` or `1s` (Go client)."""
    parts = _DURATION.findall(text)
    if not parts:
        return milliseconds(text)
    return seconds(sum(float(number) * _UNITS[unit] for number, unit in parts))


def collector(text: str) -> str:
    """The OTLP endpoint on the host of a Jaeger collector."""
    parts = urlsplit(text)
    host = parts.hostname or "localhost"
    return f"{parts.scheme or 'http'}://{f'[{host}]' if ':' in host else host}:4318/v1/traces"


def known_sampler(text: str) -> str | None:
    return text if sampler_is_named(text) else None


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    def known(text: str) -> str:
        if text.lower() not in names:
            raise ValueError(f"expected one of {', '.join(names)}")
        return text.lower()

    return known


def propagators(text: str) -> str | None:
    return ",".join(names_in_environment("the configuration's propagation", text)) or None


def formats(text: str) -> str:
    """Raises ConfigurationError, a ValueError, for an unknown name."""
    parse_propagators(propagators_of(text))
    return text


#: A format in `JAEGER_PROPAGATION` -> the names of its propagators. Other names are used unchanged.
_FORMATS: Final = {"jaeger": ("jaeger",), "b3": ("b3multi",), "w3c": ("tracecontext", "baggage")}


def propagators_of(text: str) -> list[str]:
    """The names of the propagators for the formats in `JAEGER_PROPAGATION` (such as `jaeger,b3`)."""
    named = map(str.strip, text.split(","))
    return [name for each in named for name in _FORMATS.get(each, (each,))]
