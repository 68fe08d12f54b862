"""The defaults that programs rely on: an argument that is left out, and the times at a program's end."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import ot_bridge
from ot_bridge import jaeger_client, testing
from ot_bridge.bridge import trusted
from ot_bridge.delivery import DeliveryProcessor, exit, signals
from ot_bridge.ids import RandomIds
from ot_bridge.jaeger_client import reporter
from ot_bridge.otlp import OTLPSpanExporter
from ot_bridge.otlp import settings as otlp
from ot_bridge.sampling import JaegerRemoteSampler
from ot_bridge.view.grpc_port import GrpcPort
from ot_bridge.view.serving import Packets
from ot_bridge.xray.api import XRayExporter
from ot_bridge.xray.daemon import XRayDaemonExporter
from ot_bridge.xray.otlp import XRayOTLPExporter

#: The defaults of each function's arguments, without those that are None.
DEFAULTS: dict[Callable[..., Any], dict[str, Any]] = {
    ot_bridge.install: {"set_global": True, "engine": True},
    ot_bridge.create_tracer: {"maps_kind": True},
    ot_bridge.Tracer: {"maps_kind": True},
    ot_bridge.Tracer.start_span: {"ignore_active_span": False},
    ot_bridge.Tracer.start_active_span: {"ignore_active_span": False, "finish_on_close": True},
    ot_bridge.Tracer.flush: {"timeout": 30.0},
    ot_bridge.ScopeManager.activate: {"finish_on_close": False},
    trusted: {"trust": "all"},
    RandomIds: {"says_random": True},
    testing.RecordingTracer: {"propagators": "tracecontext,baggage,jaeger", "maps_kind": True},
    testing.RecordingTracer.start_span: {"ignore_active_span": False},
    jaeger_client.Tracer.flush: {"timeout": 30.0},
    reporter.Reporter.flush: {"timeout": 30.0},
    reporter.CompositeReporter.flush: {"timeout": 30.0},
    ot_bridge.TracingMiddleware: {
        "operation_name": "ServeHTTP",
        "component": "grpc-gateway",
        "span_kind": "server",
        "exclude": ("/healthz", "/_ah/health"),
        "trust": "all",
        "public_endpoint": False,
        "on_corrupt": "skip",
        "capture_headers": (),
        "capture_query": False,
        "redact": (),
    },
    XRayExporter: {"annotate": (), "timeout": 30.0},
    XRayDaemonExporter: {"annotate": ()},
    XRayOTLPExporter: {"timeout": 30.0},
    OTLPSpanExporter: {"max_request_size": 64 * 1024 * 1024},
    JaegerRemoteSampler: {
        "endpoint": "http://localhost:5778/sampling",
        "polling_interval": 60.0,
        "max_operations": 2000,
    },
    DeliveryProcessor.shutdown: {"timeout_millis": 5000},
    jaeger_client.local_agent_net.LocalAgentSender: {"reporting_port": 6831},
    GrpcPort: {"host": "127.0.0.1", "port": 4317},
    Packets: {"host": "127.0.0.1", "port": 6831},
}


@pytest.mark.parametrize("made", DEFAULTS, ids=lambda made: made.__qualname__)
def test_default_arguments_are_as_documented(made: Callable[..., Any]) -> None:
    parameters = inspect.signature(made).parameters.items()
    found = {name: each.default for name, each in parameters if each.default is not each.empty}
    assert {name: value for name, value in found.items() if value is not None} == DEFAULTS[made]


def test_the_time_limits_at_exit_are_those_in_the_docs() -> None:
    assert (exit.EXIT_SECONDS, exit.REFUSED_SECONDS, signals.SECONDS) == (5.0, 1.0, 2.0)
    assert (reporter.CLOSE_SECONDS, otlp.DEFAULT_TIMEOUT) == (4.0, 10.0)
