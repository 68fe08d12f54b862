"""Limits how much tracing adds to a call's metadata.

grpcio refuses metadata of more than 8,192 bytes at random, and of more than 16,384 always. It counts an entry
as the length of its name, plus the length of its value, plus 32 (GRPC_ARG_MAX_METADATA_SIZE). A call must not
fail because it is traced, so:

1. The program's metadata and ours together have at most `MOST` bytes. The rest up to grpcio's limit is for
   the headers that grpcio adds (path, authority, user agent).
2. The ids have the highest priority; for them the limit is `MOST_WITH_IDS`. Then follow tracestate and each
   item of baggage, as long as there is room.
3. An item of baggage is sent in every header format or in none.
4. Of headers that another tracer has written, those that fit are sent, in their order.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import opentracing
from opentelemetry import trace
from opentracing import Format

from ot_bridge import bridge
from ot_bridge.errors import log_once
from ot_bridge.grpc.metadata import Pairs, sendable, weight, without
from ot_bridge.propagation import MetadataHeaders, trace_state
from ot_bridge.wire.w3c import shorten

MOST: Final = 6144
MOST_WITH_IDS: Final = 7168

_log = logging.getLogger("ot_bridge.grpc")


def beside(metadata: Pairs, tracer: opentracing.Tracer, span: opentracing.Span) -> Pairs:
    """Returns a program's metadata followed by the span's headers: those that gRPC accepts and that fit."""
    headers = MetadataHeaders()
    tracer.inject(span.context, Format.HTTP_HEADERS, headers)
    added = sendable(headers)
    metadata = without(metadata, added)
    own = weight(metadata)
    if own + weight(added) > MOST:
        added = sendable(lightened(headers, own, tracer, span))
    return metadata + added


def lightened(
    headers: Mapping[str, Any], own: int, tracer: opentracing.Tracer, span: opentracing.Span
) -> Mapping[str, Any]:
    """Returns the `headers` of a span that fit beside `own` bytes of metadata. Logs once that some do not."""
    log_once(
        _log,
        logging.WARNING,
        f"a call's metadata and baggage have more than {MOST} bytes, so that gRPC could refuse the call; "
        "tracing headers that do not fit are left out; send less metadata, or set less baggage",
    )
    if not isinstance(tracer, bridge.Tracer):
        return _first_that_fit(headers, MOST - own)
    # A codec of the program may write headers of any length, so this cuts them as well.
    return _first_that_fit(
        _Written(tracer, span.context).up_to(MOST - own, MOST_WITH_IDS - own), MOST_WITH_IDS - own
    )


class _Written:
    """Writes the headers of a span's context without the parts of it that do not fit."""

    def __init__(self, tracer: opentracing.Tracer, context: Any) -> None:
        self._tracer = tracer
        self._context = context

    def up_to(self, room: int, room_for_ids: int) -> Mapping[str, Any]:
        headers = self._headers_with("", {})
        used = weight(headers.items())
        if used > room_for_ids:
            return {}
        tracestate = shorten(self._context.tracestate, max(room - used - weight([("tracestate", "")]), 0))
        if tracestate:
            headers = self._headers_with(tracestate, {})
            used = weight(headers.items())
        kept = self._baggage(headers, room - used)
        return self._headers_with(tracestate, kept) if kept else headers

    def _baggage(self, headers: Mapping[str, Any], room: int) -> dict[str, str]:
        """The items of baggage that fit beside the headers."""
        names = {*headers}
        kept: dict[str, str] = {}
        for key, value in self._context.baggage.items():
            added = {n: text for n, text in self._headers_with("", {key: value}).items() if n not in headers}
            # In a header that exists already, an item takes its own length and a comma.
            size = sum(len(text) + 1 if n in names else weight([(n, text)]) for n, text in added.items())
            if added and size <= room:
                room -= size
                names.update(added)
                kept[key] = value
        return kept

    def _headers_with(self, tracestate: str, baggage: Mapping[str, str]) -> Mapping[str, Any]:
        context = self._context
        ids = context.trace_id, context.span_id, False, context.trace_flags
        plain = trace.SpanContext(*ids, trace_state(tracestate))
        reduced = bridge.SpanContext(plain, baggage, context.origin, context.parent_id or 0)
        headers = MetadataHeaders()
        self._tracer.inject(reduced, Format.HTTP_HEADERS, headers)
        return headers


def _first_that_fit(headers: Mapping[str, Any], room: int) -> Mapping[str, Any]:
    kept = {}
    for name, value in headers.items():
        size = weight([(name, value)])
        if size <= room:
            room -= size
            kept[name] = value
    return kept
