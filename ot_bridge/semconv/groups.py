"""The groups of names to translate: those of `install(semconv=...)`, else `OTEL_SEMCONV_STABILITY_OPT_IN`.

`opt_in()` returns the groups of the whole process. Exporters and the WSGI middleware call it.

Source: OpenTelemetry's migration guides for HTTP, databases and RPC. `X` translates the group X; `X/dup`
keeps the old names beside the new ones, and takes precedence over `X`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from ot_bridge.errors import ConfigurationError
from ot_bridge.variables import text

VARIABLE: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
GROUPS: Final = ("http", "database", "rpc")
_USUAL_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)

#: Group -> whether the old names stay beside the new ones.
OptIn: TypeAlias = Mapping[str, bool]


_installed: OptIn | None = None  # the argument of `install()`


def decide(semconv: str | None) -> None:
    """Sets the groups of the process to those of `install(semconv=...)`. None unsets them."""
    global _installed
    _installed = None if semconv is None else opt_in(semconv)


def opt_in(semconv: str | None = None) -> OptIn:
    """The groups in `semconv`; if that is None, those of `install()`, else of the variable. May be empty.

    The variable may contain words for other packages. In an argument, an unknown word raises
    ConfigurationError.
    """
    if semconv is None:
        return _read(_words(text(VARIABLE))) if _installed is None else _installed
    if not isinstance(semconv, str):
        raise ConfigurationError("semconv", semconv, f"expected a text, {_FORM}")
    words = list(_words(semconv))
    for word in words:
        if word.removesuffix("/dup") not in GROUPS:
            raise ConfigurationError("semconv", semconv, f"{word!r} is not known; expected {_FORM}")
    return _read(words)


_FORM: Final = f"a comma-separated list of {', '.join(GROUPS)}, each with or without /dup"


def _words(listed: str) -> Iterator[str]:
    return filter(None, ("".join(word.split()).lower() for word in listed.split(",")))


def _read(words: Iterator[str] | list[str]) -> OptIn:
    known = {*words}
    return {group: f"{group}/dup" in known for group in GROUPS if group in known or f"{group}/dup" in known}


def known_methods() -> frozenset[str]:
    """The methods that an attribute may name: those of `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`, which must
    list all of them, else the usual ones ("Semantic conventions for HTTP spans").
    """
    listed = os.environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "").split(",")
    return frozenset(filter(None, map(str.strip, listed))) or _USUAL_METHODS
