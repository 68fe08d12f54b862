"""Factories for OpenTelemetry's entry points: a propagator for each format, called without arguments.

OpenTelemetry calls them while its own `propagate` module is half imported, so nothing that this module
imports may import `opentelemetry.propagate`.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from ot_bridge.propagation.propagator import Propagator

tracecontext: Final = partial(Propagator, ("tracecontext",))
baggage: Final = partial(Propagator, ("baggage",))
jaeger: Final = partial(Propagator, ("jaeger",))
b3: Final = partial(Propagator, ("b3",))
b3multi: Final = partial(Propagator, ("b3multi",))
ottrace: Final = partial(Propagator, ("ottrace",))
xray: Final = partial(Propagator, ("xray",))
grpc_trace_bin: Final = partial(Propagator, ("grpc-trace-bin",))
binary: Final = partial(Propagator, ("binary",))
zipkin_span_format: Final = partial(Propagator, ("zipkin-span-format",))
