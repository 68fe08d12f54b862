"""The interceptor for `grpc.aio.server`.

A coroutine is wrapped in a coroutine, and a generator in a generator, because grpc treats each differently.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import grpc

from ot_bridge.edge import InSteps
from ot_bridge.grpc.messages import Responses, watched
from ot_bridge.grpc.server import Handlers, Serve, SyncContext, serve_unary
from ot_bridge.grpc.server_rpc import ServerRpc, ServerSettings, ServicerContext


class AioContext(ServicerContext):
    """Wraps a `grpc.aio.ServicerContext`, which also has `read()` and `write()`."""


grpc.aio.ServicerContext.register(AioContext)


class _WatchedContext(AioContext):
    """An `AioContext` that logs the messages which the handler reads and writes."""

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
    settings: ServerSettings, method: str, behavior: Any, client_streams: bool, request: Any, context: Any
) -> Any:
    """Runs a handler that returns its only response, or sends its responses by `write()` and returns None."""
    rpc = settings.begin(method, context, request)
    kind = AioContext
    if rpc.settings.sees_messages:
        request, kind = watched(rpc, request, client_streams), _WatchedContext
    try:
        response = await InSteps(rpc.step, rpc.step(behavior, request, kind(rpc, context)))
    except BaseException as error:
        rpc.fail(error)
        raise
    rpc.complete(response)
    return response


async def serve_generator(
    settings: ServerSettings, method: str, behavior: Any, client_streams: bool, request: Any, context: Any
) -> AsyncIterator[Any]:
    """Runs a handler that yields its responses."""
    rpc = settings.begin(method, context, request)
    # If an RPC is cancelled while grpc sends a response, grpc does not close this generator.
    context.add_done_callback(lambda _: rpc.fail(asyncio.CancelledError()))
    kind = AioContext
    if rpc.settings.sees_messages:
        request, kind = watched(rpc, request, client_streams), _WatchedContext
    try:
        responses = rpc.step(behavior, request, kind(rpc, context))
        try:
            for number in count(1):
                response = await InSteps(rpc.step, anext(responses))
                if rpc.settings.sees_messages:
                    rpc.saw_response(response, number)
                yield response
        except StopAsyncIteration:
            pass
        finally:
            await InSteps(rpc.step, responses.aclose())
    except BaseException as error:
        rpc.fail(error)
        raise
    rpc.complete()


def serve_plain_stream(
    settings: ServerSettings, method: str, behavior: Any, client_streams: bool, request: Any, context: Any
) -> Any:
    """Starts a handler without `async` that returns an iterable, which grpc reads in other threads."""
    rpc = settings.begin(method, context, request)
    # If the client cancels, grpc cancels the RPC's task, which runs this function, but not the thread.
    if (task := asyncio.current_task()) is not None:
        task.add_done_callback(lambda _: rpc.fail(asyncio.CancelledError()))
    if rpc.settings.sees_messages:
        request = watched(rpc, request, client_streams)
    try:
        responses = rpc.step(lambda: iter(behavior(request, SyncContext(rpc, context))))
    except BaseException as error:
        rpc.fail(error)
        raise
    return Responses(rpc, responses)


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

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._handlers = Handlers(settings, _choose)

    @property
    def corrupt_headers(self) -> int:
        return self.settings.callers.corrupt

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        return self._handlers.traced(handler_call_details.method, handler)
