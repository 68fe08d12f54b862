"""The structures of `jaeger.thrift`."""

from __future__ import annotations

from ot_bridge.jaeger_client.thrift_gen.values import enum, struct

TagType = enum("TagType", ("STRING", "DOUBLE", "BOOL", "LONG", "BINARY"))
SpanRefType = enum("SpanRefType", ("CHILD_OF", "FOLLOWS_FROM"))
Tag = struct("Tag", "key vType vStr vDouble vBool vLong vBinary")
Log = struct("Log", "timestamp fields")
SpanRef = struct("SpanRef", "refType traceIdLow traceIdHigh spanId")
Span = struct(
    "Span",
    "traceIdLow traceIdHigh spanId parentSpanId operationName references flags startTime duration tags logs",
)
Process = struct("Process", "serviceName tags")
Batch = struct("Batch", "process spans")
BatchSubmitResponse = struct("BatchSubmitResponse", "ok")
