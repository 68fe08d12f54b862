"""One call with tracing on one side of it, by each interceptor and channel, for the tests of all options."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from ot_bridge.grpc import (
    aio_client_interceptor,
    aio_server_interceptor,
    client_interceptor,
    server_interceptor,
    trace_channel,
)
from tests.grpc.test_aio_server import aio_server
from tests.grpc.test_aio_server import take as aio_take
from tests.grpc.test_server import take
from tests.grpc.things import ARITIES, Aio, Seen, Sync, Written, sync_server

every_arity = pytest.mark.parametrize("arity", ARITIES)

#: Calls a method of a server with tracing on one side, and returns the result.
Call = Callable[..., Any]


def sync_client(seen: Seen, traced: Any, arity: str, script: bytes, **options: Any) -> Any:
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address) as channel:
        return take(traced(channel, **options), arity, script)


def interceptor(seen: Seen, arity: str, script: bytes, **options: Any) -> Any:
    def traced(channel: grpc.Channel, **options: Any) -> grpc.Channel:
        return grpc.intercept_channel(channel, client_interceptor(**options))

    return sync_client(seen, traced, arity, script, **options)


def channel(seen: Seen, arity: str, script: bytes, **options: Any) -> Any:
    return sync_client(seen, trace_channel, arity, script, **options)


def server(seen: Seen, arity: str, script: bytes, metadata: Any = None, **options: Any) -> Any:
    with (
        sync_server(Sync(seen), server_interceptor(**options)) as address,
        grpc.insecure_channel(address) as channel,
    ):
        return take(channel, arity, script, metadata=metadata)


def aio_call(
    seen: Seen,
    arity: str,
    script: bytes,
    connect: Callable[[str], grpc.aio.Channel],
    *interceptors: Any,
    service: Any = Aio,
    metadata: Any = None,
) -> Any:
    @asynccontextmanager
    async def connected() -> AsyncIterator[grpc.aio.Channel]:
        async with aio_server(service(seen), *interceptors) as address, connect(address) as channel:
            yield channel

    async def call() -> Any:
        async with connected() as channel:
            result = await aio_take(channel, arity, script, metadata=metadata)
            await asyncio.sleep(0.005)  # what follows the response follows at once
            return result

    return asyncio.run(call())


def aio_interceptor(seen: Seen, arity: str, script: bytes, **options: Any) -> Any:
    made = aio_client_interceptor(**options)
    return aio_call(
        seen, arity, script, lambda address: grpc.aio.insecure_channel(address, interceptors=made)
    )


def aio_channel(seen: Seen, arity: str, script: bytes, **options: Any) -> Any:
    def connect(address: str) -> grpc.aio.Channel:
        return trace_channel(grpc.aio.insecure_channel(address), **options)

    return aio_call(seen, arity, script, connect)


def aio(seen: Seen, arity: str, script: bytes, metadata: Any = None, **options: Any) -> Any:
    made = aio_server_interceptor(**options)
    return aio_call(seen, arity, script, grpc.aio.insecure_channel, made, metadata=metadata)


def aio_written(seen: Seen, arity: str, script: bytes, metadata: Any = None, **options: Any) -> Any:
    made = aio_server_interceptor(**options)
    return aio_call(seen, arity, script, grpc.aio.insecure_channel, made, service=Written, metadata=metadata)


def aio_plain(seen: Seen, arity: str, script: bytes, metadata: Any = None, **options: Any) -> Any:
    made = aio_server_interceptor(**options)
    return aio_call(seen, arity, script, grpc.aio.insecure_channel, made, service=Sync, metadata=metadata)


CLIENTS = [interceptor, channel, aio_interceptor, aio_channel]
SERVERS = [server, aio, aio_written, aio_plain]
clients = pytest.mark.parametrize("call", CLIENTS)
servers = pytest.mark.parametrize("call", SERVERS)
clients_and_servers = pytest.mark.parametrize("call", [*CLIENTS, *SERVERS])


def broken(*_: Any) -> Any:
    raise ValueError("a hook is broken")
