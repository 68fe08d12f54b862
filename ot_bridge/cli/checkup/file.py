"""K14: the rows of a file in OpenTelemetry's declarative configuration: its values and their keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from typing import Any, Final

from ot_bridge.cli.checkup.model import WRONG, Finding, Row, is_secret
from ot_bridge.declared import FILE, Declared, declared
from ot_bridge.sending.url import without_secrets
from ot_bridge.variables import text

#: beginning of a key -> the row's name; the first match counts
_NAMES: Final = {
    "disabled": "disabled",
    "resource.attributes.service.name": "service.name",
    "resource": "resource",
    "propagator": "propagators",
    "tracer_provider.sampler": "sampler",
    "tracer_provider.id_generator": "trace ids",
    "tracer_provider.processors": "exporter",
    "tracer_provider": "provider",
    "attribute_limits": "limits",
}


def rows() -> Iterator[Row]:
    """One row for each value that the file sets for traces."""
    path = text(FILE)
    yield Row("file", path, FILE)
    found, _ = _read(path)
    for key, value in _values(found, ""):
        name = next((name for begin, name in _NAMES.items() if key.startswith(begin)), None)
        if name is not None:
            yield Row(name, _as_text(key, value), f"{path}: {key}")


def findings() -> Iterator[Finding]:
    """The reason for which the file cannot be used, if there is one."""
    _, problem = _read(text(FILE)) if text(FILE) else ({}, "")
    if problem:
        yield Finding(WRONG, "file", f"{text(FILE)} cannot be used: {problem}", f"unset {FILE}")


@cache
def provider_of(path: str) -> Declared:
    """The provider that OpenTelemetry makes of the file. It is made once for all checks."""
    return declared() or Declared(None, None)


@cache
def _read(path: str) -> tuple[dict[str, Any], str]:
    """The file's values, with variables replaced, and the error in it."""
    try:
        from opentelemetry.configuration import load_config_file

        return asdict(load_config_file(path)), ""
    except ImportError as error:
        return {}, f"{error}: pip install 'ot-bridge[config]'"
    except Exception as error:  # errors of OpenTelemetry and of its parsers
        return {}, " ".join(str(error).split())


def _values(found: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values. A key without a value (`always_on:`) is its own value."""
    if isinstance(found, list):
        for at, each in enumerate(found):
            pair = isinstance(each, dict) and {"name", "value"} <= {*each}
            yield from [(f"{key}.{each['name']}", each["value"])] if pair else _values(each, f"{key}[{at}]")
    elif isinstance(found, dict):
        for name, value in found.items():
            if value == {}:
                yield key, name
            elif value is not None:
                yield from _values(value, f"{key}.{name}" if key else name)
    else:
        yield key, found


def _as_text(key: str, value: Any) -> str:
    if is_secret(key):
        return "…"
    last = key.rpartition(".")[2]
    return (
        without_secrets(str(value))
        if key.startswith("resource")
        else f"{last}: {without_secrets(str(value))}"
    )
