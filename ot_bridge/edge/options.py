"""Checks of option values. Each raises `ConfigurationError`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ot_bridge.errors import ConfigurationError


def as_names(option: str, value: object) -> tuple[str, ...]:
    """The names in an iterable of texts. A single text is refused, since iterating it yields its letters."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigurationError(option, value, "expected a list of names")
    names = tuple(value)
    for name in names:
        if not isinstance(name, str):
            raise ConfigurationError(option, name, "expected a name")
    return names


def as_function(option: str, value: Any) -> Any:
    """Returns `value` if it is a callable or None."""
    if value is not None and not callable(value):
        raise ConfigurationError(option, value, "expected a callable")
    return value


def as_choice(option: str, value: object, allowed: Iterable[str]) -> str:
    """Returns `value` if it is one of the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        raise ConfigurationError(option, value, f"expected one of {', '.join(allowed)}")
    return value
