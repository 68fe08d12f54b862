"""What traced channels hand to theirs, the settings of each function, and how RPCs end on a server."""

from __future__ import annotations

from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from ot_bridge.bridge import create_tracer
from ot_bridge.engine import TracerProvider
from ot_bridge.grpc import (
    aio_client_interceptor,
    aio_server_interceptor,
    client_interceptor,
    open_tracing_client_interceptor,
    open_tracing_server_interceptor,
    server_interceptor,
    trace_channel,
)
from ot_bridge.grpc.client import INSTRUMENTATION, is_bare, with_metadata
from ot_bridge.grpc.server_rpc import HandlerCallDetails, ServerRpc, ServerSettings
from ot_bridge.grpc.settings import Settings


class Recording:
    """A channel that notes what is called; the results are the calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.own = "attribute"

    def _note(self, *call: Any) -> Any:
        self.calls.append(call)
        return call

    def subscribe(self, *args: Any) -> Any:
        return self._note("subscribe", *args)

    def unsubscribe(self, *args: Any) -> Any:
        return self._note("unsubscribe", *args)

    def __enter__(self) -> Any:
        return self._note("enter")

    def __exit__(self, *error: Any) -> Any:
        return self._note("exit", *error)


class RecordingSync(Recording):
    def close(self) -> None:
        self._note("close")


class RecordingAio(Recording, grpc.aio.Channel):
    async def __aenter__(self) -> Any:
        return self._note("enter")

    async def __aexit__(self, *error: Any) -> Any:
        return self._note("exit", *error)

    async def close(self, grace: float | None = None) -> None:
        self._note("close", grace)

    def get_state(self, try_to_connect: bool = False) -> Any:
        return self._note("state", try_to_connect)

    async def wait_for_state_change(self, last_observed_state: Any) -> None:
        self._note("change", last_observed_state)

    async def channel_ready(self) -> None:
        self._note("ready")

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any: ...
    def unary_stream(self, *args: Any, **kwargs: Any) -> Any: ...
    def stream_unary(self, *args: Any, **kwargs: Any) -> Any: ...
    def stream_stream(self, *args: Any, **kwargs: Any) -> Any: ...


def test_a_traced_channel_hands_every_call_to_its_channel() -> None:
    plain: Any = RecordingSync()
    channel: Any = trace_channel(plain)
    channel.subscribe("callback")
    channel.subscribe("callback", True)
    channel.unsubscribe("callback")
    assert channel.__enter__() is channel
    assert channel.__exit__(1, 2, 3) == ("exit", 1, 2, 3)
    channel.close()
    assert channel.own == "attribute"
    assert plain.calls == [
        ("subscribe", "callback", False),
        ("subscribe", "callback", True),
        ("unsubscribe", "callback"),
        ("enter",),
        ("exit", 1, 2, 3),
        ("close",),
    ]


async def test_a_traced_channel_of_grpc_aio_hands_every_call_to_its_channel() -> None:
    plain: Any = RecordingAio()
    channel: Any = trace_channel(plain)
    assert await channel.__aenter__() is channel
    assert await channel.__aexit__(1, 2, 3) == ("exit", 1, 2, 3)
    await channel.close()
    await channel.close(1.5)
    assert channel.get_state() == ("state", False)
    assert channel.get_state(True) == ("state", True)
    await channel.wait_for_state_change("idle")
    await channel.channel_ready()
    assert channel.own == "attribute"
    assert plain.calls[2:] == [
        ("close", None),
        ("close", 1.5),
        ("state", False),
        ("state", True),
        ("change", "idle"),
        ("ready",),
    ]


class Details:
    """Of an interceptor's own, without a constructor to copy it by."""

    method = "/a/b"
    metadata = (("old", "1"),)


def test_call_details_of_any_kind_get_other_metadata() -> None:
    kind = namedtuple("kind", "method timeout metadata credentials")
    assert with_metadata(kind("/a/b", 5, None, "c"), "new") == kind("/a/b", 5, "new", "c")
    assert type(with_metadata(kind("/a/b", 5, None, "c"), "new")) is kind
    other = namedtuple("other", "metadata method")
    for details in (Details(), other((("old", "1"),), "/a/b")):
        made = with_metadata(details, "new")
        assert (made.metadata, made.method) == ("new", "/a/b")
        assert details.metadata == (("old", "1"),)


def test_only_grpcs_own_multi_callables_are_bare() -> None:
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        assert is_bare(channel.unary_unary("/a/b"))
        assert not is_bare(trace_channel(channel).unary_unary("/a/b"))
        within = grpc.intercept_channel(channel, client_interceptor())
        assert not is_bare(within.unary_unary("/a/b"))
    assert INSTRUMENTATION == "opentelemetry.instrumentation.grpc"


async def test_only_grpc_aios_own_multi_callables_without_interceptors_are_bare() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        assert is_bare(channel.unary_unary("/a/b"))
    async with grpc.aio.insecure_channel("127.0.0.1:1", interceptors=aio_client_interceptor()) as channel:
        assert not is_bare(channel.unary_unary("/a/b"))


HEALTH = "/grpc.health.v1.Health/Check"

#: A function, and whether it traces health checks.
MADE: dict[str, tuple[Any, bool]] = {
    "client": (lambda: client_interceptor().settings, False),
    "server": (lambda: server_interceptor().settings, False),
    "aio client": (lambda: aio_client_interceptor()[0].settings, False),  # type: ignore[attr-defined]
    "aio server": (lambda: aio_server_interceptor().settings, False),
    "channel": (lambda: trace_channel(RecordingSync()).settings, False),  # type: ignore[call-overload]
    "the old client": (lambda: open_tracing_client_interceptor().settings, True),
    "the old server": (lambda: open_tracing_server_interceptor().settings, True),
    "the old client for aio": (lambda: open_tracing_client_interceptor(aio=True)[3].settings, True),
    "the old server for aio": (lambda: open_tracing_server_interceptor(aio=True).settings, True),
}


@pytest.mark.parametrize(("make", "traces"), MADE.values(), ids=MADE)
def test_health_checks_are_traced_only_by_the_old_functions(make: Any, traces: bool) -> None:
    settings = make()
    assert settings.exclusion[HEALTH] is not traces
    assert not settings.exclusion["/grpc.health.v1.Other/Check"]
    assert (settings.log_payloads, settings.message_events, settings.sees_messages) == (False, False, False)


@pytest.mark.parametrize(
    ("options", "sees", "needs"),
    [
        ({}, False, False),
        ({"log_payloads": True}, True, True),
        ({"message_events": True}, True, True),
        ({"span_decorator": print}, False, True),
    ],
)
def test_messages_are_watched_only_if_an_option_needs_them(
    options: dict[str, Any], sees: bool, needs: bool
) -> None:
    settings = Settings(**options)
    assert (settings.sees_messages, settings.needs_response, settings.has_callables) == (sees, needs, False)
    assert Settings(exclude=lambda info: False).has_callables
    assert Settings(start_options=lambda info: None).has_callables


# The status that a server's RPC has had


def _ended(error: BaseException | None, **context: Any) -> Any:
    class Span:
        tags: dict[str, Any] = {}

        def set_tag(self, key: str, value: Any) -> None:
            self.tags = {**self.tags, key: value}

        def log_kv(self, fields: Any) -> None:
            pass

        def finish(self) -> None:
            pass

    span: Any = Span()
    rpc = ServerRpc(
        ServerSettings(), span, lambda function, *args: function(*args), None, SimpleNamespace(**context)
    )
    if error is None:
        rpc.complete()
    else:
        rpc.fail(error)
    return span.tags["rpc.grpc.status_code"]


CANCELLED, LATE = 1, 4


@pytest.mark.parametrize(
    ("remaining", "code"), [(None, CANCELLED), (5.0, CANCELLED), (0.11, CANCELLED), (0.1, LATE), (0, LATE)]
)
@pytest.mark.parametrize("error", [None, ValueError(), GeneratorExit()], ids=repr)
def test_an_rpc_that_its_client_has_left_was_cancelled_or_too_late(
    error: BaseException | None, remaining: float | None, code: int
) -> None:
    context: dict[str, Any] = {"is_active": lambda: False, "time_remaining": lambda: remaining}
    assert _ended(error, **context) == code


@pytest.mark.parametrize(("remaining", "code"), [(None, 0), (5.0, 0), (0.01, 0), (0, LATE)])
def test_an_rpc_of_grpc_aio_is_over_when_no_time_remains(remaining: float | None, code: int) -> None:
    assert _ended(None, time_remaining=lambda: remaining) == code
    assert _ended(ValueError(), time_remaining=lambda: remaining) == (code or 2)


def test_an_rpc_whose_context_fails_is_taken_to_have_its_client() -> None:
    def fails() -> Any:
        raise RuntimeError

    assert _ended(None, is_active=fails, time_remaining=fails) == 0
    assert _ended(None, is_active=lambda: True, time_remaining=fails) == 0
    assert _ended(None, is_active=lambda: False, time_remaining=fails) == CANCELLED
    assert _ended(ValueError(), is_active=lambda: True, time_remaining=lambda: 0) == 2


def test_trust_is_asked_with_grpcs_details() -> None:
    given: list[Any] = []

    def trust(details: Any) -> str:
        given.append(details)
        return "none"

    settings = ServerSettings(trust=trust)
    tracer = create_tracer(TracerProvider(shutdown_on_exit=False), propagators="jaeger")
    settings.callers.parent(tracer, {"uber-trace-id": "1:2:0:1"}, "/a/b", (("k", "v"),))
    assert given == [HandlerCallDetails("/a/b", (("k", "v"),))]
    assert HandlerCallDetails._fields == ("method", "invocation_metadata")
