"""The names that Thrift's compiler makes for jaeger-client. Names that need Thrift raise when used."""

from typing import Any

from ot_bridge.jaeger_client.thrift_gen.generated import modules

_PACKAGES = modules(__name__)


def __getattr__(name: str) -> Any:
    """The packages `agent`, `jaeger`, `sampling` and `zipkincore`."""
    if name in _PACKAGES:
        return _PACKAGES[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
