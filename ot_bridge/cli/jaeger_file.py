"""Reads the dictionary of jaeger-client's `Config` from a file in YAML, JSON or Python."""

from __future__ import annotations

import ast
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final


def read(file: str) -> dict[str, Any]:
    """The dictionary in a file. Raises ValueError if there is none."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{file}: no text in UTF-8") from None
    for parse in _PARSERS:
        try:
            found = parse(text)
        except ImportError:
            raise ValueError(f"{file}: reading YAML needs PyYAML: pip install pyyaml") from None
        except Exception:
            continue
        if isinstance(found, dict):
            # Many files have it inside another dictionary: `jaeger: {...}` or `tracing: {config: {...}}`.
            return _section(found)
    raise ValueError(f"{file}: no dictionary in YAML, JSON or Python")


def _yaml(text: str) -> Any:
    return importlib.import_module("yaml").safe_load(text)


_PARSERS: Final[tuple[Callable[[str], Any], ...]] = (json.loads, ast.literal_eval, _yaml)
_SECTIONS: Final = ("jaeger", "jaeger_config", "tracing", "opentracing", "config")


def _section(found: dict[str, Any]) -> dict[str, Any]:
    """The dictionary for `Config`. A `service_name` in the dictionary around it is added."""
    for name in _SECTIONS:
        if isinstance(found.get(name), dict):
            beside = {"service_name": found["service_name"]} if "service_name" in found else {}
            return {**beside, **_section(found[name])}
    return found
