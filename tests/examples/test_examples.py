"""Each example runs and does what its docstring says."""

from __future__ import annotations

import difflib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jaeger_client as untyped_jaeger_client
import opentracing
import pytest
from jaeger_client.reporter import NullReporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import ot_bridge

jaeger_client: Any = untyped_jaeger_client
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    ot_bridge.install("prices", exporters=[SimpleSpanProcessor(exporter)])
    yield exporter
    ot_bridge.uninstall()


def test_the_legacy_flask_app_changes_by_two_lines() -> None:
    before, after = (
        (EXAMPLES / "legacy_flask" / name).read_text().splitlines() for name in ("before.py", "after.py")
    )
    changed = [line for line in difflib.ndiff(before, after) if line[:2] in ("- ", "+ ")]
    assert [line[0] for line in changed] == ["-", "+", "-", "+"]


@pytest.mark.filterwarnings("ignore:This package is no longer supported:DeprecationWarning")
def test_flask_opentracing_continues_a_trace_of_jaeger_client_which_reads_our_headers(
    spans: InMemorySpanExporter,
) -> None:
    # With a given address, jaeger-client opens no sockets to look it up, which it would leave open.
    tags = {"ip": "127.0.0.1"}
    neighbour: Any = jaeger_client.Tracer(
        "neighbour", NullReporter(), jaeger_client.ConstSampler(True), tags=tags
    )
    calling = neighbour.start_span("call")
    calling.set_baggage_item("user", "ann b")
    headers: dict[str, str] = {}
    neighbour.inject(calling.context, opentracing.Format.HTTP_HEADERS, headers)

    app = runpy.run_path(str(EXAMPLES / "legacy_flask" / "after.py"))["app"]
    sent: Any = app.test_client().get("/price/pear", headers=headers).get_json()

    look_up, request = spans.get_finished_spans()
    assert request.parent is not None
    assert (request.context.trace_id, request.parent.span_id) == (calling.trace_id, calling.span_id)
    assert look_up.parent is not None
    assert look_up.parent.span_id == request.context.span_id
    assert sent["for"] == "ann b"

    read = neighbour.extract(opentracing.Format.HTTP_HEADERS, sent["sent on"])
    assert (read.trace_id, read.span_id) == (calling.trace_id, look_up.context.span_id)
    assert read.flags == calling.flags
    assert read.baggage == {"user": "ann b"}


def test_mixed_code_is_one_trace_with_one_baggage() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "mixed" / "app.py")],
        env={**os.environ, "OTEL_BSP_SCHEDULE_DELAY": "60000"},  # the console is written to by one at a time
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stderr == ""
    printed, _, exported = done.stdout.partition("\n")
    assert printed == "order 7 of ann, less 5 %"
    decoder, found, rest = json.JSONDecoder(), [], exported.strip()
    while rest:
        span, end = decoder.raw_decode(rest)
        found.append(span)
        rest = rest[end:].lstrip()
    discount, price, order = found
    assert len({span["context"]["trace_id"] for span in found}) == 1
    assert discount["parent_id"] == price["context"]["span_id"]
    assert price["parent_id"] == order["context"]["span_id"]
    assert discount["attributes"]["customer"] == price["attributes"]["customer"] == "ann"
