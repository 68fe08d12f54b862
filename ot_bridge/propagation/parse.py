"""From what users write (`OTEL_PROPAGATORS`, names, objects) to one propagator."""

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
# The names of our entry points, too: read here, they become part of one propagator.
_OURS: dict[str, tuple[Format, ...]] = {name: (format,) for name, format in FORMATS.items()}
_OURS |= {f"ot_bridge_{name.replace('-', '_')}": formats for name, formats in _OURS.items()}
_OURS["ot_bridge"] = tuple(FORMATS[name] for name in DEFAULT)


def parse_propagators(spec: Spec = DEFAULT) -> TextMapPropagator:
    """A `Propagator` of the named formats; with foreign propagators among them, an OpenTelemetry composite.

    spec: names with commas between, a name, a `Format`, a propagator, or a sequence of these. `none` anywhere
    means no propagation. A name that is not ours is looked up among other packages' entry points.
    Raises `ConfigurationError` for one that nobody knows.
    """
    if isinstance(spec, TextMapPropagator):
        return spec
    parts = list(_parts(spec))
    if not parts or None in parts:
        return Propagator(())
    fused: list[TextMapPropagator | list[Format]] = []
    for part in parts:
        if not isinstance(part, Format):
            fused.append(part)  # type: ignore[arg-type]
        elif fused and isinstance(fused[-1], list):
            fused[-1].append(part)
        else:
            fused.append([part])
    propagators = [Propagator(part) if isinstance(part, list) else part for part in fused]
    return propagators[0] if len(propagators) == 1 else CompositePropagator(propagators)


def _parts(spec: Spec) -> Iterator[Format | TextMapPropagator | None]:
    """Each named thing; None for `none`."""
    given = [spec] if isinstance(spec, str | Format | TextMapPropagator) else spec
    for each in given if isinstance(given, Iterable) else [given]:
        if isinstance(each, Format | TextMapPropagator):
            yield each
            continue
        if not isinstance(each, str):
            raise ConfigurationError("propagators", each, "names, formats or propagators are due")
        for name in filter(None, map(str.strip, each.split(","))):
            if name in _OURS:
                yield from _OURS[name]
            else:
                yield None if name == "none" else _foreign(name)


def _foreign(name: str) -> TextMapPropagator:
    propagator: TextMapPropagator = _FOREIGN.load(name)()
    return propagator


def names_in_environment(default: str, value: str | None = None) -> list[str]:
    """The known names in `OTEL_PROPAGATORS` (or in this value of it), empty if there is none.

    default: what the caller takes then.
    """
    return usable("OTEL_PROPAGATORS", lambda name: list(_parts(name)), default, value)


def propagators_in_environment(default: str) -> TextMapPropagator:
    """The propagators that `OTEL_PROPAGATORS` names; `default` if it names none that is known."""
    return parse_propagators(names_in_environment(default) or default)


class EnvironmentPropagator(TextMapPropagator):
    """What `OTEL_PROPAGATORS` names, looked up when it is first used; else OpenTelemetry's default.

    `import ot_bridge` puts it in OpenTelemetry's global place, so that every name that this package knows
    works there, and a wrong one stops no program.
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
