"""`ot-bridge config`: the effective configuration and where each value comes from, and the same for others.

With a file (`-`: standard input) it is that of a program whose `Config` is given what the file holds: YAML,
JSON or a Python dictionary. Exit status: 0, or 2 if the file or a variable cannot be read.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from ot_bridge.jaeger_client.translate import effective, lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `run` reads."""
    parser.add_argument("file", nargs="?", help="a Jaeger configuration in YAML, JSON or Python; - for stdin")
    parser.add_argument("--service-name", metavar="NAME", help="as the program gives it to Config")
    parser.add_argument(
        "--otel", action="store_true", help="print OpenTelemetry's variables and nothing else"
    )


def run(args: argparse.Namespace) -> int:
    """Print what holds; the exit status as above."""
    try:
        config = _read(args.file) if args.file else {}
        if args.service_name:
            config.setdefault("service_name", args.service_name)
        if not args.otel:
            print(*_table(config), "", "The same in OpenTelemetry's variables:", sep="\n")
        print(*lines(config, os.environ), sep="\n")
    except (OSError, ValueError) as error:
        print(f"ot-bridge config: {error}", file=sys.stderr)
        return 2
    return 0


def _table(config: Mapping[str, Any]) -> Iterable[str]:
    found = effective(config, os.environ)
    rows = [
        ("setting", "value", "from"),
        *((name, _shown(each.value), each.source) for name, each in found.items()),
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, source in rows:
        yield f"{name:{widths[0]}}  {value:{widths[1]}}  {source}"


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)


def _read(file: str) -> dict[str, Any]:
    """The dictionary in a file. Raises ValueError if there is none."""
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    for parse in _PARSERS:
        try:
            found = parse(text)
        except ImportError:
            raise ValueError(f"{file}: reading YAML needs PyYAML: pip install pyyaml") from None
        except Exception:
            continue
        if isinstance(found, dict):
            # Many files hold more than tracing: `jaeger: {...}` or `tracing: {config: {...}}`.
            return _section(found)
    raise ValueError(f"{file}: no dictionary in YAML, JSON or Python")


def _yaml(text: str) -> Any:
    return importlib.import_module("yaml").safe_load(text)


_PARSERS: Final[tuple[Callable[[str], Any], ...]] = (json.loads, ast.literal_eval, _yaml)
_SECTIONS: Final = ("jaeger", "jaeger_config", "tracing", "opentracing", "config")


def _section(found: dict[str, Any]) -> dict[str, Any]:
    for name in _SECTIONS:
        if isinstance(found.get(name), dict):
            return _section(found[name])
    return found
