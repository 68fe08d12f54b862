"""The parts of the gRPC door by themselves: statuses, failures, messages and limits."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import opentracing
import pytest
from grpc import StatusCode
from opentelemetry.trace import StatusCode as SpanStatus

from ot_bridge.bridge import create_tracer
from ot_bridge.engine import TracerProvider
from ot_bridge.grpc import limits
from ot_bridge.grpc.client_rpc import ClientSettings
from ot_bridge.grpc.limits import MOST, MOST_WITH_IDS, beside
from ot_bridge.grpc.metadata import peer_tags, weight
from ot_bridge.grpc.rpc import Rpc, describe_failure, status_of, text, was_cancelled
from ot_bridge.grpc.server_rpc import ServerSettings
from ot_bridge.grpc.settings import Settings
from tests.conftest import Recorded

#: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
NUMBERS = {
    "OK": 0,
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "DATA_LOSS": 15,
    "UNAUTHENTICATED": 16,
}


@pytest.mark.parametrize(("name", "number"), NUMBERS.items(), ids=NUMBERS)
def test_each_status_has_its_number(otel: Recorded, name: str, number: int) -> None:
    code = StatusCode[name]
    assert status_of(code) is status_of(number) is code
    span = otel.tracer.start_span("span")
    describe_failure(span, code, None, None)
    span.finish()
    assert dict(otel.spans["span"].attributes or {}) == {"rpc.grpc.status_code": number}
    assert len(NUMBERS) == len(StatusCode)


@pytest.mark.parametrize("code", [17, -1, "OK", None, 1.5], ids=repr)
def test_what_is_no_status_is_unknown(code: Any) -> None:
    assert status_of(code) is StatusCode.UNKNOWN


@pytest.mark.parametrize(
    ("error", "cancelled"),
    [
        (asyncio.CancelledError(), True),
        (GeneratorExit(), True),
        (KeyboardInterrupt(), True),
        (SystemExit(), True),
        (ValueError(), False),
        (StopIteration(), False),
        (grpc.RpcError(), False),
    ],
    ids=repr,
)
def test_what_ends_a_program_or_its_interest_is_a_cancellation(error: BaseException, cancelled: bool) -> None:
    assert was_cancelled(error) is cancelled


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a", "a"), (b"a\xc3\xa4\xff", "aä\ufffd"), (7, "7"), (Unprintable(), "<unprintable Unprintable>")],
    ids=["text", "bytes", "number", "unprintable"],
)
def test_any_value_can_be_shown(value: object, shown: str) -> None:
    assert text(value) == shown


LOST = StatusCode.DATA_LOSS
BROKEN = ValueError("broken")
RPC_ERROR = grpc.RpcError("of an RPC")

#: details, error -> the attributes of the event, and the description of the status
FAILURES: dict[str, tuple[Any, Any, dict[str, str], str]] = {
    "a status": (None, None, {"exception.type": "StatusCode.DATA_LOSS"}, "DATA_LOSS"),
    "a status with details": (
        b"bits",
        None,
        {"exception.type": "StatusCode.DATA_LOSS", "exception.message": "bits"},
        "DATA_LOSS: bits",
    ),
    "an exception": (
        None,
        BROKEN,
        {"exception.type": "ValueError", "exception.message": "broken"},
        "DATA_LOSS: ValueError: broken",
    ),
    "an exception with details": (
        "bits",
        BROKEN,
        {"exception.type": "ValueError", "exception.message": "broken"},
        "DATA_LOSS: bits",
    ),
    "an exception of an RPC": (None, RPC_ERROR, {"exception.message": "of an RPC"}, "DATA_LOSS"),
    "an exception of an RPC with details": ("bits", RPC_ERROR, {}, "DATA_LOSS: bits"),
}


@pytest.mark.parametrize(("details", "error", "logged", "status"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_described_by_what_is_known_of_it(
    otel: Recorded, details: Any, error: Any, logged: dict[str, str], status: str
) -> None:
    span = otel.tracer.start_span("span")
    describe_failure(span, LOST, details, error)
    span.finish()
    ended = otel.spans["span"]
    assert (ended.status.status_code, ended.status.description) == (SpanStatus.ERROR, status)
    (event,) = ended.events
    assert event.name == "exception"
    attributes = dict(event.attributes or {})
    assert {name: attributes[name] for name in logged} == logged
    assert ("exception.stacktrace" in attributes) is (error is not None)


def test_a_failure_is_described_on_another_tracers_span_by_opentracings_names() -> None:
    from opentracing.mocktracer import MockTracer

    span: Any = MockTracer().start_span("span")
    describe_failure(span, LOST, "bits", None)
    assert span.tags == {"rpc.grpc.status_code": 15, "error": True}
    assert span.logs[0].key_values == {
        "event": "error",
        "error.kind": "StatusCode.DATA_LOSS",
        "message": "bits",
    }


class Sized:
    def ByteSize(self) -> int:
        return 7


@pytest.mark.parametrize(
    ("message", "size"),
    [(b"bytes", 5), (b"", 0), (Sized(), 7), ("text", None)],
    ids=["bytes", "empty", "with its size", "text"],
)
def test_a_message_event_has_the_size_if_it_is_known(otel: Recorded, message: Any, size: int | None) -> None:
    span = otel.tracer.start_span("span")
    rpc = Rpc(Settings(message_events=True), span, None)
    rpc.saw_request(message)
    rpc.saw_response(message, 3)
    span.finish()
    sent, received = (dict(event.attributes or {}) for event in otel.spans["span"].events)
    known = {} if size is None else {"message.uncompressed_size": size}
    assert sent == {"event": "message", "message.type": "SENT", "message.id": 1, **known}
    assert received == {"event": "message", "message.type": "RECEIVED", "message.id": 3, **known}


@pytest.mark.parametrize(
    ("method", "failed"),
    [
        ("set_tag", ["ending a span failed", "a span's last tags, or span_decorator, failed"]),
        ("finish", ["ending a span failed", "span.finish failed"]),
    ],
)
def test_an_end_that_fails_is_logged(
    method: str, failed: list[str], caplog: pytest.LogCaptureFixture, otel: Recorded
) -> None:
    span = otel.tracer.start_span("span")
    setattr(span, method, lambda *args: 1 / 0)
    Rpc(Settings(), span, None).complete()
    rpc = Rpc(Settings(), span, None)
    rpc.end(StatusCode.OK)
    rpc.end(StatusCode.OK)
    assert {record.name for record in caplog.records} == {"ot_bridge.grpc"}
    assert [message.partition(" (")[0] for message in caplog.messages] == failed
    if method == "set_tag":
        assert list(otel.spans) == ["span"]  # it has ended all the same


class _Fails(opentracing.Tracer):
    def start_span(self, *args: Any, **kwargs: Any) -> opentracing.Span:
        raise LookupError


class _Context:
    """What `begin` asks a server's context for."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def peer(self) -> str:
        return ""

    def time_remaining(self) -> None:
        return None


def test_a_start_or_a_message_that_fails_is_logged_and_the_call_is_made(
    caplog: pytest.LogCaptureFixture, otel: Recorded
) -> None:
    assert ClientSettings(_Fails()).begin("/a/b", (), None, b"") is None
    assert not ServerSettings(_Fails()).begin("/a/b", _Context(), b"").is_open
    span = otel.tracer.start_span("span")
    span.log_kv = lambda *args: 1 / 0  # type: ignore[method-assign, assignment]
    Rpc(Settings(message_events=True), span, None).saw_request(b"")
    assert [message.partition(" (")[0] for message in caplog.messages] == [
        "starting a client span failed",
        "starting a server span failed",
        "logging a message failed",
    ]


@pytest.mark.parametrize(
    ("peer", "tags"),
    [
        ("ipv4:192.0.2.1:5000", {"peer.ipv4": "192.0.2.1", "peer.port": "5000"}),
        ("ipv6:[2001:db8::1]:5000", {"peer.ipv6": "2001:db8::1", "peer.port": "5000"}),
        ("ipv6:%5B::1%5D:5000", {"peer.ipv6": "::1", "peer.port": "5000"}),
        ("ipv4:192.0.2.1", {}),
        ("ipv4:192.0.2.1:x", {}),
        ("unix:/run/socket", {}),
        ("unix:5000", {}),
        ("", {}),
    ],
)
def test_a_peer_is_tagged_by_its_family(peer: str, tags: dict[str, str]) -> None:
    assert peer_tags(peer) == tags


# Limits


def test_metadata_counts_as_grpc_counts_it() -> None:
    assert weight([]) == 0
    assert weight([("name", "value")]) == 4 + 5 + 32
    assert weight([("a", b"1"), ("b", "22"), ("odd", 7)]) == (1 + 1 + 32) + (1 + 2 + 32) + (3 + 32)
    assert (MOST, MOST_WITH_IDS) == (6144, 7168)


@pytest.mark.parametrize("over", [0, 1])
def test_headers_are_lightened_only_beyond_the_limit(over: int, caplog: pytest.LogCaptureFixture) -> None:
    tracer = create_tracer(TracerProvider(shutdown_on_exit=False), propagators="jaeger")
    span = tracer.start_span("span").set_baggage_item("k", "v")
    ids = [pair for pair in beside((), tracer, span) if pair[0] == "uber-trace-id"]
    whole = weight([*ids, ("uberctx-k", "v")])
    own = "x" * (MOST - whole - weight([("own", "")]) + over)
    sent = beside((("own", own),), tracer, span)
    assert sent == (("own", own), *ids, *([] if over else [("uberctx-k", "v")]))
    assert len(caplog.records) == over


@pytest.mark.parametrize("over", [0, 1])
def test_ids_are_sent_up_to_a_higher_limit(over: int) -> None:
    tracer = create_tracer(TracerProvider(shutdown_on_exit=False), propagators="jaeger")
    span = tracer.start_span("span")
    ids = beside((), tracer, span)
    own = "x" * (MOST_WITH_IDS - weight(ids) - weight([("own", "")]) + over)
    assert beside((("own", own),), tracer, span) == (("own", own), *(() if over else ids))


def test_an_item_of_baggage_is_sent_as_long_as_there_is_room_for_it() -> None:
    tracer = create_tracer(TracerProvider(shutdown_on_exit=False), propagators="tracecontext,baggage")
    span = tracer.start_span("span").set_baggage_item("a", "1").set_baggage_item("b", "2" * 10)
    (ids,) = (pair for pair in beside((), tracer, span) if pair[0] == "traceparent")
    for room, kept in [(0, None), (44, f"a=1,b={'2' * 10}"), (1000, f"a=1,b={'2' * 10}")]:
        headers = limits._Written(tracer, span.context).up_to(weight([ids]) + room + 12, 10_000)
        assert headers.get("baggage") == kept if kept else "baggage" not in headers
    whole = weight([ids, ("baggage", f"a=1,b={'2' * 10}")])
    assert "2" in limits._Written(tracer, span.context).up_to(whole, 10_000)["baggage"]
    assert limits._Written(tracer, span.context).up_to(whole - 1, 10_000)["baggage"] == "a=1"
