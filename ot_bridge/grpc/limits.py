"""How much tracing adds to a call's metadata.

grpcio refuses metadata of more than 8,192 bytes at random, and of more than 16,384 always; an entry counts as
its name, its value and 32 (GRPC_ARG_MAX_METADATA_SIZE). A call must not fail because it is traced, so:

1. All that goes out, the program's own metadata with it, is at most `MOST` bytes; the rest up to grpcio's
   limit is for what it adds itself (path, authority, user agent).
2. The ids come first: they go out up to `MOST_WITH_IDS`. Then comes tracestate, then each item of baggage.
3. An item of baggage goes out in every header format or in none.
4. With headers that no tracer of ours has written, the first that fit go out.
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
    """A program's metadata, and after it a span's headers, as far as gRPC takes them and there is room."""
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
    """The `headers` of a span that fit beside metadata that counts for `own`. Logs this once."""
    log_once(
        _log,
        logging.WARNING,
        f"a call's metadata, baggage included, is more than {MOST} bytes, for which gRPC could refuse it: "
        "what is over goes out in no header; send less metadata, or set less baggage",
    )
    if not isinstance(tracer, bridge.Tracer):
        return _first(headers, MOST - own)
    # Codecs of the user's own may write what they like: then the first that fit go out here too.
    return _first(_Written(tracer, span.context).up_to(MOST - own, MOST_WITH_IDS - own), MOST_WITH_IDS - own)


class _Written:
    """What a tracer writes for a span's context, with more or less of it."""

    def __init__(self, tracer: opentracing.Tracer, context: Any) -> None:
        self._tracer = tracer
        self._context = context

    def up_to(self, room: int, room_for_ids: int) -> Mapping[str, Any]:
        headers = self._with("", {})
        used = weight(headers.items())
        if used > room_for_ids:
            return {}
        tracestate = shorten(self._context.tracestate, max(room - used - weight([("tracestate", "")]), 0))
        if tracestate:
            headers = self._with(tracestate, {})
            used = weight(headers.items())
        kept = self._baggage(headers, room - used)
        return self._with(tracestate, kept) if kept else headers

    def _baggage(self, headers: Mapping[str, Any], room: int) -> dict[str, str]:
        """The items for which there is room beside the headers."""
        names = {*headers}
        kept: dict[str, str] = {}
        for key, value in self._context.baggage.items():
            added = {n: text for n, text in self._with("", {key: value}).items() if n not in headers}
            # A header that is there already grows by a comma and the item.
            size = sum(len(text) + 1 if n in names else weight([(n, text)]) for n, text in added.items())
            if added and size <= room:
                room -= size
                names.update(added)
                kept[key] = value
        return kept

    def _with(self, tracestate: str, baggage: Mapping[str, str]) -> Mapping[str, Any]:
        context = self._context
        ids = context.trace_id, context.span_id, False, context.trace_flags
        plain = trace.SpanContext(*ids, trace_state(tracestate))
        reduced = bridge.SpanContext(plain, baggage, context.origin, context.parent_id or 0)
        headers = MetadataHeaders()
        self._tracer.inject(reduced, Format.HTTP_HEADERS, headers)
        return headers


def _first(headers: Mapping[str, Any], room: int) -> Mapping[str, Any]:
    kept = {}
    for name, value in headers.items():
        size = weight([(name, value)])
        if size <= room:
            room -= size
            kept[name] = value
    return kept
