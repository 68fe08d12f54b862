"""Header formats as pure codecs: `remote` has their contract, `formats` the table of all of them."""

from ot_bridge.wire.formats import DEFAULT, FORMATS
from ot_bridge.wire.jaeger import jaeger
from ot_bridge.wire.remote import EMPTY, LIMITS, RANDOM_TRACE_ID, Format, Limits, Outgoing, Remote

__all__ = [
    "DEFAULT",
    "EMPTY",
    "FORMATS",
    "LIMITS",
    "RANDOM_TRACE_ID",
    "Format",
    "Limits",
    "Outgoing",
    "Remote",
    "jaeger",
]
