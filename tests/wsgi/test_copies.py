"""An application that is traced can be copied and pickled."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.conftest import Spans, environ, hello, run

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "cloudpickle": lambda app: pickle.loads(cloudpickle.dumps(app)),
}
OPTIONS: dict[str, Any] = {
    "exclude": ["/x/*"],
    "trust": "link",
    "capture_headers": ["x-a"],
    "redact": ["card"],
    "operation_name": "{method} {route}",
    "response_header": "traceparent",
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["plain", "options"])
def test_copy_serves_and_has_the_same_options(
    tracer: Tracer, spans: Spans, make: Callable[[Any], Any], options: dict[str, Any]
) -> None:
    app = TracingMiddleware(hello, **options)
    run(app)
    copied = make(app)
    copied.tracer = tracer
    made = environ("/x/y" if options else "/healthz")
    assert b"".join(copied(made, lambda *args: None)) == b"hello"
    assert spans.names() == []
    assert run(copied) == b"hello"
    assert len(spans.all()) == 1


def test_copy_has_the_tracer_that_it_was_made_with(tracer: Tracer, spans: Spans) -> None:
    class Holds:
        def __init__(self, app: Any) -> None:
            self.app = app

    held = Holds(TracingMiddleware(hello, tracer))
    copied = copy.deepcopy(held)
    assert copied.app is not held.app
    assert copied.app.tracer is tracer
    run(copied.app)
    assert spans.names() == ["ServeHTTP"]
