"""Names for parametrized cases that are the same in every run, so that several processes agree on them."""

from __future__ import annotations

import re


def param_id(value: object) -> str:
    """`repr(value)` without addresses, and with sets in order."""
    text = f"{{{', '.join(sorted(map(repr, value)))}}}" if isinstance(value, set | frozenset) else repr(value)
    return re.sub(r" at 0x[0-9a-f]+", "", text)
