"""Metadata in every form, and every argument that a call may have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentracing import Format, Tracer

from ot_bridge.grpc import client_interceptor, trace_channel
from ot_bridge.grpc.metadata import SentMetadata, peer_tags, sendable
from tests.grpc.conftest import Finished
from tests.grpc.test_client import TRACED_BY
from tests.grpc.things import ARITIES, Seen, Sync, requests_for, stub, sync_server

PAIRS = (("b", "1"), ("a", "2"), ("b", "3"), ("x-bin", b"\x00\xff"))

FORMS: dict[str, Any] = {
    "none": lambda: None,
    "tuple": lambda: PAIRS,
    "list": lambda: list(PAIRS),
    "generator": lambda: (pair for pair in PAIRS),
    "aio": lambda: grpc.aio.Metadata(*PAIRS),
}


@pytest.fixture
def plain(seen: Seen) -> Iterator[grpc.Channel]:
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address) as channel:
        yield channel


def own(metadata: Any) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in metadata if key in {"a", "b", "x-bin"}]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("arity", ARITIES)
@pytest.mark.parametrize("how", TRACED_BY)
def test_all_metadata_arrives_in_its_order(
    plain: grpc.Channel, seen: Seen, finished: Finished, how: str, arity: str, form: str
) -> None:
    call = stub(TRACED_BY[how](plain), arity)
    response = call(requests_for(arity, b"ok"), timeout=10, metadata=FORMS[form]())
    if arity in {"US", "SS"}:
        list(response)
    expected = [] if form == "none" else list(FORMS["aio"]() if form == "aio" else PAIRS)
    assert own(seen.metadata[0]) == expected
    assert "traceparent" in dict(seen.metadata[0])
    finished(1)


def test_the_callers_metadata_is_not_changed(plain: grpc.Channel, finished: Finished) -> None:
    mine = list(PAIRS)
    stub(trace_channel(plain), "UU")(b"ok", timeout=10, metadata=mine)
    assert mine == list(PAIRS)
    finished(1)


@pytest.mark.parametrize("how", TRACED_BY)
@pytest.mark.parametrize("arity", ARITIES)
def test_every_argument_is_passed_on(
    plain: grpc.Channel, seen: Seen, finished: Finished, how: str, arity: str
) -> None:
    call = stub(TRACED_BY[how](plain), arity)
    arguments: dict[str, Any] = {"wait_for_ready": True, "compression": grpc.Compression.Gzip, "timeout": 10}
    response = call(requests_for(arity, b"ok"), credentials=None, **arguments)
    if arity in {"US", "SS"}:
        list(response)
    sent = dict(seen.metadata[0])
    assert sent.get("grpc-internal-encoding-request", "gzip") == "gzip"
    finished(1)


def test_positional_arguments_are_passed_on(plain: grpc.Channel, finished: Finished) -> None:
    call = stub(trace_channel(plain), "UU")
    assert call(b"ok", 10, PAIRS, None, True, grpc.Compression.Gzip) == b"ok"
    assert call.with_call(b"ok", 10, PAIRS, None, True)[0] == b"ok"
    assert call.future(b"ok", 10, PAIRS).result() == b"ok"
    finished(3)


def test_call_credentials_are_passed_on(seen: Seen, finished: Finished) -> None:
    def plugin(context: Any, callback: Any) -> None:
        callback((("authorization", "Bearer word"),), None)

    server = grpc.local_server_credentials()
    with sync_server(Sync(seen), secure=server) as address:
        local = grpc.local_channel_credentials()
        with grpc.secure_channel(address, local) as channel:
            credentials = grpc.metadata_call_credentials(plugin)  # type: ignore[arg-type]
            assert stub(trace_channel(channel), "UU")(b"ok", timeout=10, credentials=credentials) == b"ok"
    assert dict(seen.metadata[0])["authorization"] == "Bearer word"
    finished(1)


def test_a_traced_channel_behaves_like_a_channel_in_everything_else(plain: Any, finished: Finished) -> None:
    plain.owner = "a library"
    with trace_channel(plain) as channel:
        assert isinstance(channel, grpc.Channel)
        assert channel.owner == "a library"  # type: ignore[attr-defined]
        assert stub(channel, "UU")(b"ok", timeout=10) == b"ok"
    with pytest.raises(ValueError, match="closed channel"):
        stub(plain, "UU")(b"ok")
    finished(1)


def test_a_traced_channel_reports_its_connectivity(plain: Any) -> None:
    channel = trace_channel(plain)
    grpc.channel_ready_future(channel).result(5)
    states: list[Any] = []
    known = threading.Event()

    def know(state: Any) -> None:
        states.append(state)
        known.set()

    channel.subscribe(know, True)
    assert known.wait(5)
    channel.unsubscribe(know)
    assert states[0] is grpc.ChannelConnectivity.READY
    while plain._connectivity_state.polling:  # grpc's own thread complains of a channel closed meanwhile
        known.clear()
        known.wait(0.02)


class Injecting(Tracer):
    """A tracer that injects the given headers, or raises the given exception."""

    def __init__(self, headers: Any) -> None:
        super().__init__()
        self._headers = headers

    def inject(self, span_context: Any, format: Any, carrier: Any) -> None:
        assert format == Format.HTTP_HEADERS
        if isinstance(self._headers, Exception):
            raise self._headers
        carrier.update(self._headers)


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"Upper-Case": "v"}, [("upper-case", "v")]),
        ({"uberctx-two words": "v", "kept": "v"}, [("kept", "v")]),
        ({"uberctx-ümlaut": "v"}, []),
        ({"": "v"}, []),
        ({"key": "späce"}, []),
        ({"key": "line\nbreak"}, []),
        ({"key": ""}, [("key", "")]),
        ({"key": 7}, []),
        ({"key": b"bytes"}, []),
        ({"grpc-trace-bin": b"\x00\x01"}, [("grpc-trace-bin", b"\x00\x01")]),
        ({"text-bin": "text"}, [("text-bin", b"text")]),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_only_headers_that_grpc_accepts_are_sent(headers: dict[str, Any], sent: list[Any]) -> None:
    assert sendable(headers) == tuple(sent)


@pytest.mark.parametrize("how", TRACED_BY)
def test_a_call_is_made_even_if_inject_raises_or_writes_invalid_headers(
    plain: grpc.Channel, seen: Seen, how: str
) -> None:
    for headers in ({"bad key": "bad\nvalue"}, ValueError("inject is broken")):
        tracer = Injecting(headers)
        channel = (
            trace_channel(plain, tracer)
            if how == "channel"
            else grpc.intercept_channel(plain, client_interceptor(tracer))
        )
        assert stub(channel, "UU")(b"ok", timeout=10, metadata=PAIRS) == b"ok"
        assert own(seen.metadata[-1]) == list(PAIRS)


@pytest.mark.parametrize(
    ("peer", "tags"),
    [
        ("ipv4:127.0.0.1:4711", {"peer.ipv4": "127.0.0.1", "peer.port": "4711"}),
        ("ipv6:[::1]:4711", {"peer.ipv6": "::1", "peer.port": "4711"}),
        ("ipv6:%5B::1%5D:4711", {"peer.ipv6": "::1", "peer.port": "4711"}),
        ("unix:/run/s.sock", {}),
        ("unix:", {}),
        ("ipv4:127.0.0.1", {}),
        ("", {}),
    ],
)
def test_the_peer_is_recorded_in_tags(peer: str, tags: dict[str, str]) -> None:
    assert peer_tags(peer) == tags


def test_sent_metadata_behaves_like_grpcs_own_metadata() -> None:
    pairs: Any = (("a", "1"), ("b", "2"), ("b", "3"))
    more: Any = (("k", "v"),)
    whole: Any = grpc.aio.Metadata(*pairs)

    def sent() -> Any:
        return SentMetadata(pairs)

    assert tuple(sent()) == tuple(whole) == pairs
    assert len(sent()) == len(whole) == 3
    assert not SentMetadata(())
    for same in (sent(), whole, pairs):
        assert sent() == same
    assert sent() != SentMetadata(more)
    assert sent() + more == whole + more
    assert sent() + whole == sent() + sent() == whole + sent() == whole + whole
    assert sent()["b"] == "2"
    assert sent().get_all("b") == ["2", "3"]
    assert "a" in sent()
    changed = sent()
    changed.add("k", "v")
    assert tuple(changed) == pairs + more
    assert repr(changed) == repr(whole + more)
    assert type(changed) is grpc.aio.Metadata
