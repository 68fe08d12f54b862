"""Load: no span is lost, duplicated or has a wrong parent, and memory does not grow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.wsgi.collector import Collector
from tests.wsgi.load import Load
from tests.wsgi.servers import SERVERS, Running
from tests.wsgi.test_servers import environment, every, paths

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


def resident(pid: int) -> int:
    """Kilobytes that a process and its children hold in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = int(status.split("VmRSS:")[1].split()[0])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(resident(int(child)) for child in children)


@pytest.mark.parametrize("name", every)
def test_ten_thousand_requests_of_sixteen_clients_have_correct_spans(tmp_path: Path, name: str) -> None:
    with Collector() as collector:
        with Running(SERVERS[name], tmp_path / "log", **environment(collector)) as server:
            load = Load(server.port, tuple(path for path in paths(name) if path != "fail")).run(10_000, 16)
            collector.wait(lambda: load.check(collector) == [])
        assert load.check(collector) == [], server.errors[-5000:]
        assert "detach" not in server.errors


def test_memory_does_not_grow_over_a_hundred_thousand_requests(tmp_path: Path) -> None:
    rounds = int(os.environ.get("SOAK_REQUESTS", "100000")) // 10_000
    with (
        Collector() as collector,
        Running(SERVERS["gunicorn gthread"], tmp_path / "log", **environment(collector)) as server,
    ):
        held = []
        for _ in range(rounds):
            load = Load(server.port, ("list", "stream", "file", "post")).run(10_000, 16)
            assert collector.wait(lambda done=load: done.check(collector) == []), load.check(collector)[:5]  # type: ignore[misc]
            collector.spans.clear()
            held.append(resident(server.pid))
    assert held[-1] < held[0] * 1.05, held
