"""The service, which needs Thrift: its names can be imported, and raise when used."""

from ot_bridge.jaeger_client.thrift_gen.values import unusable

__all__ = [
    "Client",
    "Iface",
    "Processor",
    "emitBatch_args",
    "emitZipkinBatch_args",
]

Iface, Client, Processor, emitZipkinBatch_args, emitBatch_args = unusable(
    "Iface", "Client", "Processor", "emitZipkinBatch_args", "emitBatch_args"
)
