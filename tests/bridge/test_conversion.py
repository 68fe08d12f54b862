"""The tables and limits of conversion, on both sides of each limit, and whatever a value's way takes."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from opentracing import Format
from opentracing.mocktracer import MockTracer

from ot_bridge.bridge import Tracer, convert, create_tracer, logs
from ot_bridge.bridge.convert import MAX_ITEMS, MAX_TEXT, Tags, attribute, nanoseconds, priority
from ot_bridge.bridge.create import usable_tracer
from ot_bridge.bridge.span_context import BY_FLAGS, NO_BAGGAGE, Baggage, SpanContext
from ot_bridge.errors import ConfigurationError
from ot_bridge.wire import EMPTY, RANDOM_TRACE_ID, Remote
from tests.conftest import Recorded

#: For tests that need no provider.
once = pytest.mark.parametrize("provider_class", [TracerProvider], indirect=True)

KINDS = {
    "client": SpanKind.CLIENT,
    "server": SpanKind.SERVER,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


@once
@pytest.mark.parametrize("value", [*KINDS, "internal", "Client", "", None, 1, SpanKind.CLIENT], ids=repr)
def test_a_kind_is_one_of_opentracings_four_words(value: Any) -> None:
    assert convert.kind_of(value) is (KINDS.get(value) if isinstance(value, str) else None)


STATUSES = {
    True: StatusCode.ERROR,
    "true": StatusCode.ERROR,
    "True": StatusCode.ERROR,
    False: StatusCode.OK,
    "false": StatusCode.OK,
    "False": StatusCode.OK,
}


@once
@pytest.mark.parametrize("value", [*STATUSES, "TRUE", "", "yes", None, 1.0, [True]], ids=repr)
def test_an_error_is_a_boolean_or_its_text(value: Any) -> None:
    assert convert.status_of(value) is (STATUSES.get(value) if isinstance(value, bool | str) else None)
    assert convert.status_of(1) is convert.status_of(0) is None


@once
@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (1, True),
        (0, False),
        (-1, False),
        (2, True),
        (0.5, False),
        (1.5, True),
        ("1", True),
        ("0", False),
        (True, True),
        (False, False),
        ("", None),
        ("1.5", None),
        (None, None),
        (math.nan, None),
        (math.inf, None),
        ([1], None),
    ],
    ids=repr,
)
def test_a_priority_above_zero_samples(value: Any, meaning: bool | None) -> None:
    assert priority(value) is meaning


@once
def test_the_tags_with_a_meaning_are_the_specifications() -> None:
    assert set(convert.TAGS) == {"error", "span.kind", "sampling.priority"}
    assert (MAX_TEXT, MAX_ITEMS) == (65_536, 1_024)


@once
@pytest.mark.parametrize(
    ("seconds", "result"),
    [
        (0, 0),
        (1, 10**9),
        (1.5, 1_500_000_000),
        (1e-9, 1),
        (1700000000.123456, 1700000000123456001),
        ("2.5", 2_500_000_000),
        (True, 10**9),
        (-1e-9, None),
        (-1, None),
        (9223372036, 9223372036 * 10**9),
        (9223372037, None),
        (math.nan, None),
        (math.inf, None),
        ("soon", None),
        (None, None),
        (10**400, None),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_time_is_converted_if_it_fits_into_63_bits(seconds: Any, result: int | None) -> None:
    found = nanoseconds(seconds)
    assert found == result or (found is not None and result is not None and abs(found - result) < 200)


VALUES: dict[str, tuple[Any, Any]] = {
    "the largest number": (2**63 - 1, 2**63 - 1),
    "a larger one": (2**63, "0x8000000000000000"),
    "the smallest number": (-(2**63), -(2**63)),
    "a smaller one": (-(2**63) - 1, "-0x8000000000000001"),
    "the longest text": ("x" * MAX_TEXT, "x" * MAX_TEXT),
    "a longer one": ("x" * MAX_TEXT + "y", "x" * MAX_TEXT),
    "the longest bytes": (b"x" * MAX_TEXT, "x" * MAX_TEXT),
    "longer ones": (b"x" * MAX_TEXT + b"y", "x" * MAX_TEXT),
    "as many items as are kept": ([1] * MAX_ITEMS, (1,) * MAX_ITEMS),
    "more": ([1] * MAX_ITEMS + [2], (1,) * MAX_ITEMS),
    "texts of the greatest length together": (
        ["x" * (MAX_TEXT - 1), "y"],
        ("x" * (MAX_TEXT - 1), "y"),
    ),
    "longer texts": (["x" * (MAX_TEXT - 1), "yz"], ("x" * (MAX_TEXT - 1),)),
    "a text that is cut among texts": (["x" * (MAX_TEXT + 1), "y"], ("x" * MAX_TEXT,)),
    "no items": ((), "()"),
    "booleans": ((True, False), (True, False)),
    "booleans and numbers": ((True, 1), "(True, 1)"),
    "a class of a module": (Recorded, "tests.conftest.Recorded"),
    "a class within another": (Tracer.__init__.__class__, "function"),
    "a built-in class": (int, "int"),
}


@pytest.mark.parametrize(("given", "kept"), VALUES.values(), ids=VALUES)
def test_a_value_is_kept_up_to_its_limit(otel: Recorded, given: Any, kept: Any) -> None:
    assert attribute(given) == kept
    name = f"tests.{len(convert.KNOWN)}"  # which has not been seen before
    span = otel.tracer.start_span("a").set_tag(name, given).set_tag(name, given).log_kv({name: given})
    span.finish()
    otel.tracer.start_span("b", tags={name: given}).finish()
    a, b = otel.spans["a"], otel.spans["b"]
    (event,) = a.events
    assert [(each.attributes or {})[name] for each in (a, b, event)] == [kept] * 3


@once
def test_a_traceback_becomes_its_lines() -> None:
    try:
        raise ValueError
    except ValueError as error:
        shown = attribute(error.__traceback__)
    assert isinstance(shown, str)
    assert shown.startswith('  File "')
    assert "raise ValueError" in shown


@once
def test_tags_say_their_kind_status_and_priority_and_what_stays_an_attribute() -> None:
    given = {"a": 1, "span.kind": "server", "error": True, "sampling.priority": 1}
    rest = {"a": 1, "sampling.priority": 1}
    assert convert.tags(given) == (rest, SpanKind.SERVER, StatusCode.ERROR, True)
    assert convert.tags(given, maps_kind=False) == (
        {"span.kind": "server", **rest},
        SpanKind.INTERNAL,
        StatusCode.ERROR,
        True,
    )
    odd = {"span.kind": "odd", "error": "odd", "sampling.priority": "odd"}
    assert convert.tags(odd) == (odd, SpanKind.INTERNAL, None, None)
    assert given["error"] is True  # the caller's own is not changed
    ready = Tags({})
    assert convert.tags(ready) is ready
    assert convert.tags(None) == convert.tags({}) == convert.tags(7) == ({}, SpanKind.INTERNAL, None, None)


@once
@pytest.mark.parametrize(
    ("fields", "name", "attributes"),
    [
        (None, "log", {}),
        ({}, "log", {}),
        ({"a": 1}, "log", {"a": 1}),
        ({"event": "e", "a": 1}, "e", {"event": "e", "a": 1}),
        ({"event": ""}, "log", {"event": ""}),
        ({"event": None, "a": 1}, "log", {"event": "None", "a": 1}),
        ({"event": 7}, "7", {"event": 7}),
        ("text", "log", {"payload": "text"}),
        (7, "log", {"payload": 7}),
        ({"": 1, "a": 1}, "log", {"a": 1}),
    ],
    ids=repr,
)
def test_a_log_becomes_an_event_of_its_name(fields: Any, name: str, attributes: dict[str, Any]) -> None:
    assert logs.event(fields) == (name, attributes, None)


FAILED = ValueError("no")
TYPE, MESSAGE, STACK = "exception.type", "exception.message", "exception.stacktrace"


@once
@pytest.mark.parametrize(
    ("fields", "attributes", "raised"),
    [
        ({}, {}, None),
        (
            {"error.kind": "K", "message": "M", "stack": "S", "a": 1},
            {TYPE: "K", MESSAGE: "M", STACK: "S", "a": 1},
            None,
        ),
        ({"error.object": "text"}, {MESSAGE: "text"}, None),
        ({"error.object": "text", "message": "M"}, {MESSAGE: "M"}, None),
        ({"error.object": ValueError}, {TYPE: "ValueError"}, None),
        (
            {"error.object": FAILED, "message": "no", "error.kind": "K", "stack": "S", "a": 1},
            {"a": 1},
            FAILED,
        ),
        ({"error.object": FAILED, "message": "other"}, {"message": "other"}, FAILED),
    ],
    ids=str,
)
def test_a_logged_error_becomes_an_exception(
    fields: dict[str, Any], attributes: dict[str, Any], raised: Any
) -> None:
    name, found, exception = logs.event({"event": "error", **fields})
    assert (name, found, exception) == ("exception", {"event": "error", **attributes}, raised)


@once
def test_the_class_of_the_exception_that_is_handled_stands_for_it() -> None:
    try:
        raise FAILED
    except ValueError:
        assert logs.event({"event": "error", "error.object": ValueError})[2] is FAILED
        assert logs.event({"event": "error", "error.object": TypeError})[2] is None
    assert sys.exc_info()[1] is None


@once
def test_baggage_of_a_context_cannot_change() -> None:
    baggage = Baggage(a="1")
    changes: list[Any] = [
        lambda: baggage.update(b="2"),
        lambda: baggage.__setitem__("b", "2"),
        lambda: baggage.__delitem__("a"),
        lambda: baggage.pop("a"),
        lambda: baggage.popitem(),
        lambda: baggage.setdefault("b", "2"),
        lambda: baggage.clear(),
        lambda: baggage.__ior__({"b": "2"}),
    ]
    for change in changes:
        with pytest.raises(TypeError, match="set_baggage_item"):
            change()
    assert baggage == {"a": "1"}
    assert NO_BAGGAGE == {}


@once
def test_the_class_of_a_context_gives_its_flags() -> None:
    of_class: list[Any] = [kind for kind, _ in BY_FLAGS]
    assert [kind.sampled for kind in of_class] == [False, True, False, True]
    assert [kind.extras for kind in of_class] == [EMPTY, EMPTY, RANDOM_TRACE_ID, RANDOM_TRACE_ID]
    assert [flags for _, flags in BY_FLAGS] == [0, 1, 2, 3]


@once
@pytest.mark.parametrize("bits", range(4))
@pytest.mark.parametrize("extras", [None, {}, {"a": "b"}], ids=["no caller", "nothing", "a value"])
def test_a_context_has_the_values_of_its_caller_and_of_its_flags(
    bits: int, extras: dict[str, str] | None
) -> None:
    ids = trace.SpanContext(1, 2, True, trace.TraceFlags(bits))
    context = SpanContext(ids, origin=None if extras is None else Remote(1, 2, extras=extras))
    assert context.extras == {**(extras or {}), **(RANDOM_TRACE_ID if bits & 2 else {})}
    undecided = False if extras is None else None
    assert context.sampled is (True if bits & 1 else undecided)


ARGUMENTS: dict[str, tuple[Any, str]] = {
    "tracer_provider": (MockTracer(), "expected an OpenTelemetry tracer provider"),
    "scope_manager": (MockTracer(), "expected an OpenTracing scope manager"),
}


@once
@pytest.mark.parametrize("option", ARGUMENTS)
def test_an_argument_of_another_type_is_refused(option: str) -> None:
    value, reason = ARGUMENTS[option]
    for wrong in (value, type(value), "text"):
        given: dict[str, Any] = {option: wrong}
        with pytest.raises(ConfigurationError, match=reason) as raised:
            create_tracer(**given)
        assert (raised.value.option, raised.value.value) == (option, wrong)


@once
def test_a_tracer_class_is_no_tracer() -> None:
    tracer = MockTracer()
    assert usable_tracer(tracer) is tracer
    assert usable_tracer(None) is None
    for wrong in (MockTracer, "tracer"):
        with pytest.raises(ConfigurationError, match="expected an OpenTracing tracer"):
            usable_tracer(wrong)


def test_an_invalid_carrier_is_named_with_its_format_and_the_reason(otel: Recorded) -> None:
    from opentracing import InvalidCarrierException

    tracer, span = otel.tracer, otel.tracer.start_span("a")
    for format, carrier, text in (
        (Format.BINARY, {}, "dict for binary: expected a bytearray"),
        (Format.TEXT_MAP, 7, "int for text_map: "),
        (Format.HTTP_HEADERS, None, "NoneType for http_headers: "),
    ):
        with pytest.raises(InvalidCarrierException) as raised:
            tracer.inject(span.context, format, carrier)
        assert str(raised.value).startswith(text)
        if carrier != {}:
            with pytest.raises(InvalidCarrierException) as raised:
                tracer.extract(format, carrier)
            assert str(raised.value).startswith(text)
    with pytest.raises(InvalidCarrierException, match="str for binary: expected a bytearray"):
        tracer.extract(Format.BINARY, "text")
