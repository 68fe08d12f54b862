"""Traces as text that is equal for equal runs of a program: sorted, without ids and times.

The spans come from jaeger-client's packets or from OTLP, and are described in Jaeger's terms in both cases.
Differences that are intended are left out on both sides (see `KNOWN`).
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from ot_bridge import rpc_status
from ot_bridge.otlp.decode import EventRecord, LinkRecord, SpanRecord
from ot_bridge.view.tree import Tree, identity, trees

#: The differences that are left out, and the reasons.
KNOWN: Final = (
    "ids, times, durations and peer.port belong to one run",
    "the process names jaeger.version on one side, telemetry.sdk.* on the other",
    "OTLP has no debug flag; sampling.priority and jaeger-debug-id are there as tags",
    "a tag that is set twice is one tag with its last value; jaeger-client sends both",
    "an exception is logged once a span, and in OpenTelemetry's words",
    f"spans of gRPC have a status code in addition ({rpc_status.NUMBER})",
)
_PROCESS: Final = ("jaeger.version", "telemetry.", "service.instance.id", "service.name")
_TAGS: Final = frozenset({"peer.port", *rpc_status.READ})
_ERROR: Final = {"OK": False, "ERROR": True}  # status -> the `error` tag that it stands for
_KINDS: Final = frozenset({"SERVER", "CLIENT", "PRODUCER", "CONSUMER"})
_EXCEPTION: Final = ("error.object", "stack")
#: OpenTelemetry's attributes of an exception -> OpenTracing's fields.
_WORDS: Final = {
    "exception.type": "error.kind",
    "exception.message": "message",
    "exception.stacktrace": "stack",
}
_RAISED: Final = "log of an exception"
_RESOLUTION: Final = 1000  # nanoseconds: jaeger-client's times are microseconds

_Spans = Mapping[tuple[str, str], SpanRecord]


def text(spans: Iterable[SpanRecord], ignore: Collection[str] = ()) -> list[str]:
    """The lines for all processes, spans, logs and references. ignore: names of tags to leave out."""
    spans = list(spans)
    # A reference to an id that a client and a server share leads to the server, whatever came first.
    known = {(span.trace_id, span.span_id): span for span in sorted(spans, key=identity)}
    processes = sorted({_process(span, ignore) for span in spans})
    # Traces and siblings are ordered by their whole text: two runs make them in different orders.
    tops = sorted(top for tree in trees(spans) for top in _tops(tree, known, ignore))
    return [*processes, *(line for top in tops for line in ["", *top])]


def _process(span: SpanRecord, ignore: Collection[str]) -> str:
    tags = [pair for pair in span.resource.items() if pair[0] not in ignore]
    return f"process {span.service}{_pairs(pair for pair in tags if not pair[0].startswith(_PROCESS))}"


def _tops(tree: Tree, known: _Spans, ignore: Collection[str]) -> Iterator[list[str]]:
    """The lines of each span without a parent in the trace, with the lines of all spans below it."""
    below: list[list[list[str]]] = [[] for _ in tree.nodes]
    for at in range(len(tree.nodes) - 1, -1, -1):  # parents come first: each span's children are complete
        node = tree.nodes[at]
        lines = [*_lines(node.span, node.parent < 0, known, ignore)]
        lines += (f"  {line}" for child in sorted(below[at]) for line in child)
        below[at] = []
        if node.parent < 0:
            yield lines
        else:
            below[node.parent].append(lines)


def _lines(span: SpanRecord, top: bool, known: _Spans, ignore: Collection[str]) -> Iterator[str]:
    elsewhere = " (its parent is elsewhere)" if top and span.parent_id not in ("", span.span_id) else ""
    tags = {key: value for key, value in _tags(span).items() if key not in ignore and key not in _TAGS}
    yield f"{span.service}: {span.name}{elsewhere}{_pairs(tags.items())}"
    logs = [_log(span, event) for event in span.events]
    yield from (f"  {line}" for at, line in enumerate(logs) if line != _RAISED or line not in logs[:at])
    yield from (f"  {line}" for link in span.links if (line := _reference(span, link, known)))


def _tags(span: SpanRecord) -> dict[str, Any]:
    tags = dict(span.attributes)
    if span.kind in _KINDS:
        tags["span.kind"] = span.kind.lower()
    if span.status in _ERROR:
        tags.setdefault("error", _ERROR[span.status])
    return tags


def _pairs(pairs: Iterable[tuple[str, Any]]) -> str:
    return "".join(f" {key}={_value(value)}" for key, value in sorted(pairs))


def _value(value: Any) -> str:
    """A value in a form that shows its type. A long one is cut, and a checksum of the whole is added."""
    whole = repr(value)
    return whole if len(whole) <= 100 else f"{whole[:80]}... (checksum {zlib.crc32(whole.encode()):08x})"


def _log(span: SpanRecord, event: EventRecord) -> str:
    fields = dict(event.attributes)
    name = event.name
    if name == "exception":
        fields = {_WORDS.get(key, key): value for key, value in fields.items() if key != "exception.escaped"}
        name = "error"
    if name == "error":
        if any(key in fields for key in _EXCEPTION):
            return _RAISED
        fields.pop("error.kind", None)
    pairs = fields if name == "log" else {**fields, "event": name}
    inside = span.start - _RESOLUTION <= event.time <= span.end + _RESOLUTION
    return f"log{_pairs(pairs.items())}{'' if inside else ' (not in the time of its span)'}"


def _reference(span: SpanRecord, link: LinkRecord, known: _Spans) -> str:
    """A reference as text; "" for `child_of` the parent, which the tree shows."""
    kind = link.attributes.get("opentracing.ref_type", "follows_from")
    if kind == "child_of" and (link.trace_id, link.span_id) == (span.trace_id, span.parent_id):
        return ""
    other = known.get((link.trace_id, link.span_id))
    return f"{kind} {other.name if other else 'a span elsewhere'}"
