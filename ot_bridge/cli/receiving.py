"""Receives spans for `compare` and `check --tags`: the viewer's receiver, which keeps them in a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ot_bridge.cli.run import sending_to
from ot_bridge.cli.serving import serving
from ot_bridge.otlp.decode import SpanRecord
from ot_bridge.view.app import Receiver
from ot_bridge.view.serving import Packets


class Received:
    """Received spans. variables: make a program send its spans here. udp_port: the port for jaeger-client."""

    def __init__(self) -> None:
        self._spans: list[SpanRecord] = []
        self._packets = Packets(self, port=0)
        self.udp_port = self._packets.port
        self.variables: dict[str, str] = {}

    def add(self, spans: Iterable[SpanRecord]) -> None:
        """Adds spans. The receivers call it."""
        self._spans += spans

    def take(self) -> list[SpanRecord]:
        """The spans that were received since the last call."""
        self._packets.drain()
        taken, self._spans = self._spans, []
        return taken

    def stop(self) -> None:
        """Stops receiving packets and frees their port."""
        self._packets.stop()


@contextmanager
def receiving() -> Iterator[Received]:
    """Receives OTLP over HTTP and jaeger-client's packets on loopback while the block runs."""
    received = Received()
    try:
        with serving(Receiver(received)) as port:
            received.variables = sending_to(f"http://127.0.0.1:{port}")
            yield received
    finally:
        received.stop()
