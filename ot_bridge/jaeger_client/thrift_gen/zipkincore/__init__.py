"""Zipkin's spans, which jaeger-client never sent."""

from ot_bridge.jaeger_client.thrift_gen.zipkincore import ZipkinCollector, constants, ttypes

__all__ = ["ZipkinCollector", "constants", "ttypes"]
