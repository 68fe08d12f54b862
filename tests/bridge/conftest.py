"""Every test of the bridge runs twice: on the SDK's provider, and on the engine's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import propagate
from opentelemetry.context import get_current
from opentelemetry.sdk import trace as sdk

from ot_bridge import engine, errors
from ot_bridge.propagation import parse_propagators
from tests import conftest


@pytest.fixture(params=[sdk.TracerProvider, engine.TracerProvider], ids=["sdk", "engine"], autouse=True)
def provider_class(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> type[sdk.TracerProvider]:
    """What `recorded` makes its provider from."""
    made: type[sdk.TracerProvider] = request.param
    monkeypatch.setattr(conftest, "TracerProvider", made)
    return made


@pytest.fixture(autouse=True)
def _nothing_reported_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_reported", {})


@pytest.fixture
def nothing_left_behind(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test does with its scopes: no span stays active after it, and nothing is logged."""
    before = dict(get_current())
    yield
    assert dict(get_current()) == before
    assert [record.getMessage() for record in caplog.records] == []


@pytest.fixture
def our_propagator() -> Iterator[None]:
    """What OpenTelemetry's instrumentations write their headers with."""
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(parse_propagators("tracecontext,baggage,jaeger"))
    yield
    propagate.set_global_textmap(before)
