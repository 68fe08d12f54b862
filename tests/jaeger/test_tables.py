"""Tables and limits of the drop-in's small parts, against jaeger-client itself where that has them."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import jaeger_client.rate_limiter
import jaeger_client.reporter
import jaeger_client.sampler
import jaeger_client.throttler
import jaeger_client.tracer
import pytest

from ot_bridge.delivery import DeliveryProcessor
from ot_bridge.jaeger_client import metrics, rate_limiter, readers, settings, utils
from ot_bridge.jaeger_client.closing import Closing, all_of, done
from ot_bridge.jaeger_client.metrics.metrics import (
    ReporterMetrics,
    SamplerMetrics,
    ThrottlerMetrics,
    TracerMetrics,
    factory,
    silent,
)
from ot_bridge.jaeger_client.reporter import CompositeReporter, NullReporter, Reporter, flush
from ot_bridge.sampling.remote import strategies_url
from tests.jaeger.sides import Side, both

COUNTERS: dict[str, tuple[Any, Any]] = {
    "tracer": (jaeger_client.tracer.TracerMetrics, TracerMetrics),
    "reporter": (jaeger_client.reporter.ReporterMetrics, ReporterMetrics),
    "sampler": (jaeger_client.sampler.SamplerMetrics, SamplerMetrics),
    "throttler": (jaeger_client.throttler.ThrottlerMetrics, ThrottlerMetrics),
}


class Named(metrics.MetricsFactory):
    """Makes counters that are their own description."""

    def create_counter(self, name: str, tags: Any = None) -> Any:
        return "counter", name, tags or None

    def create_gauge(self, name: str, tags: Any = None) -> Any:
        return "gauge", name, tags or None


@pytest.mark.parametrize(("theirs", "ours"), COUNTERS.values(), ids=COUNTERS)
def test_each_counter_has_the_name_and_tags_of_jaeger_clients(theirs: Any, ours: Any) -> None:
    expected = vars(theirs(Named()))
    assert {name: getattr(ours(Named()), name) for name in expected} == expected
    assert len(expected) > 2
    with pytest.raises(AttributeError):
        ours(Named()).nothing  # noqa: B018


def test_a_factory_is_silent_if_nobody_counts() -> None:
    quiet = [metrics.MetricsFactory(), metrics.LegacyMetricsFactory(metrics.Metrics()), factory(None, None)]
    assert [silent(each) for each in quiet] == [True] * 3
    for function in ("count", "gauge", "timing"):
        made = metrics.Metrics(**{function: print})
        assert made.counts
        assert not silent(metrics.LegacyMetricsFactory(made))
    assert type("Mine", (metrics.Metrics,), {})().counts
    assert not silent(Named())
    assert factory(named := Named(), metrics.Metrics()) is named


@pytest.mark.parametrize("module", [rate_limiter, jaeger_client.rate_limiter], ids=["ours", "theirs"])
def test_a_bucket_holds_and_earns_credits(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.RateLimiter, "timestamp", staticmethod(lambda: now[0]))
    limiter = module.RateLimiter(2.0, 4.0)
    assert 0 <= limiter.balance <= 4.0
    limiter.balance = 3.0
    assert [limiter.check_credit(cost) for cost in (1.0, 2.5, 2.0, 0.1)] == [True, False, True, False]
    now[0] += 1.0
    assert not limiter.check_credit(2.1)
    assert limiter.check_credit(2.0)
    now[0] += 10.0
    assert not limiter.check_credit(4.1)
    assert limiter.check_credit(3.0)
    limiter.update(10.0, 8.0)
    assert (limiter.balance, limiter.max_balance, limiter.credits_per_second) == (2.0, 8.0, 10.0)
    now[0] += 0.5
    assert not limiter.check_credit(7.1)
    assert limiter.check_credit(7.0)


LONGEST = threading.TIMEOUT_MAX

READ: dict[str, tuple[Callable[[Any], Any], dict[Any, Any]]] = {
    "whole": (readers.whole, {"0": 0, "12": 12, "-1": ValueError, "1.5": ValueError, "": ValueError}),
    "count": (readers.count, {"1": 1, "0": ValueError, "x": ValueError, "-1": ValueError}),
    "port": (readers.port, {"6831": 6831, "0": ValueError, "tcp://10.0.0.1:6831": ValueError}),
    "seconds": (
        readers.seconds,
        {
            1: 1,
            0.5: 0.5,
            "2": 2.0,
            0: ValueError,
            -1: ValueError,
            threading.TIMEOUT_MAX: threading.TIMEOUT_MAX,
        }
        | {threading.TIMEOUT_MAX * 2: ValueError},
    ),
    "milliseconds": (readers.milliseconds, {"500": 0.5, "0": ValueError, "x": ValueError}),
    "host": (
        readers.host,
        {"h": "h", "a.b-c": "a.b-c", "::1": "::1", "a b": ValueError, "a/b": ValueError}
        | {"a:1": ValueError, "u@h": ValueError, "h?": ValueError, "h#": ValueError, "[h]": ValueError}
        | {None: ValueError, "": ValueError},
    ),
    "duration": (
        readers.duration,
        {"500": 0.5, "500ms": 0.5, "1s": 1.0, "2m": 120.0, "1h": 3600.0, "1h2m3s4ms": 3723.004}
        | {"1.5s": 1.5, "0s": ValueError, "soon": ValueError},
    ),
    "collector": (
        readers.collector,
        {
            "http://h:14268/api/traces": "http://h:4318/v1/traces",
            "https://h/x": "https://h:4318/v1/traces",
            "http://[::1]:1/x": "http://[::1]:4318/v1/traces",
            "/api/traces": "http://localhost:4318/v1/traces",
        },
    ),
    "strategies": (
        strategies_url,
        {"h:1": "http://h:1/sampling", "http://h:1/x": "http://h:1/x", "ftp://h:1": ValueError},
    ),
    "one of": (readers.one_of(("a", "b")), {"a": "a", "B": "b", "c": ValueError, "": ValueError}),
    "formats": (
        readers.propagators_of,
        {
            "jaeger": ["jaeger"],
            "b3": ["b3multi"],
            "w3c": ["tracecontext", "baggage"],
            "jaeger, w3c": ["jaeger", "tracecontext", "baggage"],
            "other": ["other"],
        },
    ),
}


@pytest.mark.parametrize("name", READ)
def test_each_reader_accepts_and_refuses_what_it_should(name: str) -> None:
    read, table = READ[name]
    for text, expected in table.items():
        if expected is ValueError:
            with pytest.raises(ValueError):  # noqa: PT011
                read(text)
        else:
            found = read(text)
            assert found == pytest.approx(expected) if isinstance(expected, float) else found == expected, (
                text
            )


#: A dictionary, and what is wrong in it.
PROBLEMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, []),
    "what is due": (
        {
            "service_name": "s",
            "logging": "maybe",
            "reporter_batch_size": 1,
            "reporter_flush_interval": 1.5,
            "sampler": {"type": "const", "param": [1]},
            "local_agent": {"reporting_port": "6831", "reporting_host": "h"},
            "throttler": None,
            "tags": {},
        },
        [],
    ),
    "no text": ({"service_name": 7}, ["service_name: expected a text, not 7"]),
    "no whole number": (
        {"reporter_queue_size": "many"},
        ["reporter_queue_size: expected a number, not 'many'"],
    ),
    "no number": ({"max_tag_value_length": []}, ["max_tag_value_length: expected a number, not []"]),
    "no text within": ({"sampler": {"type": 1}}, ["sampler.type: expected a text, not 1"]),
    **{
        group: ({group: "text"}, [f"{group}: expected keys and values, not 'text'"])
        for group in ("local_agent", "sampler", "throttler", "tags")
    },
}


@pytest.mark.parametrize(("config", "problems"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_is_wrong_in_a_dictionary_is_described(config: dict[str, Any], problems: list[str]) -> None:
    assert settings.problems(config) == problems


def test_the_keys_that_nothing_reads_are_found_in_groups_too() -> None:
    config = {
        "tags": {"any": 1},
        "sampler": {"type": "const", "tipe": 1},
        "throttler": 5,
        "reporter": {"port": 1},
    }
    assert settings.unread(config) == ["sampler.tipe", "reporter"]


@pytest.mark.parametrize("row", ["reporting_host", "reporting_port", "sampling_refresh_interval"])
def test_a_value_in_the_dictionary_that_cannot_be_used_is_logged_and_ignored(
    row: str, caplog: pytest.LogCaptureFixture
) -> None:
    group, _, name = settings.ROWS[row].key.rpartition(".")
    given = {name: "a b" * 100}
    for _ in range(2):
        found = settings.resolve(row, {group: given} if group else given, {})
        assert found == (settings.ROWS[row].default, "default")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("jaeger_tracing", logging.WARNING)
    assert record.getMessage().startswith(f"{settings.ROWS[row].key}: 'a ba b")
    assert record.getMessage().endswith("cannot be used; it is ignored")
    assert len(record.getMessage()) < 170


def test_an_interval_of_zero_means_none() -> None:
    for value in (0, None, 0.0):
        assert (
            settings.resolve("reporter_flush_interval", {"reporter_flush_interval": value}, {}).value == value
        )


@pytest.mark.parametrize("kind", ["sampled", "unsampled"])
def test_keys_that_are_no_texts_are_taken_by_every_span(kind: str) -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer(side.package.ConstSampler(kind == "sampled"))
        span = tracer.start_span("op", tags={"k": 1})
        for key in (7, None, ("a",), 1.5):
            span.set_tag(key, 1)
        span.finish()
        return [(tag.key, tag.vLong) for span in reporter.get_spans() for tag in span.tags if tag.key in "7k"]

    both(program)


def test_an_error_is_logged_once_in_fifteen_minutes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    monkeypatch.setattr("ot_bridge.jaeger_client.utils.time.time", lambda: now[0])
    reporter = utils.ErrorReporter(None, logging.getLogger("errors"))
    for moment in (1000.0, 1900.0, 1900.5, 2000.0, 2800.5, 2801.0):
        now[0] = moment
        reporter.error("at %s", moment)
    assert caplog.messages == ["at 1900.5", "at 2801.0"]


def test_the_first_common_interface_with_an_address_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def address(name: bytes) -> str | None:
        asked.append(name.decode())
        if name in (b"eth0", b"en0"):
            raise OSError
        return "10.1.2.3" if name == b"wlan2" else None

    monkeypatch.setattr(utils, "interface_ip", address)
    assert utils.get_local_ip_by_interfaces() == "10.1.2.3"
    assert asked == [f"{kind}{number}" for kind in ("eth", "en", "wlan") for number in range(3)]
    monkeypatch.setattr(utils, "interface_ip", lambda name: None)
    assert utils.get_local_ip_by_interfaces() is None


@pytest.mark.parametrize("error", [OSError, UnicodeError])
def test_a_machine_without_a_name_has_none(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> str:
        raise error

    assert utils.host_name() == socket.gethostname()
    monkeypatch.setattr(socket, "gethostname", fails)
    monkeypatch.setattr(utils, "get_local_ip_by_socket", lambda: "192.0.2.1")
    assert utils.host_name() is None
    assert utils.local_ip() == "192.0.2.1"


def test_the_close_of_a_reporter_has_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console,otlp")
    given: list[tuple[str, float]] = []
    reporter = Reporter(None)
    kind = DeliveryProcessor

    def force_flush(processor: Any, millis: int) -> bool:
        given.append(("flush", millis))
        return len(given) != 2

    def shutdown(processor: Any, millis: int) -> None:
        given.append(("shutdown", millis))

    with monkeypatch.context() as patch:
        patch.setattr(kind, "force_flush", force_flush)
        patch.setattr(kind, "shutdown", shutdown)
        assert reporter.close().result(10) is False
        assert [name for name, _ in given] == ["flush", "flush", "shutdown", "shutdown"]
        assert all(3000 < millis <= 4000 for name, millis in given if name == "flush")
        assert all(millis <= 500 for name, millis in given if name == "shutdown")
        assert reporter.flush(2.0)
        assert all(1000 < millis <= 2000 for _, millis in given[4:])
    assert reporter.close().result(10) is True


def test_a_reporter_without_a_flush_has_flushed() -> None:
    class Flushes(NullReporter):
        def __init__(self, result: bool) -> None:
            self.result = result
            self.seconds: list[float] = []

        def flush(self, timeout: float = 0.0) -> bool:
            self.seconds.append(timeout)
            return self.result

    good, bad = Flushes(True), Flushes(False)
    assert flush(NullReporter(), 1.0) is True
    assert [flush(each, 1.0) for each in (good, bad)] == [True, False]
    assert CompositeReporter(NullReporter(), good).flush(5.0) is True
    assert CompositeReporter(bad, good).flush() is False
    assert 4 < good.seconds[1] <= 5
    assert 29 < good.seconds[2] <= 30


def test_a_closing_of_several_is_done_with_the_last() -> None:
    assert all_of([]).result(0) is True
    assert all_of([None, 7]).result(0) is True
    waits = Closing()
    closing = all_of([done(), waits, "no future"])
    assert not closing.done()
    waits.set_result(True)
    assert closing.result(0) is True
    failed = Closing()
    failed.set_exception(ValueError())
    assert all_of([done(), failed]).result(0) is False
    assert all_of([done(), done(False)]).result(0) is False
    assert all_of([done(None), done(0)]).result(0) is True
