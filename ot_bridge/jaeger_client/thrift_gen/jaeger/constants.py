"""There are no constants; as in what Thrift's compiler made, the structures are here again."""

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

__all__ = [
    "Batch",
    "BatchSubmitResponse",
    "Log",
    "Process",
    "Span",
    "SpanRef",
    "SpanRefType",
    "Tag",
    "TagType",
]
