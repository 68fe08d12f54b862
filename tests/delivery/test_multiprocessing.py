"""Children of multiprocessing that never flush: they end by `os._exit`, after their finalizers (row D26)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.delivery.parts import ended, start
from tests.receiver import HttpReceiver

HEAD = """
import multiprocessing, os, signal, sys, time
from concurrent.futures import ProcessPoolExecutor
import ot_bridge
METHOD = {method!r}

def work(name):
    tracer.start_span(name).finish()
    return os.getpid()
"""
EARLY = "tracer = ot_bridge.install('children')\n"
LATE = """
def work(name):
    global tracer
    tracer = ot_bridge.install('children')
    tracer.start_span(name).finish()
"""
MAIN = "if __name__ == '__main__':\n    context = multiprocessing.get_context(METHOD)\n"
SHAPES = {
    "Process": EARLY
    + MAIN
    + """
    children = [context.Process(target=work, args=('child',)) for _ in range(2)]
    [child.start() for child in children]; [child.join() for child in children]
    assert [child.exitcode for child in children] == [0, 0]
""",
    "Process that fails": EARLY
    + """
def fail():
    work('child')
    sys.stderr = open(os.devnull, 'w')
    raise RuntimeError
"""
    + MAIN
    + """
    children = [context.Process(target=fail) for _ in range(2)]
    [child.start() for child in children]; [child.join() for child in children]
""",
    "install() in the child": LATE
    + MAIN
    + """
    children = [context.Process(target=work, args=('child',)) for _ in range(2)]
    [child.start() for child in children]; [child.join() for child in children]
""",
    "Pool": EARLY
    + MAIN
    + """
    pool = context.Pool(2, maxtasksperchild=1)
    pool.map(work, ['child'] * 2, chunksize=1)
    pool.close(); pool.join()
""",
    "ProcessPoolExecutor": EARLY
    + MAIN
    + """
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(work, ['child'] * 2))
""",
    "a child of a child": EARLY
    + """
def outer():
    work('child')
    inner = multiprocessing.get_context(METHOD).Process(target=work, args=('child',))
    inner.start(); inner.join()
"""
    + MAIN
    + """
    child = context.Process(target=outer)
    child.start(); child.join()
""",
}
METHODS = ("fork", "spawn", "forkserver")
CASES = [(shape, method) for shape in SHAPES for method in METHODS]
#: The others start three or four interpreters each; tests/jaeger/test_processes.py has one of each method.
QUICK = [case for case in CASES if case[1] == "fork"]


def _check(case: tuple[str, str], directory: Path) -> None:
    shape, method = case
    with HttpReceiver() as receiver:
        text = HEAD.format(method=method) + SHAPES[shape]
        endpoint = receiver.endpoint.removesuffix("/v1/traces")
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        result = ended(start(text, directory, **variables))
        names = Counter(span.name for span in receiver.spans)
    assert result.status == 0, result.err
    assert "Traceback" not in result.err
    assert names == {"child": 2}


@pytest.mark.parametrize("case", QUICK, ids=" ".join)
def test_all_spans_of_children_that_exit_normally_arrive(case: tuple[str, str], tmp_path: Path) -> None:
    _check(case, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("case", [case for case in CASES if case not in QUICK], ids=" ".join)
def test_all_spans_of_children_started_by_spawn_or_forkserver_arrive(
    case: tuple[str, str], tmp_path: Path
) -> None:
    _check(case, tmp_path)


@pytest.mark.parametrize("enabled", [True, False], ids=["with flush_on_sigterm", "without"])
def test_children_that_are_terminated_export_only_with_flush_on_sigterm(
    enabled: bool, tmp_path: Path
) -> None:
    """They inherit the option. (Those of a `Pool` may miss the signal, see docs/delivery.md.)"""
    text = f"""
tracer = ot_bridge.install('children', flush_on_sigterm={enabled})

def wait(ready):
    work('child')
    ready.set()
    time.sleep(60)

if __name__ == '__main__':
    context = multiprocessing.get_context(METHOD)
    events = [context.Event() for _ in range(2)]
    children = [context.Process(target=wait, args=(event,)) for event in events]
    for child in children:
        child.start()
    assert all(event.wait(20) for event in events)
    for child in children:
        child.terminate()
        child.join()
        assert child.exitcode == -signal.SIGTERM
"""
    with HttpReceiver() as receiver:
        endpoint = receiver.endpoint.removesuffix("/v1/traces")
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        result = ended(start(HEAD.format(method="fork") + text, tmp_path, **variables))
        assert (result.status, result.err) == (0, "")
        assert len(receiver.spans) == (2 if enabled else 0)
