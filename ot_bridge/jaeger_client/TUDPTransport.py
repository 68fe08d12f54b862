"""jaeger-client's UDP transport. Spans leave by OTLP here, so this module has its names only."""

from __future__ import annotations

import socket
from typing import Any, NoReturn

from ot_bridge.jaeger_client.thrift_gen.generated import needs_thrift


class TUDPTransport:
    """Can be imported; making an object of it raises NotImplementedError."""

    DEFAULT_SOCKET_FAMILY = socket.AF_INET

    def __init__(self, host: str, port: int, blocking: bool = False) -> None:
        raise needs_thrift("TUDPTransport")

    def write(self, buf: Any) -> NoReturn:
        raise needs_thrift("TUDPTransport.write")

    def isOpen(self) -> bool:
        return False

    def close(self) -> None:
        """There is nothing to close."""
