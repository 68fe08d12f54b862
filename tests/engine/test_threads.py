"""Many threads write to one span while others read it: no value is lost, and no call raises."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from ot_bridge import engine

from .test_differential import snapshot

THREADS = 8


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*works: Callable[[], Any]) -> None:
    """All at once, each in a thread; what any of them raises is raised."""
    start = threading.Barrier(len(works))
    failures: list[BaseException] = []

    def run(work: Callable[[], Any]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class Ends(sdk.SpanProcessor):
    def __init__(self) -> None:
        self.ended: list[Any] = []

    def on_end(self, span: sdk.ReadableSpan) -> None:
        self.ended.append(span)


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def tracer(ends: Ends) -> Any:
    limits = sdk.SpanLimits(max_attributes=10_000, max_events=10_000, max_links=10_000)
    provider = engine.TracerProvider(shutdown_on_exit=False, span_limits=limits)
    provider.add_span_processor(ends)
    return provider.get_tracer("threads")


def write(span: Any, who: int, count: int) -> None:
    for number in range(count):
        span.set_attribute(f"{who}.{number}", number)
        span.set_attribute(f"list.{who}.{number}", [number])
        span.add_event(f"{who}.{number}", {"n": number})
        span.set_attributes({f"many.{who}.{number}": number})


def test_nothing_that_many_threads_write_is_lost(tracer: Any) -> None:
    span = tracer.start_span("span")
    works = [partial(write, span, who, 100) for who in range(THREADS)]
    together(*works, *[lambda: [span.to_json() for _ in range(20)]])
    span.end()
    assert len(span.attributes) == THREADS * 300
    assert len(span.events) == THREADS * 100
    assert (span.dropped_attributes, span.dropped_events) == (0, 0)
    for who in range(THREADS):
        mine = [event.name for event in span.events if event.name.startswith(f"{who}.")]
        assert mine == [f"{who}.{number}" for number in range(100)]


def test_a_span_that_many_threads_end_ends_once(tracer: Any, ends: Ends) -> None:
    for _ in range(50):
        span = tracer.start_span("span")
        together(*[partial(span.end, time) for time in range(1, THREADS)])
    assert len(ends.ended) == len(set(map(id, ends.ended))) == 50


def test_an_ended_span_does_not_change(tracer: Any, ends: Ends) -> None:
    """Calls after the end have no effect."""
    for _ in range(50):
        span = tracer.start_span("span")
        seen: list[Any] = []

        def end(span: Any = span, seen: list[Any] = seen) -> None:
            span.end()
            seen.append((snapshot(span), span.to_json()))

        def disturb(span: Any = span) -> None:
            span.set_status(Status(StatusCode.ERROR, "late"))
            span.update_name("late")
            span.add_link(span.get_span_context())

        together(end, disturb, partial(write, span, 0, 10), partial(write, span, 1, 10))
        assert (snapshot(span), span.to_json()) == seen[0]


def test_spans_of_many_threads_all_reach_the_exporter() -> None:
    exporter = InMemorySpanExporter()
    provider = engine.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=50_000, max_export_batch_size=64))
    tracer: Any = provider.get_tracer("threads")

    def work() -> None:
        for number in range(200):
            with tracer.start_as_current_span("outer", attributes={"n": number}) as outer:
                inner = tracer.start_span("inner")
                inner.set_attribute("a", [1])
                inner.end()
                outer.add_event("event")

    together(*[work] * THREADS)
    provider.shutdown()
    spans = exporter.get_finished_spans()
    assert len(spans) == THREADS * 400
    assert len({span.context.span_id for span in spans}) == len(spans)
    outers = {span.context.span_id: span for span in spans if span.name == "outer"}
    inners = [span for span in spans if span.name == "inner"]
    assert len(inners) == len(outers) == THREADS * 200
    for span in inners:
        assert span.parent is not None
        assert span.parent == outers[span.parent.span_id].context
        assert dict(span.attributes or {}) == {"a": (1,)}


def test_processors_may_be_added_while_spans_run(tracer: Any, ends: Ends) -> None:
    provider = engine.TracerProvider(shutdown_on_exit=False)
    started: Any = provider.get_tracer("threads")
    added = [Ends() for _ in range(20)]

    def work() -> None:
        for _ in range(200):
            started.start_span("span").end()

    def add() -> None:
        for each in added:
            provider.add_span_processor(each)

    together(work, work, add)
    started.start_span("last").end()
    assert [each.ended[-1].name for each in added] == ["last"] * 20


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_nothing_grows_in_a_million_requests() -> None:
    class Forgets(InMemorySpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = engine.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Forgets()))
    tracer: Any = provider.get_tracer("threads")

    def objects_after(requests: int) -> int:
        for number in range(requests):
            with tracer.start_as_current_span("server", attributes={"n": number}) as server:
                with tracer.start_as_current_span("client") as client:
                    client.set_attribute("a", [number])
                server.add_event("event")
        provider.force_flush()
        gc.collect()
        return len(gc.get_objects())

    before = objects_after(10_000)
    after = objects_after(1_000_000)
    provider.shutdown()
    assert after - before < 1_000
