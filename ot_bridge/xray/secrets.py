"""Removes secrets from URLs and connection strings, for every part of a segment document.

1. It applies to attributes whose names end as in `_NAMES` (`db.connection_string`, `http.url`,
   `messaging.url`, `peer.address` ...), of the span, its events, its links and its resource, in every part of
   the document: http, sql, aws, metadata and annotations. Other text is not changed.
2. User and password before a host are left out: `mysql://me:pw@db` -> `mysql://db`.
3. The value of a key that names a secret becomes `REDACTED`, in any spelling and with any words around it:
   `Pwd=`, `PASSWORD = `, `Jet OLEDB:Database Password=`, `sslpassword=`, `?access_token=`.
4. Ambiguous text is left out, because a password may contain `@`, `/` or `;`, depending on the form.

The forms: .NET's and ODBC's `key=value;`, a URL's `?key=value&`, libpq's `key=value key=value`; values in
single or double quotes, or ODBC's braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "REDACTED"

_NAMES = re.compile(
    r"(?:^|[._-])(?:connection[._-]?string|dsn|ur[li]|url\.(?:full|original|query)|peer\.address|target"
    r"|referer|location)$",
    re.IGNORECASE,
)
_WORDS = (
    r"(?:pass(?:w(?:or)?d|phrase|code)|pwd|secret|token|credential|signature"
    r"|(?:api|access|account|shared|private|access[ _-]?account)[ _-]?key(?:id)?)"
)
_WHOLE = r"(?:pass|pw|sig|key)"
_QUOTED = r""""(?:[^"]|"")*"|'(?:[^'\\]|''|\\.)*'|\{(?:[^}]|\}\})*\}"""


def _form(before: str, inside: str, value: str, after: str) -> re.Pattern[str]:
    """The pattern of a pair whose key names a secret. inside: a key's character. after: follows a value."""
    # The bounds limit the time for long texts.
    key = rf"{inside}{{0,60}}?{_WORDS}{inside}{{0,60}}?|\s{{0,9}}{_WHOLE}\s{{0,9}}"
    quoted = rf"\s{{0,9}}(?:{_QUOTED})(?=\s{{0,9}}(?:{after}))"
    return re.compile(rf"((?:{before})(?:{key})=)(?:{quoted}|{value})", re.IGNORECASE | re.DOTALL)


_SEMICOLONS = _form("^|;", "[^=;]", "[^;]*", ";|$")
_QUERY = _form(r"^|[?&;]", "[^=&?#;]", "[^&#]*", "[&#]|$")
_BLANKS = _form(r"^|(?<=\s)", r"[\w.\- ]", r".*?(?=\s[\w.\-]{1,60}\s{0,9}=|$)", r"\s|$")

# The last alternative is for a password with a slash. The text after the colon shows that it is not a port.
_IN_URL = re.compile(r"(?<=://)(?:[^/?#\s]*@|[^\[/?#@\s:]*:(?!\d+(?:[,/?#]|$))[^\s]*@)", re.IGNORECASE)
# Go's `me:pw@tcp(db:3306)/shop`, Oracle's `jdbc:oracle:thin:me/pw@//db`, and the plain `me:pw@db`.
_BARE = re.compile(r"^(jdbc:\w+:(?:\w+:)?|)[^\s:/@;=?&]+[:/][^\s;]*@")


def without_secrets(text: str) -> str:
    """A URL or a connection string without user, password and other secrets."""
    if "@" in text:
        text = _IN_URL.sub("", text) if "://" in text else _BARE.sub(r"\1", text)
    if "=" not in text:
        return text
    return _form_of(text).sub(rf"\1{REDACTED}", text)


def _form_of(text: str) -> re.Pattern[str]:
    query, semicolon = text.find("?"), text.find(";")
    if query >= 0 and (semicolon < 0 or query < semicolon):
        return _QUERY
    if semicolon >= 0:
        return _SEMICOLONS
    return _QUERY if "&" in text else _BLANKS


def cleaned(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """These attributes, without the secrets in URLs and connection strings."""
    return {
        name: _clean(value) if _NAMES.search(name) else value for name, value in (attributes or {}).items()
    }


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, (list, tuple)):
        return tuple(without_secrets(item) if isinstance(item, str) else item for item in value)
    return value
