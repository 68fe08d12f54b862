"""`TracedChannel`: a channel that traces its calls without the cost of grpc's interceptors."""

from __future__ import annotations

from typing import Any

import grpc

from ot_bridge.grpc.client import COMPLETE, Method, complete_with_call, follow_stream, follow_unary, is_bare
from ot_bridge.grpc.client_rpc import ClientSettings, TracedArities


class _UnaryRequest(Method):
    """The multi-callable of a stub's method for which the client sends one request."""

    conclude: Any = staticmethod(COMPLETE)
    streams = False
    with_call: Any = None
    future: Any = None

    def __init__(self, inner: Any, settings: ClientSettings, name: str) -> None:
        of = settings, name, is_bare(inner)
        super().__init__(*of, self.conclude, self.streams, inner)
        if hasattr(inner, "with_call"):  # the server sends one response
            self.with_call = Method(*of, complete_with_call, self.streams, inner.with_call)
            self.future = Method(*of, follow_unary, self.streams, inner.future)


class _StreamOfRequests(_UnaryRequest):
    streams = True

    def __call__(  # type: ignore[override]
        self, request_iterator: Any, *args: Any, **kwargs: Any
    ) -> Any:
        return super().__call__(request_iterator, *args, **kwargs)


class _UnaryUnary(_UnaryRequest, grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]
    pass


class _UnaryStream(_UnaryRequest, grpc.UnaryStreamMultiCallable):  # type: ignore[type-arg]
    conclude = staticmethod(follow_stream)


class _StreamUnary(_StreamOfRequests, grpc.StreamUnaryMultiCallable):  # type: ignore[type-arg]
    pass


class _StreamStream(_StreamOfRequests, grpc.StreamStreamMultiCallable):  # type: ignore[type-arg]
    conclude = staticmethod(follow_stream)


class TracedChannel(TracedArities, grpc.Channel):
    """Traces the calls of a channel. Everything else is passed on to that channel."""

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
