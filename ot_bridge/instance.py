"""`dict_of`: the `__dict__` of an object that several threads may use.

In CPython 3.11 the first access to an object's `__dict__` makes a dictionary of its values, which may start a
garbage collection. Python code that runs then is a finalizer, a callback of `gc`, or another thread. If it
accesses the same `__dict__`, there are two dictionaries with the same values, and the interpreter crashes
later (tests/test_instance.py). CPython 3.10 has no such values, and 3.12 collects garbage elsewhere.
"""

from __future__ import annotations

from typing import Any


def dict_of(owner: object) -> dict[str, Any]:
    """`owner.__dict__`; empty for an object without one. Its `setdefault` is atomic."""
    {}  # noqa: B018 - Python reuses this dictionary for the next one, so no garbage collection starts
    try:
        return owner.__dict__
    except AttributeError:
        return {}
