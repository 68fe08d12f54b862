"""Names of query parameters and headers whose values never leave the process."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

REDACTED: Final = "REDACTED"

SENSITIVE: Final = (
    "access_token", "api_key", "auth", "AWSAccessKeyId", "client_secret", "code", "id_token", "jwt", "key",
    "pass", "passwd", "password", "pwd", "refresh_token", "secret", "session", "sig", "signature", "token",
    "X-Amz-Credential", "X-Amz-Security-Token", "X-Amz-Signature", "X-Goog-Credential", "X-Goog-Signature",
    "Authorization", "Cookie", "Proxy-Authorization", "Set-Cookie", "X-API-Key", "X-Auth-Token",
    "X-CSRF-Token",
)  # fmt: skip

_BETWEEN_WORDS: Final = r"[^\w\-]+"


class Secrets:
    """Decides which names are sensitive: those in `SENSITIVE`, and `more`.

    Names are compared without case and punctuation. Each word between punctuation is compared as well, so
    that `user[password]`, `token[]` and `$token` are sensitive.
    """

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._names = frozenset(map(_plain, (*SENSITIVE, *more)))

    def __contains__(self, name: str) -> bool:
        parts = re.split(_BETWEEN_WORDS, name)
        return not self._names.isdisjoint(map(_plain, (*parts, "".join(parts))))


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "").replace("_", "")
