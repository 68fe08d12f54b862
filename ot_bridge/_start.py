"""Imports OpenTelemetry so that a wrong variable does not stop `import ot_bridge`, which imports this first.

`opentelemetry.propagate` looks up the names in `OTEL_PROPAGATORS` when it is imported, and raises for one
that nobody has; `opentelemetry.sdk.trace` reads a limit as a number. Both are imported with the variable set
aside. What `OTEL_PROPAGATORS` means is then looked up when it is first needed. A program that has imported
OpenTelemetry before keeps what that made of the variables.

The API raises at every look for a provider that `OTEL_PYTHON_[TRACER|METER]_PROVIDER` names and nobody has:
such a variable is taken out of this process's environment.
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
        bad_variable(_LIMIT, os.environ[_LIMIT], "a whole number from 0 on is due", "it counts as unset")
        with replaced({_LIMIT: None}):
            import opentelemetry.sdk.trace  # noqa: F401


def _check_providers() -> None:
    for variable, group in _PROVIDERS.items():
        name = text(variable)
        if name and not entry_points(group, name):
            known = sorted({entry.name for entry in entry_points(group)})
            bad_variable(variable, name, f"known are {', '.join(known)}", "it counts as unset")
            del os.environ[variable]


_check_providers()
_import_propagate()
_import_sdk()
