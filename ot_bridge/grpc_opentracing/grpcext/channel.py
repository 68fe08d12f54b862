"""`intercept_channel`: adds interceptors to the calls of a channel. The last one is the outermost."""

from __future__ import annotations

from typing import Any

import grpc

from ot_bridge.grpc.channel import TracedChannel
from ot_bridge.grpc.client import ClientInterceptor
from ot_bridge.grpc_opentracing.grpcext.interceptors import (
    StreamClientInfo,
    StreamClientInterceptor,
    UnaryClientInfo,
    UnaryClientInterceptor,
)


def intercept_channel(channel: Any, *interceptors: Any) -> Any:
    """A channel whose calls pass through the interceptors; the last one is the outermost.

    Raises TypeError if an argument is not an interceptor.
    """
    for interceptor in interceptors:
        if isinstance(interceptor, ClientInterceptor):
            # The traced channel does the same as this interceptor in half the time.
            channel = TracedChannel(channel, interceptor.settings)
        elif isinstance(interceptor, (UnaryClientInterceptor, StreamClientInterceptor)):
            channel = _Channel(channel, interceptor)
        else:
            raise TypeError(
                "interceptor must be either a grpcext.UnaryClientInterceptor"
                " or a grpcext.StreamClientInterceptor"
            )
    return channel


class _MultiCallable:
    """One method of a stub, with the three ways to call it."""

    def __init__(self, inner: Any, method: str, interceptor: Any, streams: tuple[bool, bool]) -> None:
        self._inner = inner
        self._method = method
        self._interceptor = interceptor
        self._streams = streams

    def _intercept(self, call: Any, request: Any, timeout: Any, metadata: Any, options: Any) -> Any:
        def invoker(request: Any, metadata: Any) -> Any:
            return call(request, timeout=timeout, metadata=metadata, **options)

        if any(self._streams):
            info = StreamClientInfo(self._method, *self._streams, timeout)
            return self._interceptor.intercept_stream(request, metadata, info, invoker)
        unary = UnaryClientInfo(self._method, timeout)
        return self._interceptor.intercept_unary(request, metadata, unary, invoker)

    def __call__(
        self, request: Any, timeout: float | None = None, metadata: Any = None, **options: Any
    ) -> Any:
        return self._intercept(self._inner, request, timeout, metadata, options)

    def with_call(
        self, request: Any, timeout: float | None = None, metadata: Any = None, **options: Any
    ) -> Any:
        return self._intercept(self._inner.with_call, request, timeout, metadata, options)

    def future(self, request: Any, timeout: float | None = None, metadata: Any = None, **options: Any) -> Any:
        return self._intercept(self._inner.future, request, timeout, metadata, options)


class _Channel(grpc.Channel):
    def __init__(self, channel: grpc.Channel, interceptor: Any) -> None:
        self._channel = channel
        self._interceptor = interceptor

    def _method(self, arity: str, streams: tuple[bool, bool], method: str, *args: Any, **kwargs: Any) -> Any:
        inner = getattr(self._channel, arity)(method, *args, **kwargs)
        wanted = StreamClientInterceptor if any(streams) else UnaryClientInterceptor
        if not isinstance(self._interceptor, wanted):
            return inner
        return _MultiCallable(inner, method, self._interceptor, streams)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._method("unary_unary", (False, False), method, *args, **kwargs)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._method("unary_stream", (False, True), method, *args, **kwargs)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._method("stream_unary", (True, False), method, *args, **kwargs)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._method("stream_stream", (True, True), method, *args, **kwargs)

    def subscribe(self, callback: Any, try_to_connect: Any = False) -> None:
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> _Channel:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()
