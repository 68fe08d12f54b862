"""`grpc-trace-bin`: OpenCensus' binary trace context, raw bytes in gRPC metadata.

Source: "BinaryEncoding" in the OpenCensus specification. A value is version 0, then field 0 (16 bytes of
trace id), field 1 (8 bytes of span id), field 2 (1 byte of options; the lowest bit is "sampled"). Only field
0 is required. grpcio hides this key from Python code on the receiving side, so with grpcio it can only be
sent.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from ot_bridge.errors import BadHeader
from ot_bridge.wire.remote import LIMITS, NOT_SAMPLED, Format, Headers, Limits, Outgoing, Remote
from ot_bridge.wire.text import not_list

HEADER = "grpc-trace-bin"


def decode(headers: Headers, limits: Limits = LIMITS) -> Remote | None:
    data = not_list(headers.get(HEADER))
    if data is None:
        return None
    if not isinstance(data, bytes | bytearray):
        raise BadHeader(HEADER, data, "is not bytes")
    if data[:1] != b"\0":
        raise BadHeader(HEADER, bytes(data[:64]), "is not of version 0", 0)
    if len(data) < 18 or data[1] != 0:
        raise BadHeader(HEADER, bytes(data[:64]), "has no trace id", 1)
    trace_id = int.from_bytes(data[2:18], "big")
    at, span_id = 18, 0
    if len(data) >= at + 9 and data[at] == 1:
        span_id = int.from_bytes(data[at + 1 : at + 9], "big")
        at += 9
    sampled = bool(data[at + 1] & 1) if len(data) >= at + 2 and data[at] == 2 else None
    if trace_id:
        return Remote(trace_id, span_id, 0, sampled)
    if sampled is False:
        return NOT_SAMPLED
    raise BadHeader(HEADER, bytes(data[:64]), "trace id is zero", 2)


def encode(outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
    trace_id, span_id = outgoing.trace_id, outgoing.span_id
    if not trace_id:
        return
    data = b"\0\0" + trace_id.to_bytes(16, "big")
    if span_id:
        data += b"\1" + span_id.to_bytes(8, "big")
    if outgoing.sampled is not None:
        data += b"\2\1" if outgoing.sampled else b"\2\0"
    headers[HEADER] = data


GRPC_TRACE_BIN = Format("grpc-trace-bin", (HEADER,), decode, encode, raw=True)
