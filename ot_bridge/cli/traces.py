"""Traces as text that two runs of a program have in common: no ids, no times, an order of its own.

What differs between jaeger-client and ot_bridge by design is left out on both sides: see `KNOWN`.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ot_bridge.cli.packets import Seen

#: What is left out, and why.
KNOWN: Final = (
    "ids, times, durations and peer.port are of each run",
    "the process says jaeger.version of either, telemetry.sdk.* of one",
    "OTLP has no debug flag; sampling.priority and jaeger-debug-id are there as tags",
    "a tag set twice is one tag, with its last value, where jaeger-client sent both",
    "an exception is logged once a span, and in OpenTelemetry's words",
    "gRPC's spans have rpc.grpc.status_code besides",
)
_PROCESS: Final = ("jaeger.version", "telemetry.", "service.instance.id")
_TAGS: Final = frozenset({"peer.port", "rpc.grpc.status_code"})
_EXCEPTION: Final = ("error.object", "stack")
_RAISED: Final = "log of an exception"


def text(spans: Iterable[Seen], ignore: Collection[str] = ()) -> list[str]:
    """One line for each process, span, log and reference. ignore: names of tags to leave out."""
    spans = sorted(spans, key=lambda span: (span.name, span.start, span.span_id))
    lines = sorted({_process(span, ignore) for span in spans})
    known = {(span.trace_id, span.span_id): span for span in spans}
    children: dict[tuple[int, int], list[Seen]] = defaultdict(list)
    roots: list[Seen] = []
    for span in spans:
        above = span.trace_id, span.parent_id
        same = span.parent_id == span.span_id
        (children[above] if above in known and not same else roots).append(span)
    # Roots of the same name are told apart by what is below them, as different runs order them differently.
    trees = sorted(list(_tree(root, 0, children, known, ignore)) for root in roots)
    return [*lines, *(line for tree in trees for line in ["", *tree])]


def _process(span: Seen, ignore: Collection[str]) -> str:
    tags = {
        key: value
        for key, value in span.process.items()
        if not key.startswith(_PROCESS) and key not in ignore
    }
    return f"process {span.service}{_pairs(tags.items())}"


def _pairs(pairs: Iterable[tuple[str, Any]]) -> str:
    return "".join(f" {key}={_shown(value)}" for key, value in sorted(pairs))


def _shown(value: Any) -> str:
    """A value with its type; a long one is cut, with a checksum of what it was."""
    whole = repr(value)
    return whole if len(whole) <= 100 else f"{whole[:80]}... (checksum {zlib.crc32(whole.encode()):08x})"


def _tree(span: Seen, depth: int, children: Any, known: Any, ignore: Collection[str]) -> Iterator[str]:
    indent = "  " * depth
    elsewhere = " (its parent is elsewhere)" if span.parent_id and not depth else ""
    tags = {key: value for key, value in span.tags if key not in ignore and key not in _TAGS}
    yield f"{indent}{span.service}: {span.name}{elsewhere}{_pairs(tags.items())}"
    logs = [_log(span, time, fields) for time, fields in span.logs]
    yield from (
        f"{indent}  {line}" for at, line in enumerate(logs) if line != _RAISED or line not in logs[:at]
    )
    for kind, trace_id, span_id in span.references:
        other = known.get((trace_id, span_id))
        yield f"{indent}  {kind} {other.name if other else 'a span elsewhere'}"
    below: Sequence[Seen] = children[span.trace_id, span.span_id]
    for child in below:
        yield from _tree(child, depth + 1, children, known, ignore)


def _log(span: Seen, time: int, fields: Mapping[str, Any]) -> str:
    if fields.get("event") == "error":
        if any(name in fields for name in _EXCEPTION):
            return _RAISED
        fields = {name: value for name, value in fields.items() if name != "error.kind"}
    inside = span.start - 1 <= time <= span.start + span.duration + 1
    return f"log{_pairs(fields.items())}{'' if inside else ' (not in the time of its span)'}"
