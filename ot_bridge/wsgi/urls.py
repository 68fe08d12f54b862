"""A request's URL as it may be exported: never with user info, and with a query only without its secrets.

The environ is read as the server, or a `ProxyFix` in front, has left it (PEP 3333, "URL Reconstruction");
`X-Forwarded-*` headers are not looked at.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote_plus, urlsplit

from ot_bridge.wsgi.secrets import REDACTED, Secrets

# What needs no quoting in a host and path; "@" does, for it may end a user's name and password.
_PLAIN: Final = r"[A-Za-z0-9\-._~/:\[\]!$&'()*+,;=]*"
_simple = re.compile(r"https?://[A-Za-z0-9\-._~:\[\]]+/[A-Za-z0-9\-._~/:!$&'()*+,;=]*").fullmatch
_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.\-]*://"
_PATH_SAFE: Final = "/~!$&'()*+,;=:@"
_QUERY_SAFE: Final = "/~!$&'()*+,;=:@?%[]"


def _absolute(environ: dict[str, Any]) -> SplitResult | None:
    """The request's target where it is a whole URL (RFC 9112, section 3.2.2), as some servers hand it on."""
    target: str = environ.get("PATH_INFO", "")
    if target[:1] == "/" or not re.match(_SCHEME, target):
        return None
    try:
        return urlsplit(target)
    except ValueError:
        return None


def host(environ: dict[str, Any]) -> str:
    """Host and port as the client named them, else the server's own; without user info and usual ports.

    A target that is a whole URL counts for more than the `Host` header (RFC 9112, section 3.2.2).
    """
    absolute = _absolute(environ)
    named = environ.get("HTTP_HOST") if absolute is None else absolute.netloc
    if named:
        named = named.rpartition("@")[2]
    name, port = environ.get("SERVER_NAME") or "", str(environ.get("SERVER_PORT") or "")
    if not named and not (name and port.isdigit()):  # Werkzeug leaves out a unix socket's name
        return name
    from werkzeug.sansio.utils import get_host  # here, since Werkzeug takes 70 ms to load

    try:
        if ":" in name and name[0] != "[":  # an IPv6 address, which Werkzeug before 2.3 leaves as it is
            name = f"[{name}]"
        server = name, int(port) if port.isdigit() else None
        found = get_host(environ.get("wsgi.url_scheme", "http"), named or None, server)
    except Exception:  # Werkzeug's SecurityError, depending on its version
        found = ""
    return quote(found or named or "", safe=":[]")


def raw_path(environ: dict[str, Any]) -> str:
    """`SCRIPT_NAME` and `PATH_INFO`, or the path of a target that is a whole URL; not quoted."""
    target: str = environ.get("PATH_INFO", "")
    if target[:1] != "/" and (absolute := _absolute(environ)) is not None:
        return absolute.path
    return environ.get("SCRIPT_NAME", "") + target  # type: ignore[no-any-return]


def path(environ: dict[str, Any]) -> str:
    """`raw_path`, quoted where it has to be. It begins with "/" or is empty."""
    raw = raw_path(environ)
    if raw[:1] != "/":
        if raw in ("", "*"):  # "OPTIONS *" is about no path (RFC 9110, section 9.3.7)
            return ""
        raw = "/"
    if re.fullmatch(_PLAIN, raw):
        return raw
    try:
        return quote(raw.encode("latin-1"), safe=_PATH_SAFE)
    except UnicodeEncodeError:  # a server that does not keep to PEP 3333
        return quote(raw, safe=_PATH_SAFE, errors="replace")


def query(environ: dict[str, Any], secrets: Secrets) -> str:
    """`QUERY_STRING` with the values of sensitive parameters replaced; "" if there is none."""
    raw: str = environ.get("QUERY_STRING") or ""
    if not raw:
        return ""
    redacted = "&".join(_redacted(part, secrets) for part in raw.split("&"))
    return quote(redacted, safe=_QUERY_SAFE, errors="replace")


def _redacted(part: str, secrets: Secrets) -> str:
    """A part of the query. Some servers separate by ";" too: a secret may begin there, or go on behind it."""
    kept: list[str] = []
    for pair in part.split(";"):
        name, equals, _ = pair.partition("=")
        if equals and unquote_plus(name) in secrets:
            kept.append(f"{name}={REDACTED}")
            break
        kept.append(pair)
    return ";".join(kept)


def url(environ: dict[str, Any]) -> str:
    """Scheme, host and path."""
    try:
        target = environ["PATH_INFO"]
        plain = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{environ['SCRIPT_NAME']}{target}"
        if target[:1] == "/" and _simple(plain):  # nearly every URL
            return plain
    except KeyError:
        pass
    absolute = _absolute(environ)
    scheme = environ.get("wsgi.url_scheme", "http") if absolute is None else absolute.scheme.lower()
    return f"{scheme}://{host(environ)}{path(environ)}"
