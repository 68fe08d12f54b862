"""`start_as_current_span`, and contexts with a span in them."""

from __future__ import annotations

import inspect
from contextlib import ContextDecorator
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from ot_bridge.otel import SPAN_KEY, attach, current, reset

if TYPE_CHECKING:
    from ot_bridge.engine.tracer import Tracer


def with_span(span: Span, context: Context | None = None) -> Context:
    """`set_span_in_context`, which copies the context once instead of twice."""
    made = Context(current() if context is None else context)
    dict.__setitem__(made, SPAN_KEY, span)
    return made


def full_context(context: Context | tuple[Any, Context] | None) -> Context | None:
    """Returns the context for samplers and processors. Makes it of a pair (parent, context)."""
    return context[0].in_context(context[1]) if type(context) is tuple else context  # type: ignore[return-value]


class CurrentSpan(ContextDecorator):
    """Returned by `start_as_current_span`: starts a span on entry. Also decorates functions and coroutines.

    As in the API's `use_span`, the previous span is current again before an exception is recorded.
    """

    __slots__ = ("arguments", "end_on_exit", "span", "token", "tracer")

    def __init__(self, tracer: Tracer, arguments: tuple[Any, ...], end_on_exit: bool) -> None:
        self.tracer = tracer
        self.arguments = arguments  # of start_span, in its order
        self.end_on_exit = end_on_exit

    def _recreate_cm(self) -> CurrentSpan:
        return CurrentSpan(self.tracer, self.arguments, self.end_on_exit)

    def __call__(self, func: Any) -> Any:
        if not inspect.iscoroutinefunction(func):
            return super().__call__(func)

        @wraps(func)
        async def inner(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                return await func(*args, **kwargs)

        return inner

    def __enter__(self) -> Span:
        span: Span = self.tracer.start_span(*self.arguments)
        self.span = span
        self.token = attach(with_span(span))
        return span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            reset(self.token)
        except Exception:  # for example in another task or thread
            context_api.logger.exception("Failed to detach context")
        if error is None:
            if self.end_on_exit:
                self.span.end()
            return
        try:
            if isinstance(error, Exception) and self.span.is_recording():
                self._record(error)
        finally:
            if self.end_on_exit:
                self.span.end()

    def _record(self, error: Exception) -> None:
        record_exception, set_status_on_exception = self.arguments[-2:]
        if record_exception:
            self.span.record_exception(error)
        if set_status_on_exception:
            self.span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
