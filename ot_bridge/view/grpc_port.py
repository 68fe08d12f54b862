"""Receives OTLP over gRPC for the viewer. It needs grpcio."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc

from ot_bridge.view import receive
from ot_bridge.view.serving import bound

_SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
_FORM: Final = receive.FORMS["application/x-protobuf"]


class GrpcPort:
    """Receives spans over gRPC until `stop()`. Raises OSError if the port is taken."""

    def __init__(self, sink: receive.Sink, host: str = "127.0.0.1", port: int = 4317) -> None:
        self._sink = sink
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", receive.MOST)]
        self._server = grpc.server(ThreadPoolExecutor(2), options=options)
        export: Any = grpc.unary_unary_rpc_method_handler(self._export)
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(_SERVICE, {"Export": export})]
        )
        for each in bound([host], port):  # gRPC would print its own lines about a port that is taken
            each.close()
        try:
            self.port: int = self._server.add_insecure_port(f"{f'[{host}]' if ':' in host else host}:{port}")
        except RuntimeError as error:
            raise OSError(str(error)) from error
        if not self.port:
            raise OSError(f"port {port} is taken")
        self._server.start()

    def _export(self, body: bytes, context: Any) -> bytes:
        try:
            got = receive.received(_FORM, body)
        except receive.Refused as refused:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, refused.why)
        self._sink.add(got.spans)
        return receive.response_body(_FORM, got)

    def stop(self) -> None:
        self._server.stop(0).wait(1)
