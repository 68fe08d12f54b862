"""The client's other door: a channel that traces its calls without the cost of grpc's interceptors."""

from __future__ import annotations

from typing import Any

import grpc

from ot_bridge.grpc.client import answered, answered_with_call, carry, follow_stream, follow_unary
from ot_bridge.grpc.client_rpc import ClientRpc, ClientRules, TracedArities
from ot_bridge.grpc.decisions import STATUS_CODE, failed_to_end


class _MultiCallable:
    """What a stub calls. Whatever a call is given beside its metadata goes on as it came."""

    _client_streams = False

    def __init__(self, inner: Any, rules: ClientRules, method: str) -> None:
        self._inner = inner
        self._rules = rules
        self._method = method

    def _carry(
        self, call: Any, conclude: Any, request: Any, timeout: Any, metadata: Any, args: Any, kwargs: Any
    ) -> Any:
        return carry(
            self._rules,
            self._method,
            request,
            metadata,
            timeout,
            lambda request, metadata: call(request, timeout, metadata, *args, **kwargs),
            conclude,
            self._client_streams,
        )


class _UnaryUnary(_MultiCallable, grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]
    def __call__(
        self, request: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        rules = self._rules
        if not rules.plain:
            return self._carry(self._inner, answered, request, timeout, metadata, args, kwargs)
        # As `carry`, with nothing made that is not needed, for this is how nearly every call is made.
        span, metadata = rules.start(self._method, () if metadata is None else tuple(metadata))
        try:
            if args or kwargs:
                response = self._inner(request, timeout, metadata, *args, **kwargs)
            else:
                response = self._inner(request, timeout, metadata)
        except BaseException as error:
            if span is not None:
                ClientRpc(rules, span, None, metadata).fail(error)
            raise
        if span is not None:
            try:
                span.set_tag(STATUS_CODE, 0)
                span.finish()
            except Exception:
                failed_to_end(span)
        return response

    def with_call(
        self, request: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        call = self._inner.with_call
        return self._carry(call, answered_with_call, request, timeout, metadata, args, kwargs)

    def future(
        self, request: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        return self._carry(self._inner.future, follow_unary, request, timeout, metadata, args, kwargs)


class _UnaryStream(_MultiCallable, grpc.UnaryStreamMultiCallable):  # type: ignore[type-arg]
    def __call__(
        self, request: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        return self._carry(self._inner, follow_stream, request, timeout, metadata, args, kwargs)


class _StreamUnary(_MultiCallable, grpc.StreamUnaryMultiCallable):  # type: ignore[type-arg]
    _client_streams = True

    def __call__(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        return self._carry(self._inner, answered, request_iterator, timeout, metadata, args, kwargs)

    def with_call(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        call = self._inner.with_call
        return self._carry(call, answered_with_call, request_iterator, timeout, metadata, args, kwargs)

    def future(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        return self._carry(
            self._inner.future, follow_unary, request_iterator, timeout, metadata, args, kwargs
        )


class _StreamStream(_MultiCallable, grpc.StreamStreamMultiCallable):  # type: ignore[type-arg]
    _client_streams = True

    def __call__(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        return self._carry(self._inner, follow_stream, request_iterator, timeout, metadata, args, kwargs)


class TracedChannel(TracedArities, grpc.Channel):
    """A channel whose calls are traced; in everything else the channel that it was made of."""

    kinds = (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)

    def subscribe(self, callback: Any, try_to_connect: Any = False) -> None:
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> TracedChannel:
        self._channel.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._channel.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)
