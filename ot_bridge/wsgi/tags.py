"""What a request's span says: OpenTracing's tag names, OpenTelemetry's, or both.

Sources: OpenTracing "Semantic Conventions"; OpenTelemetry "Semantic conventions for HTTP spans".
`OTEL_SEMCONV_STABILITY_OPT_IN` chooses, as for every other HTTP instrumentation: `http` for
OpenTelemetry's names, `http/dup` for both, anything else for OpenTracing's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from ot_bridge.wsgi import urls

Environ: TypeAlias = dict[str, Any]
Tags: TypeAlias = dict[str, Any]


def known_methods(text: str) -> frozenset[str]:
    """The methods in `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`, in place of the usual ones; case counts."""
    return frozenset(filter(None, map(str.strip, text.split(",")))) or _USUAL_METHODS


_USUAL_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
#: Methods that may stand in a span's name; any other would let a client make up names without end.
METHODS: Final = known_methods(os.environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", ""))


def _opentracing(tags: Tags, environ: Environ, query: str) -> None:
    tags["http.method"] = environ.get("REQUEST_METHOD", "")
    tags["http.url"] = f"{urls.url(environ)}?{query}" if query else urls.url(environ)
    address = environ.get("REMOTE_ADDR")
    if address:
        tags["peer.ipv6" if ":" in address else "peer.ipv4"] = address
        port = environ.get("REMOTE_PORT")
        if port:
            tags["peer.port"] = port if type(port) is int else int(port) if port.isdigit() else port


def _opentelemetry(tags: Tags, environ: Environ, query: str) -> None:
    method = environ.get("REQUEST_METHOD", "")
    tags["http.request.method"] = method if method in METHODS else "_OTHER"
    if method not in METHODS:
        tags["http.request.method_original"] = method
    tags["url.scheme"] = environ.get("wsgi.url_scheme", "http")
    tags["url.path"] = urls.path(environ)
    if query:
        tags["url.query"] = query
    tags["server.address"], port = urls.split_host(urls.host(environ))
    _put(tags, "server.port", port)
    protocol = environ.get("SERVER_PROTOCOL") or ""
    _put(tags, "network.protocol.version", protocol.partition("HTTP/")[2])
    client = environ.get("REMOTE_ADDR")
    _put(tags, "client.address", client)
    # ProxyFix keeps the address that really connected.
    _put(tags, "network.peer.address", environ.get("werkzeug.proxy_fix.orig", environ).get("REMOTE_ADDR"))


def _put(tags: Tags, name: str, value: object) -> None:
    if value:
        tags[name] = value


Describe: TypeAlias = Callable[[Tags, Environ, str], None]


def _both(tags: Tags, environ: Environ, query: str) -> None:
    _opentracing(tags, environ, query)
    _opentelemetry(tags, environ, query)


@dataclass(frozen=True, slots=True)
class Convention:
    """One choice of names. `describe` fills in a request's tags; the others name what is known later."""

    describe: Describe
    status: tuple[str, ...]
    route: str | None = None
    error_type: str | None = None


#: By the words that `OTEL_SEMCONV_STABILITY_OPT_IN` may hold.
CONVENTIONS: Final[Mapping[str, Convention]] = {
    "http/dup": Convention(
        _both, ("http.status_code", "http.response.status_code"), "http.route", "error.type"
    ),
    "http": Convention(_opentelemetry, ("http.response.status_code",), "http.route", "error.type"),
    "": Convention(_opentracing, ("http.status_code",)),
}


def convention(opt_in: str) -> Convention:
    """The convention that the environment variable's value asks for."""
    words = {word.strip() for word in opt_in.lower().split(",")}
    return next(CONVENTIONS[word] for word in CONVENTIONS if word in words or not word)


@lru_cache(256)  # there are few status lines in a program
def status_code(status: object) -> int | None:
    """The number in a WSGI status line; None if there is none ("200" alone is one)."""
    try:
        code = int(status[:3])  # type: ignore[index]
    except (TypeError, ValueError):
        return None
    return code if 100 <= code <= 999 else None


class HeaderTags:
    """Tags for the request and response headers that were named, with sensitive ones blotted out."""

    def __init__(self, names: tuple[str, ...], redact: frozenset[str]) -> None:
        names = tuple(dict.fromkeys(name.lower() for name in names))
        self._redact = redact
        self._request = [(_environ_key(name), f"http.request.header.{name}", name) for name in names]
        self._response = {name: f"http.response.header.{name}" for name in names}

    def request(self, tags: Tags, environ: Environ) -> None:
        """Adds those that came in to `tags`."""
        for key, tag, name in self._request:
            value = environ.get(key)
            if value:
                tags[tag] = urls.REDACTED if name in self._redact else value

    def response(self, headers: list[tuple[str, str]]) -> Tags:
        """Those that go out; several of one name are joined by a comma."""
        tags: Tags = {}
        for header, value in headers:
            name = header.lower()
            tag = self._response.get(name)
            if tag is not None:
                shown = urls.REDACTED if name in self._redact else value
                tags[tag] = f"{tags[tag]}, {shown}" if tag in tags else shown
        return tags


def header_tags(names: tuple[str, ...], redact: frozenset[str]) -> HeaderTags | None:
    """None if no header is named."""
    return HeaderTags(names, redact) if names else None


def _environ_key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
