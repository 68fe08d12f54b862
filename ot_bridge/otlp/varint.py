"""Numbers and texts as protobuf writes them (protobuf.dev, "Encoding")."""

from __future__ import annotations

from typing import Final


def _long(number: int) -> bytes:
    if 1 << 14 <= number < 1 << 28:
        low, high = number & 127 | 128, number >> 7
        if high < 1 << 14:
            return bytes((low, high & 127 | 128, high >> 7))
        return bytes((low, high & 127 | 128, high >> 7 & 127 | 128, high >> 14))
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


#: The varints of small numbers. Nearly all lengths are small.
SHORT: Final = (
    *(bytes((n,)) for n in range(128)),
    *(bytes((n & 127 | 128, n >> 7)) for n in range(128, 1024)),
)


def varint(number: int) -> bytes:
    """The varint of a number of at most 64 bits that is not negative."""
    return SHORT[number] if number < 1024 else _long(number)


def utf8(text: str) -> bytes:
    """The text in UTF-8. A lone surrogate becomes `?`."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def sized(content: bytes) -> bytes:
    """The length of a content (text, bytes or message), followed by the content."""
    return varint(len(content)) + content


def text(value: object) -> bytes:
    """The length of a text, followed by the text. Another value is converted by `str`, which may raise."""
    return sized(utf8(str.__str__(value) if isinstance(value, str) else str(value)))
