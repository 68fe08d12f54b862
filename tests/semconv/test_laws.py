"""Rules that the translation keeps for any span, and which components see the old or the new names."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind

import ot_bridge
from ot_bridge import jaeger_client
from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.cli.checkup.effective import rows
from ot_bridge.delivery.exit import PROCESSORS
from ot_bridge.errors import ConfigurationError
from ot_bridge.otlp.encode import encode
from ot_bridge.sampling import PathSampler, always_off, always_on
from ot_bridge.semconv import SemconvExporter
from ot_bridge.semconv.addresses import known_origin, split
from ot_bridge.semconv.names import RENAMED, why_it_stays
from ot_bridge.testing import RecordingTracer
from ot_bridge.xray.segment import segment
from tests.conftest import resource
from tests.semconv.sides import PROVIDERS, attributes, exported, installed

VARIABLE = "OTEL_SEMCONV_STABILITY_OPT_IN"
WEB = {"span.kind": "server", "component": "Flask", "http.method": "GET", "http.url": "http://h/a"}
STORE = {"span.kind": "client", "db.type": "redis", "db.statement": "GET a", "peer.service": "redis"}

WORDS = {
    "nothing": ("", set()),
    "others' words": ("gen_ai, messaging,k8s", set()),
    "a group": ("http", {"http.request.method"}),
    "blanks and case": (" HTTP , DataBase ", {"http.request.method"}),
    "dup": ("http/dup", {"http.method", "http.request.method"}),
    "dup wins": ("http/dup,http", {"http.method", "http.request.method"}),
    "dup wins from behind": ("http,http/dup", {"http.method", "http.request.method"}),
    "another group": ("database", {"http.method"}),
}


@pytest.mark.parametrize(("words", "found"), WORDS.values(), ids=WORDS)
def test_the_variable_selects_the_groups(
    monkeypatch: pytest.MonkeyPatch, words: str, found: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, words)
    names = {"http.method", "http.request.method"} & attributes(None, WEB).keys()
    assert names == (found or {"http.method"})
    assert [record.message for record in caplog.records if VARIABLE in record.message] == []


def test_the_argument_overrides_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "http")
    assert "http.request.method" in attributes(None, WEB)
    assert "http.method" in attributes("", WEB)
    assert "http.method" in attributes("database", WEB)


@pytest.mark.parametrize("semconv", ["htpp", "http/dupe", "messaging", "http,,x", 7, ["http"]], ids=repr)
def test_an_unknown_word_in_the_argument_raises_immediately(semconv: Any) -> None:
    with pytest.raises(ConfigurationError, match="semconv") as raised:
        ot_bridge.install(semconv=semconv, exporters=[], set_global=False)
    form = "a comma-separated list of http, database, rpc, each with or without /dup"
    word = semconv.rpartition(",")[2] if isinstance(semconv, str) else None
    wanted = f"expected a text, {form}" if word is None else f"{word!r} is not known; expected {form}"
    assert str(raised.value).endswith(wanted)


def test_a_second_install_with_other_groups_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with installed("http"):
        ot_bridge.install(semconv="rpc")
        assert [record.levelname for record in caplog.records] == ["WARNING"]


def _delivered_to(exporter: SpanExporter) -> Any:
    """The exporter, or what has been wrapped around it."""
    delivered = [each.exporter for each in PROCESSORS]
    (found,) = [each for each in delivered if exporter in (each, getattr(each, "exporter", None))]
    return found


@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_opted_in_groups_the_exporter_is_not_wrapped(provider: str) -> None:
    with installed("", provider) as (_, exporter):
        assert _delivered_to(exporter) is exporter
    with installed("http", provider) as (_, exporter):
        assert isinstance(_delivered_to(exporter), SemconvExporter)


PROGRAM = """
import ot_bridge
tracer = ot_bridge.install("shop")
tracer.start_span("a", tags={"http.method": "GET"}).finish()
"""


def test_an_exporter_that_is_named_is_wrapped_too() -> None:
    variables = {**os.environ, "OTEL_TRACES_EXPORTER": "console", VARIABLE: "http"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, env=variables)
    assert json.loads(done.stdout)["attributes"] == {"http.request.method": "GET"}


JAEGER = """
from ot_bridge.jaeger_client import Config
tracer = Config(config={"sampler": {"type": "const", "param": 1}}, service_name="shop").initialize_tracer()
tracer.start_span("a", tags={"http.method": "GET"}).finish()
tracer.close().result(10)
"""


def test_tag_names_of_the_jaeger_client_drop_in_obey_the_variable() -> None:
    variables = {**os.environ, "OTEL_TRACES_EXPORTER": "console", VARIABLE: "http"}
    done = subprocess.run([sys.executable, "-c", JAEGER], capture_output=True, check=True, env=variables)
    attributes = json.loads(done.stdout)["attributes"]
    assert attributes["http.request.method"] == "GET"
    assert "http.method" not in attributes


def test_a_program_under_ot_bridge_run_obeys_the_variable(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(JAEGER.replace("ot_bridge.jaeger_client", "jaeger_client"))
    variables = {**os.environ, "OTEL_TRACES_EXPORTER": "console", VARIABLE: "http"}
    command = [sys.executable, "-m", "ot_bridge", "run", "--", sys.executable, str(program)]
    done = subprocess.run(command, capture_output=True, check=True, env=variables)
    attributes = json.loads(done.stdout)["attributes"]
    assert attributes["http.request.method"] == "GET"
    assert "http.method" not in attributes


@pytest.mark.parametrize(
    ("variable", "row"),
    [
        ("", ("semconv", "as the program sets them", "default")),
        ("rpc,http/dup,gen_ai", ("semconv", "http/dup,rpc", VARIABLE)),
    ],
    ids=["off", "on"],
)
def test_the_effective_configuration_shows_the_groups(
    monkeypatch: pytest.MonkeyPatch, variable: str, row: tuple[str, str, str]
) -> None:
    monkeypatch.setenv(VARIABLE, variable)
    assert row in [tuple(each) for each in rows()]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_groups_are_independent_and_a_span_may_be_of_two(provider: str) -> None:
    both = {**STORE, **WEB, "peer.ipv4": "192.0.2.7"}
    seen = attributes("database", both, provider=provider)
    assert {"http.method", "http.url", "db.system.name", "network.peer.address"} <= seen.keys()
    assert "http.request.method" not in seen
    kept = attributes("database,http/dup", both, provider=provider)
    assert {"peer.ipv4", "http.method", "db.system.name"} <= kept.keys()
    assert "db.type" not in kept


def test_names_of_the_peer_alone_do_not_select_a_group() -> None:
    tags = {"peer.ipv4": "192.0.2.7", "peer.hostname": "h", "component": "shop", "span.kind": "client"}
    assert attributes("http,database,rpc", tags) == attributes("", tags)


@pytest.mark.parametrize("kind", [{}, {"span.kind": "producer"}], ids=["no kind", "producer"])
def test_a_grpc_span_of_another_kind_is_not_changed(kind: dict[str, str]) -> None:
    tags = {"component": "grpc", "peer.ipv4": "192.0.2.7", **kind}
    assert attributes("rpc", tags) == attributes("", tags)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_name_that_the_program_set_is_never_overwritten(provider: str) -> None:
    own = {"http.request.method": "POST", "url.path": "/other", "http.response.status_code": 404}
    seen = attributes("http", WEB | {"http.status_code": 200} | own, provider=provider)
    assert seen.items() >= own.items()
    assert seen["http.method"] == "GET"
    assert seen["http.url"] == "http://h/a"
    assert seen["http.status_code"] == 200
    assert seen["server.address"] == "h"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("kind", "error"), [("KeyError", "KeyError"), ("", "_OTHER"), (5, "_OTHER"), (None, "_OTHER")], ids=str
)
def test_only_a_text_is_the_type_of_an_exception(kind: Any, error: str, provider: str) -> None:
    with installed("http", provider) as (tracer, exporter):
        span = tracer.start_span("op", tags={"http.method": "GET"})
        span.unwrap().add_event("exception", {} if kind is None else {"exception.type": kind})
        span.set_tag("error", True).finish()
        assert tracer.flush()
        (made,) = exporter.get_finished_spans()
    assert made.attributes is not None
    assert made.attributes["error.type"] == error


@pytest.mark.parametrize(
    "name",
    [
        *("component", "peer.service", "message_bus.destination", "celery.task_name", "db.user"),
        *("db.rows_produced", "sql", "sql.params", "command.name", "namespace", "redis.key"),
        *("elasticsearch.url", "boto3.x", "error.object", "http.target", "http.host", "http.scheme"),
        *("net.peer.ip", "rpc.system", "rpc.service", "code.function", "http.route"),
        "http.request.header.x-a",
    ],
)
def test_a_name_that_is_not_translated_is_kept_and_the_reason_is_known(name: str) -> None:
    tags = {**STORE, **WEB, name: "value"}
    assert attributes("http,database,rpc", tags)[name] == "value"
    assert why_it_stays(name)


def test_a_name_that_is_translated_has_no_reason_to_be_kept() -> None:
    assert [name for name in RENAMED if why_it_stays(name)] == []
    assert why_it_stays("user.id") is None


def _parts(span: ReadableSpan) -> dict[str, Any]:
    names = ("name", "kind", "context", "parent", "start_time", "end_time", "status", "links", "resource")
    more = ("instrumentation_scope", "dropped_attributes", "dropped_events", "dropped_links")
    parts = {name: getattr(span, name) for name in (*names, *more)}
    parts["events"] = [(each.name, dict(each.attributes or {}), each.timestamp) for each in span.events]
    return parts


def _provider(tracer: Tracer) -> Any:
    return tracer.provider


class _Both(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_copy_differs_only_in_attributes_and_the_original_is_not_changed(provider: str) -> None:
    with installed("http,database", provider) as (tracer, exporter):
        keeps = _Both()
        _provider(tracer).add_span_processor(keeps)
        with tracer.start_active_span("a", tags=WEB) as scope:
            scope.span.log_kv({"event": "x", "n": 1})
            with _provider(tracer).get_tracer("b").start_as_current_span(
                "b", kind=SpanKind.CLIENT, attributes={"db.type": "redis"},
                links=[Link(trace.get_current_span().get_span_context(), {"l": 1})],
            ):  # fmt: skip
                pass
        assert tracer.flush()
    assert [span.name for span in keeps.spans] == ["b", "a"]
    for original, copy in zip(keeps.spans, exporter.get_finished_spans(), strict=True):
        assert _parts(copy) == _parts(original)
        assert copy.get_span_context() == original.get_span_context()
        assert {"http.method", "db.type"} & (original.attributes or {}).keys()
        assert not {"http.method", "db.type"} & (copy.attributes or {}).keys()
        written = json.loads(copy.to_json())
        assert written["attributes"] == dict(copy.attributes or {})
        assert {**written, "attributes": 0} == {**json.loads(original.to_json()), "attributes": 0}
        assert copy.to_json() == json.dumps(written, indent=4)
        assert copy.to_json(None) == json.dumps(written)


def test_a_span_that_is_not_concerned_is_passed_on_as_the_same_object() -> None:
    keeps = _Both()
    with installed("http,database,rpc") as (tracer, exporter):
        _provider(tracer).add_span_processor(keeps)
        tracer.start_span("a", tags={"component": "shop", "span.kind": "client"}).finish()
        assert tracer.flush()
    assert exporter.get_finished_spans()[0] is keeps.spans[0]


def test_a_copy_of_the_engines_span_offers_its_new_attributes_without_being_read() -> None:
    span: Any = exported("http", {"http.method": "GET"})
    assert dict(span.for_export()[7]) == {"http.request.method": "GET"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_otlp_and_the_sdks_exporter_show_the_copy(provider: str) -> None:
    copy = exported("http", WEB, provider=provider, logs=({"event": "x"},))
    theirs = encode_spans([copy])
    ours = ExportTraceServiceRequest.FromString(encode([copy]).body)
    spans = [each.resource_spans[0].scope_spans[0].spans[0] for each in (ours, theirs)]
    names = [{pair.key for pair in span.attributes} for span in spans]
    assert names[0] == names[1] == set(copy.attributes or {})
    assert spans[0].name == spans[1].name
    assert len(spans[0].events) == len(spans[1].events) == 1


def test_a_processor_of_the_programs_own_can_be_given_the_public_wrapper() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(SemconvExporter(exporter, "http")))
    create_tracer(provider).start_span("a", tags=WEB).finish()
    (span,) = exporter.get_finished_spans()
    assert (span.attributes or {})["http.request.method"] == "GET"


def test_a_recording_tracer_and_jaeger_clients_reporter_show_what_the_program_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "http,database,rpc")
    recording = RecordingTracer()
    recording.start_span("a", tags={"http.method": "GET"}).finish()
    assert recording.finished_spans()[0].tags == {"http.method": "GET"}
    reporter = jaeger_client.reporter.InMemoryReporter()
    tracer = jaeger_client.Tracer("shop", reporter, jaeger_client.ConstSampler(True))
    tracer.start_span("a", tags={"http.method": "GET"}).finish()
    (span,) = reporter.get_spans()
    assert {"http.method"} == {tag.key for tag in span.tags if tag.key.startswith("http")}


def test_a_sampler_sees_the_names_that_the_program_set() -> None:
    with installed("http", sampler=PathSampler([("/health", always_off)], always_on)) as (tracer, exporter):
        for path in ("/health", "/users"):
            tracer.start_span(path, tags={"span.kind": "server", "http.url": f"http://h{path}"}).finish()
        assert tracer.flush()
        assert [span.name for span in exporter.get_finished_spans()] == ["/users"]


def test_a_span_that_runs_shows_what_the_program_set() -> None:
    with installed("http") as (tracer, _), tracer.start_active_span("a", tags=WEB):
        seen: Any = trace.get_current_span()
        assert dict(seen.attributes) == {name: value for name, value in WEB.items() if name != "span.kind"}


class _Rich(InMemorySpanExporter):
    name = "rich"
    refusing = True
    failed = {"other": 1}

    def shutdown(self, timeout_millis: int = 7) -> None:
        self.flush_timeout = timeout_millis

    def force_flush(self, timeout_millis: int = 7) -> bool:
        return False


def test_the_wrapper_has_what_the_exporter_has() -> None:
    exporter = _Rich()
    wrapper: Any = SemconvExporter(exporter, "http")
    assert (wrapper.name, wrapper.refusing, wrapper.failed) == ("rich", True, {"other": 1})
    assert wrapper.force_flush(5) is False
    wrapper.shutdown(timeout_millis=9)
    assert exporter.flush_timeout == 9
    with pytest.raises(AttributeError):
        wrapper.nothing  # noqa: B018


HOSTILE: dict[str, Any] = {
    "none": None, "a true": True, "zero": 0, "minus one": -1, "a large number": 10**30, "NaN": float("nan"),
    "infinity": float("inf"), "minus infinity": float("-inf"), "half": 0.5, "empty": "", "a blank": " ",
    "a NUL": "\0", "a line end": "\r\n", "a lone surrogate": "\ud800", "Arabic digits": "\u0662\u0660",
    "a sign": "+8",
    "an underscore": "2_00", "bytes": b"GET", "bytes that are no text": b"\xff", "a tuple": ("a", "b"),
    "an empty tuple": (), "a list": [1, 2], "a dict": {"a": 1}, "a set": {1}, "an object": object(),
    "a class": dict, "a function": len, "an exception": ValueError("x"), "slashes": "////", "a scheme": "://",
    "only a scheme": "http://", "no host": "http:///a", "brackets": "http://[", "a closed bracket": "http://]/",
    "many ats": "http://" + "@" * 9000, "many colons": "http://" + ":" * 9000, "many slashes": "/" * 9000,
    "a long host": "http://" + "a" * 60000, "a long query": "/?" + "a=b&" * 15000, "a long word": "a" * 60000,
}  # fmt: skip
NAMES = (*RENAMED, "component", "error", "error.kind", "sqlalchemy.dialect", "peer.service")


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_no_value_of_any_name_loses_a_span(value: Any) -> None:
    with installed("http,database,rpc") as (tracer, exporter):
        for name in NAMES:
            for kind in ("client", "server"):
                tags = {"http.method": "GET", "db.type": "sql", "component": "grpc", name: value}
                tracer.start_span("a", tags={"span.kind": kind, **tags}).finish()
        assert tracer.flush()
        wrapper = _delivered_to(exporter)
        assert len(exporter.get_finished_spans()) == 2 * len(NAMES)
    assert wrapper.untranslated == 0


def test_a_value_that_raises_prevents_only_the_translation_of_its_span(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Odd(ReadableSpan):
        @property
        def attributes(self) -> Any:
            raise RuntimeError("no")

    exporter = InMemorySpanExporter()
    wrapper = SemconvExporter(exporter, "http")
    odd = [Odd("odd"), Odd("odd")]
    good = ReadableSpan("good", attributes={"http.method": "GET"})
    with caplog.at_level(logging.WARNING, "ot_bridge.semconv"):
        wrapper.export([odd[0], good, odd[1]])
    first, second, third = exporter.get_finished_spans()
    assert (first, third) == (odd[0], odd[1])
    assert second.attributes == {"http.request.method": "GET"}
    assert wrapper.untranslated == 2
    said = [record.message for record in caplog.records if record.name == "ot_bridge.semconv"]
    text = "a span could not be translated; it is exported under its old names"
    assert [line for line in said if not line.startswith(text)] == []
    assert len(said) <= 1


class _Fails(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.FAILURE


def test_the_result_of_the_wrapped_exporter_is_returned() -> None:
    assert SemconvExporter(_Fails(), "http").export([]) is SpanExportResult.FAILURE


def test_origins_are_kept_within_bounds_and_without_paths_and_passwords() -> None:
    for number in range(3000):
        split(f"http://h{number}/secret/{number}")
        split(f"http://me:secret@h{number}/")
        split(f"http://h{number}?secret={number}")
    kept = [number for number in range(3000) if known_origin(f"http://h{number}")]
    assert 0 < len(kept) <= 1024
    for secret in ("h2999/secret/2999", "me:secret@h2999", "h2999?secret=2999"):
        assert known_origin(f"http://{secret}") is None
    numbers = iter(range(3000, 9000))
    while known_origin("http://h2999"):
        split(f"http://h{(first := next(numbers))}/")  # until the memory begins anew
    others = [next(numbers) for _ in range(1023)]
    for number in others:
        split(f"http://h{number}/")
    assert all(known_origin(f"http://h{number}") for number in [first, *others])
    split("http://" + "h" * 293)
    split("http://" + "h" * 294)
    assert known_origin(f"http://h{first}") is None
    assert known_origin("http://" + "h" * 293)
    assert known_origin("http://" + "h" * 294) is None


METHODS = ["GET", "get", "", 7]
CODES = [100, 404, 500, 599, 99, 600, "200", 200.0, True]
URLS = [
    *("http://shop.example/a", "https://shop.example:8443/", "HTTP://Shop.Example/a/b", "http://[::1]:80/a"),
    *("http://shop.example", "http://shop.example/a?b=1", "http://shop.example/a#b", "http://shop.example2"),
    *("http://u:p@shop.example/a", "https:///a", "ws://a/b/c", "/a", "", "http://shop.example:99999/a", 7),
]


@pytest.mark.parametrize("semconv", ["http", "http/dup"])
@pytest.mark.parametrize("kind", [SpanKind.SERVER, SpanKind.CLIENT], ids=["server", "client"])
def test_the_usual_http_span_is_translated_as_by_the_rules(kind: SpanKind, semconv: str) -> None:
    new: dict[str, Any] = {"db.namespace": "a new name, beside which only the rules are applied"}
    values = [*product(METHODS, CODES, URLS)] * 2  # the second time with origins that were seen before
    tags: list[dict[str, Any]] = [
        dict(zip(("http.method", "http.status_code", "http.url"), each, strict=True)) for each in values
    ]
    exported_attributes = []
    for more in ({}, new):
        kept = InMemorySpanExporter()
        spans = [ReadableSpan("a", kind=kind, attributes=each | more, resource=resource()) for each in tags]
        SemconvExporter(kept, semconv).export(spans)
        exported_attributes.append([dict(span.attributes or {}) for span in kept.get_finished_spans()])
    usual, by_rules = exported_attributes
    assert len(usual) == len(values)
    assert [each | new for each in usual] == by_rules
    assert {"url.path" if kind is SpanKind.SERVER else "url.full"} < {name for each in usual for name in each}


def test_the_known_methods_are_those_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET, PURGE")
    seen = [attributes("http", {"http.method": method}) for method in ("PURGE", "POST", "purge")]
    assert [each["http.request.method"] for each in seen] == ["PURGE", "_OTHER", "PURGE"]
    assert [each.get("http.request.method_original") for each in seen] == [None, "POST", "purge"]


SAME_IN_XRAY = {
    "a server": WEB | {"http.status_code": 500},
    "a client": WEB | {"span.kind": "client", "http.status_code": 404},
    "a path": {"span.kind": "server", "http.method": "GET", "http.url": "/a?b=1", "http.status_code": 200},
    "a password": WEB | {"span.kind": "client", "http.url": "http://me:secret@h/a"},
    "an odd port": WEB | {"http.url": "http://h:8080/a?b=1"},
    "a database": {**STORE, "db.type": "postgresql", "db.instance": "shop", "peer.hostname": "h"},
    "a throttled RPC": {"span.kind": "client", "component": "grpc", "rpc.grpc.status_code": 8},
}


@pytest.mark.parametrize("tags", SAME_IN_XRAY.values(), ids=SAME_IN_XRAY)
def test_the_xray_exporter_writes_the_same_for_old_and_new_names(tags: dict[str, Any]) -> None:
    segments = [segment(exported(semconv, tags)) for semconv in ("", "http,database,rpc")]
    keys = ("sql", "error", "fault", "throttle", "namespace")
    assert [{key: each.get(key) for key in keys} for each in segments[:1]] == [
        {key: each.get(key) for key in keys} for each in segments[1:]
    ]
    urls = [(each.get("http") or {}).get("request", {}).get("url") for each in segments]
    statuses = [(each.get("http") or {}).get("response", {}).get("status") for each in segments]
    assert urls[0] == urls[1]
    assert statuses[0] == statuses[1]


def test_for_a_provider_that_gets_no_exporter_the_ignored_argument_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    ot_bridge.install(tracer_provider=provider, semconv="http", set_global=False)
    ot_bridge.uninstall()
    assert "install() ignores semconv=..." in caplog.text


DEVELOPMENT = "its successor is still in development"
LIBRARY = "a library's own name, not OpenTracing's"
OTEL = "OpenTelemetry's own name; its instrumentation obeys the variable itself"
LISTS = "OpenTelemetry wants a list of texts; this is changed where it is captured"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("component", "it has no successor; the scope's name comes nearest"),
        ("peer.service", f"{DEVELOPMENT} (service.peer.name), and service maps are drawn by the old name"),
        ("message_bus.destination", f"{DEVELOPMENT} (messaging)"),
        ("celery.task_id", f"{DEVELOPMENT} (messaging)"),
        ("db.user", "it has no successor"),
        ("db.rows_produced", f"{DEVELOPMENT} (db.response.returned_rows)"),
        ("error.kind", "OpenTelemetry records errors as status and exception events"),
        ("span.kind", "it is the span's kind, not an attribute"),
        ("error", "it is the span's status, not an attribute"),
        ("sampling.priority", "it is a decision, not an attribute"),
        *((name, LIBRARY) for name in ("sql", "sql.params", "command.name", "namespace")),
        *((name, LIBRARY) for name in ("event.reply", "redis.key", "elasticsearch.url")),
        *((name, LIBRARY) for name in ("boto3.x", "sqlalchemy.dialect", "pyramid.route")),
        *((name, OTEL) for name in ("http.target", "http.host", "http.scheme")),
        *((name, OTEL) for name in ("http.route", "net.peer.name", "rpc.system")),
        *((name, OTEL) for name in ("rpc.service", "code.function")),
        ("http.request.header.x-a", LISTS),
        ("http.response.header.x-a", LISTS),
    ],
    ids=str,
)
def test_a_name_that_is_kept_has_a_reason(name: str, reason: str) -> None:
    assert why_it_stays(name) == reason
