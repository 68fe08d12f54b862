"""gRPC metadata, in and out, and what a server context calls its peer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import grpc

Pairs: TypeAlias = tuple[tuple[str, str | bytes], ...]

_KEY: Final = re.compile(r"[0-9a-z_.-]+").fullmatch
_MOST_KEYS: Final = 1024  # baggage makes keys without end
_PEERS: Final[Mapping[str, str]] = {"ipv4": "peer.ipv4", "ipv6": "peer.ipv6"}


def pairs(metadata: Any) -> Pairs:
    """Metadata in any form that grpc takes (None, pairs, a generator, `grpc.aio.Metadata`) as a tuple."""
    return () if metadata is None else tuple(metadata)


class SentMetadata(grpc.aio.Metadata):
    """Pairs on their way out. Once somebody wants more than to see them they become what grpc makes of pairs.

    To make that of them, only to go through it once, would cost a call more than its span does.
    """

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    def __iter__(self) -> Iterator[tuple[str, str | bytes]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __add__(self, other: Any) -> grpc.aio.Metadata:
        joined: grpc.aio.Metadata = grpc.aio.Metadata(*self) + other
        return joined

    @property
    def _metadata(self) -> Any:  # which everything else in grpc's class asks for
        self.__class__ = grpc.aio.Metadata  # type: ignore[assignment]
        self.__init__(*self.__dict__.pop("_pairs"))  # type: ignore[misc]
        return self._metadata


def with_headers(metadata: Pairs, headers: Mapping[str, Any]) -> Pairs:
    """`metadata` and after it the headers, but for those that grpc would refuse the whole call for.

    What can travel is in gRPC's "gRPC over HTTP2", section "Custom-Metadata": lower-case keys, printable
    ASCII values, and bytes for keys that end in `-bin`.
    """
    sent = metadata
    for key in headers:
        value = headers[key]
        if key not in PLAIN_KEYS or type(value) is not str or not (value.isascii() and value.isprintable()):
            return metadata + tuple(_fit(headers))
        sent += ((key, value),)
    return sent


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
