"""Encodes segment documents, and trims those that are too large for X-Ray.

A trimmed document lists the parts that were left out, in `metadata.default["ot_bridge.trimmed"]`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

# X-Ray accepts 64 kB, which is also the maximum of a UDP datagram with the daemon's header.
LARGEST = 64_000

Document = dict[str, Any]


def encoded(document: Mapping[str, Any]) -> bytes:
    """The document as JSON in UTF-8. Values that JSON does not have (NaN, bytes) become text."""
    try:
        return _dumped(document)
    except ValueError:
        return _dumped(_encodable(document))


def trimmed(document: Document, largest: int = LARGEST) -> bytes:
    """`encoded(document)` in at most `largest` bytes. Metadata is left out first, then stack frames."""
    data = encoded(document)
    done: list[str] = []
    for what, step in _STEPS:
        if len(data) <= largest:
            break
        before, document = document, step(document)
        if document != before:
            done.append(what)
            data = encoded(_with_note(document, done))
    return data


def _dumped(document: Any) -> bytes:
    return json.dumps(
        document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
    ).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_encodable(str(key)): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _with_note(document: Document, done: list[str]) -> Document:
    metadata = document.get("metadata", {})
    default = {**metadata.get("default", {}), "ot_bridge.trimmed": done}
    return {**document, "metadata": {**metadata, "default": default}}


def _shorter_metadata(longest: int) -> Callable[[Document], Document]:
    def step(document: Document) -> Document:
        default = document.get("metadata", {}).get("default")
        if not default:
            return document
        short = {key: _cut(value, longest) for key, value in default.items()}
        return {**document, "metadata": {"default": short}}

    return step


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else encoded({"": value})[4:-1].decode()
    return value if len(text) <= longest else f"{text[:longest]}..."


def _fewer_frames(most: int) -> Callable[[Document], Document]:
    def shorten(exception: Document) -> Document:
        stack = exception.get("stack", [])
        gone = len(stack) - most
        if gone <= 0:
            return exception
        return {**exception, "stack": stack[:most], "truncated": exception.get("truncated", 0) + gone}

    return _each_exception(shorten)


def _shorter_messages(longest: int) -> Callable[[Document], Document]:
    return _each_exception(
        lambda exception: {
            key: value[:longest] if isinstance(value, str) else value for key, value in exception.items()
        }
    )


def _each_exception(change: Callable[[Document], Document]) -> Callable[[Document], Document]:
    def step(document: Document) -> Document:
        exceptions = document.get("cause", {}).get("exceptions")
        if not exceptions:
            return document
        return {**document, "cause": {"exceptions": [change(exception) for exception in exceptions]}}

    return step


def _shorter_query(document: Document) -> Document:
    sql = document.get("sql", {})
    return {**document, "sql": {key: value[:1000] for key, value in sql.items()}} if sql else document


def _without(*parts: str) -> Callable[[Document], Document]:
    return lambda document: {key: part for key, part in document.items() if key not in parts}


_STEPS: tuple[tuple[str, Callable[[Document], Document]], ...] = (
    ("metadata above 1000 characters", _shorter_metadata(1000)),
    ("metadata above 100 characters", _shorter_metadata(100)),
    ("metadata", _without("metadata")),
    ("stack frames beyond 20", _fewer_frames(20)),
    ("stack frames", _fewer_frames(0)),
    ("long messages", _shorter_messages(1000)),
    ("long queries", _shorter_query),
    ("links", _without("links")),
    ("exceptions", _without("cause")),
    ("annotations", _without("annotations")),
    ("http, aws, sql", _without("http", "aws", "sql", "user", "service")),
)
