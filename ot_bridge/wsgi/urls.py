"""A request's URL as it may be exported: without user and password, and with secrets in the query replaced.

The URL is that of the environ, which the server or a `ProxyFix` has set (PEP 3333, "URL Reconstruction");
`X-Forwarded-*` headers are not read.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote_plus, urlsplit

from ot_bridge.wsgi.secrets import REDACTED, Secrets

# Characters that are not quoted in a host and path. "@" is quoted, because it may end a user and password.
_PLAIN: Final = r"[A-Za-z0-9\-._~/:\[\]!$&'()*+,;=]*"
_simple = re.compile(r"https?://[A-Za-z0-9\-._~:\[\]]+/[A-Za-z0-9\-._~/:!$&'()*+,;=]*").fullmatch
_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.\-]*://"
_PATH_SAFE: Final = "/~!$&'()*+,;=:@"
_QUERY_SAFE: Final = "/~!$&'()*+,;=:@?%[]"


def _absolute(environ: dict[str, Any]) -> SplitResult | None:
    """The request's target if it is a whole URL (RFC 9112, section 3.2.2), which some servers pass on."""
    target: str = environ.get("PATH_INFO", "")
    if target[:1] == "/" or not re.match(_SCHEME, target):
        return None
    try:
        return urlsplit(target)
    except ValueError:
        return None


def host(environ: dict[str, Any]) -> str:
    """Host and port that the client has sent, else the server's; without user, password and default port.

    A target that is a whole URL takes precedence over the `Host` header (RFC 9112, section 3.2.2).
    """
    absolute = _absolute(environ)
    named = environ.get("HTTP_HOST") if absolute is None else absolute.netloc
    if named:
        named = named.rpartition("@")[2]
    name, port = environ.get("SERVER_NAME") or "", str(environ.get("SERVER_PORT") or "")
    if not named and not (name and port.isdigit()):  # `get_host` would leave out a unix socket's name
        return name
    from werkzeug.sansio.utils import get_host  # not at the top: Werkzeug takes 70 ms to load

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
        if raw in ("", "*"):  # "OPTIONS *" has no path (RFC 9110, section 9.3.7)
            return ""
        raw = "/"
    if re.fullmatch(_PLAIN, raw):
        return raw
    try:
        return quote(raw.encode("latin-1"), safe=_PATH_SAFE)
    except UnicodeEncodeError:  # the server does not follow PEP 3333
        return quote(raw, safe=_PATH_SAFE, errors="replace")


def query(environ: dict[str, Any], secrets: Secrets) -> str:
    """`QUERY_STRING` with the values of sensitive parameters replaced; "" if there is none."""
    raw: str = environ.get("QUERY_STRING") or ""
    if not raw:
        return ""
    redacted = "&".join(_redacted(part, secrets) for part in raw.split("&"))
    return quote(redacted, safe=_QUERY_SAFE, errors="replace")


def _redacted(part: str, secrets: Secrets) -> str:
    """Replaces a secret in a part of the query.

    Some servers also separate parameters by ";". So a secret may begin after a ";", or may contain one.
    """
    kept: list[str] = []
    for pair in part.split(";"):
        name, equals, _ = pair.partition("=")
        if equals and unquote_plus(name) in secrets:
            kept.append(f"{name}={REDACTED}")
            break
        kept.append(pair)
    return ";".join(kept)


def url(environ: dict[str, Any]) -> str:
    """The request's scheme, host and path."""
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
