"""Spans, as jaeger-client sent them."""

from ot_bridge.jaeger_client.thrift_gen.jaeger import Collector, constants, ttypes

__all__ = ["Collector", "constants", "ttypes"]
