"""R40 to R45, S1 to S3 and S10: what is active, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import opentracing
import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.shim.opentracing_shim import ScopeShim, SpanShim
from opentelemetry.shim.opentracing_shim import create_tracer as create_shim
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span
from opentracing import Format, child_of, follows_from
from opentracing.mocktracer import MockTracer
from opentracing.scope_managers import ThreadLocalScopeManager
from opentracing.scope_managers.asyncio import AsyncioScopeManager

from ot_bridge.bridge import Scope, Span, Tracer
from tests.conftest import Recorded, recorded


@pytest.fixture(autouse=True)
def _nothing_left_behind(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test does with its scopes: no span stays active after it, and nothing is logged."""
    before = dict(get_current())
    yield
    assert dict(get_current()) == before
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("how", ["activate", "start_active_span"])
def test_R40_activating_stores_the_same_span_the_otel_span_and_the_baggage(tracer: Tracer, how: str) -> None:
    span: Any
    if how == "activate":
        span = tracer.start_span("a").set_baggage_item("user", "ann")
        scope = tracer.scope_manager.activate(span, True)
    else:
        scope = tracer.start_active_span("a")
        span = scope.span.set_baggage_item("user", "ann")
    otel_span = span.unwrap()
    with scope:
        assert tracer.active_span is scope.span is span
        assert trace.get_current_span() is otel_span
        assert baggage.get_baggage("user") == "ann"


def test_R41_baggage_set_while_active_is_seen_by_opentelemetry_code(tracer: Tracer) -> None:
    with tracer.start_active_span("a") as outer, tracer.start_active_span("b") as inner:
        outer.span.set_baggage_item("outer", "1")
        inner.span.set_baggage_item("inner", "2")
        assert dict(baggage.get_all()) == {"inner": "2"}
        inner.close()
        assert dict(baggage.get_all()) == {"outer": "1"}


def test_R42_activating_none_makes_no_span_active(tracer: Tracer) -> None:
    with tracer.start_active_span("a") as outer:
        outer.span.set_baggage_item("user", "ann")
        nobody: Any = None
        with tracer.scope_manager.activate(nobody, True) as nothing:
            assert tracer.active_span is None
            assert tracer.scope_manager.active is None
            assert trace.get_current_span() is trace.INVALID_SPAN
            assert tracer.start_span("root").context[0] != outer.span.context[0]  # type: ignore[index]
            assert tracer.start_span("root").context.baggage == {}
            nothing.span.set_tag("a", 1).finish()
        assert tracer.scope_manager.active is outer


def test_R43_nothing_is_active_without_a_valid_span_and_baggage(tracer: Tracer) -> None:
    assert tracer.scope_manager.active is None
    assert tracer.active_span is None
    with use_span(trace.INVALID_SPAN):
        assert tracer.scope_manager.active is None


def test_R43_a_current_span_that_is_none_of_opentelemetrys_is_no_active_span(tracer: Tracer) -> None:
    with use_span(object()):  # type: ignore[arg-type]
        assert tracer.active_span is None
        tracer.start_span("a").finish()


def test_R44_baggage_alone_is_a_no_op_span_with_it(tracer: Tracer) -> None:
    token = attach(baggage.set_baggage("user", "ann"))
    active: Any = tracer.active_span
    assert active.get_baggage_item("user") == "ann"
    assert active.context.baggage == {"user": "ann"}
    assert not active.unwrap().get_span_context().is_valid
    active.set_tag("a", 1).log_kv({"event": "e"}).finish()
    scope: Any = tracer.scope_manager.active
    scope.close()
    detach(token)


def test_R45_the_same_span_object_if_ours_is_current(tracer: Tracer) -> None:
    with tracer.start_active_span("a") as scope:
        assert tracer.scope_manager.active is scope
        assert tracer.active_span is tracer.active_span is scope.span
        with use_span(trace.INVALID_SPAN):
            assert tracer.active_span is not scope.span
        assert tracer.active_span is scope.span


def test_R45_a_live_wrapper_if_an_opentelemetry_span_is_current(otel: Recorded) -> None:
    native = otel.provider.get_tracer("native")
    with native.start_as_current_span("a") as span:
        active: Any = otel.tracer.active_span
        assert active is otel.tracer.active_span
        assert isinstance(active, Span)
        assert (active.unwrap(), active.tracer) == (span, otel.tracer)
        assert active.context[:2] == span.get_span_context()[:2]
        active.set_tag("who", "opentracing").log_kv({"event": "e"}).set_operation_name("renamed")
        scope: Any = otel.tracer.scope_manager.active
        scope.close()
        assert span.is_recording()
        with native.start_as_current_span("b"):
            assert otel.tracer.active_span is not active
        assert otel.tracer.active_span is active
    assert dict(otel.spans["renamed"].attributes or {}) == {"who": "opentracing"}
    assert [event.name for event in otel.spans["renamed"].events] == ["e"]


def test_R45_a_span_that_nothing_can_be_kept_on_is_wrapped_anew(tracer: Tracer) -> None:
    class Slotted(NonRecordingSpan):
        __slots__ = ()
        __setattr__ = object.__setattr__

    class Closed(NonRecordingSpan):
        def __setattr__(self, name: str, value: object) -> None:
            if name != "_context":
                raise AttributeError(name)
            super().__setattr__(name, value)

    for span in Slotted(SpanContext(1, 2, False)), Closed(SpanContext(1, 2, False)):
        with use_span(span):
            active: Any = tracer.active_span
            assert active.unwrap() is span


def test_S1_what_belongs_together_is_the_same_object(tracer: Tracer) -> None:
    span = tracer.start_span("a")
    with tracer.scope_manager.activate(span, True) as scope:
        assert isinstance(scope, Scope)
        assert isinstance(scope, ScopeShim)
        assert scope.span is span
        assert scope.manager is tracer.scope_manager
        assert scope.manager.tracer is tracer  # type: ignore[attr-defined]
        assert tracer.active_span is span
        assert span.tracer is tracer


def test_S1_chaining_methods_return_the_span(tracer: Tracer) -> None:
    span: Any = tracer.start_span("a")
    for sampled in span, tracer.start_span("b", tags={"sampling.priority": 0}):
        chained = sampled.set_tag("a", 1).set_tag("error", True).set_operation_name("c").log_kv({"a": 1})
        assert chained.set_baggage_item("k", "v").log_event("e").log(event="e") is sampled
        with sampled as entered:
            assert entered is sampled


def test_S2_closing_twice_does_nothing_the_second_time(otel: Recorded) -> None:
    outer = otel.tracer.start_active_span("outer")
    inner = otel.tracer.start_active_span("inner")
    inner.close()
    inner.close()
    assert otel.tracer.active_span is outer.span
    outer.close()
    inner.close()
    outer.close()
    assert list(otel.spans) == ["inner", "outer"]


def test_S2_an_outer_scope_closed_first_waits_for_the_inner(otel: Recorded) -> None:
    outer = otel.tracer.start_active_span("outer")
    middle = otel.tracer.start_active_span("middle")
    inner = otel.tracer.start_active_span("inner")
    outer.close()
    middle.close()
    assert otel.tracer.active_span is inner.span
    assert otel.spans == {}
    inner.close()
    assert otel.tracer.active_span is None
    assert list(otel.spans) == ["inner", "middle", "outer"]


def test_S2_an_inner_scope_that_nobody_closes_does_not_hold_the_outer_once_its_span_is_over(
    otel: Recorded,
) -> None:
    with otel.tracer.start_active_span("outer"):
        forgotten = otel.tracer.start_active_span("inner")
        forgotten.span.finish()
    assert otel.tracer.active_span is None
    forgotten.close()
    assert otel.tracer.active_span is None


def test_S2_closed_below_an_opentelemetry_span_that_is_still_open(otel: Recorded) -> None:
    native = otel.provider.get_tracer("native")
    scope = otel.tracer.start_active_span("ours")
    with native.start_as_current_span("native") as span:
        scope.close()
        assert trace.get_current_span() is span
    assert otel.tracer.active_span is None
    assert list(otel.spans) == ["ours", "native"]


def test_S2_closed_below_opentelemetry_baggage_that_is_still_set(tracer: Tracer) -> None:
    scope = tracer.start_active_span("ours")
    token = attach(baggage.set_baggage("user", "ann"))
    scope.close()
    detach(token)
    assert tracer.active_span is None


def _thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_S2_closed_in_another_thread_it_is_no_parent_any_more(otel: Recorded) -> None:
    before = otel.tracer.start_active_span("before")
    scope = otel.tracer.start_active_span("request")
    _thread(scope.close)
    assert otel.tracer.active_span is before.span
    before.close()
    assert otel.tracer.active_span is None
    assert list(otel.spans) == ["request", "before"]


def test_S2_closed_in_another_thread_that_has_a_scope_of_its_own(otel: Recorded) -> None:
    scope = otel.tracer.start_active_span("request")

    def elsewhere() -> None:
        with otel.tracer.start_active_span("own") as own:
            scope.close()
            assert otel.tracer.active_span is own.span
        assert otel.tracer.active_span is None

    _thread(elsewhere)
    assert otel.tracer.active_span is None


def test_S2_an_outer_scope_closed_in_another_thread_does_not_come_back_with_the_inner(otel: Recorded) -> None:
    outer = otel.tracer.start_active_span("outer")
    inner = otel.tracer.start_active_span("inner")
    _thread(outer.close)
    inner.close()
    assert otel.tracer.active_span is None


async def test_S2_closed_in_another_task_it_is_no_parent_any_more(otel: Recorded) -> None:
    scope = otel.tracer.start_active_span("request")

    async def other() -> None:
        assert otel.tracer.active_span is scope.span
        scope.close()
        assert otel.tracer.active_span is None

    await asyncio.create_task(other())
    assert otel.tracer.active_span is None


async def test_S2_opened_in_another_task_it_can_be_closed_here(otel: Recorded) -> None:
    async def opens() -> Scope:
        return otel.tracer.start_active_span("request")  # type: ignore[return-value]

    with otel.tracer.start_active_span("here") as here:
        scope = await asyncio.create_task(opens())
        assert otel.tracer.active_span is here.span
        scope.close()
        assert otel.tracer.active_span is here.span
    assert list(otel.spans) == ["request", "here"]


async def test_S2_an_abandoned_async_generator_leaves_no_parent(otel: Recorded) -> None:
    async def rows() -> Any:
        with otel.tracer.start_active_span("rows"):
            yield 1
            yield 2

    generator = rows()
    async for _ in generator:
        break
    await asyncio.create_task(generator.aclose())
    assert otel.tracer.active_span is None
    assert "rows" in otel.spans


def test_S2_a_generator_closed_late_leaves_no_parent(otel: Recorded) -> None:
    def rows() -> Iterator[int]:
        with otel.tracer.start_active_span("rows"):
            yield 1

    generator = rows()
    next(generator)
    del generator
    assert otel.tracer.active_span is None


@pytest.mark.parametrize("finish", [True, False])
def test_S3_finish_on_close_is_honoured_by_whichever_handle_closes(otel: Recorded, finish: bool) -> None:
    handles: list[Callable[[Any], object]] = [
        lambda scope: scope.close(),
        lambda scope: scope.__exit__(None, None, None),
        lambda scope: otel.tracer.scope_manager.active.close(),  # type: ignore[union-attr]
        lambda scope: scope.manager.active.close(),
    ]
    for number, close in enumerate(handles):
        close(otel.tracer.start_active_span(str(number), finish_on_close=finish))
        close_again = otel.tracer.scope_manager.activate(otel.tracer.start_span(f"{number}b"), finish)
        close(close_again)
    assert len(otel.spans) == (2 * len(handles) if finish else 0)


def test_S3_one_span_in_two_scopes_is_finished_once(otel: Recorded) -> None:
    with otel.tracer.start_active_span("a") as scope:
        with otel.tracer.scope_manager.activate(scope.span, False):
            assert otel.tracer.active_span is scope.span
        assert otel.spans == {}
    assert list(otel.spans) == ["a"]


class Strange:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def _foreigners() -> list[Any]:
    mock = MockTracer().start_span("mock")
    return [
        mock,
        mock.context,
        opentracing.Span(opentracing.Tracer(), opentracing.SpanContext()),
        opentracing.SpanContext(),
        object(),
        "span",
        7,
        Strange(),
    ]


@pytest.mark.parametrize("number", range(8))
def test_S10_a_foreign_parent_is_none(otel: Recorded, number: int) -> None:
    foreign = _foreigners()[number]
    otel.tracer.start_span("a", child_of=foreign).finish()
    assert otel.spans["a"].parent is None
    with otel.tracer.start_active_span("active"):
        otel.tracer.start_active_span("b", references=[child_of(foreign), follows_from(foreign)]).close()
    assert otel.spans["b"].parent is not None
    assert otel.spans["b"].links == ()


@pytest.mark.parametrize("references", [None, [], (), child_of(None), [None], [7], "ab", 7, {}], ids=repr)
def test_S10_references_that_mean_nothing_are_none(otel: Recorded, references: Any) -> None:
    otel.tracer.start_span("a", references=references).finish()
    assert (otel.spans["a"].parent, otel.spans["a"].links) == (None, ())


def test_S10_a_bare_reference_is_a_list_of_one(otel: Recorded) -> None:
    parent = otel.tracer.start_span("parent")
    otel.tracer.start_span("a", references=follows_from(parent.context)).finish()
    assert len(otel.spans["a"].links) == 1


def test_S10_a_foreign_span_can_be_active_and_is_no_parent(otel: Recorded) -> None:
    for foreign in MockTracer().start_span("mock"), opentracing.Tracer().start_span("no-op"):
        with otel.tracer.start_active_span("ours") as ours:
            with otel.tracer.scope_manager.activate(foreign, True) as scope:
                assert otel.tracer.active_span is foreign
                assert otel.tracer.scope_manager.active is scope
                assert trace.get_current_span() is ours.span.unwrap()  # type: ignore[attr-defined]
            assert otel.tracer.active_span is ours.span


def test_S10_a_foreign_context_is_not_injected(tracer: Tracer) -> None:
    for foreign in [*_foreigners(), None]:
        carrier: dict[str, str] = {}
        tracer.inject(foreign, Format.TEXT_MAP, carrier)
        assert carrier == {}


def test_S10_spans_of_the_upstream_shim_are_taken_for_what_they_are(otel: Recorded) -> None:
    shim = create_shim(otel.provider)
    theirs: Any = shim.start_span("theirs")
    expected = theirs.unwrap().get_span_context()
    carrier: dict[str, str] = {}
    otel.tracer.inject(theirs.context, Format.HTTP_HEADERS, carrier)
    assert f"{expected.span_id:016x}" in carrier["traceparent"]
    otel.tracer.start_span("a", child_of=theirs).finish()
    otel.tracer.start_span("b", references=[follows_from(theirs.context)]).finish()
    with otel.tracer.scope_manager.activate(theirs, False):
        assert otel.tracer.active_span is theirs
        otel.tracer.start_span("c").finish()
    for name in "abc":
        parent = otel.spans[name].parent
        assert parent is not None
        assert parent.span_id == expected.span_id


def test_S10_spans_and_contexts_of_opentelemetry_are_taken_for_what_they_are(otel: Recorded) -> None:
    native = otel.provider.get_tracer("native").start_span("native")
    for parent in native, native.get_span_context():
        span = otel.tracer.start_span("a", child_of=parent)
        assert span.context.parent_id == native.get_span_context().span_id


def test_S10_our_span_is_a_span_for_others(otel: Recorded) -> None:
    span: Any = otel.tracer.start_span("ours")
    assert isinstance(span, SpanShim)
    assert isinstance(span, opentracing.Span)
    mock = MockTracer()
    with mock.scope_manager.activate(span, True):
        assert mock.active_span is span
    assert list(otel.spans) == ["ours"]


def test_S7_a_stock_manager_says_what_is_active_even_where_opentelemetrys_context_is_inherited() -> None:
    """asyncio's manager hands nothing on to child tasks; OpenTelemetry's context does."""
    otel = recorded(scope_manager=AsyncioScopeManager())

    async def child() -> Any:
        assert otel.tracer.scope_manager.active is None
        assert otel.tracer.active_span is None
        with otel.tracer.start_active_span("child") as scope:
            assert otel.tracer.active_span is scope.span
            return scope.span

    async def parent() -> None:
        with otel.tracer.start_active_span("parent"):
            await asyncio.create_task(child())

    asyncio.run(parent())
    assert otel.spans["child"].parent is None


def test_S7_opentelemetrys_span_in_a_child_task_is_the_parent_under_a_stock_manager_too() -> None:
    otel = recorded(scope_manager=AsyncioScopeManager())
    native = otel.provider.get_tracer("native")

    async def child() -> None:
        with native.start_as_current_span("native"), otel.tracer.start_active_span("inner"):
            pass

    async def parent() -> None:
        with otel.tracer.start_active_span("parent"):
            await asyncio.create_task(child())

    asyncio.run(parent())
    inner = otel.spans["inner"].parent
    assert inner is not None
    assert inner.span_id == otel.spans["native"].context.span_id


def test_S7_a_scope_that_cannot_be_followed_is_left_alone() -> None:
    class SlottedScope(opentracing.Scope):
        __slots__ = ()

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "close":
                raise AttributeError(name)
            super().__setattr__(name, value)

    class Manager(opentracing.ScopeManager):
        def activate(self, span: Any, finish_on_close: bool) -> opentracing.Scope:
            return SlottedScope(self, span)

    tracer = recorded(scope_manager=Manager()).tracer
    with tracer.start_active_span("a"):
        assert trace.get_current_span() is trace.INVALID_SPAN


def test_S7_activating_by_the_stock_manager_itself_is_known_to_opentracing_only() -> None:
    otel = recorded(scope_manager=ThreadLocalScopeManager())
    span = otel.tracer.start_span("a")
    with otel.tracer.scope_manager.activate(span, True):
        assert otel.tracer.active_span is span
        assert trace.get_current_span() is trace.INVALID_SPAN
        otel.tracer.start_span("child").finish()
    parent = otel.spans["child"].parent
    assert parent is not None
    assert parent.span_id == span.context.span_id


def test_a_runtime_context_of_somebodys_own_is_put_back(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tokens are its own."""
    from ot_bridge.bridge import scope as scopes

    kept: dict[object, Any] = {}

    def attach_here(context: Context) -> object:
        token = object()
        kept[token] = attach(context)
        return token

    monkeypatch.setattr(scopes, "attach", attach_here)
    monkeypatch.setattr(scopes, "reset", lambda token: detach(kept.pop(token)))
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            stack.enter_context(tracer.start_active_span("a"))
            assert tracer.active_span is not None
        assert tracer.active_span is None
