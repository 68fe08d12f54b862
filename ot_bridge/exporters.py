"""The exporters by their names: one table for `install()` and for the drop-in's reporter.

`otlp` means the exporter for `OTEL_EXPORTER_OTLP_[TRACES_]PROTOCOL` (OpenTelemetry specification,
"OpenTelemetry Protocol Exporter"). A name gives a factory, so that every process makes its own exporter: two
processes must not share one connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from opentelemetry.sdk.trace.export import SpanExporter

from ot_bridge.errors import bad_variable
from ot_bridge.variables import Parts, loaded, text, usable

ExporterFactory: TypeAlias = Callable[[], SpanExporter]

EXPORTERS: Final = Parts(
    "exporters",
    "opentelemetry_traces_exporter",
    own={
        "console": "opentelemetry.sdk.trace.export:ConsoleSpanExporter",
        "ot_bridge_otlp": "ot_bridge.otlp:OTLPSpanExporter",
        "ot_bridge_tree": "ot_bridge.view.export:TreeExporter",
        "xray": "ot_bridge.xray.api:XRayExporter",
        "xray_daemon": "ot_bridge.xray.daemon:XRayDaemonExporter",
        "xray_otlp": "ot_bridge.xray.otlp:XRayOTLPExporter",
    },
    hints={
        "jaeger": "Jaeger takes OTLP itself from 1.35 on: name otlp, and set OTEL_EXPORTER_OTLP_ENDPOINT to"
        " http://THE-JAEGER-HOST:4318",
        "xray": "pip install 'ot-bridge[xray]'",
        "xray_otlp": "pip install 'ot-bridge[xray]'",
    },
    also=("otlp", "none"),
)

_THEIRS: Final = "opentelemetry.exporter.otlp.proto.http.trace_exporter:OTLPSpanExporter"
_DEFAULT: Final = "http/protobuf"

#: Protocol -> the path of its exporter, and how to install it if it is missing.
PROTOCOLS: Final[Mapping[str, tuple[str, str]]] = {
    _DEFAULT: ("ot_bridge.otlp:OTLPSpanExporter", ""),
    "grpc": (
        "opentelemetry.exporter.otlp.proto.grpc.trace_exporter:OTLPSpanExporter",
        "pip install 'ot-bridge[otlp-grpc]'",
    ),
    "http/json": (
        "opentelemetry.exporter.otlp.json.http.trace_exporter:OTLPSpanExporter",
        "pip install 'ot-bridge[otlp-json]'",
    ),
}
_PROTOCOL: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
#: Variables that name a `requests.Session`. Only OpenTelemetry's own exporter can use one.
_CREDENTIALS: Final = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
)


def is_none(name: str) -> bool:
    """Whether the name says that nothing is to be exported."""
    return name.strip().lower() in ("", "none")


def exporter_factory(name: str, **options: Any) -> ExporterFactory | None:
    """A function that makes an exporter of this name with these options at each call, or None.

    None for `none`, and for an OTLP protocol whose exporter is not installed, which is logged. Raises
    ConfigurationError if no package has an exporter of this name.
    """
    if is_none(name):
        return None
    name = name.strip()
    if name.lower() == "otlp":
        return _otlp(options)
    if name == "xray" and text("AWS_XRAY_DAEMON_ADDRESS"):
        name = "xray_daemon"
    return partial(EXPORTERS.load(name), **options)


def exporters_in_environment() -> list[str]:
    """The known names in `OTEL_TRACES_EXPORTER`; `otlp` if there is none.

    Empty if `OTEL_CONFIG_FILE` is set, because the file names the exporters then.
    """
    if text("OTEL_CONFIG_FILE"):
        return []
    names = usable("OTEL_TRACES_EXPORTER", _check, "otlp") or ["otlp"]
    return [name for name in names if not is_none(name)]


def _check(name: str) -> None:
    if name.lower() not in EXPORTERS.also:
        EXPORTERS.load(name)


def protocol() -> str:
    """The OTLP protocol that the variables choose. If it is unknown, that is logged; then `http/protobuf`."""
    for variable in _PROTOCOL:
        value = text(variable)
        if value.lower() in PROTOCOLS:
            return value.lower()
        if value:
            bad_variable(variable, value, f"expected one of {', '.join(PROTOCOLS)}", f"{_DEFAULT} is taken")
            return _DEFAULT
    return _DEFAULT


def default_target() -> str:
    """The address for OTLP if no variable sets one."""
    return "http://localhost:4317" if protocol() == "grpc" else "http://localhost:4318/v1/traces"


def _otlp(options: Mapping[str, Any]) -> ExporterFactory | None:
    chosen = protocol()
    path, hint = PROTOCOLS[chosen]
    credentials = next(filter(text, _CREDENTIALS), None)
    if credentials is not None and chosen == _DEFAULT:
        path, hint = _THEIRS, "pip install opentelemetry-exporter-otlp-proto-http"
    try:
        made = loaded(path)
    except ImportError:
        variable = credentials or next(filter(text, _PROTOCOL), "")
        bad_variable(
            variable, text(variable), f"its exporter is not installed: {hint}", "nothing is exported"
        )
        return None
    return partial(made, **(_for_grpc(options) if chosen == "grpc" else options))


def _for_grpc(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options for gRPC. An endpoint with OTLP/HTTP's port gets gRPC's port, and no path."""
    parts = urlsplit(options.get("endpoint") or "")
    if parts.port != 4318 or parts.hostname is None:
        return options
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return {**options, "endpoint": f"{parts.scheme}://{host}:4317"}
