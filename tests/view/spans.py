"""Span records for the tests of the view."""

from __future__ import annotations

from typing import Any

from ot_bridge.otlp.decode import BLANK, SpanRecord

MS = 1_000_000
START = 1_700_000_000_000_000_000
TRACE = "5b8aa5a2d2c872e8321cf37308d69df2"


def span(number: int, parent: int = 0, begin: float = 0, length: float = 1, **other: Any) -> SpanRecord:
    """begin, length: milliseconds; begin is counted from `START`."""
    start = START + round(begin * MS)
    return BLANK._replace(
        **{
            "trace_id": TRACE,
            "span_id": f"{number:016x}",
            "parent_id": f"{parent:016x}" if parent else "",
            "parent_is_remote": False,
            "flags": 0x100,
            "name": f"span {number}",
            "kind": "INTERNAL",
            "start": start,
            "end": start + round(length * MS),
            "resource": {"service.name": "shop"},
            **other,
        }
    )


def many(count: int, deep: bool = False) -> list[SpanRecord]:
    """A trace of so many spans: three services, errors among them, in a tree or one below the other."""
    return [
        span(
            number,
            number - 1 if deep or number == 1 else max(1, number // 4),
            begin=number / 10,
            length=(count - number) / 10 + 1,
            resource={"service.name": f"service {number % 3}"},
            status="ERROR" if number % 97 == 50 else "UNSET",
            attributes={"number": number, "user": f"ann {number}"},
        )
        for number in range(1, count + 1)
    ]
