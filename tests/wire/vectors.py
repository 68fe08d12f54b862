"""The vectors in tests/vectors: headers, and what they mean or why they are refused.

A file has `format` (the name in `FORMATS`), `about`, `can` and `cases`. `can` lists which of "open" (a
decision that is left open), "debug" and "baggage" the headers can say.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ot_bridge.wire import Remote

FOLDER = Path(__file__).parent.parent / "vectors"


class Vector(NamedTuple):
    """One case: `remote` is the content of the headers (None for none), unless they are `refused`."""

    format: str
    headers: dict[str, Any]
    remote: Remote | None
    refused: tuple[str, int | None] | None


def documents() -> list[dict[str, Any]]:
    """The files."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))]


def load() -> list[Any]:
    """All cases, as pytest parameters."""
    parameters = []
    for document in documents():
        for case in document["cases"]:
            name = f"{document['format']}: {case['id']}"
            parameters.append(pytest.param(_vector(document["format"], case), id=name))
    return parameters


def _vector(name: str, case: dict[str, Any]) -> Vector:
    headers = {key: _value(value) for key, value in case["headers"].items()}
    if "refused" in case:
        return Vector(name, headers, None, (case["refused"]["header"], case["refused"]["position"]))
    return Vector(name, headers, remote_of(case["remote"]), None)


def _value(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def remote_of(fields: dict[str, Any] | None) -> Remote | None:
    """A `Remote` from its short form: ids in hex, defaults left out."""
    if fields is None:
        return None
    ids: dict[str, Any] = {
        f"{part}_id": int(fields[part], 16) for part in ("trace", "span", "parent") if part in fields
    }
    rest = {name: value for name, value in fields.items() if name not in ("trace", "span", "parent")}
    return Remote(**ids, **rest)
