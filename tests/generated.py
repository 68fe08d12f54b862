"""How much generated input and load a test takes: little every day, more with a marker, all with `FULL=1`."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

#: A machine may have other work; a fixture that a test empties for each example may be shared by them.
_FINE = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def load(count: int) -> int:
    """What a heavier test takes of its load: a tenth without `FULL=1`."""
    return count if os.environ.get("FULL") else count // 10


def examples(count: int) -> settings:
    """Above `@given`: as many examples as every run of the tests can afford."""
    return settings(max_examples=count, deadline=None, database=None, suppress_health_check=_FINE)


short = examples(10)


def at_length(test: Any, count: int = 1000) -> Any:
    """The same test, for the same parameters, on many examples."""
    again: Any = given(**test.hypothesis._given_kwargs)(test.hypothesis.inner_test)
    marks = pytest.mark.fuzz.mark, pytest.mark.timeout(1800).mark
    again.pytestmark = [*getattr(test, "pytestmark", ()), *marks]
    return examples(load(count))(again)
