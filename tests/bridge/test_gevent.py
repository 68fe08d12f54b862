"""Greenlets: with gevent's scope manager, with our own, and with every thread monkey-patched into one."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.pool import Pool
from opentelemetry.sdk.trace import TracerProvider
from opentracing.harness.scope_check import ScopeCompatibilityCheckMixin
from opentracing.scope_managers.gevent import GeventScopeManager

from tests.bridge.spans import parents
from tests.bridge.test_harness import _Harness
from tests.conftest import Recorded, recorded


class TestGevent(_Harness):
    managers = GeventScopeManager


class TestScopesInAGreenlet(ScopeCompatibilityCheckMixin):
    def scope_manager(self) -> Any:
        if not hasattr(self, "_manager"):
            self._manager = recorded().tracer.scope_manager
        return self._manager

    def run_test(self, test_fn: Callable[[], object]) -> None:
        gevent.spawn(test_fn).get()


def _recorded(manager: str) -> Recorded:
    return recorded(scope_manager=GeventScopeManager() if manager == "gevent" else None)


MANAGERS = ["own", "gevent"]


@pytest.mark.parametrize("manager", MANAGERS)
def test_S8_none_of_200_concurrent_greenlets_sees_the_span_of_another(manager: str) -> None:
    otel = _recorded(manager)

    def active() -> Any:
        return otel.tracer.active_span

    def handle(number: int) -> None:
        assert active() is None
        with otel.tracer.start_active_span(f"{number}") as request:
            gevent.sleep(random.random() / 200)
            assert active() is request.span
            with otel.tracer.start_active_span(f"{number} work") as work:
                gevent.sleep(random.random() / 200)
                assert active() is work.span
            assert active() is request.span
        assert active() is None

    Pool(200).map(handle, range(200))
    assert parents(otel) == {
        **{f"{number}": None for number in range(200)},
        **{f"{number} work": f"{number}" for number in range(200)},
    }


@pytest.mark.parametrize("manager", MANAGERS)
def test_S8_a_greenlet_starts_with_nothing_active_and_can_be_given_the_span(manager: str) -> None:
    otel = _recorded(manager)

    def child(name: str, span: Any) -> None:
        assert otel.tracer.active_span is None
        if span is not None:
            with otel.tracer.scope_manager.activate(span, False):
                otel.tracer.start_active_span(name).close()
        else:
            otel.tracer.start_active_span(name).close()

    with otel.tracer.start_active_span("parent") as scope:
        gevent.spawn(child, "given", scope.span).get()
        gevent.spawn(child, "not given", None).get()
        assert otel.tracer.active_span is scope.span
    assert parents(otel) == {"parent": None, "given": "parent", "not given": None}


def test_S2_closed_in_another_greenlet_a_scope_is_no_longer_active(
    otel: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    scope = otel.tracer.start_active_span("request")
    gevent.spawn(scope.close).get()
    assert otel.tracer.active_span is None
    assert parents(otel) == {"request": None}
    assert caplog.records == []


NOT_OF_THREADS = [
    "asyncio",
    "async",
    "task",
    "gather",
    "inherited",
    "executor",
    "loop",
    "10_000",
    "200_requests",  # as greenlets they are above
    "contextvars",
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("provider_class", [TracerProvider], indirect=True)  # that process has both
def test_the_tests_with_threads_pass_under_gevent_monkey_patching() -> None:
    here = Path(__file__).parent
    files = [
        str(here / f"test_{name}.py")
        for name in ("testbed_threads", "active_span", "scopes", "foreign_spans", "threads")
    ]
    command = [sys.executable, "-m", "tests.bridge.programs.under_gevent", *files]
    command += ["-k", " and ".join(f"not {word}" for word in NOT_OF_THREADS)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=here.parent.parent)
    assert ran.returncode == 0, ran.stdout + ran.stderr
