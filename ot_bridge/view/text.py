"""Prepares untrusted text for a terminal: escapes it, and measures and cuts it by terminal columns."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

#: Unicode categories of escaped characters: controls, formatting, surrogates, private and unassigned ones.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_NAMES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def harmless(text: str) -> str:
    """The text on one line, with control, formatting and bidirectional characters as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(each) if unicodedata.category(each) in _UNSEEN else each for each in text)


def _escaped(character: str) -> str:
    code = ord(character)
    known = _NAMES.get(character)
    return known or (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def value_text(value: Any) -> str:
    """An attribute's value as text: strings unchanged, `true`, `null`, bytes in hexadecimal, lists, maps."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {value_text(each)}" for key, each in value.items()) + "}"
    return str(value)


def width(text: str) -> int:
    """The columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, columns: int, mark: str) -> str:
    """The text in at most this number of columns. `mark` ends a text that was cut."""
    if width(text) <= columns:
        return text
    kept, used = [], width(mark)
    for character in text:
        used += _columns(character)
        if used > columns:
            break
        kept.append(character)
    return "".join(kept) + mark


def padded(text: str, columns: int, right: bool = False) -> str:
    """The text, filled with spaces to this number of columns."""
    space = " " * (columns - width(text))
    return space + text if right else text + space
