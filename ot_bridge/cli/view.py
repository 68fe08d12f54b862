"""`ot-bridge view`: receives the spans of programs on this machine, and shows them in a browser.

It listens on the ports that `ot_bridge.install()` and OpenTelemetry use by default, keeps the last traces in
memory, and runs until Ctrl-C.
"""

from __future__ import annotations

import argparse
import ipaddress
import webbrowser
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from ot_bridge.cli import viewing
from ot_bridge.otlp.decode_json import decode_json
from ot_bridge.view.app import NAMES, Viewer
from ot_bridge.view.receive import is_known_by
from ot_bridge.view.store import KEEP, Store

_ANY: Final = frozenset({"0.0.0.0", "::"})

EPILOG: Final = """\
examples:
  ot-bridge view --open
  ot-bridge view --port 4319 traces.json

exit status: 0 it was ended by Ctrl-C or SIGTERM, 2 it cannot listen on the port or cannot read a file.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `run` reads."""
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        help="an address to listen on (default: 127.0.0.1 and ::1), or a name to accept as Host",
    )
    parser.add_argument(
        "--port", type=int, help=f"port for OTLP over HTTP and for the page (default: {viewing.PORT})"
    )
    parser.add_argument("--keep", type=int, default=KEEP, help=f"number of traces to keep (default: {KEEP})")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="traces to show from the start, as OTLP in JSON"
    )


def run(options: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM. Returns the exit status that `EPILOG` describes."""
    if options.keep < 1:
        return _fail("--keep needs a number of traces, at least 1")
    store = Store(options.keep)
    for file in options.files:
        try:
            store.add(filter(is_known_by, decode_json(Path(file).read_bytes())))
        except (OSError, ValueError) as error:
            return _fail(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}")
    addresses = [host for host in options.host if _is_address(host)] or list(viewing.LOOPBACK)
    public = bool(_ANY & {*addresses})
    names = {*NAMES, *options.host, *({Viewer.ANY_ADDRESS} if public else ())}
    with ExitStack() as stack:
        try:
            address = stack.enter_context(viewing.viewer(store, addresses, names, options.port))
        except (OSError, OverflowError) as error:
            port = viewing.PORT if options.port is None else options.port
            return _fail(f"port {port} cannot be listened on: {error}")
        _print_notes(address, public, options.port)
        ended: list[int] = []
        with viewing.noted(ended):
            viewing.announce(address)
            if options.open:
                webbrowser.open(f"{address.url}/")
            viewing.serve(address, ended)
        return 0


def _print_notes(address: viewing.Address, public: bool, port: int | None) -> None:
    if not address.ours:
        viewing.say("it runs already")
        return
    if port is None and address.port != viewing.PORT:
        print(f"Port {viewing.PORT} is taken by another program. For programs to send here:")
        print(f"export OTEL_EXPORTER_OTLP_ENDPOINT={address.url}")
    if public:
        viewing.say(
            "everyone who reaches this machine can read the traces. A name in the Host header must be given"
            " with --host"
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _fail(text: str) -> int:
    viewing.say(text)
    return 2
