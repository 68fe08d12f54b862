"""How the end of a call reaches its span: what is read of the call, and what is left alone."""

from __future__ import annotations

import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from ot_bridge.grpc import aio_client, client
from ot_bridge.grpc.aio_server import AioContext
from ot_bridge.grpc.client_rpc import ClientRpc, ClientSettings, Ending
from ot_bridge.grpc.messages import AsyncResponses, AsyncTracedCall, Responses, TracedCall
from ot_bridge.grpc.server import SyncContext
from tests.conftest import Recorded

OK, LOST = StatusCode.OK, StatusCode.DATA_LOSS


class Rpc(ClientRpc):
    """Notes how it ends."""

    def __init__(self, needs: bool = False) -> None:
        self.ends: list[Any] = []
        settings: Any = SimpleNamespace(needs_response=needs, sees_messages=False)
        super().__init__(settings, None, None, ())  # type: ignore[arg-type]

    def complete(self, response: Any = None) -> Any:
        self.ends.append(("OK", response))

    def end(self, code: Any, details: Any = None, error: Any = None, response: Any = None) -> None:
        self.ends.append((code.name, details) if error is None else (code.name, details, error))


class Call:
    """A call that is over. state: as grpc's own calls have it."""

    def __init__(self, code: Any = OK, details: Any = None, state: bool = False) -> None:
        self._code, self._details = code, details
        if state:
            self._state = SimpleNamespace(code=code, details=details)

    def code(self) -> Any:
        return self._code

    def details(self) -> Any:
        return self._details

    def result(self) -> Any:
        return "response"


@pytest.mark.parametrize("state", [True, False], ids=["grpc's", "another"])
@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("needs", [True, False])
def test_a_response_is_read_only_if_something_uses_it(needs: bool, streams: bool, state: bool) -> None:
    call, rpc = Call(state=state), Rpc(needs)
    Ending(rpc, call, streams)()
    assert rpc.ends == [("OK", "response" if needs and not streams else None)]


@pytest.mark.parametrize("state", [True, False], ids=["grpc's", "another"])
@pytest.mark.parametrize(("code", "name"), [(LOST, "DATA_LOSS"), (15, "DATA_LOSS"), ("odd", "UNKNOWN")])
def test_a_status_is_read_of_the_call_or_its_state(code: Any, name: str, state: bool) -> None:
    call, rpc = Call(code, "bits", state), Rpc(True)
    Ending(rpc, call, False)()
    assert rpc.ends == [(name, "bits")]


@pytest.mark.parametrize("code", [OK, LOST])
@pytest.mark.parametrize("state", [True, False], ids=["grpc's", "another"])
def test_a_call_that_is_gone_has_the_status_of_its_state_or_was_cancelled(code: Any, state: bool) -> None:
    call, rpc = Call(code, "bits", state), Rpc(True)
    ending = Ending(rpc, call, False)
    del call
    ending()
    of_state = ("OK", None) if code is OK else ("DATA_LOSS", "bits")
    assert rpc.ends == [of_state if state else ("CANCELLED", None)]


class Reader:
    """What reads the messages of a call; it ends a call that is OK."""


def test_a_reader_ends_a_call_that_is_ok_as_long_as_it_lives() -> None:
    call, rpc, reader = Call(), Rpc(), Reader()
    ending = Ending(rpc, call, True, reader)
    ending()
    assert rpc.ends == []
    Ending(rpc, Call(LOST, state=True), True, reader)()
    assert rpc.ends == [("DATA_LOSS", None)]
    del reader
    ending()
    assert rpc.ends[1:] == [("OK", None)]


def test_a_call_whose_status_cannot_be_read_is_unknown_and_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Fails(Call):
        def code(self) -> Any:
            raise RuntimeError

    call, rpc = Fails(), Rpc()
    Ending(rpc, call, True)()
    assert rpc.ends == [("UNKNOWN", None)]
    assert caplog.messages == ["reading a call's status failed (logged at most once a minute)"]


def test_only_a_call_without_a_thread_of_grpcs_ends_when_it_is_dropped() -> None:
    kind = type("MySingleThreadedRendezvous", (Call,), {})
    for made, ends in ((kind, [("CANCELLED", None)]), (Call, [])):
        call, rpc = made(), Rpc()
        ending = Ending(rpc, call, True)
        del call
        gc.collect()
        assert rpc.ends == ends
        del ending


class Future(Call):
    """A call that is a future, over with an exception or a result."""

    def __init__(self, error: Any = None, code: Any = OK, details: Any = None) -> None:
        super().__init__(code, details)
        self._error = error

    def exception(self) -> Any:
        if isinstance(self._error, grpc.FutureCancelledError):
            raise self._error
        return self._error


class Error(grpc.RpcError, Call):
    def __init__(self) -> None:
        Call.__init__(self, LOST, "bits")


class OwnError(Error):
    def __next__(self) -> Any: ...


ERROR = Error()
BROKEN = ValueError()

SETTLED: dict[str, tuple[Any, Any]] = {
    "no future": (Call(LOST, "bits"), ("DATA_LOSS", "bits")),
    "no future, and OK": (Call(details="fine"), ("OK", "fine")),
    "cancelled": (Future(grpc.FutureCancelledError(), details="by me"), ("CANCELLED", "by me")),
    "an error of an RPC": (Future(ERROR), ("DATA_LOSS", "bits", ERROR)),
    "itself": (Future(OwnError()), ("DATA_LOSS", "bits")),
    "another error": (Future(BROKEN), ("UNKNOWN", None, BROKEN)),
}


@pytest.mark.parametrize(("call", "end"), SETTLED.values(), ids=SETTLED)
def test_a_call_that_is_over_has_the_status_that_it_shows(call: Any, end: Any) -> None:
    rpc = Rpc()
    rpc.settle(call, False)
    assert rpc.ends == [end]


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("needs", [True, False])
def test_the_response_of_a_future_is_read_only_if_something_uses_it(needs: bool, streams: bool) -> None:
    rpc = Rpc(needs)
    rpc.settle(Future(), streams)
    assert rpc.ends == [("OK", "response" if needs and not streams else None)]


# Streams of responses


class Stepping:
    """An RPC whose steps are counted."""

    def __init__(self) -> None:
        self.settings = SimpleNamespace(sees_messages=False)
        self.steps = 0
        self.ends: list[Any] = []

    def step(self, function: Any, *args: Any) -> Any:
        self.steps += 1
        return function(*args)

    def complete(self) -> None:
        self.ends.append("complete")

    def fail(self, error: BaseException) -> None:
        self.ends.append(type(error))


def _raising() -> Any:
    yield 1
    raise LookupError


@pytest.mark.parametrize(("responses", "end"), [(iter([1]), "complete"), (_raising(), LookupError)])
def test_a_stream_that_has_ended_takes_no_further_step(responses: Any, end: Any) -> None:
    rpc: Any = Stepping()
    stream = Responses(rpc, responses)
    assert next(stream) == 1
    for _ in range(2):
        with pytest.raises((StopIteration, LookupError)):
            next(stream)
    assert rpc.ends == [end]
    steps = rpc.steps
    del stream
    assert (rpc.steps, rpc.ends) == (steps, [end])


async def test_an_async_stream_that_has_ended_ends_its_rpc_once() -> None:
    async def two() -> Any:
        for number in range(2):
            yield number

    rpc: Any = Stepping()
    stream = AsyncResponses(rpc, two())
    assert [each async for each in stream] == [0, 1]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    del stream
    assert (rpc.ends, rpc.steps) == (["complete"], 0)


def test_a_stream_whose_end_is_not_the_rpcs_ends_nothing() -> None:
    rpc: Any = Stepping()
    assert list(Responses(rpc, iter([1, 2]), ends=False)) == [1, 2]
    assert rpc.ends == []


KINDS = [
    (grpc.Call, TracedCall),
    (grpc.Future, TracedCall),
    (grpc.aio.UnaryStreamCall, AsyncTracedCall),
    (grpc.aio.StreamUnaryCall, AsyncTracedCall),
    (grpc.aio.StreamStreamCall, AsyncTracedCall),
    (grpc.ServicerContext, SyncContext),
    (grpc.aio.ServicerContext, AioContext),
]


@pytest.mark.parametrize(("theirs", "ours"), KINDS, ids=lambda kind: kind.__name__)
def test_what_programs_get_is_of_grpcs_own_kinds(theirs: Any, ours: Any) -> None:
    assert issubclass(ours, theirs)


# grpc.aio


class AioCall(Call):
    async def code(self) -> Any:
        return self._code

    async def details(self) -> Any:
        return self._details


@pytest.mark.parametrize(
    ("call", "reader", "ends"),
    [
        (AioCall(), None, [("OK", None)]),
        (AioCall(), "reader", []),
        (AioCall(LOST, "bits"), None, [("DATA_LOSS", "bits")]),
        (AioCall(LOST, "bits"), "reader", [("DATA_LOSS", "bits")]),
    ],
    ids=["OK", "OK with a reader", "lost", "lost with a reader"],
)
def test_the_status_of_a_call_of_grpc_aio_that_is_over_needs_no_waiting(
    call: Any, reader: Any, ends: Any
) -> None:
    rpc = Rpc()
    aio_client.settle(rpc, call, reader)
    assert rpc.ends == ends


def test_a_call_of_grpc_aio_that_is_not_over_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    class Waiting(AioCall):
        async def code(self) -> Any:
            await asyncio.sleep(0)

    rpc = Rpc()
    aio_client.settle(rpc, Waiting())
    assert rpc.ends == [("UNKNOWN", None)]
    assert caplog.messages == ["reading a call's status failed (logged at most once a minute)"]


def test_a_call_of_grpc_aio_that_is_dropped_was_cancelled() -> None:
    call, rpc = AioCall(), Rpc()
    ending = aio_client.Ending(rpc, call)
    del call
    assert rpc.ends == [("CANCELLED", "dropped by the client")]
    ending()
    assert rpc.ends[1:] == [("CANCELLED", "dropped by the client")]  # which `end` of a real one ignores


def test_a_call_of_grpc_aio_that_has_ended_is_not_ended_again_when_it_is_dropped() -> None:
    call, rpc = AioCall(), Rpc()
    ending = aio_client.Ending(rpc, call)
    ending()
    del call
    assert rpc.ends == [("OK", None)]


def test_a_reader_ends_a_call_of_grpc_aio_that_is_ok_as_long_as_it_lives() -> None:
    call, rpc = AioCall(), Rpc()
    reader: Any = Reader()
    ending = aio_client.Ending(rpc, call, reader)
    gone = weakref.ref(reader)
    del reader
    assert gone() is None
    ending()
    assert rpc.ends == [("OK", None)]


# Following a call


@pytest.mark.parametrize("follow", [client.follow, aio_client.follow], ids=["sync", "aio"])
def test_a_call_that_cannot_be_followed_is_unknown_and_that_is_logged(
    follow: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rpc = Rpc()
    arguments = (True, False) if follow is client.follow else ()
    follow(rpc, Call(), *arguments)  # which has no callbacks
    assert rpc.ends == [("UNKNOWN", None)]
    assert caplog.messages == ["following a call to its end failed (logged at most once a minute)"]


def test_an_option_that_costs_a_call_anything_makes_its_settings_not_plain(otel: Recorded) -> None:
    assert ClientSettings(otel.tracer).plain
    options: list[dict[str, Any]] = [
        {"log_payloads": True},
        {"message_events": True},
        {"span_decorator": print},
        {"exclude": lambda info: False},
        {"start_options": lambda info: None},
        {"active_span_source": SimpleNamespace(get_active_span=lambda: None)},
    ]
    assert [ClientSettings(otel.tracer, **each).plain for each in options] == [False] * 6
