"""Behind real servers: every request has its span, each span its own parent, and nothing is left active."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.wsgi.collector import Collector
from tests.wsgi.load import PATHS, Load
from tests.wsgi.servers import SERVERS, Running


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def environment(collector: Collector) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
    }


def paths(name: str) -> tuple[str, ...]:
    """uWSGI closes the connection of a request that raised, without a response."""
    return tuple(path for path in PATHS if path != "fail") if name == "uwsgi" else PATHS


needs = {
    "uwsgi": pytest.mark.skipif(
        not (shutil.which("uwsgi") or Path(sys.executable).with_name("uwsgi").exists()),
        reason="uWSGI is built with a C compiler: pip install uwsgi",
    )
}
every = [pytest.param(name, marks=needs.get(name, ()), id=name) for name in SERVERS]


@pytest.mark.parametrize("name", every)
def test_every_request_has_its_span_and_each_its_own_parent(
    collector: Collector, tmp_path: Path, name: str
) -> None:
    with Running(SERVERS[name], tmp_path / "log", **environment(collector)) as server:
        load = Load(server.port, paths(name)).run(60, 6)
        collector.wait(lambda: load.check(collector) == [])
    assert load.check(collector) == [], server.errors
    assert "detach" not in server.errors


GRACEFUL = ["gunicorn gthread", "uwsgi"]


@pytest.mark.parametrize("name", [each for each in every if each.id in GRACEFUL])
def test_workers_export_waiting_spans_when_they_are_stopped(
    collector: Collector, tmp_path: Path, name: str
) -> None:
    given = environment(collector) | {"OTEL_BSP_SCHEDULE_DELAY": "60000"}
    with Running(SERVERS[name], tmp_path / "log", **given) as server:
        load = Load(server.port, ("list", "about")).run(30, 6)
        assert load.check(collector) != []
        time.sleep(
            0.3
        )  # a worker of uWSGI that is still about its last request skips all that is due at exit
    assert load.check(collector) == [], server.errors


def test_workers_that_are_forked_and_recycled_make_different_ids(
    collector: Collector, tmp_path: Path
) -> None:
    with Running(SERVERS["gunicorn sync"], tmp_path / "log", **environment(collector)) as server:
        with ThreadPoolExecutor(4) as clients:
            responses = list(clients.map(lambda _: server.get("/about"), range(60)))
        collector.wait(lambda: len(collector.spans) == 120)
    assert len({process for _, process in responses}) >= 3
    assert len({span.trace_id for span in collector.spans}) == 60
    assert len({span.span_id for span in collector.spans}) == 120
