"""A traced channel sends what the program's own `inject` writes, and not the ids alone."""

from __future__ import annotations

from typing import Any

import grpc

from ot_bridge import engine
from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.grpc import trace_channel
from tests.grpc.things import Seen, Sync, stub, sync_server


class Injecting(Tracer):
    """Our tracer with an `inject` of the program's."""

    def inject(self, span_context: Any, format: object, carrier: Any) -> None:
        super().inject(span_context, format, carrier)
        carrier["own"] = "header"


def test_an_inject_of_the_programs_is_called(seen: Seen) -> None:
    provider = engine.TracerProvider(shutdown_on_exit=False)
    of_class = Injecting(provider.get_tracer("t"), propagators="jaeger")
    of_object = create_tracer(provider, propagators="jaeger")
    inject = of_object.inject

    def injecting(span_context: Any, format: object, carrier: Any) -> None:
        inject(span_context, format, carrier)
        carrier["own"] = "header"

    of_object.inject = injecting  # type: ignore[method-assign]
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address) as plain:
        for tracer in (of_class, of_object):
            stub(trace_channel(plain, tracer), "UU")(b"ok", timeout=10)
            sent = dict(seen.metadata[-1])
            assert sent["own"] == "header"
            assert "uber-trace-id" in sent
