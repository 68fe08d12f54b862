"""Headers are found in every kind of carrier, in any letter case."""

from __future__ import annotations

from email.message import Message
from types import MappingProxyType, SimpleNamespace
from typing import Any

import grpc
import pytest
from werkzeug.datastructures import EnvironHeaders, Headers
from werkzeug.test import EnvironBuilder

from ot_bridge.errors import BadHeader
from ot_bridge.propagation import MetadataHeaders, Propagator, WsgiHeaders, metadata_headers
from ot_bridge.wire import Remote
from tests.ids import param_id

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EXPECTED = Remote(
    trace_id=0xABC,
    span_id=0xDEF,
    sampled=True,
    baggage={"user-id": "b ob", "k": "v"},
)
HEADERS = {
    "Host": "example.com",
    "Uber-Trace-Id": "abc:def:0:1",
    "uberctx-User-Id": "b%20ob",
    "Baggage": "k=v",
    "Accept": "*/*",
}


def environ_of(headers: dict[str, str]) -> dict[str, Any]:
    return EnvironBuilder(headers=Headers(headers)).get_environ()


def message_of(headers: dict[str, str]) -> Message:
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return message


CARRIERS: dict[str, Any] = {
    "dict": HEADERS,
    "dict in lower case": {name.lower(): value for name, value in HEADERS.items()},
    "dict in upper case": {name.upper(): value for name, value in HEADERS.items()},
    "dict of bytes": {name.encode(): value.encode() for name, value in HEADERS.items()},
    "dict of lists": {name: [value] for name, value in HEADERS.items()},
    "dict of tuples": {name: (value,) for name, value in HEADERS.items()},
    "another mapping": MappingProxyType(HEADERS),
    "pairs": list(HEADERS.items()),
    "pairs of bytes, as in ASGI": [
        (name.lower().encode(), value.encode()) for name, value in HEADERS.items()
    ],
    "generator of pairs": None,
    "werkzeug Headers": Headers(HEADERS),
    "werkzeug EnvironHeaders": EnvironHeaders(environ_of(HEADERS)),
    "WSGI environment": WsgiHeaders(environ_of(HEADERS)),
    "WSGI environment that is no plain dict": WsgiHeaders(MappingProxyType(environ_of(HEADERS))),
    "email message": message_of(HEADERS),
    "gRPC metadata": metadata_headers(tuple((name.lower(), value) for name, value in HEADERS.items())),
    "grpc.aio.Metadata": metadata_headers(grpc.aio.Metadata(*((k.lower(), v) for k, v in HEADERS.items()))),
}


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS)
@pytest.mark.parametrize("calls", [1, 2], ids=["first time", "names known"])
def test_the_headers_are_read_from_every_kind_of_carrier(carrier: Any, calls: int) -> None:
    propagator = Propagator()
    for _ in range(calls):
        assert (
            propagator.decode((pair for pair in HEADERS.items()) if carrier is None else carrier) == EXPECTED
        )


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "TRACEPARENT", "tRaCePaReNt"])
def test_header_names_are_case_insensitive(name: str) -> None:
    propagator = Propagator()
    for carrier in ({name: PARENT}, {name: PARENT, "X-Other": "1"}, {"x-other": "1", name: PARENT}):
        remote = propagator.decode(carrier)
        assert remote is not None
        assert remote.span_id == 0xB7AD6B7169203331


def test_letter_cases_may_be_mixed() -> None:
    carrier = {"uber-trace-id": "abc:def:0:1", "UBERCTX-User-Id": "b%20ob", "BAGGAGE": "k=v"}
    assert Propagator().decode(carrier) == EXPECTED


def test_the_same_name_in_two_letter_cases_is_a_header_sent_twice() -> None:
    with pytest.raises(BadHeader):
        Propagator().decode({"traceparent": PARENT, "Traceparent": PARENT})
    remote = Propagator().decode({"baggage": "a=1", "Baggage": "b=2", "BAGGAGE": "c=3"})
    assert remote == Remote(baggage={"a": "1", "b": "2", "c": "3"})


@pytest.mark.parametrize("carrier", [{}, [], (), WsgiHeaders({}), {"host": "x"}, {"Host": "x"}])
def test_a_carrier_without_tracing_headers_is_decoded_as_none(carrier: Any) -> None:
    assert Propagator().decode(carrier) is None


@pytest.mark.parametrize("value", [None, [], [None], [[]]], ids=param_id)
def test_a_header_without_a_value_is_ignored(value: Any) -> None:
    assert Propagator().decode({"uber-trace-id": value, "baggage": "k=v"}) == Remote(baggage={"k": "v"})


class Stubborn:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "value", [7, 1.5, Stubborn(), 10**5000, object()], ids=["7", "1.5", "no str", "huge", "object"]
)
def test_a_header_value_that_is_not_text_is_refused_and_does_not_affect_other_headers(value: Any) -> None:
    assert Propagator().decode({"traceparent": PARENT, "uber-trace-id": value}) is not None
    with pytest.raises(BadHeader):
        Propagator().decode({"uber-trace-id": value})


@pytest.mark.parametrize(
    "carrier", [None, 7, object(), "abc", b"abc", [1, 2], ["abc"], bytearray(b"x")], ids=param_id
)
def test_an_invalid_carrier_raises_another_exception_than_a_broken_header(carrier: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        Propagator().decode(carrier)


def test_attributes_of_an_object_are_read_if_the_header_names_are_python_names() -> None:
    carrier = SimpleNamespace(trace_id=1, span_id=2, parent_id=None, traceflags=1)
    assert Propagator(["zipkin-span-format"]).decode(carrier) == Remote(1, 2, sampled=True)


def test_wsgi_headers_are_a_mapping_of_the_request_headers() -> None:
    environ = environ_of({"Uber-Trace-Id": "1:2:0:1", "X-A": "b"})
    headers = WsgiHeaders(environ)
    assert headers["uber-trace-id"] == headers["Uber-Trace-Id"] == "1:2:0:1"
    assert set(headers) >= {"uber-trace-id", "x-a", "host"}
    assert len(headers) == len(list(headers))
    assert headers.get("x-missing") is None
    assert "wsgi.version" not in headers


def test_metadata_that_is_sent_twice_stays_in_order() -> None:
    metadata = (("k", "1"), ("other", "x"), ("k", "2"), ("k", "3"), ("data-bin", b"\0"))
    assert metadata_headers(metadata) == {"k": ["1", "2", "3"], "other": "x", "data-bin": b"\0"}
    assert metadata_headers(None) == {}


def test_bytes_of_grpc_metadata_stay_bytes() -> None:
    sent = MetadataHeaders()
    propagator = Propagator(["grpc-trace-bin"])
    propagator.encode(Remote(1, 2, sampled=True), sent)
    assert propagator.decode(metadata_headers(tuple(sent.items()))) == Remote(1, 2, sampled=True)
    assert propagator.decode({"Grpc-Trace-Bin": [sent["grpc-trace-bin"]]}) == Remote(1, 2, sampled=True)
