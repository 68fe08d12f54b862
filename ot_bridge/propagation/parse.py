"""From what users write (`OTEL_PROPAGATORS`, names, objects) to one propagator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator

from ..errors import ConfigurationError
from ..wire import DEFAULT, FORMATS, Format
from .propagator import Propagator

Spec = str | Format | TextMapPropagator | Iterable[str | Format | TextMapPropagator]
_GROUP = "opentelemetry_propagator"
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
    from importlib.metadata import entry_points  # 20 ms that only a foreign name is worth

    for entry in entry_points(group=_GROUP, name=name):
        propagator: TextMapPropagator = entry.load()()
        return propagator
    others = sorted({entry.name for entry in entry_points(group=_GROUP)} - set(FORMATS))
    raise ConfigurationError("propagators", name, f"known are {', '.join([*FORMATS, 'none', *others])}")
