"""The names of jaeger-client's UDP transport. It cannot be used, since spans are sent by OTLP."""

from __future__ import annotations

import socket

from ot_bridge.jaeger_client.thrift_gen.generated import needs_thrift


class TUDPTransport:
    """A name to import. Calling the class raises NotImplementedError."""

    DEFAULT_SOCKET_FAMILY = socket.AF_INET

    def __init__(self, host: str, port: int, blocking: bool = False) -> None:
        raise needs_thrift("TUDPTransport")
