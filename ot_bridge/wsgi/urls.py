"""A request's URL as it may be exported: no user info ever, and a query only with its secrets taken out.

Reads the environ as the server, or a `ProxyFix` in front, left it (PEP 3333, "URL Reconstruction");
`X-Forwarded-*` headers are nothing to go by here.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote, unquote_plus, urlsplit

REDACTED: Final = "REDACTED"

#: Names of query parameters and headers whose values never leave the process, in lower case.
SENSITIVE: Final = frozenset(
    {
        "access_token", "api_key", "apikey", "auth", "awsaccesskeyid", "client_secret", "code", "id_token",
        "jwt", "key", "pass", "passwd", "password", "pwd", "refresh_token", "secret", "session", "sig",
        "signature", "token", "x-amz-credential", "x-amz-security-token", "x-amz-signature",
        "x-goog-credential", "x-goog-signature",
        "authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "x-auth-token",
        "x-csrf-token", "x-csrftoken",
    }
)  # fmt: skip

# What needs no quoting in a host and path; "@" does, for it may end a user's name and password.
_plain = re.compile(r"[A-Za-z0-9\-._~/:\[\]!$&'()*+,;=]*").fullmatch
_simple = re.compile(r"https?://[A-Za-z0-9\-._~:\[\]]+/[A-Za-z0-9\-._~/:!$&'()*+,;=]*").fullmatch
_PATH_SAFE: Final = "/~!$&'()*+,;=:@"
_QUERY_SAFE: Final = "/~!$&'()*+,;=:@?%[]"
_DEFAULT_PORTS: Final = {("http", "80"), ("https", "443")}


def host(environ: dict[str, Any]) -> str:
    """Host and port as the client named them, or the server's own; without user info."""
    named: str = environ.get("HTTP_HOST") or _server(environ)
    if not _plain(named):
        named = quote(named.rpartition("@")[2], safe=":[]")
    return named


def _server(environ: dict[str, Any]) -> str:
    name, port = environ.get("SERVER_NAME") or "", environ.get("SERVER_PORT") or ""
    if (environ.get("wsgi.url_scheme"), port) in _DEFAULT_PORTS or not port.isdigit():
        return name
    return f"{name}:{port}"


def path(environ: dict[str, Any]) -> str:
    """`SCRIPT_NAME` and `PATH_INFO`, quoted again where they have to be."""
    raw: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return raw if raw[:1] == "/" and _plain(raw) else _quoted_path(raw)


def _quoted_path(raw: str) -> str:
    if raw in ("", "*"):  # "OPTIONS *" is about no path (RFC 9110, section 7.1)
        return ""
    if raw[0] != "/":
        # Servers there are that hand on the whole URL of a request line that has one.
        raw = "/" + raw.partition("://")[2].partition("/")[2].partition("?")[0]
    try:
        return quote(raw.encode("latin-1"), safe=_PATH_SAFE)
    except UnicodeEncodeError:  # a server that does not keep to PEP 3333
        return quote(raw, safe=_PATH_SAFE, errors="replace")


def query(environ: dict[str, Any], redact: frozenset[str]) -> str:
    """`QUERY_STRING` with the values of the parameters in `redact` replaced; "" if there is none."""
    raw: str = environ.get("QUERY_STRING") or ""
    if not raw:
        return ""
    pairs = (_parameter(pair, redact) for pair in raw.split("&"))
    return quote("&".join(pairs), safe=_QUERY_SAFE, errors="replace")


def _parameter(pair: str, redact: frozenset[str]) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={REDACTED}" if equals and unquote_plus(name).lower() in redact else pair


def url(environ: dict[str, Any]) -> str:
    """Scheme, host and path."""
    try:
        scheme = environ["wsgi.url_scheme"]
        plain = f"{scheme}://{environ['HTTP_HOST']}{environ['SCRIPT_NAME']}{environ['PATH_INFO']}"
        if _simple(plain):  # nearly every URL
            return plain
    except KeyError:
        pass
    return f"{environ.get('wsgi.url_scheme', 'http')}://{host(environ)}{path(environ)}"


def split_host(named: str) -> tuple[str, int | None]:
    """Host name and port of "name:port" or "[address]:port"; None if there is no port."""
    try:
        parts = urlsplit(f"//{named}")
        return parts.hostname or "", parts.port
    except ValueError:
        return named, None
