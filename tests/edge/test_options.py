"""The options that WSGI and gRPC share: their checks, what they decide, and what is logged if they fail."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import opentracing
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind
from opentracing.mocktracer import MockTracer

from ot_bridge.bridge import Tracer
from ot_bridge.edge import (
    AS_USUAL,
    DO_NOT_TRACE,
    BrokenHeader,
    Callers,
    Exclusion,
    StartOptions,
    as_function,
    as_names,
    attempt,
    kind_tag,
    options_for,
    sampler_argument,
)
from ot_bridge.errors import ConfigurationError

TRACE = f"00-{1:032x}-{2:016x}-01"
HEADERS = {"traceparent": TRACE}
BROKEN = {"traceparent": "x"}


def raising(*request: Any) -> Any:
    raise ValueError("of the program")


#: A call -> the option that its error names, and what was expected.
REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "one text as names": (lambda: as_names("a", "xyz"), "a", "a list of names"),
    "no names": (lambda: as_names("a", 7), "a", "a list of names"),
    "a name of another type": (lambda: as_names("a", ["x", b"y"]), "a", "a name"),
    "no callable": (lambda: as_function("a", 7), "a", "a callable"),
    "a word that is not allowed": (
        lambda: Callers("some", False, "skip"),
        "trust",
        "one of all, context, link, none",
    ),
    "no word": (lambda: Callers(7, False, "skip"), "trust", "one of all"),
    "another word on corrupt": (lambda: Callers("all", False, "raise"), "on_corrupt", "one of skip, root"),
    "an exclusion of another type": (lambda: Exclusion(7), "exclude", "a list of names"),
}


@pytest.mark.parametrize(("call", "option", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_value_of_another_kind_is_refused(call: Callable[[], Any], option: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        call()
    assert refused.value.option == option
    assert refused.value.reason.startswith(f"expected {expected}")


def test_values_of_the_right_kind_are_returned() -> None:
    assert as_names("a", iter(["x", "y"])) == ("x", "y")
    assert as_function("a", None) is None
    assert as_function("a", raising) is raising


@pytest.mark.parametrize(
    ("given", "name", "excluded"),
    [
        ("/a", "/a", True),
        ("/a", "/ab", False),
        ("/a*", "/ab", True),
        ("/a*", "/b", False),
        ("/a*", "/a", True),
        (["/a", "/b*"], "/b/c", True),
        (["/a", "/b*"], "/b*", True),
        (["/*a"], "/xa", False),
        ((), "/a", False),
        ("*", "", True),
        ("*", None, False),
    ],
)
def test_names_and_beginnings_are_excluded(given: Any, name: Any, excluded: bool) -> None:
    exclusion = Exclusion(given)
    assert (exclusion[name], exclusion[name], exclusion.is_callable) == (excluded, excluded, False)
    assert not exclusion.excludes(name)


@pytest.mark.parametrize(("length", "kept"), [(256, True), (257, False)])
def test_results_are_remembered_for_1024_names_of_up_to_256_characters(length: int, kept: bool) -> None:
    exclusion = Exclusion("/*")
    name = "/" * length
    assert exclusion[name]
    assert (name in exclusion) is kept
    for number in range(2000):
        assert exclusion[f"/{number}"]
    assert len(exclusion) == 1024


def test_a_callable_excludes_what_it_is_true_for_and_nothing_if_it_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exclusion = Exclusion(lambda request: request == 1)
    assert exclusion.is_callable
    assert [exclusion.excludes(1), exclusion.excludes(2), exclusion["/a"]] == [True, False, False]
    assert not caplog.records
    assert not Exclusion(raising).excludes(1)
    assert "exclude failed; the request is served without it" in caplog.text


sampler = ALWAYS_OFF
OPTIONS: dict[str, tuple[object, StartOptions]] = {
    "nothing": (None, StartOptions()),
    "true": (True, StartOptions()),
    "false": (False, StartOptions(trace=False)),
    "a name": ("work", StartOptions(name="work")),
    "a kind": (SpanKind.CONSUMER, StartOptions(kind=SpanKind.CONSUMER)),
    "a sampler": (sampler, StartOptions(sampler=sampler)),
    "all of them": (StartOptions(sampler, "x", "y"), StartOptions(sampler, "x", "y")),
}


@pytest.mark.parametrize(("value", "expected"), OPTIONS.values(), ids=OPTIONS)
def test_a_callable_returns_options_or_one_of_them(value: object, expected: StartOptions) -> None:
    assert options_for(lambda request: request, value) == expected


def test_the_defaults_of_start_options_change_nothing() -> None:
    assert StartOptions() == (None, None, None, True) == AS_USUAL
    assert DO_NOT_TRACE == (None, None, None, False)


@pytest.mark.parametrize(
    ("function", "words"),
    [(raising, "of the program"), (lambda request: 7, "start_options returned 7")],
    ids=["raises", "another type"],
)
def test_a_callable_that_fails_is_logged_and_the_span_starts_as_usual(
    function: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert options_for(function, 1) is AS_USUAL
    assert "start_options failed; the request is served without it" in caplog.text
    assert words in caplog.text
    assert [record.name for record in caplog.records] == ["ot_bridge.edge"]


def test_a_sampler_is_given_to_our_tracer_only(tracer: Tracer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ot_bridge.edge")
    assert sampler_argument(tracer, StartOptions(ALWAYS_ON)) == {"sampler": ALWAYS_ON}
    assert sampler_argument(tracer, AS_USUAL) == sampler_argument(MockTracer(), AS_USUAL) == {}
    assert not caplog.records
    assert sampler_argument(MockTracer(), StartOptions(ALWAYS_ON)) == {}
    assert "the sampler of start_options is ignored: it needs a tracer of ot_bridge" in caplog.text


@pytest.mark.parametrize(
    ("kind", "tag"), [(kind, kind.name.lower()) for kind in SpanKind] + [("batch", "batch"), (7, "7")]
)
def test_the_kind_of_a_span_is_written_as_opentracings_tag(kind: object, tag: str) -> None:
    assert kind_tag(kind) == tag


def test_code_of_the_program_that_raises_has_the_default_as_its_result(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert attempt("a", lambda one, two: one + two, 1, 2, default=7) == 3
    assert not caplog.records
    assert [attempt("a hook", raising, 1), attempt("a hook", raising, default=7)] == [None, 7]
    (record,) = caplog.records
    assert record.message.startswith("a hook failed; the request is served without it")


def own(request: int) -> str:
    return {1: "none", 2: "all"}.get(request, "wrong")


TRUSTS: dict[str, tuple[Any, Any, int, str]] = {
    "all": ("all", False, 1, "all"),
    "none": ("none", False, 1, "none"),
    "a callable, none": (own, False, 1, "none"),
    "a callable, all": (own, False, 2, "all"),
    "a callable that returns another word": (own, False, 3, "none"),
    "a callable that raises": (raising, False, 1, "none"),
    "a public callable that raises": ("all", raising, 1, "none"),
    "a public callable that is false": ("all", lambda request: False, 1, "all"),
    "a public callable that is false, beside trust": (own, lambda request: False, 1, "none"),
}


@pytest.mark.parametrize(("trust", "public", "request_", "left"), TRUSTS.values(), ids=TRUSTS)
def test_a_caller_is_trusted_as_far_as_the_options_say(
    trust: Any,
    public: Any,
    request_: int,
    left: str,
    tracer: Tracer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    context, error = Callers(trust, public, "skip").parent(tracer, HEADERS, request_)
    assert error is None
    fails = request_ == 3 or raising in (trust, public)
    assert [text.partition(" failed; ")[0] for text in caplog.messages] == ["trust"] * fails
    assert (context is not None) is (left == "all")
    assert context is None or (context.trace_id, context.span_id) == (1, 2)


@pytest.mark.parametrize("public", [True, lambda request: True], ids=["true", "a callable"])
@pytest.mark.parametrize("trust", ["all", "none", raising], ids=["all", "none", "a callable"])
def test_a_public_endpoint_links_to_its_caller_whatever_trust_says(
    public: Any, trust: Any, tracer: Tracer
) -> None:
    for callers in (Callers(trust, public, "skip"), Callers("link", False, "skip")):
        context, _ = callers.parent(tracer, HEADERS, 1)
        span = tracer.start_span("a", child_of=context)
        assert span.context.trace_id != 1
        assert [link.context.span_id for link in span.unwrap().links] == [2]  # type: ignore[attr-defined]
        span.finish()


def test_a_broken_header_is_counted_and_skips_the_request_or_begins_a_trace(
    tracer: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "ot_bridge.edge")
    skips, begins = Callers("all", False, "skip"), Callers("all", False, "root")
    with pytest.raises(BrokenHeader):
        skips.parent(tracer, BROKEN)
    with pytest.raises(BrokenHeader):
        skips.parent(tracer, BROKEN)
    context, error = begins.parent(tracer, BROKEN)
    assert context is None
    assert "traceparent" in str(error)
    assert (skips.corrupt, begins.corrupt) == (2, 1)
    assert caplog.text.count("the caller's tracing headers cannot be read: ") == 3
    assert begins.parent(tracer, {}) == (None, None)
    assert begins.corrupt == 1


class Refusing(MockTracer):
    """Raises for each format, and for headers that are not there as for broken ones."""

    def __init__(self, error: Exception, written: dict[str, str]) -> None:
        super().__init__()
        self._error, self._written, self.injected = error, written, 0

    def extract(self, format: str, carrier: Any) -> Any:
        raise self._error

    def inject(self, span_context: Any, format: str, carrier: Any) -> None:
        self.injected += 1
        carrier.update(self._written)


def test_another_tracers_missing_headers_are_no_broken_ones() -> None:
    callers = Callers("all", False, "root")
    refusing = Refusing(opentracing.SpanContextCorruptedException("x"), {"Their-Id": "1"})
    assert callers.parent(refusing, {"host": "h"}) == (None, None)
    assert callers.parent(refusing, {"host": "h"}) == (None, None)
    assert (callers.corrupt, refusing.injected) == (0, 1)
    _, error = callers.parent(refusing, {"their-id": "1"})
    assert isinstance(error, opentracing.SpanContextCorruptedException)
    assert callers.corrupt == 1
    assert not refusing.finished_spans()


def test_headers_of_a_tracer_that_writes_none_count_as_broken() -> None:
    callers = Callers("all", False, "root")
    assert callers.parent(Refusing(opentracing.SpanContextCorruptedException("x"), {}), {})[1] is not None
    assert callers.corrupt == 1


def test_a_format_that_a_tracer_does_not_have_begins_a_trace() -> None:
    callers = Callers("all", False, "skip")
    refusing = Refusing(opentracing.UnsupportedFormatException("x"), {})
    assert callers.parent(refusing, HEADERS) == (None, None)
    assert callers.corrupt == 0
