"""Reads and writes gRPC metadata, and reads the peer's address from a server context."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import grpc

Pairs: TypeAlias = tuple[tuple[str, str | bytes], ...]

_KEY: Final = re.compile(r"[0-9a-z_.-]+").fullmatch
_ENTRY: Final = 32  # bytes that gRPC counts for each entry, besides its name and value
_JOINED: Final = frozenset({"baggage", "tracestate"})
_PEERS: Final[Mapping[str, str]] = {"ipv4": "peer.ipv4", "ipv6": "peer.ipv6"}


def pairs(metadata: Any) -> Pairs:
    """Converts metadata that grpc takes (None, pairs, a generator, a `grpc.aio.Metadata`) to a tuple."""
    return () if metadata is None else tuple(metadata)


class SentMetadata(grpc.aio.Metadata):
    """Metadata to be sent, kept as pairs. Any use but iteration makes it a real `grpc.aio.Metadata`.

    1. grpc iterates over it once. To make a `grpc.aio.Metadata` for that would take longer than the call's
       span (benchmark row grpc-aio).
    2. Every other method of grpc's class reads `_metadata`. The first reading changes the object's
       `__class__` to grpc's, so that nothing else differs from grpc's own
       (tests/grpc/test_metadata.py::test_sent_metadata_behaves_like_grpcs_own_metadata).
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
    def _metadata(self) -> Any:
        self.__class__ = grpc.aio.Metadata  # type: ignore[assignment]
        self.__init__(*self.__dict__.pop("_pairs"))  # type: ignore[misc]
        return self._metadata


def received(metadata: Pairs) -> dict[str, Any]:
    """Converts metadata to headers. If several entries have the same name, the last one counts.

    `baggage` and `tracestate` are joined, as W3C requires for headers that are sent more than once.
    """
    headers: dict[str, Any] = dict(metadata)
    if len(headers) != len(metadata):
        for name in _JOINED & headers.keys():
            headers[name] = ",".join(_text(value) for key, value in metadata if key == name)
    return headers


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def sendable(headers: Mapping[str, Any]) -> Pairs:
    """Converts headers to metadata. It leaves out those because of which grpc would refuse the whole call.

    "gRPC over HTTP2", section "Custom-Metadata", allows lower-case keys, printable ASCII values, and bytes
    for keys that end in `-bin`.
    """
    return tuple(_sendable_pairs(headers))


def weight(entries: Iterable[tuple[str, Any]]) -> int:
    """The size of these entries in bytes as gRPC counts it. Values that cannot be sent count as empty."""
    total = 0
    for name, value in entries:
        total += len(name) + _ENTRY + (len(value) if isinstance(value, str | bytes) else 0)
    return total


def without(metadata: Pairs, replaced: Pairs) -> Pairs:
    """Returns `metadata` without the entries whose keys are also in `replaced`. The order stays."""
    if not metadata:
        return metadata
    keys = {key for key, _ in replaced}
    return metadata if keys.isdisjoint(key for key, _ in metadata) else _with_other_keys(metadata, keys)


def _with_other_keys(metadata: Pairs, keys: set[str]) -> Pairs:
    return tuple(pair for pair in metadata if pair[0] not in keys)


def _sendable_pairs(headers: Mapping[str, Any]) -> Iterator[tuple[str, str | bytes]]:
    for header, value in headers.items():
        key = header.lower()
        if not _KEY(key):
            continue
        if key.endswith("-bin"):
            yield key, value if type(value) is bytes else str(value).encode()
        elif type(value) is str and value.isascii() and value.isprintable():
            yield key, value


def peer_tags(peer: str) -> dict[str, str]:
    """The tags for a peer in gRPC's form "ipv4:address:port" or "ipv6:[address]:port". Others have none."""
    kind, _, rest = peer.partition(":")
    tag = _PEERS.get(kind)
    address, _, port = unquote(rest).rpartition(":")
    return {tag: address.strip("[]"), "peer.port": port} if tag and port.isdigit() else {}
