"""Makes one propagator of names, objects or the variable `OTEL_PROPAGATORS`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter

from ot_bridge.errors import ConfigurationError
from ot_bridge.propagation.propagator import Propagator
from ot_bridge.variables import Parts, usable
from ot_bridge.wire import DEFAULT, FORMATS, Format

Spec = str | Format | TextMapPropagator | Iterable[str | Format | TextMapPropagator]
_FOREIGN = Parts("propagators", "opentelemetry_propagator", also=(*FORMATS, "none"))
# The names of our entry points are added, so that their formats become part of one propagator as well.
_OURS: dict[str, tuple[str, ...]] = {name: (name,) for name in FORMATS}
_OURS |= {f"ot_bridge_{name.replace('-', '_')}": names for name, names in _OURS.items()}
_OURS["ot_bridge"] = DEFAULT


def parse_propagators(spec: Spec = DEFAULT) -> TextMapPropagator:
    """Makes a `Propagator` of the named formats, or a composite if there are propagators of other packages.

    spec: names separated by commas, a name, a `Format`, a propagator, or a sequence of these. `none` among
    the names means no propagation. Other names are looked up in the entry points of other packages.
    Raises `ConfigurationError` for an unknown name.
    """
    if isinstance(spec, TextMapPropagator):
        return spec
    parts = list(_parts(spec))
    if not parts or None in parts:
        return Propagator(())
    grouped: list[TextMapPropagator | list[Format]] = []  # neighbouring formats become one propagator
    for part in parts:
        if not isinstance(part, Format):
            grouped.append(part)  # type: ignore[arg-type]
        elif grouped and isinstance(grouped[-1], list):
            grouped[-1].append(part)
        else:
            grouped.append([part])
    propagators = [Propagator(part) if isinstance(part, list) else part for part in grouped]
    return propagators[0] if len(propagators) == 1 else CompositePropagator(propagators)


def _parts(spec: Spec) -> Iterator[Format | TextMapPropagator | None]:
    """Each format and propagator that `spec` names; None for the name `none`."""
    given = [spec] if isinstance(spec, str | Format | TextMapPropagator) else spec
    for each in given if isinstance(given, Iterable) else [given]:
        if isinstance(each, Format | TextMapPropagator):
            yield each
            continue
        if not isinstance(each, str):
            raise ConfigurationError("propagators", each, "expected names, formats or propagators")
        for name in filter(None, map(str.strip, each.split(","))):
            if name in _OURS:
                yield from map(FORMATS.__getitem__, _OURS[name])
            else:
                yield None if name == "none" else _foreign(name)


def _foreign(name: str) -> TextMapPropagator:
    propagator: TextMapPropagator = _FOREIGN.load(name)()
    return propagator


def names_in_environment(default: str, value: str | None = None) -> list[str]:
    """The known names in `OTEL_PROPAGATORS` (or in `value`); an empty list if there are none.

    default: what the caller uses in that case, for the log line.
    """
    return usable("OTEL_PROPAGATORS", lambda name: list(_parts(name)), default, value)


def propagators_in_environment(default: str) -> TextMapPropagator:
    """The propagators that `OTEL_PROPAGATORS` names; `default` if it names none that is known."""
    return parse_propagators(names_in_environment(default) or default)


class EnvironmentPropagator(TextMapPropagator):
    """The propagators that `OTEL_PROPAGATORS` names, else OpenTelemetry's default; looked up at first use.

    `import ot_bridge` makes it OpenTelemetry's global propagator, so that the variable may have every name
    that this package supports, and a wrong name stops no program.
    """

    @cached_property
    def _real(self) -> TextMapPropagator:
        return propagators_in_environment("tracecontext,baggage")

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = default_getter) -> Context:
        return self._real.extract(carrier, context, getter)

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = default_setter) -> None:
        self._real.inject(carrier, context, setter)

    @property
    def fields(self) -> set[str]:
        return self._real.fields
