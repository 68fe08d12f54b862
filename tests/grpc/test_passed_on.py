"""Metadata that is forwarded, and headers that are sent twice."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from ot_bridge import wire
from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.engine import TracerProvider
from ot_bridge.grpc import client_interceptor
from ot_bridge.grpc.metadata import received
from ot_bridge.grpc_opentracing import grpcext
from tests.grpc import sides
from tests.grpc.sides import Call, every_arity
from tests.grpc.things import Seen


def by_grpcext(seen: Seen, arity: str, script: bytes, **options: Any) -> Any:
    def traced(channel: grpc.Channel, **options: Any) -> Any:
        return grpcext.intercept_channel(channel, client_interceptor(**options))

    return sides.sync_client(seen, traced, arity, script, **options)


ALONE = [
    name for name in wire.FORMATS if name not in ("tracecontext", "baggage", "binary", "zipkin-span-format")
]
FORMATS = ("tracecontext,baggage", *ALONE)
OWN = (("own", "1"), ("other", "2"), ("own", "3"), ("x-bin", b"\x00\xff"))


def _tracer(format: str) -> Tracer:
    return create_tracer(TracerProvider(shutdown_on_exit=False), propagators=format)


def _sent(tracer: Tracer, **baggage: str) -> tuple[tuple[str, Any], ...]:
    from ot_bridge.propagation import MetadataHeaders

    span = tracer.start_span("an earlier hop", ignore_active_span=True)
    for key, value in baggage.items():
        span.set_baggage_item(key, value)
    headers = MetadataHeaders()
    tracer.inject(span.context, "http_headers", headers)
    return tuple((key.lower(), value) for key, value in headers.items())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("call", [*sides.CLIENTS, by_grpcext])
def test_tracing_headers_of_the_caller_that_are_passed_on_are_replaced(
    monkeypatch: pytest.MonkeyPatch, call: Call, seen: Seen, format: str
) -> None:
    tracer = _tracer(format)
    passed = _sent(tracer, user="ann")
    metadata = (OWN[0], *passed, *OWN[1:], ("uberctx-other", "kept"))
    _pass_on(monkeypatch, metadata)
    with tracer.start_active_span("handler") as scope:
        scope.span.set_baggage_item("user", "bob")
        call(seen, "UU", b"ok", tracer=tracer)
    (got,) = seen.metadata
    written = {key for key, _ in passed}
    assert sorted(key for key, _ in got if key in written) == sorted(
        written - {"grpc-trace-bin"}  # which grpc keeps from the handler
    )
    assert [pair for pair in got if pair[0] in written] != [*passed]
    kept = [(key, value) for key, value in got if key in {"own", "other", "x-bin", "uberctx-other"}]
    # The metadata of newer versions of grpc.aio puts the entries of one key together.
    together = grpc.aio.Metadata(*OWN) if call is sides.aio_interceptor else OWN
    assert kept in ([*OWN, ("uberctx-other", "kept")], [*together, ("uberctx-other", "kept")])


def _pass_on(monkeypatch: pytest.MonkeyPatch, metadata: Any) -> None:
    """Has the helpers of `sides` make their calls with `metadata`."""
    for module, name in ((sides, "take"), (sides, "aio_take")):
        plain = getattr(module, name)
        monkeypatch.setattr(
            module,
            name,
            lambda *args, plain=plain, **more: plain(*args, **{**more, "metadata": metadata}),
        )


TWICE: dict[str, tuple[tuple[tuple[str, str], ...], int, dict[str, str]]] = {
    "ids": ((("uber-trace-id", "a:b:0:1"), ("uber-trace-id", "c:d:0:1")), 0xC, {}),
    "jaeger's baggage": (
        (("uber-trace-id", "c:d:0:1"), ("uberctx-user", "ann"), ("uberctx-user", "bob")),
        0xC,
        {"user": "bob"},
    ),
    "b3": ((("b3", f"{0xA:032x}-{0xB:016x}-1"), ("b3", f"{0xC:032x}-{0xD:016x}-1")), 0xC, {}),
    "a decision": (
        (
            ("x-b3-traceid", f"{0xC:032x}"),
            ("x-b3-spanid", f"{0xD:016x}"),
            ("x-b3-sampled", "0"),
            ("x-b3-sampled", "1"),
        ),
        0xC,
        {},
    ),
    "baggage": (
        (("traceparent", f"00-{0xC:032x}-{0xD:016x}-01"), ("baggage", "a=1"), ("baggage", "b=2")),
        0xC,
        {"a": "1", "b": "2"},
    ),
    "traceparent": (
        (("traceparent", f"00-{0xA:032x}-{0xB:016x}-01"), ("traceparent", f"00-{0xC:032x}-{0xD:016x}-01")),
        0xC,
        {},
    ),
}


@pytest.mark.parametrize("call", sides.SERVERS)
@pytest.mark.parametrize(("metadata", "trace_id", "baggage"), TWICE.values(), ids=TWICE)
def test_if_a_server_gets_a_header_twice_the_last_value_applies(
    call: Call, seen: Seen, metadata: Any, trace_id: int, baggage: dict[str, str]
) -> None:
    tracer = create_tracer(
        TracerProvider(shutdown_on_exit=False), propagators="tracecontext,baggage,jaeger,b3,b3multi"
    )
    call(seen, "UU", b"ok", metadata=metadata, tracer=tracer)
    (span,) = seen.spans
    assert span.context.trace_id == trace_id
    assert span.context.sampled
    assert dict(span.context.baggage) == baggage


def test_tracestate_that_is_sent_twice_is_joined() -> None:
    metadata = (("tracestate", "a=1"), ("k", "1"), ("tracestate", b"b=2"), ("k", "2"))
    assert received(metadata) == {"tracestate": "a=1,b=2", "k": "2"}


@every_arity
@pytest.mark.parametrize("call", [sides.channel, sides.aio_channel])
def test_forwarded_tracing_headers_do_not_use_up_the_size_limit(
    monkeypatch: pytest.MonkeyPatch, call: Call, seen: Seen, arity: str
) -> None:
    tracer = _tracer("jaeger")
    value = "v" * 4000
    _pass_on(monkeypatch, _sent(tracer, item=value))
    with tracer.start_active_span("handler") as scope:
        scope.span.set_baggage_item("item", value.upper())
        call(seen, arity, b"ok", tracer=tracer)
    assert dict(seen.metadata[0])["uberctx-item"] == value.upper()
