"""One item of baggage stays one item, with its value, from service to service over real gRPC."""

from __future__ import annotations

from typing import Any

import pytest
from opentracing import Format

from ot_bridge.bridge import create_tracer
from ot_bridge.engine import TracerProvider
from tests.grpc.sides import CLIENTS, SERVERS
from tests.grpc.things import Seen
from tests.jaeger.sides import REAL


@pytest.mark.parametrize("through", SERVERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_baggage_item_is_the_same_at_every_hop_and_jaeger_client_reads_its_value(
    client: Any, through: Any
) -> None:
    tracer = create_tracer(TracerProvider(shutdown_on_exit=False), propagators="ot_bridge")
    items = {"userId": "1", "order_no": "a,b"}
    baggage = items
    for _ in range(2):
        sent, received = Seen(), Seen()
        with tracer.start_active_span("caller") as scope:
            for key, value in baggage.items():
                scope.span.set_baggage_item(key, value)
            client(sent, "UU", b"ok", tracer=tracer)
        metadata = [
            (key, text) for key, text in sent.metadata[0] if not key.startswith(("user-agent", "accept"))
        ]
        assert sum(key.startswith("uberctx-") for key, _ in metadata) == 2
        through(received, "UU", b"ok", metadata=metadata, tracer=tracer)
        baggage = dict(received.spans[0].context.baggage)
        assert baggage == items
    codec = REAL.package.codecs.TextCodec(url_encoding=True)
    assert codec.extract(dict(metadata)).baggage == {"userid": "1", "order_no": "a,b"}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_propagator_that_writes_bytes_does_not_prevent_the_call(client: Any) -> None:
    tracer = create_tracer(
        TracerProvider(shutdown_on_exit=False), propagators="b3multi,grpc-trace-bin,binary"
    )
    written: dict[str, Any] = {}
    tracer.inject(tracer.start_span("op"), Format.HTTP_HEADERS, written)
    assert "grpc-trace-bin" not in written
    seen = Seen()
    # grpcio shows `grpc-trace-bin` to no Python code on the receiving side: the call at least is made.
    with tracer.start_active_span("caller"):
        client(seen, "UU", b"ok", tracer=tracer)
    assert {"x-b3-traceid", "x-b3-spanid"} <= {key for key, _ in seen.metadata[0]}
