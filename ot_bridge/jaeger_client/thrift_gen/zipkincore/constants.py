"""Zipkin's annotations."""

from ot_bridge.jaeger_client.thrift_gen.zipkincore.ttypes import (
    Annotation,
    AnnotationType,
    BinaryAnnotation,
    Endpoint,
    Response,
    Span,
)

__all__ = [
    "CLIENT_ADDR",
    "CLIENT_RECV",
    "CLIENT_RECV_FRAGMENT",
    "CLIENT_SEND",
    "CLIENT_SEND_FRAGMENT",
    "LOCAL_COMPONENT",
    "MESSAGE_ADDR",
    "MESSAGE_RECV",
    "MESSAGE_SEND",
    "SERVER_ADDR",
    "SERVER_RECV",
    "SERVER_RECV_FRAGMENT",
    "SERVER_SEND",
    "SERVER_SEND_FRAGMENT",
    "WIRE_RECV",
    "WIRE_SEND",
    "Annotation",
    "AnnotationType",
    "BinaryAnnotation",
    "Endpoint",
    "Response",
    "Span",
]

CLIENT_SEND = "cs"
CLIENT_RECV = "cr"
SERVER_SEND = "ss"
SERVER_RECV = "sr"
MESSAGE_SEND = "ms"
MESSAGE_RECV = "mr"
WIRE_SEND = "ws"
WIRE_RECV = "wr"
CLIENT_SEND_FRAGMENT = "csf"
CLIENT_RECV_FRAGMENT = "crf"
SERVER_SEND_FRAGMENT = "ssf"
SERVER_RECV_FRAGMENT = "srf"
LOCAL_COMPONENT = "lc"
CLIENT_ADDR = "ca"
SERVER_ADDR = "sa"
MESSAGE_ADDR = "ma"
