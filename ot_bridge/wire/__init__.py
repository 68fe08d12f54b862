"""Header formats as pure codecs: `remote` has their contract, `formats` the table of all of them."""

from .binary import binary_decode, binary_encode
from .formats import DEFAULT, FORMATS
from .jaeger import jaeger
from .remote import EMPTY, LIMITS, RANDOM_TRACE_ID, Format, Limits, Outgoing, Remote

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
    "binary_decode",
    "binary_encode",
    "jaeger",
]
