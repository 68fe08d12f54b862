"""`TracedChannel`: a channel that traces its calls without the cost of grpc's interceptors."""

from __future__ import annotations

from typing import Any

import grpc

from ot_bridge.grpc.client import answered_with_call, carry, follow_stream, follow_unary, is_bare
from ot_bridge.grpc.client_rpc import ClientRpc, ClientSettings, TracedArities


class _MultiCallable:
    """What a stub calls. All arguments but the metadata go on as they are."""

    def __init__(self, inner: Any, settings: ClientSettings, method: str) -> None:
        self._inner = inner
        self._of = settings, method, is_bare(inner)


class _UnaryUnary(_MultiCallable, grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]
    def __call__(
        self, request: Any, timeout: Any = None, metadata: Any = None, *rest: Any, **more: Any
    ) -> Any:
        return carry(*self._of, self._inner, ClientRpc.answer, request, timeout, metadata, False, rest, more)

    def with_call(
        self, request: Any, timeout: Any = None, metadata: Any = None, *rest: Any, **more: Any
    ) -> Any:
        call = self._inner.with_call
        return carry(*self._of, call, answered_with_call, request, timeout, metadata, False, rest, more)

    def future(self, request: Any, timeout: Any = None, metadata: Any = None, *rest: Any, **more: Any) -> Any:
        call = self._inner.future
        return carry(*self._of, call, follow_unary, request, timeout, metadata, False, rest, more)


class _UnaryStream(_MultiCallable, grpc.UnaryStreamMultiCallable):  # type: ignore[type-arg]
    def __call__(
        self, request: Any, timeout: Any = None, metadata: Any = None, *rest: Any, **more: Any
    ) -> Any:
        return carry(*self._of, self._inner, follow_stream, request, timeout, metadata, False, rest, more)


class _StreamUnary(_MultiCallable, grpc.StreamUnaryMultiCallable):  # type: ignore[type-arg]
    def __call__(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *rest: Any, **more: Any
    ) -> Any:
        call = self._inner
        return carry(*self._of, call, ClientRpc.answer, request_iterator, timeout, metadata, True, rest, more)

    def with_call(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *rest: Any, **more: Any
    ) -> Any:
        call, conclude = self._inner.with_call, answered_with_call
        return carry(*self._of, call, conclude, request_iterator, timeout, metadata, True, rest, more)

    def future(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *rest: Any, **more: Any
    ) -> Any:
        call = self._inner.future
        return carry(*self._of, call, follow_unary, request_iterator, timeout, metadata, True, rest, more)


class _StreamStream(_MultiCallable, grpc.StreamStreamMultiCallable):  # type: ignore[type-arg]
    def __call__(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *rest: Any, **more: Any
    ) -> Any:
        call = self._inner
        return carry(*self._of, call, follow_stream, request_iterator, timeout, metadata, True, rest, more)


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
