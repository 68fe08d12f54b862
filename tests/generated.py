"""A short run of a test on generated input for every day, and a long one for the marker `fuzz`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

_BUSY = [HealthCheck.too_slow]  # on a machine that has other work

#: Above `@given`: as many examples as every run of the tests can afford.
short = settings(max_examples=15, deadline=None, suppress_health_check=_BUSY)


def at_length(test: Any) -> Any:
    """The same test on a thousand examples."""
    again = given(**test.hypothesis._given_kwargs)(test.hypothesis.inner_test)
    long = settings(max_examples=1000, deadline=None, suppress_health_check=_BUSY)(again)
    return pytest.mark.fuzz(pytest.mark.timeout(600)(long))
