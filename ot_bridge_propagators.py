"""What OpenTelemetry finds under the entry-point group `opentelemetry_propagator`: one for each format.

Outside the package on purpose. OpenTelemetry loads propagators while its `propagate` module is half imported,
and the package's index, which is imported before anything in it, needs the whole. So these are stand-ins:
each makes its `ot_bridge.propagation.Propagator` when it is first used.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from ot_bridge.propagation import Propagator


class Late(TextMapPropagator):
    """The propagator of the formats with these names, of the default ones without names."""

    def __init__(self, *names: str) -> None:
        self._names = names

    @cached_property
    def real(self) -> Propagator:
        from ot_bridge.propagation import Propagator

        return Propagator(self._names) if self._names else Propagator()

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = default_getter) -> Context:
        return self.real.extract(carrier, context, getter)

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = default_setter) -> None:
        self.real.inject(carrier, context, setter)

    @property
    def fields(self) -> set[str]:
        return self.real.fields


default = Late
tracecontext = partial(Late, "tracecontext")
baggage = partial(Late, "baggage")
jaeger = partial(Late, "jaeger")
b3 = partial(Late, "b3")
b3multi = partial(Late, "b3multi")
ottrace = partial(Late, "ottrace")
xray = partial(Late, "xray")
grpc_trace_bin = partial(Late, "grpc-trace-bin")
binary = partial(Late, "binary")
zipkin_span_format = partial(Late, "zipkin-span-format")
