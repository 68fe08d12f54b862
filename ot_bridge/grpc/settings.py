"""The options that clients and servers have in common, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import opentracing

from ot_bridge import edge
from ot_bridge.bridge.create import usable_tracer
from ot_bridge.edge import StartOptions
from ot_bridge.grpc.hooks import RpcInfo
from ot_bridge.grpc.metadata import Pairs

Exclude: TypeAlias = str | Iterable[str] | Callable[[RpcInfo], bool]

#: Health checks are not traced unless another value is given (gRPC, "Health Checking Protocol").
HEALTH: Final = ("/grpc.health.v1.Health/*",)


class Settings:
    """The checked options of one interceptor or channel; `ot_bridge.grpc.interceptors` describes them.

    sees_messages: whether each message is logged or recorded. needs_response: whether anything uses the
    response. Raises `ConfigurationError` for values that cannot be used.
    """

    def __init__(
        self,
        tracer: opentracing.Tracer | None = None,
        *,
        log_payloads: bool = False,
        span_decorator: Callable[[opentracing.Span, RpcInfo], object] | None = None,
        message_events: bool = False,
        exclude: Exclude = HEALTH,
        start_options: Callable[[RpcInfo], Any] | None = None,
    ) -> None:
        self.tracer = usable_tracer(tracer)
        self.log_payloads = log_payloads
        self.message_events = message_events
        self.sees_messages = log_payloads or message_events
        self.decorate = edge.as_function("span_decorator", span_decorator)
        self.exclusion = edge.Exclusion(exclude)
        self._start_options = edge.as_function("start_options", start_options)
        self.has_callables = self.exclusion.is_callable or start_options is not None
        self.needs_response = self.sees_messages or span_decorator is not None

    def options(self, full_method: str, metadata: Pairs, timeout: float | None, request: Any) -> StartOptions:
        """Asks the program's callables how to start the span of this RPC."""
        info = RpcInfo(full_method, metadata, timeout, request)
        if self.exclusion.excludes(info):
            return edge.DO_NOT_TRACE
        return edge.AS_USUAL if self._start_options is None else edge.options_for(self._start_options, info)
