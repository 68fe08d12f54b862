"""`ot-bridge COMMAND`: each command is a module of this room with `add_arguments(parser)` and `run(args)`.

Only the module of the command that was asked for is imported, so that each needs what it needs alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from ot_bridge._version import __version__

COMMANDS = {
    "demo": "send old neighbours' requests through a gateway and show the traces",
    "decode": "say what is in a tracing header, or why it is refused",
    "run": "run a program on ot_bridge without changing it",
    "view": "show the traces that programs on this machine send, in a browser",
    "config": "show the effective configuration, or translate Jaeger's",
    "compare": "run a program on jaeger-client and on ot_bridge and show how the traces differ",
    "rewrite": "take OpenTracing calls to OpenTelemetry's API, and mark what a person decides",
    "check": "say what of a code base works unchanged, works differently, or needs a person",
}

#: package that a command may miss -> the extra that brings it
EXTRAS = {"libcst": "migrate"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit status. argv: without the program's name."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="ot-bridge", description="OpenTracing code on OpenTelemetry.")
    parser.add_argument("--version", action="version", version=f"ot-bridge {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    asked = next((name for name in arguments if name in COMMANDS), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == asked:
            module = _load(parser, name)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except KeyboardInterrupt:
        return 130


def _load(parser: argparse.ArgumentParser, name: str) -> Any:
    try:
        return import_module(f"ot_bridge.cli.{name}")
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("ot_bridge.cli"):
            raise
        extra = EXTRAS.get(missing.name.partition(".")[0], "demo")
        parser.exit(2, f"ot-bridge {name} needs {missing.name}: pip install 'ot-bridge[{extra}]'\n")
