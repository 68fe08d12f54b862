"""Runs when `ot_bridge` is imported, before any of its modules imports OpenTelemetry.

OpenTelemetry reads some variables while it is imported, and raises for an unknown value.
A wrong variable must not stop a program, so:

1. `opentelemetry.propagate` looks up the names in `OTEL_PROPAGATORS`. If that variable is set, the module is
   imported here without it, and a propagator that looks up the names when it is first used becomes global.
2. `opentelemetry.sdk.trace` reads `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT` as a number. If that variable holds no
   number, the module is imported here without it.
3. If `OTEL_PYTHON_TRACER_PROVIDER` or `OTEL_PYTHON_METER_PROVIDER` names a provider that no package has, the
   API raises each time that it looks for it. Such a variable is removed from this process's environment.

Without these variables nothing is imported. If the program has imported OpenTelemetry before, nothing
changes. That is also the case if OpenTelemetry loads a propagator of ours while `opentelemetry.propagate` is
half imported.
"""

from __future__ import annotations

import os
import sys

from ot_bridge.errors import bad_variable
from ot_bridge.variables import entry_points, replaced, text

_PROPAGATORS = "OTEL_PROPAGATORS"
_LIMIT = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"
_PROVIDERS = {
    "OTEL_PYTHON_TRACER_PROVIDER": "opentelemetry_tracer_provider",
    "OTEL_PYTHON_METER_PROVIDER": "opentelemetry_meter_provider",
}


def _import_propagate() -> None:
    if not os.environ.get(_PROPAGATORS) or "opentelemetry.propagate" in sys.modules:
        return
    with replaced({_PROPAGATORS: None}):
        from opentelemetry import propagate
    from ot_bridge.propagation.parse import EnvironmentPropagator

    propagate.set_global_textmap(EnvironmentPropagator())


def _import_sdk() -> None:
    value = os.environ.get(_LIMIT, "").strip()
    if value and not value.isdecimal():
        bad_variable(_LIMIT, os.environ[_LIMIT], "expected a whole number from 0 on", "it counts as unset")
        with replaced({_LIMIT: None}):
            import opentelemetry.sdk.trace  # noqa: F401


def _check_providers() -> None:
    for variable, group in _PROVIDERS.items():
        name = text(variable)
        if name and not entry_points(group, name):
            known = sorted({entry.name for entry in entry_points(group)})
            bad_variable(variable, name, f"expected one of {', '.join(known)}", "it counts as unset")
            del os.environ[variable]


_check_providers()
_import_propagate()
_import_sdk()
