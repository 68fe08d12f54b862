"""A call is made even with too much baggage: every format leaves out the same items."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from opentracing import Format
from opentracing.mocktracer import MockTracer

from ot_bridge.bridge import create_tracer
from ot_bridge.engine import TracerProvider
from ot_bridge.grpc.limits import MOST, MOST_WITH_IDS, lightened
from ot_bridge.grpc.metadata import weight
from ot_bridge.propagation import Propagator
from ot_bridge.wire import DEFAULT, FORMATS
from tests.grpc.sides import Call, clients
from tests.grpc.things import ARITIES, Seen

EVERY_FORMAT = ",".join(name for name in FORMATS if name not in ("binary", "zipkin-span-format"))
LISTS = {"default": ",".join(DEFAULT), "jaeger": "jaeger", "all": EVERY_FORMAT}
CALLER = {
    "traceparent": f"00-{0xA:032x}-{0xB:016x}-01",
    "tracestate": ",".join(f"k{n}={'v' * 100}" for n in range(20)),
}


def _tracer(names: str, items: int, length: int) -> Any:
    """A tracer whose active span has much baggage."""
    tracer = create_tracer(TracerProvider(shutdown_on_exit=False), propagators=names)
    scope = tracer.start_active_span("outer", child_of=tracer.extract(Format.HTTP_HEADERS, CALLER))
    for number in range(items):
        scope.span.set_baggage_item(f"userKey{number}", f"{number:0{length}}")
    return tracer, scope


def _tracing(metadata: Any) -> dict[str, Any]:
    return {key: value for key, value in metadata if not key.startswith(("user-agent", "own"))}


def _kept(headers: dict[str, Any], names: str) -> list[dict[str, str]]:
    """The baggage in each format, with the keys as header names have them."""
    found = []
    for name in {"baggage", "jaeger", "ottrace"} & {*names.split(",")}:
        remote = Propagator([name]).decode(headers)
        found.append({key.lower(): value for key, value in remote.baggage.items()} if remote else {})
    return found


@clients
@pytest.mark.parametrize("names", LISTS.values(), ids=LISTS)
def test_calls_with_too_much_baggage_are_made_with_the_baggage_that_fits(
    call: Call, seen: Seen, caplog: pytest.LogCaptureFixture, names: str
) -> None:
    tracer, scope = _tracer(names, 60, 130)  # 7,800 bytes of values
    with scope:
        for arity in ARITIES:
            call(seen, arity, b"ok", tracer=tracer)
    assert len(seen.metadata) == len(ARITIES)
    for metadata in seen.metadata:
        headers = _tracing(metadata)
        assert weight(metadata) < MOST + 200  # the user agent
        kept = _kept(headers, names)
        assert kept.count(kept[0]) == len(kept)
        assert 3 < len(kept[0]) < 60
        assert kept[0] == {f"userkey{n}": f"{n:0130}" for n in range(len(kept[0]))}
        assert "uber-trace-id" in headers
        if "tracecontext" in names:
            assert headers["uber-trace-id"].startswith("a:")
            assert headers["tracestate"] == CALLER["tracestate"]
    (record,) = (each for each in caplog.records if each.name == "ot_bridge.grpc")
    assert (record.levelno, record.message) == (
        logging.WARNING,
        (
            "a call's metadata and baggage have more than 6144 bytes, so that gRPC could refuse the call; "
            "tracing headers that do not fit are left out; send less metadata, or set less baggage"
        ),
    )


def _left(metadata: Any, names: str = LISTS["default"], items: int = 60) -> dict[str, Any]:
    tracer, scope = _tracer(names, items, 130)
    with scope, tracer.start_span("client") as span:
        headers: dict[str, Any] = {}
        tracer.inject(span.context, Format.HTTP_HEADERS, headers)
        return {**lightened(headers, weight(metadata), tracer, span)}


def test_the_programs_metadata_precedes_ids_tracestate_and_baggage_if_space_is_short() -> None:
    found = []
    for own in range(0, 7400, 100):
        metadata = [("own", "x" * own)]
        headers = _left(metadata)
        assert not headers or own + 35 + weight(headers.items()) <= (
            MOST if "baggage" in headers else MOST_WITH_IDS
        )
        of_baggage, of_jaeger = _kept(headers, "baggage,jaeger")
        assert of_baggage == of_jaeger
        found.append(("baggage" in headers, "tracestate" in headers, "traceparent" in headers))
    assert found == sorted(found, reverse=True)
    assert {*found} == {(b, t, i) for b, t, i in found if i >= t >= b}
    assert {(True, True, True), (False, True, True), (False, False, True), (False, False, False)} <= {*found}


def test_a_tracestate_that_does_not_fit_is_shortened_as_the_standard_says() -> None:
    headers = _left([("own", "x" * 4500)])
    assert CALLER["tracestate"].startswith(headers["tracestate"] + ",")


def test_the_first_headers_of_another_tracer_that_fit_are_sent() -> None:
    tracer = MockTracer()
    span = tracer.start_span("client")
    headers = {
        "ot-tracer-traceid": "1",
        **{f"ot-baggage-{n}": "x" * 500 for n in range(20)},
        "last": "y",
        "odd": 7,
    }
    kept = lightened(headers, 0, tracer, span)
    assert [*kept] == ["ot-tracer-traceid", *(f"ot-baggage-{n}" for n in range(11)), "last", "odd"]
    assert lightened(headers, 9000, tracer, span) == {}


class _Mute(MockTracer):
    def inject(self, span_context: Any, format: str, carrier: Any) -> None:
        raise RuntimeError("no headers today")


@clients
def test_if_inject_fails_the_call_is_made_and_the_failure_is_logged(
    call: Call, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    for arity in ARITIES:
        call(seen, arity, b"ok", tracer=_Mute())
    assert len(seen.metadata) == len(ARITIES)
    lines = [each.getMessage() for each in caplog.records if each.name == "ot_bridge.grpc"]
    assert lines
    assert {line.partition(" (")[0] for line in lines} == {"inject failed, the trace ends at this client"}
