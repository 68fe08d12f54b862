"""Rows "reporters" and "tracer.close()": what each reporter receives, and when closing has finished."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ot_bridge.errors import ConfigurationError
from ot_bridge.jaeger_client import ConstSampler, Tracer, exporters, reporter
from ot_bridge.jaeger_client.closing import Closing, all_of, done, in_background
from ot_bridge.jaeger_client.local_agent_net import LocalAgentSender
from ot_bridge.jaeger_client.metrics import MetricsFactory
from ot_bridge.jaeger_client.reporter import (
    BaseReporter,
    CompositeReporter,
    InMemoryReporter,
    LoggingReporter,
    NullReporter,
    Reporter,
)
from tests.delivery.parts import hanging
from tests.jaeger.servers import Collector, running
from tests.jaeger.sides import Side, both

CHANNEL = LocalAgentSender("127.0.0.1", 5778, 6831)


def _tracer(reporter: Any, sampled: bool = True, **options: Any) -> Tracer:
    return Tracer("service", reporter, ConstSampler(sampled), tags={"ip": "127.0.0.1"}, **options)


def test_a_reporter_of_the_program_gets_the_process_and_each_span() -> None:
    def program(side: Side) -> Any:
        calls: list[Any] = []

        class Mine(side.package.reporter.BaseReporter):  # type: ignore[name-defined, misc]
            def set_process(self, service_name: str, tags: Any, max_length: int) -> None:
                calls.append((service_name, tags["region"], max_length))

            def report_span(self, span: Any) -> None:
                calls.append((span.operation_name, span.end_time is not None, span.context.parent_id))

        tracer = side.package.Tracer(
            "service", Mine(), side.package.ConstSampler(True), tags={"region": "eu"}, max_tag_value_length=99
        )
        tracer.start_span("op").finish()
        return calls

    both(program)


def test_the_composite_reporter_forwards_every_call() -> None:
    first, second = InMemoryReporter(), InMemoryReporter()
    processes: list[tuple[str, int]] = []

    class Mine(NullReporter):
        def set_process(self, service_name: str, tags: Any, max_length: int) -> None:
            processes.append((service_name, max_length))

    tracer = _tracer(CompositeReporter(first, Mine(), second))
    span = tracer.start_span("op")
    span.finish()
    assert processes == [("service", 1024)]
    assert first.get_spans() == second.get_spans() == [span]
    assert tracer.flush()
    assert tracer.close().result(5) is True


def test_the_logging_reporter_has_a_logger_by_default(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tracer = _tracer(CompositeReporter(LoggingReporter(), LoggingReporter(logging.getLogger("mine"))))
    span = tracer.start_span("op")
    span.finish()
    assert [record.name for record in caplog.records] == ["jaeger_tracing", "mine"]
    assert {record.getMessage() for record in caplog.records} == {f"Reporting span {span}"}


def test_report_span_of_the_base_reporter_is_not_implemented() -> None:
    with pytest.raises(NotImplementedError):
        BaseReporter().report_span(None)


def test_the_network_reporter_sends_otlp(collector: Collector) -> None:
    tracer: Any = _tracer(Reporter(CHANNEL))
    with tracer.start_active_span("outer", tags={"span.kind": "server", "n": 3}) as scope:
        tracer.start_span("inner").log_kv({"event": "hit", "size": 1}).finish()
    assert tracer.close().result(10) is True
    spans = {span.name: span for span in collector.spans}
    outer, inner = spans["outer"], spans["inner"]
    assert int.from_bytes(outer.trace_id, "big") == scope.span.trace_id
    assert outer.span_id == scope.span.span_id.to_bytes(8, "big") == inner.parent_span_id
    assert (outer.kind, [event.name for event in inner.events]) == (2, ["hit"])
    assert {each.key for each in outer.attributes} == {"n", "sampler.type", "sampler.param"}
    assert collector.resource["service.name"] == "service"
    assert collector.resource["ip"] == "127.0.0.1"


def test_spans_go_to_port_4318_on_the_agents_host_and_that_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[dict[str, Any]] = []

    def named(name: str, **options: Any) -> type[InMemorySpanExporter]:
        made.append({"name": name, **options})
        return InMemorySpanExporter

    monkeypatch.setattr(exporters, "exporter_factory", named)
    for _ in range(2):
        assert Reporter(LocalAgentSender("jaeger-agent", "5778", "6831")).close().result(5)
    assert made == [{"name": "otlp", "endpoint": "http://jaeger-agent:4318/v1/traces"}] * 2
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("jaeger_tracing", "WARNING")
    assert record.getMessage() == (
        "spans are sent by OTLP to http://jaeger-agent:4318/v1/traces; "
        "jaeger-client sent them by UDP to jaeger-agent:6831"
    )
    made.clear()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other/v1/traces")
    assert Reporter(CHANNEL).close().result(5)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console, none")
    assert Reporter(CHANNEL).close().result(5)
    assert made == [{"name": "otlp"}, {"name": "console"}]
    made.clear()
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    monkeypatch.delenv("OTEL_TRACES_EXPORTER")
    assert Reporter(channel=object()).close().result(5)
    assert made == [{"name": "otlp"}]
    caplog.clear()
    assert Reporter(SimpleNamespace(traces_endpoint="http://mine/v1/traces")).close().result(5)
    assert made[1:] == [{"name": "otlp", "endpoint": "http://mine/v1/traces"}]
    assert caplog.messages == [
        "spans are sent by OTLP to http://mine/v1/traces; jaeger-client sent them by UDP to an agent"
    ]


def test_where_the_exporter_cannot_be_made_the_program_goes_on_and_flush_is_false(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> Any:
        raise OSError("no certificate")

    monkeypatch.setattr(exporters, "exporter_factory", lambda name, **options: refuse)
    tracer = _tracer(Reporter(CHANNEL))
    assert tracer.flush() is True
    tracer.start_span("op").finish()
    assert tracer.flush() is False
    assert tracer.close().result(10) is False
    (first, *_) = [each for each in caplog.messages if "cannot be made" in each]
    assert first.endswith("cannot be made (no certificate); nothing is exported by it")


def test_reporters_that_keep_nothing_back_are_closed_at_once() -> None:
    async def close(side: Side) -> Any:  # the future of jaeger-client's needs a loop
        made = side.package.reporter.NullReporter(), side.package.reporter.InMemoryReporter()
        return [await each.close() for each in made]

    assert both(lambda side: asyncio.run(close(side))) == [True, True]


def test_the_ipv6_address_of_an_agent_is_put_in_brackets() -> None:
    channel = LocalAgentSender("::1", 5778, 6831, throttling_port=99)
    assert channel.sampling_endpoint == "http://[::1]:5778/sampling"
    assert channel.credits_endpoint == "http://[::1]:99/credits"
    assert channel.traces_endpoint == "http://[::1]:4318/v1/traces"


def test_a_queue_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="Queue capacity cannot be less than batch size"):
        Reporter(CHANNEL, queue_capacity=1, batch_size=2)
    with pytest.raises(ConfigurationError, match="max_queue_size=-1: expected a number above 0"):
        Reporter(CHANNEL, queue_capacity=-1, batch_size=-1)


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ((100, 10, 1), {}, (2048, 512, 1000)),
        ((5000, 10, 0.5), {}, (5000, 512, 500)),
        ((50, 10, 1), {}, (50, 50, 1000)),
        ((100, 1, 1), {}, (2048, 1, 1000)),
        ((100, 10, None), {}, (2048, 512, None)),
        ((50, 5, 1), {"OTEL_BSP_MAX_QUEUE_SIZE": "70", "OTEL_BSP_SCHEDULE_DELAY": "10"}, (70, 5, 10)),
        ((50, 5, 1), {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "500"}, (50, 50, 1000)),
        ((50, 5, 1), {"OTEL_BSP_MAX_QUEUE_SIZE": "many"}, (50, 5, 1000)),
        ((50, 5, 1), {"OTEL_BSP_SCHEDULE_DELAY": "-1"}, (50, 5, 1000)),
    ],
)
def test_the_queue_is_as_configured_and_opentelemetrys_by_default(
    given: Any, environment: dict[str, str], expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert tuple(exporters.queue_options(*given).values()) == expected


class _Counts(MetricsFactory):
    def __init__(self) -> None:
        self.counts: dict[str, float] = {}

    def create_counter(self, name: str, tags: Any = None) -> Any:
        key = " ".join([name, *(tags or {}).values()])
        return lambda value: self.counts.__setitem__(key, self.counts.get(key, 0) + value)

    def create_gauge(self, name: str, tags: Any = None) -> Any:
        return lambda value: self.counts.__setitem__(name, value)


@pytest.mark.parametrize("interval", [3.5, 0, None])
def test_reporter_and_channel_keep_their_arguments(interval: float | None) -> None:
    loop = object()
    channel = LocalAgentSender("there", "1", "2", loop, "3")
    assert (channel.host, channel.sampling_port, channel.reporting_port) == ("there", 1, 2)
    assert (channel.io_loop, channel.throttling_port) == (loop, 3)
    made = Reporter(channel, queue_capacity=7, batch_size=5, flush_interval=interval)
    assert (made.queue_capacity, made.batch_size, made.flush_interval) == (7, 5, interval or None)
    assert made.close().result(10)


def test_the_reporter_counts_reported_and_lost_spans(collector: Collector) -> None:
    counts = _Counts()
    tracer = _tracer(Reporter(CHANNEL, metrics_factory=counts))
    for number in (1, 2, 3):
        tracer.start_span("op").finish()
        assert tracer.flush(10)
        assert counts.counts == {"jaeger:reporter_spans ok": number, "jaeger:reporter_queue_length": 0}
    assert tracer.close().result(10)
    tracer.start_span("late").finish()
    assert counts.counts["jaeger:reporter_spans dropped"] == 1
    assert len(collector.spans) == 3


def test_the_reporter_counts_failures(collector: Collector) -> None:
    collector.respond = lambda path, body: (400, b"no")
    counts = _Counts()
    tracer = _tracer(Reporter(CHANNEL, metrics_factory=counts))
    tracer.start_span("op").finish()
    assert tracer.close().result(10) is False
    assert counts.counts["jaeger:reporter_spans err"] == 1


def test_a_full_queue_drops_and_counts(collector: Collector) -> None:
    counts, let_go = _Counts(), threading.Event()

    def wait(path: str, body: bytes) -> tuple[int, bytes]:
        let_go.wait(20)
        return 200, b""

    collector.respond = wait
    tracer = _tracer(Reporter(CHANNEL, queue_capacity=5, batch_size=5, metrics_factory=counts))
    for _ in range(5):
        tracer.start_span("op").finish()
    collector.wait_for(lambda: collector.requests)
    for _ in range(7):
        tracer.start_span("op").finish()
    let_go.set()
    assert tracer.flush(10) is False
    assert tracer.flush(10) is True
    assert tracer.close().result(10) is False  # another thread, which has not got the result yet
    assert counts.counts == {
        "jaeger:reporter_spans ok": 10,
        "jaeger:reporter_spans dropped": 2,
        "jaeger:reporter_queue_length": 0,
    }


def test_spans_that_end_after_the_close_are_counted_and_logged_once(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    counts = _Counts()
    tracer = _tracer(Reporter(CHANNEL, metrics_factory=counts))
    assert tracer.close().result(10) is True
    for _ in range(3):
        tracer.start_span("late").finish()
    assert counts.counts["jaeger:reporter_spans dropped"] == 3
    messages = [record.getMessage() for record in caplog.records if record.name == "jaeger_tracing"]
    assert messages.count("spans that end after the close of their tracer are lost") == 1
    assert not collector.requests


def test_without_a_collector_close_ends_after_some_seconds_without_an_exception(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running(Collector()) as gone:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone.url)
    monkeypatch.setattr(reporter, "CLOSE_SECONDS", 0.2)
    tracer = _tracer(Reporter(CHANNEL))
    tracer.start_span("op").finish()
    assert tracer.close().result(10) is False


def test_close_gives_the_same_future_each_time_and_closes_the_sampler() -> None:
    closed: list[str] = []

    class Sampler(ConstSampler):
        def close(self) -> None:
            closed.append("sampler")

    class Mine(InMemoryReporter):
        def close(self) -> Any:
            closed.append("reporter")
            return super().close()

    tracer = Tracer("service", Mine(), Sampler(True))
    first = tracer.close()
    assert tracer.close() is first
    assert tracer.closed
    assert isinstance(first, concurrent.futures.Future)
    assert (first.result(5), closed) == (True, ["sampler", "reporter"])


def test_a_reporter_whose_close_returns_nothing_is_closed_at_once() -> None:
    class Mine(InMemoryReporter):
        def close(self) -> Any:
            return None

    assert _tracer(Mine()).close().result(5) is True


def test_close_does_not_flush_the_reporter_itself_but_a_later_flush_does() -> None:
    flushed: list[float] = []

    class Mine(InMemoryReporter):
        def flush(self, timeout: float) -> bool:
            flushed.append(timeout)
            return False

    tracer = _tracer(Mine())
    assert tracer.flush(2.5) is False
    assert tracer.close().result(5) is True
    assert flushed == [pytest.approx(2.5, abs=1)]
    assert tracer.flush(2.5) is False
    assert len(flushed) == 2


def test_a_flush_beside_close_waits_for_the_spans_and_says_that_they_are_lost(collector: Collector) -> None:
    collector.respond = lambda path, body: (400, b"no")
    tracer = _tracer(Reporter(CHANNEL))
    tracer.start_span("op").finish()
    closing = tracer.close()
    assert tracer.flush(10) is False
    assert closing.result(10) is False


def test_close_can_be_awaited_and_wrapped(collector: Collector) -> None:
    async def main() -> tuple[bool, bool]:
        first, second = _tracer(Reporter(CHANNEL)), _tracer(Reporter(CHANNEL))
        first.start_span("first").finish()
        second.start_span("second").finish()
        return await first.close(), await asyncio.wrap_future(second.close())

    assert asyncio.run(main()) == (True, True)
    assert sorted(collector.names) == ["first", "second"]


def test_close_can_be_yielded_in_tornado(collector: Collector) -> None:
    import tornado.gen
    import tornado.ioloop

    tracer = _tracer(Reporter(CHANNEL))
    tracer.start_span("op").finish()

    @tornado.gen.coroutine
    def main() -> Any:
        result = yield tracer.close()
        return result

    assert asyncio.run(_in_loop(main)) is True
    assert collector.names == ["op"]


async def _in_loop(coroutine: Any) -> Any:
    return await coroutine()


def test_a_composite_waits_for_futures_of_any_kind() -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        theirs = loop.create_future()

        class Theirs(InMemoryReporter):
            def close(self) -> Any:
                return theirs

        closing = CompositeReporter(Theirs(), InMemoryReporter(), NullReporter()).close()
        assert not closing.done()
        theirs.set_result(None)
        return await closing

    assert asyncio.run(main()) is True


def test_the_future_of_a_close_that_raises_has_the_exception() -> None:
    def work() -> bool:
        raise RuntimeError("no")

    assert isinstance(in_background(work).exception(5), RuntimeError)


def test_flushing_the_provider_flushes_the_reporter(collector: Collector) -> None:
    tracer: Any = _tracer(Reporter(CHANNEL))
    tracer.start_span("op").finish()
    assert tracer.provider.force_flush(10_000)
    assert collector.names == ["op"]
    assert tracer.close().result(10)


@pytest.mark.parametrize("composed", [False, True], ids=["exporters", "reporters"])
def test_several_hanging_collectors_share_the_timeout_of_a_flush(
    composed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "CLOSE_SECONDS", 1.0)
    many = 12
    with hanging() as endpoint:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", ",".join(["otlp"] * (1 if composed else many)))
        all_of_them = CompositeReporter(*(Reporter(CHANNEL) for _ in range(many)))
        tracer = _tracer(all_of_them if composed else Reporter(CHANNEL))
        tracer.start_span("op").finish()
        began = time.monotonic()
        assert tracer.flush(1) is False
        assert time.monotonic() - began < many / 2
        assert tracer.close().result(many) is False


def test_a_reporter_closes_in_a_thread_with_a_name() -> None:
    names: Any = in_background(lambda: threading.current_thread().name)
    assert names.result(10) == "ot_bridge-close"


def test_the_composite_close_is_false_if_one_close_fails() -> None:
    failed = Closing()
    failed.set_exception(RuntimeError("no"))
    assert all_of([done(), failed]).result(1) is False
    assert all_of([]).result(1) is True
