"""S7: scope managers that the program supplies, and where OpenTelemetry's current span follows them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import opentracing
import pytest
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentracing.scope_managers import ThreadLocalScopeManager
from opentracing.scope_managers.asyncio import AsyncioScopeManager

from ot_bridge.bridge import Tracer
from tests.conftest import Recorded, recorded

pytestmark = pytest.mark.usefixtures("nothing_left_behind")


def test_S7_a_stock_manager_decides_what_is_active_even_if_opentelemetrys_context_is_inherited() -> None:
    """asyncio's manager does not pass the active span to child tasks; OpenTelemetry's context does."""
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


def test_S7_a_scope_whose_close_cannot_be_wrapped_works_without_opentelemetrys_context() -> None:
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


def test_S7_a_span_activated_by_the_stock_manager_itself_is_active_for_opentracing_only() -> None:
    otel = recorded(scope_manager=ThreadLocalScopeManager())
    span = otel.tracer.start_span("a")
    with otel.tracer.scope_manager.activate(span, True):
        assert otel.tracer.active_span is span
        assert trace.get_current_span() is trace.INVALID_SPAN
        otel.tracer.start_span("child").finish()
    parent = otel.spans["child"].parent
    assert parent is not None
    assert parent.span_id == span.context.span_id


def test_a_custom_runtime_context_is_restored(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokens of such a context are of its own type."""
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


def _parent_of(otel: Recorded, name: str) -> int:
    parent = otel.spans[name].parent
    assert parent is not None
    return parent.span_id


def test_S7_a_scope_manager_given_by_the_program_is_used_unchanged() -> None:
    manager = ThreadLocalScopeManager()
    otel = recorded("jaeger", scope_manager=manager)
    assert otel.tracer.scope_manager is manager
    with otel.tracer.start_active_span("parent") as scope:
        assert manager.active is scope
        assert trace.get_current_span() is scope.span.unwrap()  # type: ignore[attr-defined]
        otel.tracer.start_span("child").finish()
    assert manager.active is None
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert _parent_of(otel, "child") == otel.spans["parent"].context.span_id


def test_S7_opentelemetry_spans_inside_its_scopes_are_children_of_our_spans_and_parents_of_others() -> None:
    otel = recorded("jaeger", scope_manager=ThreadLocalScopeManager())
    native = otel.provider.get_tracer("native")
    with otel.tracer.start_active_span("outer"), native.start_as_current_span("native"):
        assert otel.tracer.active_span is otel.tracer.active_span
        otel.tracer.start_span("inner").finish()
    assert _parent_of(otel, "native") == otel.spans["outer"].context.span_id
    assert _parent_of(otel, "inner") == otel.spans["native"].context.span_id


def test_S7_a_no_op_scope_manager_activates_nothing() -> None:
    tracer = recorded("jaeger", scope_manager=opentracing.ScopeManager()).tracer
    with tracer.start_active_span("a"), tracer.start_active_span("b"):
        assert trace.get_current_span() is trace.INVALID_SPAN
