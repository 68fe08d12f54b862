"""Header formats as pure codecs; see `remote` for their contract and `formats` for the table."""

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
