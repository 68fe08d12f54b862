"""Half of this program uses OpenTracing, half OpenTelemetry. Its spans form one trace with one baggage.

    python examples/mixed/app.py

Most services are in this state for a while: old modules keep their calls, and new ones use the new API.
"""

import opentracing
from opentelemetry import baggage, trace

import ot_bridge


def old_handler(order: int) -> str:
    """Old code, unchanged."""
    with opentracing.global_tracer().start_active_span("order", tags={"order": order}) as scope:
        scope.span.set_baggage_item("customer", "ann")
        return new_pricing(order)


def new_pricing(order: int) -> str:
    """Written last month. Reads what the old code set, and sets something for the old code below."""
    with trace.get_tracer(__name__).start_as_current_span("price") as span:
        span.set_attribute("customer", str(baggage.get_baggage("customer")))
        return old_discount(order)


def old_discount(order: int) -> str:
    """Old again, inside new inside old."""
    with opentracing.tracer.start_active_span("discount") as scope:
        customer = scope.span.get_baggage_item("customer")
        scope.span.set_tag("customer", customer).log_kv({"event": "discounted", "percent": 5})
        return f"order {order} of {customer}, less 5 %"


if __name__ == "__main__":
    ot_bridge.install("mixed", exporters=["console"])
    print(old_handler(7))
