"""`ot-bridge view`: takes the spans that programs on this machine send, and shows them in a browser.

It listens where `ot_bridge.install()` and OpenTelemetry send to by default, keeps the last traces in memory,
and ends with Ctrl-C. Exit status: 0; 2 where it cannot listen, or cannot read a file.
"""

from __future__ import annotations

import argparse
import ipaddress
import signal
import sys
import threading
import urllib.request
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ot_bridge.otlp.decode_json import decode_json
from ot_bridge.view.app import ABOUT, NAMES, Viewer
from ot_bridge.view.receive import is_known_by
from ot_bridge.view.serving import Packets, Server, bound
from ot_bridge.view.store import KEEP, Store

PORT: Final = 4318
_LOOPBACK: Final = ("127.0.0.1", "::1")
_ANY: Final = frozenset({"0.0.0.0", "::"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `run` reads."""
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        help="an address to listen on (default: 127.0.0.1 and ::1), or a name by which it may be asked for",
    )
    parser.add_argument("--port", type=int, help=f"for OTLP over HTTP, and the page (default: {PORT})")
    parser.add_argument("--keep", type=int, default=KEEP, help=f"traces that are kept (default: {KEEP})")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument("files", nargs="*", metavar="FILE", help="traces to begin with, as OTLP in JSON")


def run(options: argparse.Namespace) -> int:
    """Serves until it is told to end."""
    if options.keep < 1:
        return _fail("--keep needs a number of traces, at least 1")
    store = Store(options.keep)
    for file in options.files:
        try:
            store.add(filter(is_known_by, decode_json(Path(file).read_bytes())))
        except (OSError, ValueError) as error:
            return _fail(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}")
    addresses = [host for host in options.host if _is_address(host)] or list(_LOOPBACK)
    names = {*NAMES, *options.host, *({Viewer.ANY_ADDRESS} if _ANY & {*addresses} else ())}
    try:
        sockets = bound(addresses, PORT if options.port is None else options.port)
    except (OSError, OverflowError) as error:
        return _taken(options, error, store, addresses, names)
    return _serve(store, names, addresses, sockets, options)


def _taken(
    options: argparse.Namespace, error: Exception, store: Store, addresses: Sequence[str], names: set[str]
) -> int:
    """What is to be done where the port is not to be had."""
    if options.port is not None:
        return _fail(f"port {options.port} cannot be listened on: {error}")
    if _is_viewer(PORT):
        print(f"ot-bridge view runs already: http://127.0.0.1:{PORT}/", flush=True)
        return 0
    try:
        sockets = bound(addresses, 0)
    except OSError as other:
        return _fail(f"no port can be listened on: {other}")
    port = sockets[0].getsockname()[1]
    print(f"Port {PORT} is taken by another program. For programs to send here:", flush=True)
    print(f"export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{port}", flush=True)
    return _serve(store, names, addresses, sockets, options)


def _is_viewer(port: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/api/about", timeout=2) as answer:
            return ABOUT.encode() in answer.read(1000)
    except (OSError, ValueError):
        return False


def _serve(
    store: Store,
    names: set[str],
    addresses: Sequence[str],
    sockets: Sequence[Any],
    options: argparse.Namespace,
) -> int:
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    viewer = Viewer(store, names, _say)
    running: list[Any] = [Server(viewer, each, _say) for each in sockets]
    port = running[0].port
    if _ANY & {*addresses}:
        _say(
            "everyone who reaches this machine can read the traces. A name in the Host header must be given"
            " with --host"
        )
    running += _others(store, addresses[0])
    address = f"http://127.0.0.1:{port}/"
    print(f"Traces are shown at {address} (Ctrl-C ends it)", flush=True)
    if options.open:
        webbrowser.open(address)
    while not over.wait(0.5):
        pass
    for each in running:
        each.stop()
    return 0


def _others(store: Store, host: str) -> list[Any]:
    """The other ports that can be had: an old client's, and gRPC's."""
    made = []
    for name, make in (("Jaeger's packets (UDP 6831)", _packets), ("OTLP over gRPC (4317)", _grpc)):
        try:
            made.append(make(store, host))
        except ImportError:
            _say(f"{name}: left out, as grpcio is not installed (pip install 'ot-bridge[grpc]')")
        except OSError:
            _say(f"{name}: left out, as the port is taken")
    return made


def _packets(store: Store, host: str) -> Any:
    return Packets(store, host if ":" not in host else "127.0.0.1")


def _grpc(store: Store, host: str) -> Any:
    from ot_bridge.view.grpc_port import GrpcPort

    return GrpcPort(store, f"[{host}]" if ":" in host else host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _say(text: str) -> None:
    print(f"ot-bridge view: {text}", file=sys.stderr, flush=True)


def _fail(text: str) -> int:
    _say(text)
    return 2
