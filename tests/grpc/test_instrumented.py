"""Under OpenTelemetry's own instrumentation a call with nothing active is one trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from opentelemetry.instrumentation.grpc import (
    GrpcAioInstrumentorClient,
    GrpcAioInstrumentorServer,
    GrpcInstrumentorClient,
    GrpcInstrumentorServer,
)

from ot_bridge.grpc import (
    aio_client_interceptor,
    aio_server_interceptor,
    client_interceptor,
    server_interceptor,
    trace_channel,
)
from ot_bridge.otel import hold_provider, provider_slot
from tests.conftest import Recorded
from tests.grpc.conftest import Finished
from tests.grpc.test_aio_server import aio_server, settle
from tests.grpc.test_aio_server import take as aio_take
from tests.grpc.test_server import take
from tests.grpc.things import ARITIES, Aio, Seen, Sync, sync_server

every_arity = pytest.mark.parametrize("arity", ARITIES)


@contextmanager
def instrumented(kind: Any, otel: Recorded) -> Iterator[None]:
    before = provider_slot()
    hold_provider(otel.provider)  # the client's instrumentation asks for the global one
    instrumentor = kind()
    instrumentor.instrument()
    try:
        yield
    finally:
        instrumentor.uninstrument()
        hold_provider(*before)


CHANNELS: dict[str, Callable[[str], grpc.Channel]] = {
    "channel": lambda address: trace_channel(grpc.insecure_channel(address)),
    "interceptor": lambda address: grpc.intercept_channel(
        grpc.insecure_channel(address), client_interceptor()
    ),
}


def _check(spans: Any, names: int) -> None:
    assert len({span.context.trace_id for span in spans}) == 1
    assert len([span for span in spans if span.parent is None]) == 1
    assert len(spans) == names


@every_arity
@pytest.mark.parametrize("connect", CHANNELS.values(), ids=CHANNELS)
def test_a_call_of_an_instrumented_channel_is_one_trace(
    seen: Seen, otel: Recorded, finished: Finished, connect: Callable[[str], grpc.Channel], arity: str
) -> None:
    with (
        sync_server(Sync(seen), server_interceptor()) as address,
        instrumented(GrpcInstrumentorClient, otel),
        connect(address) as channel,
    ):
        take(channel, arity, b"ok")
        _check(finished(3), 3)
    assert otel.tracer.active_span is None


@every_arity
@pytest.mark.parametrize("how", ["channel", "interceptor"])
async def test_a_call_of_an_instrumented_channel_of_grpc_aio_is_one_trace(
    seen: Seen, otel: Recorded, finished: Finished, how: str, arity: str
) -> None:
    def connect(address: str) -> grpc.aio.Channel:
        if how == "channel":
            return trace_channel(grpc.aio.insecure_channel(address))
        return grpc.aio.insecure_channel(address, interceptors=list(aio_client_interceptor()))

    async with aio_server(Aio(seen), aio_server_interceptor()) as address:
        with instrumented(GrpcAioInstrumentorClient, otel):
            async with connect(address) as channel:
                await aio_take(channel, arity, b"ok")
                _check(await settle(finished, 3), 3)
    assert otel.tracer.active_span is None


@every_arity
def test_an_rpc_of_an_instrumented_server_is_one_trace(
    seen: Seen, otel: Recorded, finished: Finished, arity: str
) -> None:
    with (
        instrumented(GrpcInstrumentorServer, otel),
        sync_server(Sync(seen), server_interceptor()) as address,
        grpc.insecure_channel(address) as channel,
    ):
        take(channel, arity, b"ok")
        _check(finished(2), 2)


async def test_an_rpc_of_an_instrumented_server_of_grpc_aio_is_one_trace(
    seen: Seen, otel: Recorded, finished: Finished
) -> None:
    with instrumented(GrpcAioInstrumentorServer, otel):
        async with (
            aio_server(Aio(seen), aio_server_interceptor()) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            await aio_take(channel, "UU", b"ok")
            await asyncio.sleep(0)
            _check(await settle(finished, 2), 2)
