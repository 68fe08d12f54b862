"""The multi-callable below our interceptor is made once per method, and their cache is bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from ot_bridge.grpc import aio_client_interceptor, client_interceptor, trace_channel
from ot_bridge.grpc.client import is_bare, kept_below
from tests.grpc.conftest import Finished
from tests.grpc.things import ARITIES, STREAMS_OUT, Seen, Sync, requests_for, stub, sync_server


class Counting(grpc.Channel):
    """A channel that counts the multi-callables that it makes."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.made: list[str] = []

    def _make(self, arity: str, method: str, *args: Any, **kwargs: Any) -> Any:
        self.made.append(method)
        return getattr(self._channel, arity)(method, *args, **kwargs)

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._make("unary_unary", *args, **kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._make("unary_stream", *args, **kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._make("stream_unary", *args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._make("stream_stream", *args, **kwargs)

    def subscribe(self, callback: Any, try_to_connect: Any = False) -> None: ...

    def unsubscribe(self, callback: Any) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Any: ...

    def __exit__(self, *error: object) -> Any: ...


@pytest.mark.parametrize("arity", ARITIES)
def test_a_stub_makes_one_callable_however_often_it_is_called(
    seen: Seen, finished: Finished, arity: str
) -> None:
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address) as plain:
        counting = Counting(plain)
        call = stub(grpc.intercept_channel(counting, client_interceptor()), arity)
        for _ in range(3):
            response = call(requests_for(arity, b"ok"), timeout=10)
            if arity in STREAMS_OUT:
                list(response)
    finished(3)
    assert len(counting.made) == 1


def test_the_cache_of_callables_is_bounded() -> None:
    class Outer:
        """As grpc's own channel around another one, whose `_thunk` makes the inner callables."""

        def __init__(self) -> None:
            self._thunk: Any = lambda method: made.append(method) or method  # type: ignore[func-returns-value]

        def continuation(self) -> Any:
            return lambda: self._thunk

    made: list[str] = []
    outer = Outer()
    for _ in range(2):
        kept = kept_below(outer.continuation())
        assert [outer._thunk(f"/{number}") for number in range(100)] == [
            f"/{number}" for number in range(100)
        ]
        assert outer._thunk("/99") == "/99"
    assert 100 < len(made) < 200
    assert 0 < len(kept) < 100


@pytest.mark.parametrize("continuation", [print, lambda: None, None], ids=["builtin", "function", "nothing"])
def test_an_unknown_continuation_is_not_changed(continuation: Any) -> None:
    kept = kept_below(continuation)
    assert kept == {}
    assert kept["/m"] is None


def test_only_grpcs_own_channel_is_known_to_have_no_instrumentation_inside() -> None:
    with grpc.insecure_channel("localhost:1") as plain:
        around = grpc.intercept_channel(plain, client_interceptor()), trace_channel(plain), Counting(plain)
        assert is_bare(plain.unary_unary("/m"))
        assert [is_bare(each.unary_unary("/m")) for each in around] == [False, False, True]

    async def aio() -> list[bool]:
        interceptors: Any = aio_client_interceptor()
        async with (
            grpc.aio.insecure_channel("localhost:1") as bare,
            grpc.aio.insecure_channel("localhost:1", interceptors=interceptors) as intercepted,
        ):
            return [is_bare(each.unary_unary("/m")) for each in (bare, intercepted)]

    assert asyncio.run(aio()) == [True, False]
