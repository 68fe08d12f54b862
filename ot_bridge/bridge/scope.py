"""`Scope`: the time for which a span is active. OpenTelemetry's context is the only place that holds it.

Invariants, each with its reason and tests (all in tests/bridge/):

1. A scope makes one `Context` (`_inside`), which holds its span, the span's baggage and the scope, and makes
   it current. OpenTelemetry code that sets a span or baggage inside copies from it, so that both APIs see one
   active span (test_mixed_code.py: test_S6_any_nesting_is_one_trace_with_the_right_parents_and_baggage).
2. A scope that is closed while `_inside` is current resets the context variable with its token. Tasks and
   copied contexts that have inherited `_inside` keep it, since their work belongs to the span (test_tasks.py:
   test_S8_spans_of_a_task_that_outlives_its_request_stay_children_of_that_request).
3. A scope that is closed elsewhere (in another task, thread or greenlet, or below an OpenTelemetry span that
   is still open) cannot reset that variable, or must not. It then edits `_inside`, which may become current
   again: it replaces its own entries by those of the context before it (test_scopes.py: the tests
   test_S2_closed_*; test_gevent.py: test_S2_closed_in_another_greenlet_a_scope_is_no_longer_active).
4. The context before may belong to another scope. The edited context is then registered with that scope
   (`_heirs`) and edited again when that scope closes. So a closed scope is visible in no context that may
   become current where it was opened (test_odd_closings.py:
   test_two_nested_scopes_closed_in_another_thread_leave_no_active_span). `_heirs` holds weak references, so
   that a long-lived scope keeps no contexts alive
   (test_a_long_lived_scope_keeps_no_reference_to_scopes_that_were_closed_elsewhere).
5. There is no lock, since a finalizer may close a scope while its thread holds the lock. Code that registers
   an heir checks afterwards whether the scope has closed meanwhile; a scope that closes sets `_closed` before
   it reads its heirs (test_threads.py: test_a_scope_that_many_threads_close_is_closed_once).
6. `close` resets the variable before it does anything else, and `__exit__` calls `close` again if an
   exception of a signal handler has interrupted it (test_odd_closings.py:
   test_an_interrupt_leaves_a_scope_active_no_more_often_than_with_jaeger_client).
"""

from __future__ import annotations

import contextlib
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context

from ot_bridge.bridge.bases import ScopeBase
from ot_bridge.bridge.keys import BAGGAGE_KEY, REMOTE_KEY, SCOPE_KEY, SPAN_KEY
from ot_bridge.bridge.span import Span
from ot_bridge.instance import dict_of
from ot_bridge.otel import attach, current, reset

if TYPE_CHECKING:
    from ot_bridge.bridge.scope_manager import ScopeManager

# `Context` refuses changes. A scope changes only contexts that this module has made.
_put: Final = dict.__setitem__
_take: Final = dict.pop
_new: Final[Any] = object.__new__
_NOTHING: Final = Context()


class Scope(ScopeBase):
    """The time for which a span is active (OpenTracing specification, "Scope").

    An outer scope that is closed first stays open until the scopes inside it are closed, unless their spans
    are finished. Closing a second time does nothing.
    """

    _closed_elsewhere = False  # see invariant 3

    _manager: ScopeManager
    _span: Any
    _finish_on_close: bool
    _closed: bool
    _waits: bool
    _otel_span: Any
    _before: Context
    _inside: Context
    _token: Any
    _heirs: dict[int, weakref.ref[Context]] | None

    @property
    def context(self) -> Context:
        """The OpenTelemetry context that this scope makes current; an empty one after it has closed."""
        return self._inside

    def close(self, outwards: bool = True) -> None:
        """Ends the active period, and the span if it was activated with `finish_on_close`.

        outwards: whether outer scopes that wait for this one are closed as well.
        """
        if self._closed:
            return
        here = current()
        if here is self._inside:
            try:
                reset(self._token)
            except (ValueError, RuntimeError):  # it was opened in another task or thread
                self._closed = self._closed_elsewhere = True
                attach(settled(Context(self._before)))
                settled(here)
            self._closed = True
        elif not self._end_elsewhere(here):
            return
        if self._heirs is not None:
            self._remove_from_heirs()
        self._inside = _NOTHING  # the old value refers to this scope: a reference cycle
        if self._finish_on_close:
            self._span.finish()
        if self._before and outwards:
            outer: Any = self._before.get(SCOPE_KEY)
            if outer is not None and (outer._waits or outer._closed):
                _close_outwards(outer)

    def _end_elsewhere(self, here: Context) -> bool:
        """Closes a scope whose context is not the current one. False if it has to wait for inner scopes."""
        above: list[Scope] = []
        scope: Any = here.get(SCOPE_KEY)
        while isinstance(scope, Scope) and scope is not self:
            above.append(scope)
            scope = scope._before.get(SCOPE_KEY)
        self._waits = scope is self and not all(each._is_over() for each in above)
        if self._waits:
            return False
        self._closed = self._closed_elsewhere = True
        if scope is self:
            for each in above:
                if not each._closed:  # the program may never close it
                    each._closed = each._closed_elsewhere = True
                    settled(each._inside)
                    each._remove_from_heirs()
            self._leave(here, above)
        settled(self._inside)
        return True

    def _is_over(self) -> bool:
        return self._closed or getattr(self._span, "finished", False)

    def _leave(self, here: Context, above: list[Scope]) -> None:
        """Resets the context variable, unless OpenTelemetry code has a span active above this scope."""
        span = here.get(SPAN_KEY)
        if span is self._otel_span or any(span is each._otel_span for each in above):
            with contextlib.suppress(ValueError, RuntimeError):
                reset(self._token)
                return
            here = self._before
        attach(settled(Context(here)))

    def _remove_from_heirs(self) -> None:
        """Removes this closed scope from the contexts that show it since an inner scope closed (`_heirs`)."""
        for heir in tuple((self._heirs or {}).values()):
            if (context := heir()) is not None:
                if context.get(SCOPE_KEY) is self:
                    self._remove_entries(context)
                settled(context)

    def _add_heir(self, context: Context) -> None:
        """Registers `context`, which shows this scope, to be edited when this scope closes."""
        heirs: dict[int, Any] = dict_of(self).setdefault("_made_heirs", {})
        self._heirs = heirs
        key = id(context)
        heirs[key] = weakref.ref(context, lambda _: heirs.pop(key, None))

    def _remove_entries(self, context: Context) -> None:
        """Replaces the entries of this scope in `context` by those of the context before it."""
        held: dict[str, object] = {SPAN_KEY: self._otel_span, SCOPE_KEY: self}
        if isinstance(self._span, Span):
            held[BAGGAGE_KEY] = self._span._baggage
            if self._span.origin is not None or isinstance(self, NoSpanScope):
                held[REMOTE_KEY] = self._span.origin
        before = self._before
        for key, value in held.items():
            if context.get(key) is not value:
                continue
            if key in before:
                _put(context, key, before[key])
            else:
                _take(context, key, None)

    def __enter__(self) -> Scope:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        try:
            if exc_val is not None:
                Span._on_error(self._span, exc_type, exc_val, exc_tb)
            self.close()
        except BaseException:
            self.close()
            raise


def settled(context: Context) -> Context:
    """Edits `context` so that it shows no closed scope, and registers it with the open scope that it shows.

    Returns `context`.
    """
    while True:
        scope: Any = context.get(SCOPE_KEY)
        if not isinstance(scope, Scope):
            return context
        if scope._closed_elsewhere:
            scope._remove_entries(context)
            continue
        if not scope._closed:
            scope._add_heir(context)
            if scope._closed:  # another thread has closed it since the check above
                scope._remove_entries(context)
                continue
        return context


def _close_outwards(outer: Any) -> None:
    """Closes the waiting scopes from `outer` outwards, and removes closed ones from the current context."""
    while isinstance(outer, Scope):
        if outer._waits:
            outer.close(False)
        if not outer._closed:
            break
        outer = outer._before.get(SCOPE_KEY)
    here = current()
    scope: Any = here.get(SCOPE_KEY)
    if scope is not None and scope._closed_elsewhere:
        attach(settled(Context(here)))


def opened(
    kind: type[Scope],
    manager: ScopeManager,
    span: Any,
    finish_on_close: bool,
    before: Context,
    held: dict[str, object],
) -> Scope:
    """Makes a scope in which `span` is active, and makes its context current.

    before: the current context. held: the entries that change in it, by the keys in `bridge.keys`; the scope
    itself is added here. This is not an `__init__`, which takes longer to call (benchmark row unsampled).
    """
    scope: Scope = _new(kind)
    scope._manager = manager
    scope._span = span
    scope._otel_span = held[SPAN_KEY]
    scope._finish_on_close = finish_on_close
    scope._before = before
    scope._closed = scope._waits = False
    scope._heirs = None
    held[SCOPE_KEY] = scope
    if before and not before.keys() <= held.keys():
        held = {**before, **held}
    scope._inside = inside = Context(held)
    scope._token = attach(inside)
    return scope


class NoSpanScope(Scope):
    """The time for which no span is active, which `ScopeManager.activate(None)` begins."""
