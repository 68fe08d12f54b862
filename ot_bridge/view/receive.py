"""Decodes the body of a request to `/v1/traces` into records, or refuses it with a reason."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from werkzeug.wrappers import Request

from ot_bridge.otlp.decode import SpanRecord, decode
from ot_bridge.otlp.decode_json import decode_json
from ot_bridge.otlp.varint import text, varint

MOST: Final = 20 << 20  # bytes of a body, also after decompression
_DRAINED: Final = (
    64 << 20
)  # bytes that are read of a body that is too large, so that its sender gets the response
_PIECE: Final = 1 << 16


class Sink(Protocol):
    """Receives spans, from any thread."""

    def add(self, spans: Iterable[SpanRecord]) -> None:
        """Adds spans of any traces in any order."""


class Refused(Exception):
    """A request is refused. status: the HTTP status of the response. why: its text."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Received(NamedTuple):
    """spans: those that could be read. rejected: how many could not, and why the first of them."""

    spans: list[SpanRecord]
    rejected: int
    why: str


class Form(NamedTuple):
    """A content type of OTLP: how a request is decoded, and how responses are written."""

    read: Callable[[bytes, list[str]], list[SpanRecord]]
    partial: Callable[[int, str], bytes]
    error: Callable[[str], bytes]


def _partial(rejected: int, why: str) -> bytes:
    inside = b"\x08" + varint(rejected) + b"\x12" + text(why)
    return b"\x0a" + varint(len(inside)) + inside


def _partial_json(rejected: int, why: str) -> bytes:
    return json.dumps({"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": why}}).encode()


FORMS: Final[Mapping[str, Form]] = {
    "application/x-protobuf": Form(decode, _partial, lambda why: b"\x12" + text(why)),
    "application/json": Form(decode_json, _partial_json, lambda why: json.dumps({"message": why}).encode()),
}


def response_body(form: Form, received: Received) -> bytes:
    """The body of a successful response: empty, or with the number of rejected spans."""
    if received.rejected:
        return form.partial(received.rejected, received.why)
    return b"{}" if form.read is decode_json else b""


def form_of(request: Request) -> Form:
    """The form for the request's content type. Raises Refused for a type that OTLP does not have."""
    form = FORMS.get(request.mimetype)
    if form is None:
        raise Refused(415, f"the content type is to be one of {', '.join(FORMS)}")
    return form


def received(form: Form, body: bytes) -> Received:
    """The spans of a body. Raises Refused for a body that is not an OTLP request."""
    unread: list[str] = []
    try:
        spans = form.read(body, unread)
    except ValueError as error:
        raise Refused(400, f"no ExportTraceServiceRequest: {error}") from error
    good = [span for span in spans if is_known_by(span)]
    nameless = len(spans) - len(good)
    rejected = len(unread) + nameless
    if nameless:
        unread.append("a span needs a trace id of 16 bytes and a span id of 8, not all of them 0")
    return Received(good, rejected, "".join(unread[:1]))


def is_known_by(span: SpanRecord) -> bool:
    """Whether the ids of a span are valid."""
    whole = len(span.trace_id) == 32 and len(span.span_id) == 16
    return whole and bool(span.trace_id.strip("0") and span.span_id.strip("0"))


def body_of(request: Request) -> bytes:
    """The decompressed body. Raises Refused for a body that is too large or is not valid gzip."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise Refused(415, f"the content encoding {encoding[:40]} is not known; gzip is")
    too_large = Refused(413, f"a body has at most {MOST >> 20} MB")
    length = request.content_length or 0
    if length > MOST:
        _drain(request.stream, min(length, _DRAINED))
        raise too_large
    body = _read(request.stream, MOST + 1)
    if len(body) > MOST:
        _drain(request.stream, _DRAINED)
        raise too_large
    if encoding != "gzip":
        return body
    unpacked = _unpacked(body)
    if len(unpacked) > MOST:
        raise too_large
    return unpacked


def _read(stream: Any, most: int) -> bytes:
    pieces = []
    while most > 0 and (piece := stream.read(min(most, _PIECE))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


def _drain(stream: Any, most: int) -> None:
    while most > 0 and (piece := stream.read(min(most, _PIECE))):
        most -= len(piece)


def _unpacked(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        unpacked = unpacker.decompress(body, MOST + 1)
    except zlib.error as error:
        raise Refused(400, f"no gzip: {error}") from error
    if not unpacker.eof and len(unpacked) <= MOST:
        raise Refused(400, "the gzip is cut off")
    return unpacked
