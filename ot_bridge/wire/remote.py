"""The values that codecs work on: `Remote` is what was received, `Outgoing` what is sent, `Format` the codec.

A decoder takes headers with lower-case names. It returns a `Remote`, returns None if its headers are absent,
or raises `BadHeader`. An encoder writes the headers for an `Outgoing` into a mapping. Codecs do no I/O and
keep no state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

Headers = Mapping[str, Any]
"""Header names in lower case, with their values: text, or anything for formats that are `raw`."""

EMPTY: Mapping[str, str] = MappingProxyType({})

# Keys of `extras`, which holds the values that only one format can express.
JAEGER_FLAGS = "jaeger.flags"  # the bits of its flags but sampled and debug, in hex; 8 is "firehose"
W3C_RANDOM = "w3c.random"  # present if the trace id is known to be random
XRAY_LINEAGE = "xray.lineage"  # as it was received
BAGGAGE_MEMBER = "baggage:"  # + key: that W3C member as it was received, value and properties

RANDOM_TRACE_ID: Mapping[str, str] = MappingProxyType({W3C_RANDOM: "1"})
"""The extras of a trace whose id this process made at random."""


class Remote(NamedTuple):
    """The trace context that a caller sent. A part that it did not send has its default value.

    trace_id: 128 bits, 0 for none. span_id, parent_id: 64 bits, 0 for none; a trace id may come without a
    span id (a load balancer started the trace). sampled: None if the caller left the decision to us.
    debug_id: requests a new, sampled trace with this value as a tag. tracestate: the header's text.
    """

    trace_id: int = 0
    span_id: int = 0
    parent_id: int = 0
    sampled: bool | None = None
    debug: bool = False
    debug_id: str | None = None
    baggage: Mapping[str, str] = EMPTY
    tracestate: str = ""
    extras: Mapping[str, str] = EMPTY


NOT_SAMPLED = Remote(sampled=False)
"""Only a decision. Some programs send it with ids of zero when they do not record a trace."""


class Outgoing(Protocol):
    """What an encoder needs: any object with the attributes of a `Remote`."""

    @property
    def trace_id(self) -> int: ...
    @property
    def span_id(self) -> int: ...
    @property
    def parent_id(self) -> int: ...
    @property
    def sampled(self) -> bool | None: ...
    @property
    def debug(self) -> bool: ...
    @property
    def debug_id(self) -> str | None: ...
    @property
    def baggage(self) -> Mapping[str, str]: ...
    @property
    def tracestate(self) -> str: ...
    @property
    def extras(self) -> Mapping[str, str]: ...


class Limits:
    """How much baggage and tracestate is read and written. What exceeds a limit is dropped.

    The defaults are the minimum of W3C Baggage ("Limits"), and more than the 512 characters of tracestate
    that W3C Trace Context requires ("tracestate Limits").
    """

    def __init__(
        self, baggage_items: int = 64, baggage_bytes: int = 8192, tracestate_bytes: int = 8192
    ) -> None:
        self.baggage_items = baggage_items
        self.baggage_bytes = baggage_bytes
        self.tracestate_bytes = tracestate_bytes


LIMITS = Limits()


class Decoder(Protocol):
    def __call__(self, headers: Headers, limits: Limits = ..., /) -> Remote | None: ...


class Encoder(Protocol):
    def __call__(
        self, outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = ..., /
    ) -> None: ...


Ids = tuple[int, int, int, int]


class Usual:
    """The header of a format that most requests have, and fast functions for its usual values.

    read: returns trace id, span id, parent id (0 for none) and flags (1: sampled, 2: the trace id is random)
    of a carrier that has no other header of the format. If it raises anything, or returns an id of 0,
    `decode` is called instead. write: returns the text for these four values that `encode` would write if
    there was nothing else to write. If it raises anything, `encode` is called instead.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[str], Ids],
        write: Callable[[int, int, int, int], str] | None = None,
    ) -> None:
        self.name = name
        self.read = read
        self.write = write


class Format:
    """A header format: its name, the lower-case names of its headers, its decoder and its encoder.

    prefixes: the beginnings of the names of headers that hold one baggage item each.
    raw: values may be bytes or integers and reach the decoder unchanged. The decoder of any other format
    raises TypeError or AttributeError for a value that is not text.
    text_map: the variant for carriers that are not HTTP headers, if there is one.
    spelled: the header names as the encoder writes them, if not in lower case.
    """

    def __init__(
        self,
        name: str,
        fields: tuple[str, ...],
        decode: Decoder,
        encode: Encoder,
        prefixes: tuple[str, ...] = (),
        usual: Usual | None = None,
        raw: bool = False,
        text_map: Format | None = None,
        spelled: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.fields = fields
        self.decode = decode
        self.encode = encode
        self.prefixes = prefixes
        self.usual = usual
        self.raw = raw
        self.text_map = text_map
        self.spelled = spelled
