"""`trusted`: as much of a caller is taken as it is trusted."""

from __future__ import annotations

from typing import Any

import pytest
from opentracing import Format

from ot_bridge.bridge import trusted
from ot_bridge.errors import ConfigurationError
from tests.conftest import Recorded

HEADERS = {"uber-trace-id": "a:b:0:3", "uberctx-user": "ann"}


def _server_span(otel: Recorded, trust: Any) -> Any:
    parent = trusted(otel.tracer.extract(Format.HTTP_HEADERS, HEADERS), trust)
    span = otel.tracer.start_span("server", child_of=parent)
    span.finish()
    return span


@pytest.mark.parametrize(
    ("trust", "same_trace", "debug", "user", "linked"),
    [
        ("all", True, True, "ann", False),
        ("context", True, False, "ann", False),
        ("link", False, False, None, True),
        ("none", False, False, None, False),
    ],
)
def test_as_much_of_a_caller_is_taken_as_it_is_trusted(
    otel: Recorded, trust: str, same_trace: bool, debug: bool, user: str | None, linked: bool
) -> None:
    span = _server_span(otel, trust)
    assert (span.context.trace_id == 0xA) is same_trace
    assert span.context.debug is debug
    assert span.get_baggage_item("user") == user
    assert [link.context.trace_id for link in otel.spans["server"].links] == ([0xA] if linked else [])


def test_trust_that_does_not_exist_is_a_configuration_error() -> None:
    for wrong in "some", None, ["all"]:
        with pytest.raises(ConfigurationError):
            trusted(None, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trust", "taken"), [("all", True), ("context", True), ("link", False), ("none", False)]
)
def test_a_context_of_another_tracers_is_taken_whole_or_not_at_all(trust: Any, taken: bool) -> None:
    foreign = object()
    assert (trusted(foreign, trust) is foreign) is taken
    assert trusted(None, trust) is None
