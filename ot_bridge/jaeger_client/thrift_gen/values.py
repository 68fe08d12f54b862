"""Thrift's structures as plain values, and a stand-in for what has no meaning without Thrift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import make_dataclass
from typing import Any, Final, NoReturn


class Value:
    """Base of all structures: fields are None unless given; equal if all fields are."""

    def read(self, iprot: Any) -> NoReturn:
        raise needs_thrift(f"{type(self).__name__}.read")

    def write(self, oprot: Any) -> NoReturn:
        raise needs_thrift(f"{type(self).__name__}.write")

    def validate(self) -> None:
        """Nothing is sent from here, so no field is required."""


def needs_thrift(name: str) -> NotImplementedError:
    return NotImplementedError(
        f"{name} speaks Thrift, and ot_bridge sends OTLP: take the real jaeger-client for it"
    )


def struct(name: str, fields: str, **defaults: Any) -> Any:
    """The class of a structure with these fields, in this order."""
    listed = [(field, Any, defaults.get(field)) for field in fields.split()]
    return make_dataclass(name, listed, bases=(Value,), unsafe_hash=True)


def enum(name: str, names: Sequence[str]) -> Any:
    """The class of an enumeration from 0 on, with the two tables that Thrift's compiler adds."""
    numbers = {each: number for number, each in enumerate(names)}
    tables = {
        "_NAMES_TO_VALUES": numbers,
        "_VALUES_TO_NAMES": {number: each for each, number in numbers.items()},
    }
    return type(name, (), {**numbers, **tables})


def unusable(*names: str) -> list[Any]:
    """Classes that can be imported and raise NotImplementedError when one makes an object of them."""
    return [type(name, (), {"__init__": _refuse}) for name in names]


def _refuse(self: object, *args: Any, **kwargs: Any) -> NoReturn:
    raise needs_thrift(type(self).__name__)


ALL: Final = ("Iface", "Client", "Processor")
