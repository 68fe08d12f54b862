"""What `compare` has seen of two runs, as the page that shows them beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from ot_bridge.cli.packets import Seen
from ot_bridge.otlp.decode import BLANK, EventRecord, LinkRecord, SpanRecord
from ot_bridge.view.compared import of_comparison
from ot_bridge.view.tree import trees

NAMES: Final = ("jaeger-client", "ot_bridge")
_KINDS: Final = frozenset({"server", "client", "producer", "consumer"})


def page_of(theirs: Iterable[Seen], ours: Iterable[Seen], differences: Sequence[str]) -> str:
    """The page; differences: the lines that `compare` prints."""
    return of_comparison(trees(map(record, theirs)), trees(map(record, ours)), differences, NAMES)


def record(seen: Seen) -> SpanRecord:
    """A span as either client sent it, in the form that everything is drawn from."""
    tags = dict(seen.tags)
    kind = str(tags.get("span.kind", ""))
    return BLANK._replace(
        trace_id=f"{seen.trace_id:032x}",
        span_id=f"{seen.span_id:016x}",
        parent_id=f"{seen.parent_id:016x}" if seen.parent_id else "",
        name=seen.name,
        kind=kind.upper() if kind in _KINDS else "INTERNAL",
        start=seen.start * 1000,
        end=(seen.start + seen.duration) * 1000,
        status="ERROR" if tags.get("error") in (True, "true") else "UNSET",
        attributes=tags,
        events=tuple(_event(time * 1000, dict(fields)) for time, fields in seen.logs),
        links=tuple(
            LinkRecord(f"{trace_id:032x}", f"{span_id:016x}", "", {"opentracing.ref_type": how}, 0, 0)
            for how, trace_id, span_id in seen.references
            if span_id != seen.parent_id
        ),
        resource={**seen.process, "service.name": seen.service},
    )


def _event(time: int, fields: dict[str, Any]) -> EventRecord:
    return EventRecord(str(fields.pop("event", "log")), time, fields, 0)
