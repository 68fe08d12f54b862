"""Helpers that return the parent of each span, by name."""

from __future__ import annotations

from tests.conftest import Recorded


def parents(otel: Recorded) -> dict[str, str | None]:
    """Each finished span's name -> its parent's, "?" for one that is not finished, None for roots."""
    spans = otel.exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    assert len(spans) == len({span.name for span in spans}), "names have to differ"
    return {span.name: span.parent and names.get(span.parent.span_id, "?") for span in spans}


def traces(otel: Recorded) -> set[frozenset[str]]:
    """The names of the finished spans, trace by trace."""
    found: dict[int, set[str]] = {}
    for span in otel.exporter.get_finished_spans():
        found.setdefault(span.context.trace_id, set()).add(span.name)
    return {frozenset(names) for names in found.values()}
