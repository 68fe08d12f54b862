"""The server's door for `grpc.aio.server`: handlers stay of the kind that they are, which grpc asks about."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from itertools import count
from typing import Any

import grpc

from ot_bridge.grpc.messages import Responses, shown
from ot_bridge.grpc.server import Handlers, Serve, serve_stream, serve_unary
from ot_bridge.grpc.server_rpc import ServerRpc, ServerRules, ServicerContext


class AioContext(ServicerContext):
    """`ServicerContext` of a `grpc.aio.ServicerContext`, by which a handler may also read and write."""


grpc.aio.ServicerContext.register(AioContext)


class _WatchedContext(AioContext):
    """The same, where every message has to be seen."""

    def __init__(self, rpc: ServerRpc, context: Any) -> None:
        super().__init__(rpc, context)
        object.__setattr__(self, "_reads", count(1))
        object.__setattr__(self, "_writes", count(1))

    async def read(self) -> Any:
        request = await self._context.read()
        if request is not grpc.aio.EOF:
            self._rpc.saw_request(request, next(self._reads))
        return request

    async def write(self, response: Any) -> None:
        self._rpc.saw_response(response, next(self._writes))
        await self._context.write(response)


async def serve_coroutine(
    rules: ServerRules, method: str, behavior: Any, client_streams: bool, request: Any, context: Any
) -> Any:
    """Runs a handler that returns its one response, or writes its responses itself and returns None."""
    rpc = rules.begin(method, context, request)
    kind = AioContext
    if rpc.rules.sees_messages:
        request, kind = shown(rpc, request, client_streams), _WatchedContext
    try:
        response = await behavior(request, kind(rpc, context))
    except BaseException as error:
        rpc.fail(error)
        raise
    rpc.answer(response)
    return response


async def serve_generator(
    rules: ServerRules, method: str, behavior: Any, client_streams: bool, request: Any, context: Any
) -> AsyncIterator[Any]:
    """Runs a handler that yields its responses."""
    rpc = rules.begin(method, context, request)
    # An RPC that is cancelled while a response is on its way leaves the generator to the garbage collector.
    context.add_done_callback(lambda _: rpc.fail(asyncio.CancelledError()))
    kind = AioContext
    if rpc.rules.sees_messages:
        request, kind = shown(rpc, request, client_streams), _WatchedContext
    number = 0
    try:
        async with aclosing(behavior(request, kind(rpc, context))) as responses:
            async for response in responses:
                if rpc.rules.sees_messages:
                    number += 1
                    rpc.saw_response(response, number)
                yield response
    except BaseException as error:
        rpc.fail(error)
        raise
    rpc.answer()


class _TakenElsewhere(Responses):
    """Responses of a plain generator, which grpc makes in one thread and takes from it in another."""

    __slots__ = ("_begun",)
    _rpc: ServerRpc

    def __init__(self, rpc: ServerRpc, responses: Any) -> None:
        super().__init__(rpc, responses)
        self._begun = False
        rpc.suspend()

    def __next__(self) -> Any:
        if not self._begun:
            self._begun = True
            self._rpc.resume()
        return super().__next__()


serve_plain_stream = partial(serve_stream, responses=_TakenElsewhere)


def _choose(behavior: Any, streams: bool) -> Serve:
    if inspect.isasyncgenfunction(behavior):
        return serve_generator
    if inspect.iscoroutinefunction(behavior):
        return serve_coroutine
    return serve_plain_stream if streams else serve_unary


class AioServerInterceptor(grpc.aio.ServerInterceptor):
    """For `grpc.aio.server(interceptors=…)`.

    `corrupt_headers` is the number of RPCs so far whose tracing headers could not be read.
    """

    def __init__(self, rules: ServerRules) -> None:
        self._rules = rules
        self._handlers = Handlers(rules, _choose)

    @property
    def corrupt_headers(self) -> int:
        return self._rules.corrupt_headers

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        return self._handlers.traced(handler_call_details.method, handler)
