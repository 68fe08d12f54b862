"""The service, which needs Thrift: its names can be imported, and raise when used."""

from ot_bridge.jaeger_client.thrift_gen.values import unusable
from ot_bridge.jaeger_client.thrift_gen.zipkincore.ttypes import (
    Annotation,
    AnnotationType,
    BinaryAnnotation,
    Endpoint,
    Response,
    Span,
)

__all__ = [
    "Annotation",
    "AnnotationType",
    "BinaryAnnotation",
    "Client",
    "Endpoint",
    "Iface",
    "Processor",
    "Response",
    "Span",
    "submitZipkinBatch_args",
    "submitZipkinBatch_result",
]

Iface, Client, Processor, submitZipkinBatch_args, submitZipkinBatch_result = unusable(
    "Iface", "Client", "Processor", "submitZipkinBatch_args", "submitZipkinBatch_result"
)
