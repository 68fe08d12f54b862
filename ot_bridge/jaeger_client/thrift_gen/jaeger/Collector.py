"""The service, which needs Thrift: its names can be imported, and raise when used."""

from ot_bridge.jaeger_client.thrift_gen.jaeger.ttypes import (
    Batch,
    BatchSubmitResponse,
    Log,
    Process,
    Span,
    SpanRef,
    SpanRefType,
    Tag,
    TagType,
)
from ot_bridge.jaeger_client.thrift_gen.values import unusable

__all__ = [
    "Batch",
    "BatchSubmitResponse",
    "Client",
    "Iface",
    "Log",
    "Process",
    "Processor",
    "Span",
    "SpanRef",
    "SpanRefType",
    "Tag",
    "TagType",
    "submitBatches_args",
    "submitBatches_result",
]

Iface, Client, Processor, submitBatches_args, submitBatches_result = unusable(
    "Iface", "Client", "Processor", "submitBatches_args", "submitBatches_result"
)
