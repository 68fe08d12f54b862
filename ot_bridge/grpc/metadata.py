"""gRPC metadata, in and out, and what a server context calls its peer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

Pairs: TypeAlias = tuple[tuple[str, str | bytes], ...]

_KEY: Final = re.compile(r"[0-9a-z_.-]+").fullmatch
_MOST_KEYS: Final = 1024  # baggage makes keys without end
_PEERS: Final[Mapping[str, str]] = {"ipv4": "peer.ipv4", "ipv6": "peer.ipv6"}


def pairs(metadata: Any) -> Pairs:
    """Metadata in any form that grpc takes (None, pairs, a generator, `grpc.aio.Metadata`) as a tuple."""
    return () if metadata is None else tuple(metadata)


def with_headers(metadata: Pairs, headers: Mapping[str, Any]) -> Pairs:
    """`metadata` and after it the headers, but for those that grpc would refuse the whole call for.

    What can travel is in gRPC's "gRPC over HTTP2", section "Custom-Metadata": lower-case keys, printable
    ASCII values, and bytes for keys that end in `-bin`.
    """
    return metadata + tuple(_fit(headers))


def _fit(headers: Mapping[str, Any]) -> Iterator[tuple[str, str | bytes]]:
    for header, value in headers.items():
        key = header.lower()
        if not _KEY(key):
            continue
        if key.endswith("-bin"):
            yield key, value if type(value) is bytes else str(value).encode()
        elif type(value) is str and value.isascii() and value.isprintable():
            if key == header and len(PLAIN_KEYS) < _MOST_KEYS:
                PLAIN_KEYS.add(key)
            yield key, value


#: Keys met so far that are as they have to be, and of text.
PLAIN_KEYS: set[str] = set()


def peer_tags(peer: str) -> dict[str, str]:
    """Tags for a peer as gRPC names it: "ipv4:address:port", "ipv6:[address]:port"; others have none."""
    kind, _, rest = peer.partition(":")
    tag = _PEERS.get(kind)
    address, _, port = unquote(rest).rpartition(":")
    return {tag: address.strip("[]"), "peer.port": port} if tag and port.isdigit() else {}
