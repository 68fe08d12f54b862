"""Wraps streams of messages, to log each message and to notice the end of a stream.

Other streams, whose messages are not logged and whose end is noticed elsewhere, are not wrapped.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any

import grpc

from ot_bridge.delivery import finalizers
from ot_bridge.grpc.rpc import Rpc


def watched(rpc: Rpc, request: Any, streams: bool) -> Any:
    """Reports each request to `rpc` before grpc gets it. Returns the request, or an iterator of the requests.

    None stays None: it means that the program sends the requests by `write()`.
    """
    if not streams:
        rpc.saw_request(request)
        return request
    if request is None:
        return None
    return _arequests(rpc, request) if isinstance(request, AsyncIterable) else _requests(rpc, request)


def _requests(rpc: Rpc, requests: Iterable[Any]) -> Iterator[Any]:
    for number, request in enumerate(requests, 1):
        rpc.saw_request(request, number)
        yield request


async def _arequests(rpc: Rpc, requests: AsyncIterable[Any]) -> AsyncIterator[Any]:
    number = 0
    async for request in requests:
        number += 1
        rpc.saw_request(request, number)
        yield request


class Responses:
    """An iterator that reports each response to `rpc`. All other attributes are those of `responses`.

    ends: whether the end of the iteration ends the RPC. step: the step that gets each response, in place of
    `rpc.step`.
    """

    __slots__ = ("__weakref__", "_ends", "_number", "_responses", "_rpc", "_step")
    _rpc: Rpc

    def __init__(
        self, rpc: Rpc, responses: Any, ends: bool = True, step: Callable[..., Any] | None = None
    ) -> None:
        self._rpc = rpc
        self._step = step or rpc.step
        self._responses = responses
        self._ends = ends
        self._number = 0
        finalizers.prepare()

    def __iter__(self) -> Responses:
        return self

    def __next__(self) -> Any:
        try:
            response = self._step(next, self._responses)
        except BaseException as error:
            self._stop(error, StopIteration)
            raise
        self._report(response)
        return response

    next = __next__

    def _report(self, response: Any) -> None:
        if self._rpc.settings.sees_messages:
            self._number += 1
            self._rpc.saw_response(response, self._number)

    def _stop(self, error: BaseException, end: type[BaseException]) -> None:
        if self._ends:
            self._ends = False
            if isinstance(error, end):
                self._rpc.complete()
            else:
                self._rpc.fail(error)

    def __del__(self) -> None:
        if self._ends:
            self._drop()

    def _drop(self) -> None:
        # If this deletes a generator, the generator closes its scopes. They have to be active while it does.
        self._step(self._release)
        finalizers.later(self._rpc.fail, GeneratorExit())

    def _release(self) -> None:
        self._responses = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._responses, name)


class AsyncResponses(Responses):
    """`Responses` for `grpc.aio`, whose calls also have `read()` and `write()`."""

    __slots__ = ("_iterator", "_written")

    def __init__(self, rpc: Rpc, responses: Any, ends: bool = True) -> None:
        super().__init__(rpc, responses, ends)
        self._iterator: Any = None
        self._written = 0

    def __aiter__(self) -> AsyncResponses:
        return self

    async def __anext__(self) -> Any:
        if self._iterator is None:
            self._iterator = aiter(self._responses)
        try:
            response = await anext(self._iterator)
        except BaseException as error:
            self._stop(error, StopAsyncIteration)
            raise
        self._report(response)
        return response

    async def read(self) -> Any:
        response = await self._responses.read()
        if response is grpc.aio.EOF:
            self._stop(StopAsyncIteration(), StopAsyncIteration)
        else:
            self._report(response)
        return response

    async def write(self, request: Any) -> None:
        self._written += 1
        self._rpc.saw_request(request, self._written)
        await self._responses.write(request)

    def __await__(self) -> Generator[Any, None, Any]:
        awaited: Generator[Any, None, Any] = self._responses.__await__()
        return awaited


class TracedCall(Responses):
    """`Responses` that wrap a call, and therefore are a `grpc.Call` and a `grpc.Future` as well.

    A call may be over before the program has read its last responses. As the span logs these, it ends later.
    settle: ends the span of a call that is over; None if something else does that.
    """

    __slots__ = ("_settle",)

    def __init__(self, rpc: Rpc, call: Any, settle: Callable[[], None] | None) -> None:
        super().__init__(rpc, call, settle is not None)
        self._settle = settle

    def _drop(self) -> None:
        if self._settle is not None:
            finalizers.later(_settle_if_done, self._responses, self._settle)


class AsyncTracedCall(AsyncResponses):
    """`TracedCall` for a call of `grpc.aio`."""

    __slots__ = ("_settle",)

    def __init__(self, rpc: Rpc, call: Any, settle: Callable[[], None] | None) -> None:
        super().__init__(rpc, call, settle is not None)
        self._settle = settle

    _drop = TracedCall._drop


def _settle_if_done(call: Any, settle: Callable[[], None]) -> None:
    if call.done():  # this takes a lock of grpc, so no finalizer may call it
        settle()


grpc.Call.register(TracedCall)
grpc.Future.register(TracedCall)
grpc.aio.UnaryStreamCall.register(AsyncTracedCall)
grpc.aio.StreamUnaryCall.register(AsyncTracedCall)
grpc.aio.StreamStreamCall.register(AsyncTracedCall)
