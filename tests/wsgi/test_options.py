from __future__ import annotations

from typing import Any

import pytest

from ot_bridge.errors import ConfigurationError
from ot_bridge.wsgi import TracingMiddleware, trace_wsgi
from tests.wsgi.conftest import hello

WRONG: dict[str, Any] = {
    "operation_name": ["{path", "{password}", "{}", 7],
    "start_options": ["fn"],
    "exclude": [7, [7], [b"/healthz"]],
    "trust": ["some", 7, None],
    "on_corrupt": ["raise", None],
    "capture_headers": ["x-a", [b"x-a"], 7],
    "redact": ["token", [None]],
    "request_hook": ["hook"],
    "response_hook": [1],
    "response_header": ["x-trace", "grpc-trace-bin", 7],
}


@pytest.mark.parametrize(
    ("option", "value"), [(option, value) for option in WRONG for value in WRONG[option]], ids=repr
)
def test_value_that_cannot_be_used_fails_at_construction(option: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as raised:
        TracingMiddleware(hello, **{option: value})  # type: ignore[arg-type]
    assert raised.value.option == option


@pytest.mark.parametrize("make", [TracingMiddleware, trace_wsgi])
def test_unknown_option_fails_at_construction(make: Any) -> None:
    with pytest.raises(TypeError, match="tracr"):
        make(hello, tracr=None)
