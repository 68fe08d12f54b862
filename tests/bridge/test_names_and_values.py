"""Names, keys and values of any kind, through every API call: no call raises, and all output can be sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentracing import UnsupportedFormatException

from ot_bridge.bridge import Span, Tracer, convert
from ot_bridge.errors import BadHeader, ConfigurationError
from ot_bridge.testing import RecordingTracer
from tests.conftest import Recorded
from tests.generated import examples


class NoTruth:
    """What a comparison of numpy's arrays gives."""

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")


class Array:
    """As numpy's: `==` gives no truth value, and it cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> Any:
        return NoTruth()

    __ne__ = __lt__ = __gt__ = __eq__

    def __str__(self) -> str:
        return "[1 2]"


class Equals(str):
    """A string that fails when it is compared, although it has the hash of another."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not to be compared")

    __ne__ = __eq__


class Pretends:
    """As an unbound proxy: not even its class can be read."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("working outside of a request")

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


class Named(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class Nameless(metaclass=Named):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


class NoHash:
    def __hash__(self) -> int:
        raise ValueError("no hash")


ODD: dict[str, Any] = {
    "array": Array(),
    "string that cannot be compared": Equals("event"),
    "string that looks like an error": Equals("error"),
    "proxy": Pretends(),
    "nameless": Nameless(),
    "unshowable": Unshowable(),
    "no hash": NoHash(),
    "class that hides its name": Nameless,
    "surrogate": "\ud800",
    "long": "x" * 200_000,
    "long and odd": "\ud800" * 200_000,
    "huge": 2**70,
    "list of surrogates": ["\ud800"],
}

CALLS: dict[str, Callable[[Tracer, Any], Any]] = {
    "operation name": lambda tracer, odd: tracer.start_span(odd),
    "active span's name": lambda tracer, odd: tracer.start_active_span(odd).close(),
    "tag at the start": lambda tracer, odd: tracer.start_span("a", tags={"key": odd}),
    "error tag": lambda tracer, odd: tracer.start_span("a", tags={"error": odd}).set_tag("error", odd),
    "kind tag": lambda tracer, odd: tracer.start_span("a", tags={"span.kind": odd}).set_tag("span.kind", odd),
    "priority": lambda tracer, odd: tracer.start_span("a", tags={"sampling.priority": odd}).set_tag(
        "sampling.priority", odd
    ),
    "tags": lambda tracer, odd: tracer.start_span("a", tags=odd),
    "parent": lambda tracer, odd: tracer.start_span("a", child_of=odd),
    "references": lambda tracer, odd: tracer.start_span("a", references=odd),
    "one of the references": lambda tracer, odd: tracer.start_span("a", references=[odd]),
    "start time": lambda tracer, odd: tracer.start_span("a", start_time=odd),
    "prepared tags": lambda tracer, odd: tracer.start_span(odd, tags=tracer.prepared({"key": odd})),
    "new name": lambda tracer, odd: tracer.start_span("a").set_operation_name(odd),
    "tag": lambda tracer, odd: tracer.start_span("a").set_tag("key", odd),
    "tag's key": lambda tracer, odd: tracer.start_span("a").set_tag(odd, 1),
    "event": lambda tracer, odd: tracer.start_span("a").log_kv({"event": odd}),
    "event with the same field": lambda tracer, odd: tracer.start_span("a").log_kv(
        {"event": "message", "message": odd}
    ),
    "logged error": lambda tracer, odd: tracer.start_span("a").log_kv(
        {"event": "error", "error.object": odd, "message": odd, "error.kind": odd, "stack": odd}
    ),
    "logged": lambda tracer, odd: tracer.start_span("a").log_kv(odd, odd),
    "old log": lambda tracer, odd: tracer.start_span("a").log(event=odd, payload=odd, timestamp=odd),
    "baggage": lambda tracer, odd: tracer.start_span("a").set_baggage_item("key", odd),
    "baggage's key": lambda tracer, odd: tracer.start_span("a").set_baggage_item(odd, "1"),
    "baggage read": lambda tracer, odd: _read_baggage(tracer.start_span("a"), odd),
    "end": lambda tracer, odd: tracer.start_span("a").finish(odd),
    "field": lambda tracer, odd: tracer.start_span("a").log_kv(_mapping(odd)),
    "key of a tag": lambda tracer, odd: tracer.start_span("a", tags=_mapping(odd)),
}


def _read_baggage(span: Span, key: Any) -> Span:
    assert span.get_baggage_item(key) is None
    return span


def _mapping(key: Any) -> Any:
    try:
        return {key: 1, "event": "a"}
    except Exception:
        return {"event": key}


def _texts(span: ReadableSpan) -> list[str]:
    events = span.events
    values = [
        *(span.attributes or {}).items(),
        *[pair for e in events for pair in (e.attributes or {}).items()],
    ]
    flat = [part for pair in values for part in pair if type(part) is str]
    return [span.name, *(event.name for event in events), *flat]


def _sendable(otel: Recorded) -> None:
    spans = otel.exporter.get_finished_spans()
    encode_spans(spans).SerializeToString()
    for span in spans:
        assert max(map(len, _texts(span))) <= convert.MAX_TEXT


def _through(otel: Recorded, call: str, odd: Any) -> None:
    span = CALLS[call](otel.tracer, odd)
    if hasattr(span, "finish"):
        span.finish()
        otel.tracer.inject(span, "text_map", {})
    assert otel.tracer.active_span is None
    assert otel.exporter.get_finished_spans() or call == "priority"  # which may be 0
    _sendable(otel)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("odd", ODD)
def test_no_odd_argument_raises_and_the_exported_span_can_be_encoded(
    otel: Recorded, call: str, odd: str
) -> None:
    _through(otel, call, ODD[odd])


def _jaeger(sampling: bool = True) -> Any:
    from ot_bridge import jaeger_client

    reporter = jaeger_client.reporter.InMemoryReporter()
    return jaeger_client.Tracer("test", reporter, jaeger_client.ConstSampler(sampling))


OTHERS: dict[str, Callable[[], Any]] = {
    "drop-in": _jaeger,
    "drop-in that samples nothing": lambda: _jaeger(False),
    "RecordingTracer": RecordingTracer,
}


@pytest.mark.parametrize("provider_class", [TracerProvider], indirect=True)
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("call", CALLS)
def test_no_odd_argument_raises_with_our_other_tracers(other: str, call: str) -> None:
    tracer = OTHERS[other]()
    for odd in ODD.values():
        span = CALLS[call](tracer, odd)
        if hasattr(span, "finish"):
            span.finish()
            list(span.tags), list(span.logs)
        assert tracer.active_span is None


ANY_TEXT = st.text(st.characters(exclude_categories=()))
ANYTHING = (
    ANY_TEXT
    | st.integers()
    | st.floats()
    | st.binary()
    | st.lists(ANY_TEXT | st.integers())
    | st.dictionaries(ANY_TEXT, ANY_TEXT | st.integers())
)


@pytest.mark.parametrize("call", CALLS)
@examples(8)
@given(odd=ANYTHING)
def test_generated_arguments_raise_in_no_method_and_the_exported_span_can_be_encoded(
    otel: Recorded, call: str, odd: Any
) -> None:
    otel.exporter.clear()
    _through(otel, call, odd)


@given(pairs=st.dictionaries(ANY_TEXT, ANY_TEXT | st.integers() | st.floats() | st.booleans()))
@examples(30)
def test_the_fast_path_for_attributes_gives_the_same_as_cleaning(pairs: dict[str, Any]) -> None:
    fast = convert.clean_copy(pairs)
    assert convert.clean_copy({"a": "b", "n": 1}) == {"a": "b", "n": 1}
    if fast is not None:
        assert repr(fast) == repr(convert.cleaned(convert.named_fields(pairs) or {}))


PLAIN = {"text": "a", "long text": "x" * 70_000, "number": 7, "truth": True, "float": 1.5, "none": None}


@pytest.mark.parametrize("name", [*ODD, *PLAIN])
def test_tags_and_log_fields_do_not_depend_on_whether_their_name_was_seen_before(
    otel: Recorded, name: str
) -> None:
    value = {**ODD, **PLAIN}[name]
    for key in "key", "error", "span.kind", "sampling.priority":
        seen: list[Any] = []
        for _ in range(2):
            convert.KNOWN.discard(key)
            for _ in range(2):
                otel.exporter.clear()
                span = otel.tracer.start_span("a").set_tag(key, value).log_kv({key: value})
                otel.tracer.start_span("b", child_of=span, tags={key: value}).finish()
                span.finish()
                seen.append(
                    [
                        (each.name, each.kind, dict(each.attributes or {}), each.status.status_code)
                        for each in otel.exporter.get_finished_spans()
                    ]
                )
                seen[-1].append([dict(event.attributes or {}) for event in otel.spans["a"].events])
        assert seen == [seen[0]] * 4


@pytest.mark.parametrize("odd", ODD)
def test_our_exceptions_can_be_printed_whatever_object_they_describe(odd: str) -> None:
    assert str(BadHeader("traceparent", ODD[odd], "is broken")).startswith("traceparent: is broken: ")
    assert str(ConfigurationError("option", ODD[odd], "will not do")).startswith("option=")
    assert repr(BadHeader("traceparent", ODD[odd], "is broken")).startswith("BadHeader(")


@pytest.mark.parametrize("odd", [*ODD, "looks like a format"])
def test_a_format_that_cannot_be_compared_or_printed_is_unsupported(tracer: Tracer, odd: str) -> None:
    format = ODD.get(odd, Equals("text_map"))
    with pytest.raises(UnsupportedFormatException):
        tracer.inject(tracer.start_span("a").context, format, {})
    with pytest.raises(UnsupportedFormatException):
        tracer.extract(format, {})
