"""Finds the reason why a span was not delivered, and the setting that fixes it.

Both follow from the response at the address and from the exporter's log lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from ot_bridge.cli.checkup import addresses
from ot_bridge.cli.checkup.addresses import CLOSED, HTTP, HTTP2, MUTE, REFUSED, SILENT, TLS, UNKNOWN

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_CERTIFICATE: Final = "OTEL_EXPORTER_OTLP_CERTIFICATE"
_HEADERS: Final = "OTEL_EXPORTER_OTLP_HEADERS"


class Reason(NamedTuple):
    """Why a span was not delivered. mend: the line that fixes it, "" if none is known."""

    text: str
    mend: str = ""


class Address(NamedTuple):
    """The address that an exporter sends to. grpc: by gRPC, else over HTTP/1.1."""

    host: str
    port: int
    secure: bool
    grpc: bool

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def at(self, port: int, scheme: str = "http") -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{_ENDPOINT}={scheme}://{host}:{port}"


def address_of(url: str, grpc: bool) -> Address | None:
    """The address in an endpoint, or None if it has none."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or (4317 if grpc else 443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    return Address(parts.hostname, port, parts.scheme == "https", grpc) if parts.hostname else None


def reason(address: Address | None, logged: str) -> Reason:
    """The reason. logged: the exporter's log lines."""
    found = addresses.probe(address.host, address.port) if address else ""
    if address and (known := _at_the_address(address, found)):
        return known
    for pattern, text, mend in _LOGGED:
        match = re.search(pattern, logged, re.IGNORECASE)
        if match:
            return Reason(text.format(*match.groups(), where=address.authority if address else "it"), mend)
    if address and found == CLOSED:
        return Reason(f"{address.authority} closes the connection without an answer: it is no collector")
    return Reason(logged or "the exporter gives no reason")


def _at_the_address(address: Address, found: str) -> Reason | None:
    where, local = address.authority, address.host in ("localhost", "127.0.0.1", "::1")
    unreachable: Mapping[str, Reason] = {
        REFUSED: Reason(
            f"nothing listens at {where}: the connection was refused",
            "ot-bridge view    shows spans on this machine; a collector somewhere else: "
            + _ENDPOINT
            + "=http://HOST:4318"
            if local
            else f"{_ENDPOINT}=http://HOST:{address.port}, with the host on which the collector runs",
        ),
        UNKNOWN: Reason(
            f"there is no host {address.host}: its name cannot be resolved",
            f"{_ENDPOINT}=http://HOST:{address.port}",
        ),
        SILENT: Reason(
            f"{where} cannot be reached: a firewall, no route, or a host that is off",
            f"{_ENDPOINT}=http://HOST:{address.port}",
        ),
        MUTE: Reason(
            f"{where} takes the connection and answers nothing in time: it hangs, or is no collector"
        ),
    }
    if found in unreachable:
        return unreachable[found]
    return _other_protocol(address, found)


def _other_protocol(address: Address, found: str) -> Reason | None:
    where = address.authority
    if address.secure and found in (HTTP, HTTP2):
        return Reason(f"{where} does not speak TLS, and the endpoint is https://", address.at(address.port))
    if not address.secure and found == TLS:
        return Reason(f"{where} speaks TLS, and the endpoint is http://", address.at(address.port, "https"))
    if found == HTTP2 and not address.grpc:
        return Reason(
            f"{where} answers in HTTP/2, as gRPC does; this exporter speaks HTTP/1.1",
            f"{address.at(4318)}      (or OTEL_EXPORTER_OTLP_PROTOCOL=grpc)",
        )
    if found == HTTP and address.grpc:
        return Reason(
            f"{where} answers in HTTP/1.1; this exporter speaks gRPC, in HTTP/2",
            f"{address.at(4317)}      (or OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf)",
        )
    return None


#: A pattern in the exporter's message -> the reason, and the line that fixes it.
_LOGGED: Final[tuple[tuple[str, str, str], ...]] = (
    (
        r"self.signed|unable to get (?:local )?issuer",
        "{where} shows a certificate of an issuer that this machine does not know",
        f"{_CERTIFICATE}=/path/to/the/issuer.pem",
    ),
    (
        r"(hostname mismatch|IP address mismatch)",
        "{where} shows a certificate for another name ({0})",
        f"{_ENDPOINT}=https://THE-NAME-IN-THE-CERTIFICATE",
    ),
    (r"certificate (has expired|is not yet valid)", "the certificate of {where} {0}", "renew it there"),
    (
        r"certificate.required|handshake.failure|bad.certificate",
        "{where} wants a certificate of the client",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=… and OTEL_EXPORTER_OTLP_CLIENT_KEY=…",
    ),
    (
        r"HTTP (401|403)\b",
        "{where} refuses the sender (HTTP {0}): a header or token is missing or wrong",
        f"{_HEADERS}=name=value",
    ),
    (
        r"HTTP 404\b",
        "{where} takes no spans at this path (HTTP 404): the path is doubled, missing, or another one",
        f"{_ENDPOINT}=http://HOST:4318, without a path (_TRACES_ENDPOINT: with all of it)",
    ),
    (r"HTTP 405\b", "{where} takes no POST at this path (HTTP 405)", f"{_ENDPOINT}=http://HOST:4318"),
    (
        r"HTTP 413\b|too large",
        "{where} takes no request of this size (HTTP 413)",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=64",
    ),
    (
        r"HTTP 415\b",
        "{where} does not take this encoding (HTTP 415)",
        "OTEL_EXPORTER_OTLP_PROTOCOL=http/json, or OTEL_EXPORTER_OTLP_COMPRESSION=none",
    ),
    (
        r"HTTP (429|503)\b",
        "{where} is overloaded (HTTP {0}) and asks to try again later",
        "try again later, or sample less",
    ),
    (
        r"HTTP (3\d\d)\b",
        "{where} sends elsewhere (HTTP {0}), and redirects are not followed",
        f"{_ENDPOINT}=the address that it leads to",
    ),
    (
        r"HTTP (2\d\d), but a web page",
        "a web page came back from {where} (HTTP {0}): no collector is there",
        f"{_ENDPOINT}=http://HOST:4318",
    ),
    (
        r"rejected them: (.*)",
        "{where} took the request and rejected the span: {0}",
        "its message says what to change",
    ),
    (
        r"UNIMPLEMENTED",
        "{where} speaks gRPC, and has no service for spans (UNIMPLEMENTED)",
        f"{_ENDPOINT}=http://HOST:4317",
    ),
    (
        r"UNAUTHENTICATED|PERMISSION_DENIED",
        "{where} refuses the sender: a header or token is missing or wrong",
        f"{_HEADERS}=name=value",
    ),
    (r"(HTTP \d\d\d.*)", "{where} answers {0}", ""),
)
