"""The tags of a request's span, by the names of OpenTracing's "Semantic Conventions".

If `OTEL_SEMCONV_STABILITY_OPT_IN` selects OpenTelemetry's names, `ot_bridge.semconv` replaces the tags when
spans are exported. Then tags for which OpenTracing has no name are added here as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from ot_bridge.bridge import convert
from ot_bridge.semconv.groups import known_methods
from ot_bridge.wsgi import urls
from ot_bridge.wsgi.secrets import REDACTED, Secrets

Environ: TypeAlias = dict[str, Any]
Tags: TypeAlias = dict[str, Any]

#: Methods that a span's name may contain. With others, a client could cause any number of names.
METHODS: Final = known_methods()

_MAX_TEXT: Final = convert.MAX_TEXT
_MOST_DIGITS: Final = 5  # maximum number of digits of a port
_LONGEST_ADDRESS: Final = 100  # maximum length of an IP address with a zone
#: A peer's address -> the name of its tag. The number of entries is bounded, the number of clients is not.
_PEERS: Final[dict[Any, str]] = {}
_MOST_PEERS: Final = 1024


def describe(tags: Tags, environ: Environ, query: str) -> None:
    """Adds the tags of a request. Their values need no cleaning by `ot_bridge.bridge.convert`."""
    method = environ.get("REQUEST_METHOD", "")
    tags["http.method"] = method if method in METHODS else convert.attribute(method)
    url = urls.url(environ)
    if query:
        url = f"{url}?{query}"
    tags["http.url"] = url if len(url) <= _MAX_TEXT and url.isascii() else convert.text(url)
    address = environ.get("REMOTE_ADDR")
    peer = _PEERS.get(address)
    if peer is None:
        peer = _peer(address)
    if peer:
        tags[peer] = address
        port = environ.get("REMOTE_PORT")
        if type(port) is int or (type(port) is str and port.isdecimal() and len(port) <= _MOST_DIGITS):
            tags["peer.port"] = convert.attribute(port) if type(port) is int else int(port)


def _peer(address: Any) -> str:
    """The name of the tag for a peer's address; "" if it is no IP address. Remembers some results."""
    if type(address) is not str or not address.isascii() or len(address) > _LONGEST_ADDRESS:
        return ""
    is_address = ":" in address or address.replace(".", "").isdigit()  # `_address` decides by the same rule
    tag = ("peer.ipv6" if ":" in address else "peer.ipv4") if is_address else ""
    if len(_PEERS) < _MOST_PEERS:
        _PEERS[address] = tag
    return tag


def describe_more(tags: Tags, environ: Environ) -> None:
    """Adds tags for which OpenTelemetry has names and OpenTracing has none."""
    version = (environ.get("SERVER_PROTOCOL") or "").partition("HTTP/")[2]
    if version:
        tags["network.protocol.version"] = version
    # ProxyFix sets REMOTE_ADDR to the client's address, and keeps the address of the connection here.
    connected = environ.get("werkzeug.proxy_fix.orig")
    if connected:
        tags.update({"network.peer.address": _address(connected), "client.address": _address(environ)})


def _address(environ: Environ) -> str:
    """The peer's IP address; "" for a unix socket, for which servers write "localhost" or nothing."""
    address: str = environ.get("REMOTE_ADDR") or ""
    return address if ":" in address or address.replace(".", "").isdigit() else ""


@lru_cache(256)  # a program has few different status lines
def status_code(status: object) -> int | None:
    """The number in a WSGI status line; None if there is no number. A line may be a number alone ("200")."""
    try:
        code = int(status[:3])  # type: ignore[index]
    except (TypeError, ValueError):
        return None
    return code if 100 <= code <= 999 else None


class HeaderTags:
    """Makes tags of the named request and response headers. The values of sensitive headers are replaced.

    lists: whether a tag's value is a list of texts; if not, several texts are joined by commas.
    """

    def __init__(self, names: tuple[str, ...], secrets: Secrets, lists: bool) -> None:
        # Imported here, because Werkzeug takes 70 ms to load and few programs capture headers.
        from werkzeug.datastructures import EnvironHeaders, Headers

        self._received: Callable[[Environ], Any] = EnvironHeaders
        self._sent: Callable[[list[tuple[str, str]]], Any] = Headers
        self._names = tuple(dict.fromkeys(name.lower() for name in names))
        self._hidden = frozenset(name for name in self._names if name in secrets)
        self._lists = lists

    def request(self, environ: Environ) -> Tags:
        """The tags for the headers of the request."""
        headers = self._received(environ)
        return self._tags("request", lambda name: [headers.get(name)])

    def response(self, headers: list[tuple[str, str]]) -> Tags:
        """The tags for the headers of the response."""
        return self._tags("response", self._sent(headers).getlist)

    def _tags(self, direction: str, read: Callable[[str], list[Any]]) -> Tags:
        tags: Tags = {}
        for name in self._names:
            values = [value for value in read(name) if value]
            if values:
                tagged = [REDACTED] * len(values) if name in self._hidden else values
                tags[f"http.{direction}.header.{name}"] = tagged if self._lists else ", ".join(tagged)
        return tags
