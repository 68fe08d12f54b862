"""`OTEL_CONFIG_FILE`: a provider and propagators from OpenTelemetry's declarative configuration.

OpenTelemetry's own package, opentelemetry-configuration, reads the file. It always makes its objects global,
so the old globals are restored afterwards. The file's metrics and logs are not set up here. Its provider,
exporters and batch processors are the SDK's own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, NamedTuple

from opentelemetry import propagate, trace
from opentelemetry.propagators.textmap import TextMapPropagator

from ot_bridge.errors import bad_variable
from ot_bridge.otel import held_provider, hold_provider, provider_slot
from ot_bridge.variables import text

FILE: Final = "OTEL_CONFIG_FILE"


class Declared(NamedTuple):
    """The provider and the propagator of the file. Each is None if the file has none or cannot be read."""

    provider: trace.TracerProvider | None
    textmap: TextMapPropagator | None


def declared() -> Declared | None:
    """The objects that the file describes. None without a file.

    For a file without a provider, or with `disabled`, the provider is OpenTelemetry's no-op provider.
    """
    path = text(FILE)
    if not path:
        return None
    try:
        from opentelemetry.configuration import configure_sdk, load_config_file
    except ImportError as error:
        problem = f"{error}: pip install opentelemetry-configuration"
        bad_variable(FILE, path, problem, "nothing is exported")
        return Declared(None, None)
    before = *provider_slot(), propagate.get_global_textmap()
    hold_provider(None)
    try:
        configure_sdk(_traces_only(load_config_file(path)))
        provider, textmap = held_provider(), propagate.get_global_textmap()
    except Exception as error:
        bad_variable(FILE, path, " ".join(str(error).split()), "nothing is exported")
        return Declared(None, None)
    finally:
        hold_provider(*before[:2])
        propagate.set_global_textmap(before[2])
    return Declared(provider or trace.NoOpTracerProvider(), None if textmap is before[2] else textmap)


def _traces_only(configuration: Any) -> Any:
    return replace(configuration, meter_provider=None, logger_provider=None, instrumentation_development=None)
