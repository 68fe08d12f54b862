"""Attribute values, also unusual ones, as a reader of the request gets them; and the encoder's cache."""

from __future__ import annotations

import enum
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from ot_bridge.otel import state_of
from ot_bridge.otlp import values as cache
from ot_bridge.otlp.encode import encode
from tests.otlp.sides import CONTEXT, on_engine, on_sdk, one, readable, sent, values


class Code(enum.IntEnum):
    OK = 200


class Word(str, enum.Enum):
    YES = "yes"


class Ratio(float):
    pass


class Own(str):
    """A subclass of str whose methods raise."""

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no bytes")

    __len__ = isascii = __getitem__ = __str__ = encode


class OwnInt(int):
    def __and__(self, other: Any) -> Any:
        raise RuntimeError

    __lt__ = __le__ = __int__ = __index__ = __and__  # type: ignore[assignment]


class OwnBytes(bytes):
    def __bytes__(self) -> bytes:
        raise RuntimeError


class OwnFloat(float):
    def __float__(self) -> float:
        raise RuntimeError


def _array(*items: AnyValue) -> AnyValue:
    return AnyValue(array_value=ArrayValue(values=items))


def _pair(key: str, value: AnyValue) -> KeyValue:
    return KeyValue(key=key, value=value)


def _map(*pairs: KeyValue) -> AnyValue:
    return AnyValue(kvlist_value=KeyValueList(values=pairs))


def _text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def _int(value: int) -> AnyValue:
    return AnyValue(int_value=value)


def _float(value: float) -> AnyValue:
    return AnyValue(double_value=value)


VALUES: dict[str, tuple[Any, AnyValue]] = {
    "text": ("v", _text("v")),
    "empty": ("", _text("")),
    **{f"{size} characters": ("x" * size, _text("x" * size)) for size in (100, 127, 128, 5000, 100_000)},
    "true": (True, AnyValue(bool_value=True)),
    "false": (False, AnyValue(bool_value=False)),
    "zero": (0, _int(0)),
    "one": (1, _int(1)),
    **{f"2**{n}": (2**n, _int(2**n)) for n in (7, 10, 14, 20, 21, 27, 28, 35, 62)},
    **{f"2**{n}-1": (2**n - 1, _int(2**n - 1)) for n in (7, 10, 14, 20, 21, 27, 28, 35, 63)},
    "negative": (-1, _int(-1)),
    "smallest": (-(2**63), _int(-(2**63))),
    "beyond 64 bits": (2**63, _text("0x8000000000000000")),
    "below 64 bits": (-(2**70), _text(hex(-(2**70)))),
    "0.0": (0.0, _float(0.0)),
    "-0.0": (-0.0, _float(-0.0)),
    "5e-324": (5e-324, _float(5e-324)),
    "inf": (math.inf, _float(math.inf)),
    "-inf": (-math.inf, _float(-math.inf)),
    "surrogate": ("a\ud800b", _text("a?b")),
    "NUL": ("\0", _text("\0")),
    "line separator": ("\u2028\uffff", _text("\u2028\uffff")),
    "emoji": ("😀", _text("😀")),
    "texts": (["a", ""], _array(_text("a"), _text(""))),
    "numbers": ((1, -1, 2**70), _array(_int(1), _int(-1), _text(hex(2**70)))),
    "empty array": ((), AnyValue(array_value=ArrayValue())),
    "enum": (Code.OK, _int(200)),
    "text enum": (Word.YES, _text("yes")),
    "float subclass": (Ratio(0.5), _float(0.5)),
    "lying text": (Own("v"), _text("v")),
    "lying int": (OwnInt(7), _int(7)),
    "lying float": (OwnFloat(0.5), _float(0.5)),
}

#: Values that the SDK's API takes in some versions only.
NEWER: dict[str, tuple[Any, AnyValue]] = {
    "bytes": (b"\0\xff", AnyValue(bytes_value=b"\0\xff")),
    "lying bytes": (OwnBytes(b"v"), AnyValue(bytes_value=b"v")),
    "None": (None, AnyValue()),
    "None in an array": (("a", None), _array(_text("a"), AnyValue())),
    "bytes in an array": ((b"a", 1), _array(AnyValue(bytes_value=b"a"), _int(1))),
    "map": (
        {"a": 1, "": 2, "b": {"c": [None]}},
        _map(_pair("a", _int(1)), _pair("b", _map(_pair("c", _array(AnyValue()))))),
    ),
}


@pytest.mark.parametrize(("value", "read"), (VALUES | NEWER).values(), ids=[*VALUES, *NEWER])
def test_a_value_is_the_same_in_spans_events_links_resources_and_scopes(value: Any, read: AnyValue) -> None:
    given = {"k": value, "other": 1}
    span = _with_everywhere(given)
    for _ in range(2):  # the second time out of the cache
        for owner in _owners(span):
            assert values(owner)["k"] == read
            assert values(owner)["k"].WhichOneof("value") == read.WhichOneof("value")
            assert values(owner)["other"].int_value == 1
            assert owner.dropped_attributes_count == 0


def _with_everywhere(given: dict[Any, Any]) -> Any:
    """A span with these attributes wherever some may be, put there past the SDK, which would clean them."""
    resource, scope = Resource({}), InstrumentationScope("s")
    resource._attributes, scope._attributes = given, given  # type: ignore[assignment]
    events, links = [Event("e", given, 1)], [Link(CONTEXT, given)]
    own = {"attributes": given, "events": events, "links": links}
    return readable(**own, resource=resource, instrumentation_scope=scope)


def _owners(span: Any) -> tuple[Any, ...]:
    (resource_spans,) = sent([span]).resource_spans
    (group,) = resource_spans.scope_spans
    (made,) = group.spans
    return made, made.events[0], made.links[0], resource_spans.resource, group.scope


@pytest.mark.parametrize("make", [on_engine, on_sdk])
@pytest.mark.parametrize(("value", "read"), VALUES.values(), ids=VALUES)
def test_a_value_set_through_opentelemetrys_api_is_encoded(make: Any, value: Any, read: AnyValue) -> None:
    side = make()
    span = side.tracer.start_span("made")
    span.set_attribute("k", value)
    span.add_event("e", {"k": value})
    span.end()
    made = one(span)
    assert values(made)["k"] == values(made.events[0])["k"] == read


def test_nan_keeps_its_bits() -> None:
    odd = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_0123))[0]
    read = values(one(readable(attributes={"k": odd})))["k"].double_value
    assert struct.pack("<d", read) == struct.pack("<d", odd)


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"k": value}], ids=["lists", "maps"])
@pytest.mark.parametrize("levels", [cache.DEEPEST, cache.DEEPEST + 1, 64, 200])
def test_values_nested_too_deeply_are_encoded_as_text(wrap: Callable[[Any], Any], levels: int) -> None:
    value: Any = "deep"
    for _ in range(levels):
        value = wrap(value)
    read = values(one(readable(events=[Event("e", {"k": value}, 1)])).events[0])["k"]
    for _ in range(min(levels, cache.DEEPEST)):
        kind = read.WhichOneof("value")
        read = read.array_value.values[0] if kind == "array_value" else read.kvlist_value.values[0].value
    assert "deep" in read.string_value
    assert (read.string_value == "deep") is (levels <= cache.DEEPEST)


class RaisingList(Sequence[Any]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        raise RuntimeError


class RaisingMap(Mapping[str, Any]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError

    def __iter__(self) -> Iterator[str]:
        return iter("k")


LOST: dict[str, dict[Any, Any]] = {
    "list that raises": {"k": RaisingList()},
    "map that raises": {"k": RaisingMap()},
    "no value of OTLP's": {"k": object()},
    "inside": {"k": ["a", {"b": RaisingList()}]},
    "empty key": {"": 1},
    "no text": {7: 1},
}


@pytest.mark.parametrize("bad", LOST.values(), ids=LOST)
def test_only_the_attribute_that_cannot_be_encoded_is_lost_and_counted(bad: dict[Any, Any]) -> None:
    for owner in _owners(_with_everywhere({"a": 1, **bad, "z": "last"})):
        assert [*values(owner)] == ["a", "z"]
        assert owner.dropped_attributes_count == 1


# Lone surrogates


def test_a_lone_surrogate_is_replaced_by_a_question_mark_wherever_it_is() -> None:
    bad = "a\ud800b"
    context = SpanContext(1, 2, False, TraceFlags(1), state_of({"k": bad}))
    span = readable(
        name=bad,
        context=context,
        attributes={bad: bad, "list": [bad], "map": {bad: bad}},
        events=[Event(bad, {bad: bad}, 1)],
        links=[Link(context, {bad: bad})],
        status=Status(StatusCode.ERROR, bad),
        resource=Resource({bad: bad}, bad),
        instrumentation_scope=InstrumentationScope(bad, bad, bad, {bad: bad}),
    )
    (resource_spans,) = sent([span]).resource_spans
    (group,) = resource_spans.scope_spans
    (made,) = group.spans
    assert (made.name, made.trace_state, made.status.message) == ("a?b", "k=a?b", "a?b")
    assert (made.events[0].name, made.links[0].trace_state) == ("a?b", "k=a?b")
    assert (resource_spans.schema_url, group.schema_url, group.scope.name, group.scope.version) == (
        "a?b",
    ) * 4
    for owner in _owners(span):
        assert values(owner)["a?b"].string_value == "a?b"
        assert owner.dropped_attributes_count == 0
    assert values(made)["list"].array_value.values[0].string_value == "a?b"
    assert values(made)["map"].kvlist_value.values[0].key == "a?b"


def test_keys_that_become_the_same_are_sent_once() -> None:
    first, second = map(chr, (0xD800, 0xD801))
    read = values(one(readable(attributes={first: 1, "b": 2, second: 3})))
    assert {key: value.int_value for key, value in read.items()} == {"?": 3, "b": 2}


@pytest.mark.parametrize("make", [on_engine, on_sdk])
def test_a_surrogate_in_one_span_of_ten_loses_nothing_else(make: Any) -> None:
    side = make()
    for number in range(10):
        word = "\ud800" if number == 4 else "good"
        with side.bridge.start_active_span(word, tags={"t": word, word: 1}) as scope:
            scope.span.log_kv({"event": "message", "message": word})
            scope.span.log_kv({"event": word, word: word})
    read = [one(span) for span in side.spans]
    assert [span.name for span in read] == ["?" if number == 4 else "good" for number in range(10)]
    assert values(read[4])["t"].string_value == "?"
    assert values(read[4])["?"].int_value == 1
    assert [values(event)["event"].string_value for event in read[4].events] == ["message", "?"]
    assert values(read[4].events[0])["message"].string_value == "?"
    assert all(span.dropped_attributes_count == 0 for span in read)


# The cache


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    cache.forget()
    yield
    cache.forget()


def _kept() -> list[tuple[Any, bytes]]:
    by_key = [known for keys in cache.PLAIN.values() for known in keys.values()]
    return [pair for known in by_key for pair in known.items()] + [*cache.NAMES.items()]


EQUALS = [1, True, 1.0, 0, False, 0.0, -0.0, "1"]
FIELDS = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}


@pytest.mark.parametrize("given", [EQUALS, EQUALS[::-1], EQUALS * 2], ids=["one way", "other way", "twice"])
def test_values_that_are_equal_in_python_but_of_different_types_are_kept_apart(given: list[Any]) -> None:
    read = [values(one(readable(attributes={"k": value})))["k"] for value in given]
    assert [each.WhichOneof("value") for each in read] == [FIELDS[type(value)] for value in given]
    back = [getattr(each, FIELDS[type(value)]) for each, value in zip(read, given, strict=True)]
    assert list(map(repr, back)) == list(map(repr, given))


def test_floats_are_not_kept() -> None:
    encode([readable(attributes={"k": math.nan, "f": 0.5})] * 20)
    assert [value for value, _ in _kept() if isinstance(value, float)] == []


class Everything(str):
    """A string that claims to equal all others with its hash."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("known")


@pytest.mark.parametrize("make", [on_engine, on_sdk])
def test_strings_with_a_wrong_equality_are_written_correctly(make: Any) -> None:
    side = make()
    lying = Everything("lying")
    for given in ({"known": "known"}, {lying: "v"}, {"k": lying}, {"k": "known"}):
        span = side.tracer.start_span("known")
        span.set_attributes(given)
        span.add_event("known", given)
        span.end()
    span = side.tracer.start_span(lying)
    span.add_event(lying)
    span.end()
    read = [one(span) for span in side.spans]
    names = [["known"], ["lying"], ["k"], ["k"], []]
    assert [[*values(span)] for span in read] == names
    assert [[*values(span.events[0])] for span in read] == names
    assert [values(read[at])["k"].string_value for at in (2, 3)] == ["lying", "known"]
    assert (read[4].name, read[4].events[0].name) == ("lying", "lying")
    assert values(one(readable(attributes={lying: 1})))["lying"].int_value == 1


def test_the_cache_for_a_key_with_many_values_is_bounded() -> None:
    encode([readable(attributes={"id": number, "text": str(number)}) for number in range(5000)])
    assert len(cache.PLAIN[int]["id"]) == len(cache.PLAIN[str]["text"]) == cache.MOST_VALUES


def test_long_texts_are_not_kept() -> None:
    long = "x" * 1000
    encode([readable(name=long, attributes={"k": long, long: 1}, events=[Event(long, {"k": long}, 1)])])
    assert [value for value, _ in _kept() if value == long] == []
    assert long not in cache.PLAIN[int]


def test_the_cache_is_bounded_for_any_input() -> None:
    for number in range(40):
        keys = {f"k{number}.{each}": "x" * 100 + str(each) for each in range(400)}
        encode(
            [readable(name=f"{number} {each}", attributes=keys if not each else None) for each in range(60)]
        )
        assert sum(len(value) + len(part) for value, part in _kept() if type(value) is str) < cache.BUDGET
        assert sum(map(len, cache.PLAIN.values())) <= 4 * cache.MOST_KEYS
        assert len(cache.NAMES) <= cache.MOST_NAMES


def test_parts_that_are_kept_and_others_use_up_the_budget() -> None:
    cache.forget()
    for number in range(cache.MOST_VALUES + 10):
        before = cache.budget.left
        assert cache.PLAIN[int]["id"][number]
        assert cache.budget.left < before
    cache.budget.left = 0
    assert cache.PLAIN[str]["k"]["v"]
    assert list(_kept()) == []
    assert cache.budget.left > cache.BUDGET - 1000


def test_the_cache_is_refilled_when_the_budget_of_misses_is_used_up() -> None:
    spans = [readable(name=f"n{number}", attributes={"id": number}) for number in range(2000)]
    encode(spans)
    for left, known in ((100, False), (0, False), (0, True)):
        cache.budget.left = min(left, cache.budget.left)
        encode(spans[-1:])
        assert (1999 in cache.PLAIN[int]["id"]) is ("n1999" in cache.NAMES) is known
    assert 0 <= cache.budget.left <= cache.BUDGET
