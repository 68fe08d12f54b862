"""Runs programs and prints their spans: `python side.py before|after FOLDER` prints JSON, by program.

Before: on the bridge, whose provider is the SDK's. After: on the SDK alone; neither ot_bridge nor
opentracing can
be imported.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def main(side: str, folder: str) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    if side == "before":
        import opentracing

        import ot_bridge

        opentracing.set_global_tracer(ot_bridge.create_tracer(provider))
    else:
        sys.modules["ot_bridge"] = sys.modules["opentracing"] = None  # type: ignore[assignment]
    found = {}
    sys.path.insert(0, folder)
    for path in sorted(Path(folder).glob("*.py")):
        if path.stem.startswith("_"):
            continue
        exporter.clear()
        attach(Context())
        _run(path)
        found[path.stem] = _described(exporter.get_finished_spans())
    print(json.dumps(found))


def _run(path: Path) -> None:
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    result = names["main"]()
    if inspect.iscoroutine(result):
        asyncio.run(result)


def _described(spans: tuple[ReadableSpan, ...]) -> list[dict[str, Any]]:
    names = {span.context.span_id: span.name for span in spans}
    traces: dict[int, int] = {}
    return [
        {
            "name": span.name,
            "parent": None if span.parent is None else names.get(span.parent.span_id, "remote"),
            "trace": traces.setdefault(span.context.trace_id, len(traces)),
            "kind": span.kind.name,
            "attributes": dict(span.attributes or {}),
            "status": [span.status.status_code.name, span.status.description],
            "events": [[each.name, _attributes(each.attributes)] for each in span.events],
            "links": len(span.links),
            "times": [_if_given(span.start_time), _if_given(span.end_time)],
        }
        for span in spans
    ]


def _attributes(given: Any) -> dict[str, Any]:
    """Without what names lines of the program, what the SDK adds by itself, and what says the event's name
    again.
    """
    left = ("exception.stacktrace", "exception.escaped", "event")
    return {name: value for name, value in (given or {}).items() if name not in left}


def _if_given(time: int | None) -> int | None:
    """A time that a program gave, in microseconds; all of these are long past."""
    return time // 1000 if time is not None and time < 10**18 else None


if __name__ == "__main__":
    main(*sys.argv[1:])
