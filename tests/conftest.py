"""What every room's tests share: a provider that keeps its spans, and an empty context around each test."""

from __future__ import annotations

import functools
import gc
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import opentracing
import pytest
from _pytest.runner import runtestprotocol
from hypothesis import settings
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ot_bridge import errors
from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.engine import notes

pytest.register_assert_rewrite("tests.jaeger.sides")
settings.register_profile("ot_bridge", deadline=None)  # a slow machine is no failure
settings.load_profile("ot_bridge")


def pytest_configure(config: pytest.Config) -> None:
    """A background job ignores SIGINT; the tests and the programs that they start do not."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _import_own_share_first(config: pytest.Config) -> None:
    """Imports all test files. Each process of pytest-xdist begins at another place in their list.

    In a fresh checkout, rewriting the asserts of all files takes ten seconds. Each process does that for its
    share and finds what the others have rewritten in the cache.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    files = sorted(Path(__file__).parent.rglob("test_*.py"))
    first = len(files) * int(worker["workerid"][2:]) // worker["workercount"]
    for file in files[first:] + files[:first]:
        with suppress(Exception, pytest.skip.Exception):  # which the collection reports
            import_module(".".join(file.relative_to(config.rootpath).with_suffix("").parts))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Takes all that exists after collection out of the garbage collector's sight.

    The session keeps 16,000 tests and the modules that they import to its end. While they are made, and in
    each of the hundreds of full collections after that, the collector would look at all these objects again.
    What little is garbage among them is kept, too: to find it takes two thirds of a second in each process.
    """
    gc.disable()
    try:
        _import_own_share_first(session.config)
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


#: The files that take longest. They begin first, so that no process is left with one of them at the end.
LONGEST = (
    *("test_commands_in_docs.py", "cli/test_doctor.py", "delivery/test_exits.py"),
    *("delivery/test_servers.py", "delivery/test_signals.py", "cli/test_run.py", "cli/test_compare.py"),
    *("cli/test_view.py", "view/test_viewer.py", "bridge/test_gevent.py", "wsgi/test_servers.py"),
    *("install/test_entry_points.py", "jaeger/test_processes.py", "wsgi/test_docs.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the files by `LONGEST`. `--no-loadscope-reorder` keeps pytest-xdist from sorting them by size.

    With `OT_BRIDGE_TESTS=reversed`, the last test comes first instead.
    """
    if os.environ.get("OT_BRIDGE_TESTS") == "reversed":
        items.reverse()
        return
    ranks = {f"tests/{name}": rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Sends less to another process that prints the results: not that a test starts, and of its set-up and
    teardown only what failed or wrote something.

    To send the rest and to read it took a tenth of the processor time of the whole suite.
    """
    config = item.config
    shows_more = config.getoption("verbose") > 0 or config.getoption("durations") is not None
    if shows_more or not hasattr(config, "workerinput"):
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed or report.sections:
            item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


class Recorded(NamedTuple):
    """A tracer, its provider, and the exporter that keeps the spans."""

    tracer: Tracer
    provider: TracerProvider
    exporter: InMemorySpanExporter

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """The finished spans by name."""
        return {span.name: span for span in self.exporter.get_finished_spans()}


@functools.cache
def resource() -> Resource:
    """One for all providers that do not test their resource: to make it takes as long as many a test."""
    return Resource.create()


def recorded(propagators: object = None, **options: object) -> Recorded:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=resource(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Recorded(create_tracer(provider, propagators=propagators, **options), provider, exporter)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _nothing_global() -> Iterator[None]:
    """No span is current, and whichever tracer a test makes global goes with it.

    What is logged once a process or once a minute is logged again in each test.
    """
    before = opentracing.tracer, opentracing.is_tracer_registered
    token = attach(Context())
    errors._logged.clear()
    errors._failures.clear()
    notes._logged.clear()
    yield
    detach(token)
    opentracing.tracer, opentracing.is_tracer_registered = before


@pytest.fixture
def otel() -> Recorded:
    """A tracer on the SDK's own provider, with the default formats."""
    return recorded("tracecontext,baggage,jaeger")


@pytest.fixture
def tracer(otel: Recorded) -> Tracer:
    return otel.tracer
