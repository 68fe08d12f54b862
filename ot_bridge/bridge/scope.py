"""`Scope` and `ScopeManager`: the active span, kept in OpenTelemetry's context and nowhere else.

How it works:

1. A scope makes one `Context` of its own (`_inside`), which holds its span, the span's baggage and the
   scope, and makes it current. OpenTelemetry code copies from it what it puts above.
2. A scope that is closed where its context is current gives the context variable its old value back. Tasks
   and copies of the context that have inherited `_inside` keep it.
3. A scope that is closed anywhere else (another task, thread or greenlet, or below an OpenTelemetry span
   that is still open) cannot reach that variable, or must leave it alone. It then changes `_inside`, which
   may come back there: what it has put there gives way to what was there before.
4. What was there before may be another scope's. The context is then that scope's heir (`_heirs`), and is
   changed again when that scope closes. So no context that may come back where a scope was opened shows it
   after it has closed.
5. No lock is held, since a finalizer may close a scope. Who makes a context an heir looks afterwards whether
   the scope has closed meanwhile; who closes a scope says so before it looks for heirs.
6. The variable is given back before anything else is done, and `__exit__` closes again whatever an
   exception of a signal handler has interrupted.
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
from ot_bridge.otel import attach, current, reset

if TYPE_CHECKING:
    from ot_bridge.bridge.scope_manager import ScopeManager

# `Context` itself refuses changes; a scope changes only those that it has made.
_put: Final = dict.__setitem__
_take: Final = dict.pop
_new: Final[Any] = object.__new__
_NOTHING: Final = Context()


class Scope(ScopeBase):
    """The time for which a span is active (OpenTracing specification, "Scope").

    Only the innermost scope can be closed: an outer one waits for those inside it, unless their spans
    are finished already. Closing a second time does nothing.
    """

    _gone = False  # closed as in 3

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
        """OpenTelemetry's context while this scope is the innermost; an empty one after it has closed."""
        return self._inside

    def close(self, outwards: bool = True) -> None:
        """Ends the active period, and the span if it was activated with `finish_on_close`.

        outwards: whether scopes around this one that have waited for it close as well.
        """
        if self._closed:
            return
        here = current()
        if here is self._inside:
            try:
                reset(self._token)
            except (ValueError, RuntimeError):  # another task or thread has opened it
                self._closed = self._gone = True
                attach(settled(Context(self._before)))
                settled(here)
            self._closed = True
        elif not self._end_elsewhere(here):
            return
        if self._heirs is not None:
            self._bequeath()
        self._inside = _NOTHING  # which refers to this scope
        if self._finish_on_close:
            self._span.finish()
        if self._before and outwards:
            outer: Any = self._before.get(SCOPE_KEY)
            if outer is not None and (outer._waits or outer._closed):
                _close_outwards(outer)

    def _end_elsewhere(self, here: Context) -> bool:
        """Closes a scope whose context is not the current one; False if it has to wait."""
        above: list[Scope] = []
        scope: Any = here.get(SCOPE_KEY)
        while isinstance(scope, Scope) and scope is not self:
            above.append(scope)
            scope = scope._before.get(SCOPE_KEY)
        self._waits = scope is self and not all(each._is_over() for each in above)
        if self._waits:
            return False
        self._closed = self._gone = True
        if scope is self:
            for each in above:
                if not each._closed:  # and nobody may ever close it
                    each._closed = each._gone = True
                    settled(each._inside)
                    each._bequeath()
            self._leave(here, above)
        settled(self._inside)
        return True

    def _is_over(self) -> bool:
        return self._closed or getattr(self._span, "finished", False)

    def _leave(self, here: Context, above: list[Scope]) -> None:
        """Gives the variable its old value back, unless OpenTelemetry code has a span active above."""
        span = here.get(SPAN_KEY)
        if span is self._otel_span or any(span is each._otel_span for each in above):
            with contextlib.suppress(ValueError, RuntimeError):
                reset(self._token)
                return
            here = self._before
        attach(settled(Context(here)))

    def _bequeath(self) -> None:
        """Takes this scope, which is closed, out of the contexts that fell back to it."""
        for heir in tuple((self._heirs or {}).values()):
            if (context := heir()) is not None:
                if context.get(SCOPE_KEY) is self:
                    self._strip(context)
                settled(context)

    def _adopt(self, context: Context) -> None:
        heirs: dict[int, Any] = self.__dict__.setdefault("_made_heirs", {})
        self._heirs = heirs
        key = id(context)
        heirs[key] = weakref.ref(context, lambda _: heirs.pop(key, None))

    def _strip(self, context: Context) -> None:
        """Replaces what this scope has put into `context` by what was there before."""
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
    """`context`, changed: without scopes that are gone, and an heir of the open one that it now shows."""
    while True:
        scope: Any = context.get(SCOPE_KEY)
        if not isinstance(scope, Scope):
            return context
        if scope._gone:
            scope._strip(context)
            continue
        if not scope._closed:
            scope._adopt(context)
            if scope._closed:  # meanwhile
                scope._strip(context)
                continue
        return context


def _close_outwards(outer: Any) -> None:
    """Closes those that have waited, from `outer` on, and leaves none that is gone in the current context."""
    while isinstance(outer, Scope):
        if outer._waits:
            outer.close(False)
        if not outer._closed:
            break
        outer = outer._before.get(SCOPE_KEY)
    here = current()
    scope: Any = here.get(SCOPE_KEY)
    if scope is not None and scope._gone:
        attach(settled(Context(here)))


def opened(
    kind: type[Scope],
    manager: ScopeManager,
    span: Any,
    finish_on_close: bool,
    before: Context,
    held: dict[str, object],
) -> Scope:
    """A scope in which `span` is active.

    before: the current context. held: what changes in it, of the keys in `bridge.keys`; the scope is put in
    here. It is no `__init__`, which takes longer to call (benchmark row unsampled).
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
    """The time for which no span is active; any other span is, in its scope, whether it is valid or not."""
