"""Every test of this room runs twice: on the SDK's provider, and on the engine's."""

from __future__ import annotations

import pytest
from opentelemetry.sdk import trace as sdk

from ot_bridge import engine, errors
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
