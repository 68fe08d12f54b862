"""Under load: every span that is started ends exactly once, and nothing is kept."""

from __future__ import annotations

import asyncio
import collections
import gc
import random
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import SpanProcessor

from ot_bridge import engine
from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.grpc import (
    aio_client_interceptor,
    aio_server_interceptor,
    client_interceptor,
    server_interceptor,
    trace_channel,
)
from tests.generated import load
from tests.grpc.test_aio_server import aio_server
from tests.grpc.things import ARITIES, STREAMS_OUT, Aio, Seen, Sync, requests_for, stub, sync_server

SOAK = [pytest.mark.soak, pytest.mark.timeout(600)]
SCRIPTS = [b"ok", b"ok", b"raise", b"abort", b"set_code"]


class Counting(SpanProcessor):
    """Counts how often each span has started and ended."""

    def __init__(self) -> None:
        self.started: collections.Counter[int] = collections.Counter()
        self.ended: collections.Counter[int] = collections.Counter()
        self._lock = threading.Lock()

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        with self._lock:
            self.started[span.context.span_id] += 1

    def on_end(self, span: Any) -> None:
        with self._lock:
            self.ended[span.context.span_id] += 1

    def check(self, least: int) -> None:
        """There are at least so many spans, and each ends soon and exactly once."""
        pause = threading.Event()
        for _ in range(1000):
            with self._lock:
                if len(self.ended) == len(self.started):
                    break
            pause.wait(0.01)
        assert self.ended == self.started
        assert set(self.started.values()) == {1}
        assert len(self.started) >= least


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def tracer(counting: Counting) -> Iterator[Tracer]:
    provider: Any = engine.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(counting)
    yield create_tracer(provider, propagators="tracecontext,baggage,jaeger")
    provider.shutdown()


TRACED_BY: dict[str, Callable[[grpc.Channel, Tracer], grpc.Channel]] = {
    "interceptor": lambda channel, tracer: grpc.intercept_channel(channel, client_interceptor(tracer)),
    "channel": trace_channel,
}


def _call(channel: Any, arity: str, script: bytes) -> None:
    with suppress(grpc.RpcError):
        response = stub(channel, arity)(requests_for(arity, script), timeout=20)
        if arity in STREAMS_OUT:
            list(response)


@pytest.mark.parametrize("how", TRACED_BY)
@pytest.mark.parametrize("calls", [20, pytest.param(load(2000), marks=SOAK)])
def test_every_call_of_sixteen_threads_ends_its_span_once(
    seen: Seen, tracer: Tracer, counting: Counting, how: str, calls: int
) -> None:
    with (
        sync_server(Sync(seen), server_interceptor(tracer)) as address,
        grpc.insecure_channel(address) as plain,
        ThreadPoolExecutor(16) as threads,
    ):
        channel = TRACED_BY[how](plain, tracer)

        def work(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(calls):
                _call(channel, chance.choice([*ARITIES, "UU", "UU"]), chance.choice(SCRIPTS))

        list(threads.map(work, range(16)))
        counting.check(16 * calls * 2)
    assert tracer.active_span is None


def test_streams_that_many_threads_drop_end_their_spans(
    seen: Seen, tracer: Tracer, counting: Counting
) -> None:
    with (
        sync_server(Sync(seen), server_interceptor(tracer)) as address,
        grpc.insecure_channel(address) as plain,
        ThreadPoolExecutor(8) as threads,
    ):
        channel = trace_channel(plain, tracer)

        def work(number: int) -> None:
            for _ in range(10):
                call = stub(channel, "US")(b"endless", timeout=20)
                next(call)
                if number % 2:
                    call.cancel()

        list(threads.map(work, range(8)))
        counting.check(80 * 2)


def test_a_server_that_is_killed_during_calls_ends_their_spans(counting: Counting, tracer: Tracer) -> None:
    script = (
        "from tests.grpc.things import *\n"
        "import time\n"
        "with sync_server(Sync(Seen())) as address:\n"
        "    print(address, flush=True)\n"
        "    time.sleep(60)\n"
    )
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        with grpc.insecure_channel(address) as plain, ThreadPoolExecutor(8) as threads:
            channel = trace_channel(plain, tracer)
            begun = threading.Barrier(9)

            def work(number: int) -> list[Any]:
                arity = list(ARITIES)[number % 4]
                call = stub(channel, arity)
                script = b"half" if arity in STREAMS_OUT else b"wait"
                response = (call if arity in STREAMS_OUT else call.future)(requests_for(arity, script))
                if arity in STREAMS_OUT:
                    next(response)
                begun.wait(20)
                with pytest.raises(grpc.RpcError):
                    list(response) if arity in STREAMS_OUT else response.result()
                return [response.code()]

            working = [threads.submit(work, number) for number in range(8)]
            begun.wait(20)
            server.kill()
            assert [each.result(20) for each in working] == [[grpc.StatusCode.UNAVAILABLE]] * 8
            counting.check(8)
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


@pytest.mark.parametrize("how", ["interceptor", "channel"])
@pytest.mark.parametrize("rounds", [1, pytest.param(load(50), marks=SOAK)])
async def test_two_hundred_concurrent_streams_of_grpc_aio_end_their_spans(
    seen: Seen, tracer: Tracer, counting: Counting, how: str, rounds: int
) -> None:
    async def work(channel: Any, number: int) -> None:
        arity = ("US", "SS", "UU", "SU")[number % 4]
        call = stub(channel, arity)(requests_for(arity, b"endless" if number % 8 == 0 else b"ok"), timeout=30)
        if number % 8 == 0:
            await call.read()
            call.cancel()
        elif number % 8 == 1:
            await call.read()
            raise asyncio.CancelledError
        elif arity in STREAMS_OUT:
            assert len([response async for response in call]) == (4 if arity == "SS" else 3)
        else:
            await call

    async with aio_server(Aio(seen), aio_server_interceptor(tracer)) as address:
        used = aio_client_interceptor(tracer) if how == "interceptor" else ()
        async with grpc.aio.insecure_channel(address, interceptors=used) as plain:
            channel = trace_channel(plain, tracer) if how == "channel" else plain
            for _ in range(rounds):
                tasks = [asyncio.ensure_future(work(channel, number)) for number in range(200)]
                await asyncio.wait(tasks)
                for task in tasks:
                    assert task.cancelled() or task.exception() is None
                del task, tasks  # and with them the calls that they have left half read
                gc.collect()
        await asyncio.to_thread(counting.check, rounds * 200)


@pytest.mark.parametrize("how", ["interceptor", "channel"])
async def test_tasks_that_are_cancelled_at_any_time_end_their_spans(
    seen: Seen, tracer: Tracer, counting: Counting, how: str
) -> None:
    chance = random.Random(7)

    async def work(channel: Any) -> None:
        arity = chance.choice(list(ARITIES))
        call = stub(channel, arity)(requests_for(arity, b"wait"), timeout=30)
        await (call.read() if arity in STREAMS_OUT else call)

    async with aio_server(Aio(seen), aio_server_interceptor(tracer)) as address:
        used = aio_client_interceptor(tracer) if how == "interceptor" else ()
        async with grpc.aio.insecure_channel(address, interceptors=used) as plain:
            channel = trace_channel(plain, tracer) if how == "channel" else plain
            tasks = [asyncio.ensure_future(work(channel)) for _ in range(100)]
            for task in tasks:
                await asyncio.sleep(chance.choice([0, 0, 0.001]))
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)
            del task, tasks  # grpcio 1.49 leaves some calls, cancelled early, to the end of their lives
            gc.collect()
        await asyncio.to_thread(counting.check, 1)


PER_RPC = frozenset(
    {
        "ClientRpc",
        "ServerRpc",
        "Ending",
        "_PlainEnding",
        "Responses",
        "TracedCall",
        "SyncContext",
        "AioContext",
    }
)


def _kept() -> collections.Counter[str]:
    """How many objects of ours there are that are about a single RPC."""
    gc.collect()
    kinds = [type(each) for each in gc.get_objects()]
    return collections.Counter(
        kind.__name__
        for kind in kinds
        if str(kind.__module__).startswith("ot_bridge.grpc") and kind.__name__ in PER_RPC
    )


@pytest.mark.parametrize("how", TRACED_BY)
@pytest.mark.parametrize("options", [{}, {"log_payloads": True}], ids=["", "payloads"])
def test_no_object_of_a_finished_call_is_kept(
    seen: Seen, tracer: Tracer, counting: Counting, how: str, options: Any
) -> None:
    before = _kept()
    with (
        sync_server(Sync(seen), server_interceptor(tracer, **options)) as address,
        grpc.insecure_channel(address) as plain,
    ):
        channel = (
            trace_channel(plain, tracer, **options)
            if how == "channel"
            else grpc.intercept_channel(plain, client_interceptor(tracer, **options))
        )
        for arity in ARITIES:
            for script in (b"ok", b"set_code"):  # what is raised lives on in grpc's log records
                _call(channel, arity, script)
        counting.check(16)
        seen.contexts.clear()
        seen.spans.clear()
    assert _kept() == before


@pytest.mark.soak
def test_memory_does_not_grow(seen: Seen, tracer: Tracer, counting: Counting) -> None:
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address) as plain:
        channel = trace_channel(plain, tracer)

        def work(times: int) -> None:
            for _ in range(times):
                _call(channel, "UU", b"ok")
                _call(channel, "UU", b"abort")
            seen.__init__()  # type: ignore[misc]
            counting.check(1)
            counting.started.clear()
            counting.ended.clear()
            gc.collect()

        work(50)
        tracemalloc.start()
        try:
            work(50)
            before = _allocated()
            work(300)
            grown = _allocated() - before
        finally:
            tracemalloc.stop()
    assert grown < 600 * 16  # bytes, where one object kept of each call were more


def _allocated() -> int:
    """Bytes that lines of ours have allocated, and that are still in use."""
    gc.collect()
    ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/ot_bridge/*")])
    return sum(each.size for each in ours.statistics("filename"))
