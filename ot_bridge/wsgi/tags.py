"""The tags of a request's span, by the names of OpenTracing's "Semantic Conventions".

OpenTelemetry's names take their place when spans are exported (`ot_bridge.semconv`), where
`OTEL_SEMCONV_STABILITY_OPT_IN` selects them. Values without a name in OpenTracing are tagged here then.
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

#: Methods that may stand in a span's name; any other would let a client make up names without end.
METHODS: Final = known_methods()

_MAX_TEXT: Final = convert.MAX_TEXT
_MOST_DIGITS: Final = 5  # of a port
_LONGEST_ADDRESS: Final = 100  # with a zone
#: The tag of a peer's address. Clients may be without end, proxies are few.
_PEERS: Final[dict[Any, str]] = {}
_MOST_PEERS: Final = 1024


def describe(tags: Tags, environ: Environ, query: str) -> None:
    """Adds the tags of a request, with values that `ot_bridge.bridge.convert` would leave as they are."""
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
    """The tag for a peer's address; "" for what is none. Results are remembered, up to a bound."""
    if type(address) is not str or not address.isascii() or len(address) > _LONGEST_ADDRESS:
        return ""
    is_address = ":" in address or address.replace(".", "").isdigit()  # as `_address` has it
    tag = ("peer.ipv6" if ":" in address else "peer.ipv4") if is_address else ""
    if len(_PEERS) < _MOST_PEERS:
        _PEERS[address] = tag
    return tag


def describe_more(tags: Tags, environ: Environ) -> None:
    """Adds what OpenTelemetry names and OpenTracing does not."""
    version = (environ.get("SERVER_PROTOCOL") or "").partition("HTTP/")[2]
    if version:
        tags["network.protocol.version"] = version
    # ProxyFix keeps the address that really connected; `peer.ipv4` has that of the client then.
    connected = environ.get("werkzeug.proxy_fix.orig")
    if connected:
        tags.update({"network.peer.address": _address(connected), "client.address": _address(environ)})


def _address(environ: Environ) -> str:
    """The peer's IP address. For a unix socket, where servers give "localhost" or nothing, it is ""."""
    address: str = environ.get("REMOTE_ADDR") or ""
    return address if ":" in address or address.replace(".", "").isdigit() else ""


@lru_cache(256)  # there are few status lines in a program
def status_code(status: object) -> int | None:
    """The number in a WSGI status line; None if there is none ("200" alone is one)."""
    try:
        code = int(status[:3])  # type: ignore[index]
    except (TypeError, ValueError):
        return None
    return code if 100 <= code <= 999 else None


class HeaderTags:
    """Tags for the request and response headers that were named, without the values of sensitive ones.

    lists: whether the value of a tag is a list of texts, else several are joined by commas.
    """

    def __init__(self, names: tuple[str, ...], secrets: Secrets, lists: bool) -> None:
        # Here, since Werkzeug takes 70 ms to load and few programs capture headers.
        from werkzeug.datastructures import EnvironHeaders, Headers

        self._received: Callable[[Environ], Any] = EnvironHeaders
        self._sent: Callable[[list[tuple[str, str]]], Any] = Headers
        self._names = tuple(dict.fromkeys(name.lower() for name in names))
        self._hidden = frozenset(name for name in self._names if name in secrets)
        self._lists = lists

    def request(self, environ: Environ) -> Tags:
        """The tags for those that came in."""
        headers = self._received(environ)
        return self._tags("request", lambda name: [headers.get(name)])

    def response(self, headers: list[tuple[str, str]]) -> Tags:
        """The tags for those that go out."""
        return self._tags("response", self._sent(headers).getlist)

    def _tags(self, direction: str, read: Callable[[str], list[Any]]) -> Tags:
        tags: Tags = {}
        for name in self._names:
            values = [value for value in read(name) if value]
            if values:
                tagged = [REDACTED] * len(values) if name in self._hidden else values
                tags[f"http.{direction}.header.{name}"] = tagged if self._lists else ", ".join(tagged)
        return tags
