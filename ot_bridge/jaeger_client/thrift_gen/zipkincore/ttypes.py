"""The structures of `zipkincore.thrift`."""

from __future__ import annotations

from ot_bridge.jaeger_client.thrift_gen.values import enum, struct

AnnotationType = enum("AnnotationType", ("BOOL", "BYTES", "I16", "I32", "I64", "DOUBLE", "STRING"))
Endpoint = struct("Endpoint", "ipv4 port service_name ipv6")
Annotation = struct("Annotation", "timestamp value host")
BinaryAnnotation = struct("BinaryAnnotation", "key value annotation_type host")
Span = struct(
    "Span",
    "trace_id name id parent_id annotations binary_annotations debug timestamp duration trace_id_high",
    debug=False,
)
Response = struct("Response", "ok")
