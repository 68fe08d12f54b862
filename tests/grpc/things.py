"""A service with one method of each arity, whose handlers do what the first request says; sync and aio.

Messages are bytes, so that nothing has to be compiled. `SCRIPTS` lists the possible requests.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc
import opentracing

SERVICE = "things.Things"
ARITIES = {
    "UU": "unary_unary",
    "US": "unary_stream",
    "SU": "stream_unary",
    "SS": "stream_stream",
}
STREAMS_IN = frozenset({"SU", "SS"})
STREAMS_OUT = frozenset({"US", "SS"})


def method(arity: str) -> str:
    return f"/{SERVICE}/{arity}"


class Status(NamedTuple):
    """As `grpc.Status`, which has no constructor."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, str], ...] = ()


class Broken(Exception):
    """What a handler raises."""


class Seen:
    """What handlers noted: metadata, contexts, the spans that were active, and how far they are."""

    def __init__(self) -> None:
        self.metadata: list[Any] = []
        self.active: list[Any] = []
        self.spans: list[Any] = []
        self.contexts: list[Any] = []
        self.done = threading.Event()
        self.begun = threading.Event()
        self.stop = threading.Event()

    def note(self, context: Any) -> None:
        self.metadata.append(tuple(context.invocation_metadata()))
        self.active.append(opentracing.global_tracer().active_span)
        self.contexts.append(context)
        if hasattr(context, "get_active_span"):
            self.spans.append(context.get_active_span())
        self.begun.set()


def _act(script: bytes, context: Any) -> None:
    if script == b"raise":
        raise Broken("the handler is broken")
    if script == b"set_code":
        context.set_code(grpc.StatusCode.ALREADY_EXISTS)
        context.set_details("there is one")
    if script == b"set_and_raise":
        context.set_code(grpc.StatusCode.FAILED_PRECONDITION)
        raise Broken("with a code")


class Sync:
    """The handlers of a `grpc.Server`."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    def _do(self, script: bytes, context: Any) -> None:
        self.seen.note(context)
        _act(script, context)
        if script == b"abort":
            context.abort(grpc.StatusCode.NOT_FOUND, "nothing here")
        if script == b"abort_with_status":
            context.abort_with_status(Status(grpc.StatusCode.DATA_LOSS, "bits fell out"))
        if script == b"wait":
            self._wait(context)

    def _wait(self, context: Any) -> None:
        context.add_callback(self.seen.stop.set)
        self.seen.stop.wait(10)

    def _say(self, script: bytes, context: Any) -> Iterator[bytes]:
        for number in range(3):
            yield b"%d" % number
        if script == b"half":
            self._wait(context)
        if script == b"endless":
            while context.is_active():
                yield b"more"

    def UU(self, request: bytes, context: Any) -> bytes:
        try:
            self._do(request, context)
            return request
        finally:
            self.seen.done.set()

    def US(self, request: bytes, context: Any) -> Iterator[bytes]:
        try:
            self._do(request, context)
            yield from self._say(request, context)
        finally:
            self.seen.done.set()

    def SU(self, requests: Iterator[bytes], context: Any) -> bytes:
        try:
            script = next(requests, b"")
            self._do(script, context)
            return b",".join([script, *requests])
        finally:
            self.seen.done.set()

    def SS(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        try:
            script = next(requests, b"")
            self._do(script, context)
            yield from self._say(script, context)
            yield from requests
        finally:
            self.seen.done.set()


class Aio:
    """The handlers of a `grpc.aio.Server`."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    async def _do(self, script: bytes, context: Any) -> None:
        self.seen.note(context)
        _act(script, context)
        if script == b"abort":
            await context.abort(grpc.StatusCode.NOT_FOUND, "nothing here")
        if script == b"abort_with_status":
            await context.abort_with_status(Status(grpc.StatusCode.DATA_LOSS, "bits fell out"))
        if script == b"wait":
            await asyncio.sleep(10)

    async def _say(self, script: bytes) -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number
        if script == b"half":
            await asyncio.sleep(10)
        while script == b"endless":
            yield b"more"

    async def UU(self, request: bytes, context: Any) -> bytes:
        try:
            await self._do(request, context)
            return request
        finally:
            self.seen.done.set()

    async def US(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            await self._do(request, context)
            async for response in self._say(request):
                yield response
        finally:
            self.seen.done.set()

    async def SU(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        try:
            script = await anext(aiter(requests), b"")
            await self._do(script, context)
            return b",".join([script, *[request async for request in requests]])
        finally:
            self.seen.done.set()

    async def SS(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        try:
            script = await anext(aiter(requests), b"")
            await self._do(script, context)
            async for response in self._say(script):
                yield response
            async for request in requests:
                yield request
        finally:
            self.seen.done.set()


class Written(Aio):
    """The same, with streams of responses written to the context, and plain functions for unary methods."""

    async def US(self, request: bytes, context: Any) -> None:  # type: ignore[override]
        async for response in super().US(request, context):
            await context.write(response)

    async def SS(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        async for response in super().SS(requests, context):
            await context.write(response)


def handlers(service: Any) -> Any:
    """Generic handlers for whichever methods `service` has."""
    made = {
        arity: getattr(grpc, f"{name}_rpc_method_handler")(getattr(service, arity))
        for arity, name in ARITIES.items()
    }
    return grpc.method_handlers_generic_handler(SERVICE, made)


@contextmanager
def sync_server(
    service: Any, *interceptors: Any, address: str = "127.0.0.1:0", secure: Any = None, wrap: Any = None
) -> Iterator[str]:
    """A server on loopback; its address. secure: credentials. wrap: what is done with it first."""
    server = grpc.server(ThreadPoolExecutor(8), interceptors=list(interceptors))
    taking = server if wrap is None else wrap(server)
    taking.add_generic_rpc_handlers((handlers(service),))
    port = server.add_secure_port(address, secure) if secure else server.add_insecure_port(address)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def requests_for(arity: str, script: bytes) -> Any:
    """What to call the method with so that its handler gets `script` first.

    Nothing follows what ends the RPC: `grpc.aio` may fail to write to one that is over.
    """
    if arity not in STREAMS_IN:
        return script
    return iter([script, b"second"] if script in {b"ok", b"read"} else [script])


def stub(channel: Any, arity: str) -> Any:
    return getattr(channel, ARITIES[arity])(method(arity))


Wait = Callable[..., Any]
