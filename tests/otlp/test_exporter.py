"""`OTLPSpanExporter` as delivery and the SDK use it: requests, parts, pauses."""

from __future__ import annotations

import gc
import gzip
import logging
import random
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.exporters import exporter_factory
from ot_bridge.otlp import OTLPSpanExporter
from tests.receiver import HANG, HttpReceiver, Response, free_port

from .conftest import exporting, lost, names, some_spans

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


def test_a_request_has_the_headers_of_otlp_and_the_users() -> None:
    with (
        HttpReceiver() as receiver,
        exporting(receiver, headers={"X-Key": "ü", "User-Agent": "mine"}) as exporter,
        exporting(receiver) as plain,
    ):
        assert exporter.export(some_spans()) is plain.export(some_spans()) is SUCCESS
        first, second = receiver.seen
    assert (first.method, first.target) == ("POST", "/v1/traces")
    assert first.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-type": "application/x-protobuf",
        "content-length": str(len(first.body)),
        "x-key": "ü".encode().decode("latin-1"),
        "user-agent": "mine",
    }
    agent = second.headers["user-agent"]
    assert agent.startswith("ot-bridge/")
    assert "OTel-OTLP-Exporter-Python" in agent


def test_the_query_of_an_endpoint_is_sent() -> None:
    with HttpReceiver() as receiver, exporting(f"{receiver.endpoint}?key=a%20b") as exporter:
        assert exporter.export(some_spans()) is SUCCESS
        assert receiver.seen[0].target == "/v1/traces?key=a%20b"


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
def test_a_body_is_compressed_as_its_header_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", kind)
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans(100)) is SUCCESS
        (seen,) = receiver.seen
    assert seen.headers["content-encoding"] == kind
    plain = gzip.decompress(seen.body) if kind == "gzip" else zlib.decompress(seen.body)
    assert len(seen.body) < 0.7 * len(plain)
    assert len(names(receiver)) == 100


def test_the_variables_are_obeyed_by_an_exporter_without_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.base)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")
        exporter = OTLPSpanExporter()
        assert exporter.export(some_spans()) is SUCCESS
        exporter.shutdown()
        assert receiver.seen[0].headers["x-key"] == "a b"
        assert exporter.target == receiver.endpoint


def test_an_unusable_endpoint_loses_and_counts_every_span(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")
    exporter = OTLPSpanExporter()
    assert [exporter.export(some_spans(2)) for _ in range(3)] == [FAILURE] * 3
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    exporter.shutdown()
    assert lost(exporter) == {"other": 6}
    assert [record.getMessage()[:11] for record in caplog.records[1:]] == ["2 spans are", "4 spans are"]


def test_the_exporter_is_found_by_its_entry_point() -> None:
    made = exporter_factory("ot_bridge_otlp")
    assert made is not None
    assert isinstance(made(), OTLPSpanExporter)


@pytest.mark.parametrize("cycle", [False, True])
def test_an_exporter_that_is_dropped_closes_its_connection_without_a_warning(cycle: bool) -> None:
    with HttpReceiver() as receiver:
        exporter: Any = OTLPSpanExporter(receiver.endpoint)
        assert exporter.export(some_spans()) is SUCCESS
        if cycle:
            exporter.itself = exporter
        del exporter
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            gc.collect()
    assert [str(warning.message) for warning in caught] == []


# Parts


def test_a_batch_that_is_too_large_is_sent_in_parts() -> None:
    with HttpReceiver() as receiver, exporting(receiver, max_request_size=4000) as exporter:
        assert exporter.export(some_spans(8, size=1000)) is SUCCESS
        assert names(receiver) == [f"span {number}" for number in range(8)]
        assert len(receiver.seen) == 4
        assert max(len(seen.body) for seen in receiver.seen) <= 4000


def test_a_span_that_is_too_large_alone_is_lost_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    spans = [*some_spans(3), *some_spans(1, size=9000)]
    with HttpReceiver() as receiver, exporting(receiver, max_request_size=4000) as exporter:
        assert exporter.export(spans) is FAILURE
        assert len(names(receiver)) == 3
        assert lost(exporter) == {"too large": 1}
    assert "4000" in caplog.text


def test_a_batch_that_the_collector_calls_too_large_is_sent_in_halves_once() -> None:
    with HttpReceiver(Response(413)) as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans(5)) is SUCCESS
        assert names(receiver) == [f"span {number}" for number in range(5)]
    with HttpReceiver(Response(413), Response(413)) as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans(5)) is FAILURE
        assert names(receiver) == ["span 2", "span 3", "span 4"]
        assert lost(exporter) == {"too large": 2}
    with HttpReceiver(Response(413)) as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans(1)) is FAILURE
        assert len(receiver.seen) == 1


def test_a_batch_that_memory_is_missing_for_is_lost_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*arguments: Any) -> Any:
        raise MemoryError("none is left")

    with HttpReceiver() as receiver, exporting(receiver, compression="gzip") as exporter:
        with monkeypatch.context() as without:
            without.setattr("ot_bridge.otlp.sender.zlib.compressobj", missing)
            assert exporter.export(some_spans(3)) is FAILURE
        assert lost(exporter) == {"other": 3}
        assert exporter.export(some_spans(1)) is SUCCESS
    assert "the exporter failed (MemoryError('none is left'))" in caplog.text


def test_if_memory_is_missing_for_a_part_of_a_batch_each_span_is_counted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compress = zlib.compressobj
    calls: list[Any] = []

    def missing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 3:  # after the whole batch and its first half
            raise MemoryError("none is left")
        return compress(*arguments)

    with HttpReceiver(Response(413), Response(400)) as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint, compression="gzip")
        monkeypatch.setattr("ot_bridge.otlp.sender.zlib.compressobj", missing)
        assert exporter.export(some_spans(5)) is FAILURE
        assert lost(exporter) == {"status": 2, "other": 3}
        exporter.shutdown()


def test_spans_that_cannot_be_encoded_are_counted_and_the_others_are_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("broken")

    with HttpReceiver(Response(413)) as receiver, exporting(receiver) as exporter:
        assert exporter.export([*some_spans(3), Broken()]) is FAILURE  # type: ignore[list-item]
        assert len(names(receiver)) == 3
        assert lost(exporter) == {"not encodable": 1}
        assert exporter.export([Broken()]) is FAILURE  # type: ignore[list-item]
        assert len(receiver.seen) == 3
    assert set(caplog.messages) == {
        f"1 span is lost on the way to {receiver.endpoint}: they cannot be written in OTLP"
    }


def test_no_spans_make_no_request() -> None:
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert exporter.export([]) is SUCCESS
        assert not receiver.seen


# Time


def test_pauses_between_attempts_grow_and_end_at_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ot_bridge.sending.clock.FIRST_PAUSE", 0.1)
    with HttpReceiver(always=Response(503)) as receiver, exporting(receiver, timeout=1.1) as exporter:
        assert exporter.export(some_spans()) is FAILURE
        times = [seen.at for seen in receiver.seen]
    pauses = [after - before for before, after in pairwise(times)]
    assert 2 <= len(pauses) <= 3
    assert all(pause > 0.1 * 2**n * 0.79 for n, pause in enumerate(pauses))


def test_the_programs_random_numbers_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ot_bridge.sending.clock.FIRST_PAUSE", 0.01)
    with HttpReceiver(Response(503)) as receiver, exporting(receiver) as exporter:
        spans, before = some_spans(), random.getstate()
        assert exporter.export(spans) is SUCCESS
        assert random.getstate() == before


def test_give_up_at_ends_a_pause_that_would_last_longer() -> None:
    with exporting(f"http://127.0.0.1:{free_port()}/v1/traces", timeout=60) as exporter:
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(exporter.export, some_spans())
            time.sleep(0.3)
            exporter.give_up_at(time.monotonic() + 0.1)
            assert result.result(timeout=20) is FAILURE
        exporter.give_up_at(time.monotonic() - 1)
        began = time.monotonic()
        assert exporter.export(some_spans()) is FAILURE
        assert time.monotonic() - began < 5
        assert exporter.refusing
        assert lost(exporter) == {"refused": 1, "timeout": 1}


def test_give_up_at_later_than_the_timeout_changes_nothing_and_none_resets_it() -> None:
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        exporter.give_up_at(time.monotonic() + 1000)
        assert exporter.export(some_spans()) is SUCCESS
        exporter.give_up_at(0.0)
        assert exporter.export(some_spans()) is FAILURE
        exporter.give_up_at(None)
        assert exporter.export(some_spans()) is SUCCESS


def test_an_export_to_a_hanging_collector_ends_at_give_up_at() -> None:
    with HttpReceiver(always=HANG) as receiver, exporting(receiver, timeout=60) as exporter:
        exporter.give_up_at(time.monotonic() + 0.3)
        began = time.monotonic()
        assert exporter.export(some_spans()) is FAILURE
        assert time.monotonic() - began < 10


def test_give_up_at_ends_an_attempt_in_progress() -> None:
    with HttpReceiver(always=HANG) as receiver, exporting(receiver, timeout=60) as exporter:
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(exporter.export, some_spans())
            while not receiver.seen:
                time.sleep(0.01)
            exporter.give_up_at(time.monotonic())
            assert result.result(timeout=20) is FAILURE
        assert lost(exporter) == {"timeout": 1}


def test_a_shutdown_ends_a_pause_at_once_and_later_spans_are_counted() -> None:
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{free_port()}/v1/traces", timeout=60)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(exporter.export, some_spans())
        time.sleep(0.3)
        began = time.monotonic()
        exporter.shutdown()
        exporter.shutdown()
        assert result.result(timeout=20) is FAILURE
        assert time.monotonic() - began < 10
    assert exporter.export(some_spans(3)) is FAILURE
    assert lost(exporter) == {"refused": 1, "shut down": 3}


def test_after_a_shutdown_no_other_attempt_begins() -> None:
    with HttpReceiver(Response(413, wait=0.5)) as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint)
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(exporter.export, some_spans(4))
            while not receiver.seen:
                time.sleep(0.01)
            exporter.shutdown()
            assert result.result(timeout=20) is FAILURE
        assert [len(receiver.seen), lost(exporter)] == [1, {"shut down": 4}]


def test_a_shutdown_lets_an_attempt_in_progress_end() -> None:
    with HttpReceiver(Response(wait=0.5)) as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint)
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(exporter.export, some_spans())
            receiver.wait(1)
            exporter.shutdown()
            assert result.result(timeout=20) is SUCCESS
        assert not receiver.wait(2, timeout=0.0)[1:]
