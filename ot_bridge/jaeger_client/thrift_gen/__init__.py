"""The names that Thrift's compiler made for jaeger-client. What needs Thrift raises when it is used."""

from ot_bridge.jaeger_client.thrift_gen import agent, jaeger, sampling, zipkincore

__all__ = ["agent", "jaeger", "sampling", "zipkincore"]
