"""Marks for tests of packages that one of the environments in `.ci/run` does not have."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def _missing(module: str) -> bool:
    try:
        return find_spec(module) is None
    except ModuleNotFoundError:
        return True


otlp_over_grpc = pytest.mark.skipif(
    _missing("opentelemetry.exporter.otlp.proto.grpc"), reason="OpenTelemetry's exporter over gRPC is missing"
)
configuration = pytest.mark.skipif(
    _missing("opentelemetry.configuration"), reason="opentelemetry-configuration is missing"
)
shim = pytest.mark.skipif(
    _missing("opentelemetry.shim.opentracing_shim"), reason="opentelemetry-opentracing-shim is missing"
)
