"""Spans that record nothing are active in their scopes, as any others: `active_span.set_tag` works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentracing.scope_managers import ThreadLocalScopeManager
from werkzeug.test import Client

import ot_bridge
from ot_bridge.engine import TracerProvider
from ot_bridge.grpc import client_interceptor, server_interceptor, trace_channel
from ot_bridge.wsgi import TracingMiddleware
from tests.install.child import run


def _disabled(kind: type[SdkTracerProvider]) -> Any:
    """As under `OTEL_SDK_DISABLED=true`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_SDK_DISABLED", "true")
        return kind(shutdown_on_exit=False)


PROVIDERS: dict[str, Callable[[], trace.TracerProvider]] = {
    "no-op": trace.NoOpTracerProvider,
    "proxy": trace.ProxyTracerProvider,
    "SDK, disabled": lambda: _disabled(SdkTracerProvider),
    "engine, disabled": lambda: _disabled(TracerProvider),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("manager", [None, ThreadLocalScopeManager], ids=["context", "thread-local"])
def test_the_span_that_was_activated_is_active_inside_its_scope_only(provider: str, manager: Any) -> None:
    tracer = ot_bridge.create_tracer(PROVIDERS[provider](), scope_manager=manager and manager())
    assert tracer.active_span is None
    with tracer.start_active_span("outer") as outer:
        assert tracer.active_span is outer.span
        assert tracer.scope_manager.active is outer
        tracer.active_span.set_tag("a", 1)
        with tracer.start_active_span("inner") as inner:
            assert tracer.active_span is inner.span
        assert tracer.active_span is outer.span
        if manager is None:
            with tracer.scope_manager.activate(None, False):
                assert tracer.active_span is None
        span = tracer.start_span("by hand", ignore_active_span=True)
        with tracer.scope_manager.activate(span, False):
            assert tracer.active_span is span
    assert tracer.active_span is None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_request_whose_code_uses_the_active_span_is_served(provider: str) -> None:
    tracer: Any = ot_bridge.create_tracer(PROVIDERS[provider]())

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for chunk in (b"a", b"b"):
            tracer.active_span.set_tag("http.route", "/").log_kv({"event": "chunk"})
            yield chunk

    def handler(request: bytes, context: Any) -> bytes:
        tracer.active_span.set_tag("rpc", True).set_baggage_item("key", "value")
        return request

    assert Client(TracingMiddleware(app, tracer)).get("/").get_data(as_text=True) == "ab"
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, interceptors=[server_interceptor(tracer)])
        method: Any = {"method": grpc.unary_unary_rpc_method_handler(handler)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("service", method),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as plain:
            for channel in (
                grpc.intercept_channel(plain, client_interceptor(tracer)),
                trace_channel(plain, tracer),
            ):
                call: Any = channel.unary_unary("/service/method")
                assert call(b"request", timeout=20) == b"request"
        server.stop(None).wait()
    assert tracer.active_span is None


INSTALL = """
import logging; logging.basicConfig(format="%(levelname)s %(message)s")
import threading
import ot_bridge
tracer = ot_bridge.install("shop", sampler="always_on")
with tracer.start_active_span("a"):
    tracer.active_span.set_tag("b", 1)
print(tracer.active_span, tracer.flush(5), threading.active_count())
"""
DROP_IN = """
from ot_bridge.jaeger_client import Config
tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="shop").initialize_tracer()
with tracer.start_active_span("a"):
    tracer.active_span.set_tag("b", 1)
print(tracer.active_span, tracer.flush(5), 1)
"""
CREATE = """
import ot_bridge
tracer = ot_bridge.create_tracer()
with tracer.start_active_span("a"):
    tracer.active_span.set_tag("b", 1)
print(tracer.active_span, True, 1)
"""


@pytest.mark.parametrize("program", [INSTALL, DROP_IN, CREATE], ids=["install", "drop-in", "create_tracer"])
def test_a_disabled_sdk_exports_and_logs_nothing(program: str) -> None:
    done = run(program, OTEL_SDK_DISABLED="true")
    assert done.stdout.split() == ["None", "True", "1"]
    assert [
        line for line in done.stderr.splitlines() if "SDK is disabled" not in line
    ] == []  # an old SDK says so
