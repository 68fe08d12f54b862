"""`ot-bridge COMMAND`: each command is a module of this room with `add_arguments(parser)` and `run(args)`.

A module's `EPILOG` has examples and exit statuses for `--help`. Only the module of the given command is
imported, so that a command does not need the extras of another. Results go to standard output, messages to
standard error.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from ot_bridge._version import __version__

COMMANDS = {
    "demo": "send requests of older clients through a gateway and show the traces",
    "decode": "explain a tracing header, or why it is refused",
    "run": "run a program on ot_bridge without changing it",
    "doctor": "show the configuration, send one span, and find out why traces are missing",
    "view": "show the traces that programs on this machine send, in a browser",
    "config": "show the effective configuration, or translate Jaeger's",
    "compare": "run a program on jaeger-client and on ot_bridge and show how the traces differ",
    "rewrite": "rewrite OpenTracing calls to OpenTelemetry's API, and mark what a person decides",
    "check": "report which parts of a code base work unchanged, work differently, or need a person",
}
EPILOG: Final = """\
For one command: ot-bridge COMMAND --help.

exit status: 0 success, 1 something differs, is refused or is wrong, 2 the command failed or its arguments
are wrong, 130 interrupted. `run` returns the program's exit status.

On Windows, `run` starts the program and waits for it. `compare` needs process groups, and therefore Linux,
macOS or WSL. All other commands are the same everywhere.
"""
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141  # the exit status that a shell reports after SIGPIPE

#: package that a command needs -> the extra that installs it
EXTRAS = {"libcst": "migrate"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status. argv: the arguments without the program's name."""
    _open_streams()
    command = ""
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        command = options.command
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:  # a character that the terminal cannot show must not end a command
            reconfigure(errors="backslashreplace")
        status = int(options.run(options) or 0)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.errno not in _OUTPUT_ERRORS:
            raise
        _abandon_output()
        return _OUTPUT_ERRORS[error.errno](command, error)


def _open_streams() -> None:
    """Opens the null device for each standard stream that is closed, which Python leaves as None."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (as long as the process)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. Raises SystemExit for `--help` and for wrong arguments."""
    arguments = list(argv)
    parser = argparse.ArgumentParser(
        "ot-bridge",
        description="OpenTracing code on OpenTelemetry.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ot-bridge {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next(iter(arguments), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == chosen:
            module = _load(parser, name)
            command.epilog = getattr(module, "EPILOG", None)
            module.add_arguments(command)
            if getattr(module, "AFTER_DASHES", False):
                command.usage = f"{command.format_usage()[len('usage: ') :].rstrip()} [-- COMMAND ...]"
                arguments, rest = _divided(arguments)
                command.set_defaults(program=rest)
            command.set_defaults(run=module.run)
    return parser.parse_args(arguments)


def _divided(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments before and after the first `--`. argparse would take the program for a file name."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _load(parser: argparse.ArgumentParser, name: str) -> Any:
    try:
        return import_module(f"ot_bridge.cli.{name}")
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("ot_bridge.cli"):
            raise
        extra = EXTRAS.get(missing.name.partition(".")[0], "demo")
        parser.exit(2, f"ot-bridge {name} needs {missing.name}: pip install 'ot-bridge[{extra}]'\n")


def _not_written(command: str, error: OSError) -> int:
    print(f"ot-bridge {command}: the output cannot be written: {error.strerror}", file=sys.stderr)
    return 2


def _reader_is_gone(command: str, error: OSError) -> int:
    return BROKEN_PIPE


#: Errors of standard output -> the message, and the exit status.
_OUTPUT_ERRORS: Final[dict[int | None, Callable[[str, OSError], int]]] = {
    errno.EPIPE: _reader_is_gone,
    errno.ENOSPC: _not_written,
    errno.EIO: _not_written,
}


def _abandon_output() -> None:
    """Redirects standard output to the null device, so that Python's flush at the exit cannot fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
