"""The values that pass through a codec: what came in (`Remote`), what goes out (`Outgoing`), a `Format`.

A decoder takes headers with lower-case names and gives a `Remote`, or None if its headers are absent,
or raises `BadHeader`. An encoder writes headers for an `Outgoing` into a mapping. Neither does I/O,
and neither keeps anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

Headers = Mapping[str, Any]
"""Names in lower case; values are text, but for the formats that are `raw`."""

EMPTY: Mapping[str, str] = MappingProxyType({})

# Names under which `extras` keeps what one format alone can say.
JAEGER_FLAGS = "jaeger.flags"  # the bits of its flags but sampled and debug, in hex; 8 is "firehose"
W3C_RANDOM = "w3c.random"  # present if the trace id is known to be random
XRAY_LINEAGE = "xray.lineage"  # as it came in
BAGGAGE_MEMBER = "baggage:"  # + key: that W3C member as it came in, value and properties

RANDOM_TRACE_ID: Mapping[str, str] = MappingProxyType({W3C_RANDOM: "1"})
"""The extras of a trace whose id was made at random here."""


class Remote(NamedTuple):
    """What a caller said about its trace. Whatever it did not say has its default.

    trace_id: 128 bits, 0 for none. span_id, parent_id: 64 bits, 0 for none; a trace id without a span id
    is possible (a load balancer started the trace). sampled: None if the decision is left to us.
    debug_id: a request to start a sampled trace, and the tag to find it by. tracestate: header text.
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
"""The decision alone. Neighbours that do not record a trace say so with ids that are zero."""


class Outgoing(Protocol):
    """Anything with the attributes of a `Remote` can be encoded, without being made into one."""

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


class Limits(NamedTuple):
    """How much of a caller's text is taken; what is over a limit is dropped, the rest stays.

    The defaults are the least that W3C Baggage asks a platform to carry, and more than the 512 characters
    of tracestate that W3C Trace Context asks for.
    """

    baggage_items: int = 64
    baggage_bytes: int = 8192
    tracestate_bytes: int = 8192


LIMITS = Limits()


class Decoder(Protocol):
    def __call__(self, headers: Headers, limits: Limits = ..., /) -> Remote | None: ...


class Encoder(Protocol):
    def __call__(
        self, outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = ..., /
    ) -> None: ...


Ids = tuple[int, int, int, int]
Usual = tuple[str, Callable[[str], Ids]]


class Format(NamedTuple):
    """A header format: its name, the lower-case headers it reads and writes, and its pair of functions.

    prefixes: of the headers whose names are open, one a baggage item. usual: a header, and a quick
    way to read what it mostly says, where no other of the format comes with it: trace id, span id, parent id
    (0: none), flags (1: sampled, 2: the trace id is random). Where it raises, whatever that is, or gives an
    id that is 0, `decode` has the last word. raw: values are not text (bytes, integers) and come to the
    decoder untouched; else a decoder given something else raises `TypeError` or `AttributeError`. text_map:
    the variant for carriers that are not HTTP headers, if it differs. spelled: the fields as the encoder
    writes them, if not in lower case.
    """

    name: str
    fields: tuple[str, ...]
    decode: Decoder
    encode: Encoder
    prefixes: tuple[str, ...] = ()
    usual: Usual | None = None
    raw: bool = False
    text_map: Format | None = None
    spelled: tuple[str, ...] = ()
