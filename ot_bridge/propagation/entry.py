"""What OpenTelemetry finds under the entry-point group `opentelemetry_propagator`, one for each format.

Their names begin with `ot_bridge_`, since other packages have taken `jaeger`, `b3` and the like.
"""

from __future__ import annotations

from functools import partial

from .propagator import Propagator

default = Propagator
tracecontext = partial(Propagator, ("tracecontext",))
baggage = partial(Propagator, ("baggage",))
jaeger = partial(Propagator, ("jaeger",))
b3 = partial(Propagator, ("b3",))
b3multi = partial(Propagator, ("b3multi",))
ottrace = partial(Propagator, ("ottrace",))
xray = partial(Propagator, ("xray",))
grpc_trace_bin = partial(Propagator, ("grpc-trace-bin",))
binary = partial(Propagator, ("binary",))
zipkin_span_format = partial(Propagator, ("zipkin-span-format",))
