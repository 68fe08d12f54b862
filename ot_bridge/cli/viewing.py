"""Runs the viewer for the commands `view`, `run --view` and `demo --view`."""

from __future__ import annotations

import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, Final, NamedTuple

from ot_bridge.view.app import ABOUT, NAMES, Viewer
from ot_bridge.view.serving import Packets, Server, bound
from ot_bridge.view.store import Store

PORT: Final = 4318
LOOPBACK: Final = ("127.0.0.1", "::1")


class Address(NamedTuple):
    """The address of a viewer. ours: False if another process runs that viewer."""

    port: int
    ours: bool

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def viewer(
    store: Store, addresses: Sequence[str] = LOOPBACK, names: Collection[str] = NAMES, port: int | None = None
) -> Iterator[Address]:
    """Runs a viewer while the block runs.

    port: None means 4318. If another viewer has port 4318, its address is used and no viewer is started. If
    another program has it, a free port is taken. Raises OSError or OverflowError if a given port cannot be
    used.
    """
    try:
        sockets = bound(addresses, PORT if port is None else port)
    except OSError:
        if port is not None:
            raise
        if _is_viewer(PORT):
            yield Address(PORT, False)
            return
        sockets = bound(addresses, 0)
    app = Viewer(store, names, say)
    running: list[Any] = [Server(app, each, say) for each in sockets]
    found = Address(running[0].port, True)
    running += _others(store, addresses[0])
    try:
        yield found
    finally:
        for each in running:
            each.stop()


def _is_viewer(port: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/api/about", timeout=2) as answer:
            return ABOUT.encode() in answer.read(1000)
    except (OSError, ValueError):
        return False


def _others(store: Store, host: str) -> Iterator[Any]:
    """Starts the receivers of jaeger-client's packets and of gRPC, if their ports are free."""
    for name, make in (("Jaeger's packets (UDP 6831)", _packets), ("OTLP over gRPC (4317)", _grpc)):
        try:
            yield make(store, host)
        except ImportError:
            say(f"{name}: left out, as grpcio is not installed (pip install 'ot-bridge[grpc]')")
        except OSError:
            say(f"{name}: left out, as the port is taken")


def _packets(store: Store, host: str) -> Any:
    return Packets(store, host if ":" not in host else "127.0.0.1")


def _grpc(store: Store, host: str) -> Any:
    from ot_bridge.view.grpc_port import GrpcPort

    return GrpcPort(store, host)


def say(text: str) -> None:
    """Prints a message of the viewer."""
    print(f"ot-bridge view: {text}", file=sys.stderr, flush=True)


@contextmanager
def signals(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Makes SIGINT and SIGTERM call the handler while the block runs."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, other in before.items():
            signal.signal(number, other)


def noted(ended: list[int]) -> AbstractContextManager[None]:
    """Makes SIGINT and SIGTERM be added to the list while the block runs.

    A signal handler must not set an `Event`: its lock may be held by the code that it interrupts.
    """
    return signals(lambda number, frame: ended.append(number))


def serve(address: Address, ended: list[int]) -> None:
    """Waits until there is a signal in the list, if the viewer is ours."""
    while address.ours and not ended:
        time.sleep(0.2)


def announce(address: Address) -> None:
    """Prints where the traces are shown, as the result of a command."""
    print(f"Traces are shown at {address.url}/{' (Ctrl-C ends it)' * address.ours}", flush=True)
