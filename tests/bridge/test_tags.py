"""R28, R32 and S9: tags become attributes, whatever they are."""

from __future__ import annotations

import enum
import logging
import math
from collections import UserDict
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import StatusCode
from opentracing import tags

from ot_bridge.bridge.convert import MAX_ITEMS, MAX_TEXT
from tests.conftest import Recorded


def _logged(otel: Recorded, *logs: Any) -> list[Event]:
    span = otel.tracer.start_span("x")
    for fields in logs:
        assert span.log_kv(fields) is span
    span.finish()
    return list(otel.spans["x"].events)


def _tagged(otel: Recorded, key: Any, value: Any) -> dict[str, Any]:
    otel.tracer.start_span("x").set_tag(key, value).finish()
    otel.tracer.start_span("y", tags={key: value}).finish()
    later, initial = (dict(otel.spans[name].attributes or {}) for name in "xy")
    assert repr(later) == repr(initial)
    return later


class Number(float):
    """As numpy's float64."""


class Name(str, enum.Enum):
    FIRST = "first"


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    """A subclass of str whose `__len__` raises."""

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __str__(self) -> str:
        return self


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


ATTRIBUTES = [
    ("text", "text"),
    ("", ""),
    (True, True),
    (0, 0),
    (-(2**63), -(2**63)),
    (2**63, "0x8000000000000000"),
    (1.5, 1.5),
    (math.inf, math.inf),
    (None, "None"),
    (b"bytes", "bytes"),
    (b"\xff", "\\xff"),
    ("\ud800", "?"),
    (["a", "b"], ("a", "b")),
    ((1, 2), (1, 2)),
    ([], "[]"),
    ([1, "a"], "[1, 'a']"),
    ([1, 2**64], "[1, 18446744073709551616]"),
    ([[1], [2]], "[[1], [2]]"),
    ({"a": {"b": 1}}, "{'a': {'b': 1}}"),
    ({1}, "{1}"),
    (ValueError("no"), "no"),
    (ValueError, "ValueError"),
    (Colour.RED, 1),
    (HTTPStatus.OK, 200),
    (Number(1.5), 1.5),
    ([HTTPStatus.OK, HTTPStatus.CREATED], (200, 201)),
    (Name.FIRST, "first"),
    (Text("own"), "own"),
    (Unprintable(), "<unprintable Unprintable>"),
]


@pytest.mark.parametrize(("value", "kept"), ATTRIBUTES, ids=[ascii(kept) for _, kept in ATTRIBUTES])
def test_R28_a_tag_becomes_an_attribute_and_values_of_other_types_become_text(
    otel: Recorded, value: Any, kept: Any, caplog: pytest.LogCaptureFixture
) -> None:
    attributes = _tagged(otel, "key", value)
    assert attributes == {"key": kept}
    assert type(attributes["key"]) is type(kept)
    (event,) = _logged(otel, {"key": value})
    assert dict(event.attributes or {}) == {"key": kept}
    assert caplog.records == []


def test_R28_nan_stays_nan(otel: Recorded) -> None:
    assert math.isnan(_tagged(otel, "key", math.nan)["key"])


@pytest.mark.parametrize(
    ("key", "kept"),
    [(7, "7"), (None, "None"), (("a",), "('a',)"), (Text("own"), "own"), ("\ud800", "?")],
    ids=ascii,
)
def test_R32_a_tag_name_that_is_not_a_string_becomes_one(otel: Recorded, key: Any, kept: str) -> None:
    assert _tagged(otel, key, 1) == {kept: 1}


def test_R32_a_tag_with_an_empty_name_is_dropped(otel: Recorded) -> None:
    assert _tagged(otel, "", 1) == {}


def test_R32_long_text_is_cut(otel: Recorded) -> None:
    assert _tagged(otel, "key", "x" * (MAX_TEXT + 1))["key"] == "x" * MAX_TEXT
    assert _tagged(otel, "key", b"x" * (MAX_TEXT + 1))["key"] == "x" * MAX_TEXT
    assert len(_tagged(otel, "key", "ä" * (MAX_TEXT + 1))["key"]) == MAX_TEXT
    assert len(_tagged(otel, "key", {"x": "x" * MAX_TEXT})["key"]) == MAX_TEXT


def test_R32_long_sequences_are_cut(otel: Recorded) -> None:
    assert _tagged(otel, "key", [1] * (MAX_ITEMS + 1))["key"] == (1,) * MAX_ITEMS
    assert _tagged(otel, "key", ["x" * (MAX_TEXT // 2)] * 3)["key"] == ("x" * (MAX_TEXT // 2),) * 2
    assert len(_tagged(otel, "key", [1, "a"] * MAX_TEXT)["key"]) == MAX_TEXT


def test_R28_a_value_that_changes_later_is_recorded_as_it_was_when_set(otel: Recorded) -> None:
    names = ["a"]
    span = otel.tracer.start_span("x").set_tag("names", names).log_kv({"names": names})
    names.append("b")
    span.finish()
    assert dict(otel.spans["x"].attributes or {}) == {"names": ("a",)}
    assert dict(otel.spans["x"].events[0].attributes or {}) == {"names": ("a",)}


def test_R28_a_log_whose_dict_changes_later_is_recorded_as_it_was_when_logged(otel: Recorded) -> None:
    fields = {"a": 1}
    span = otel.tracer.start_span("x").log_kv(fields)
    fields["a"] = 2
    span.finish()
    assert dict(otel.spans["x"].events[0].attributes or {}) == {"a": 1}


class Failing(UserDict[str, Any]):
    def keys(self) -> Any:
        raise RuntimeError("no keys")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


def test_R28_a_mapping_that_raises_is_dropped_and_the_rest_of_the_span_is_kept(otel: Recorded) -> None:
    failing: Any = Failing(a=1)
    otel.tracer.start_span("x", tags=failing).log_kv(failing).set_tag("a", 1).finish()
    assert dict(otel.spans["x"].attributes or {}) == {"a": 1}
    assert [event.name for event in otel.spans["x"].events] == ["log"]


def _finished_once(otel: Recorded) -> ReadableSpan:
    (span,) = otel.exporter.get_finished_spans()
    return span


def test_S9_an_ended_span_ignores_later_calls_and_logs_each_at_debug_level(
    otel: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    span = otel.tracer.start_span("x", tags={"a": 1})
    span.finish(10)
    caplog.set_level(logging.DEBUG)
    calls: list[Callable[[], object]] = [
        lambda: span.set_tag("a", 2),
        lambda: span.set_tag(tags.ERROR, True),
        lambda: span.set_tag(tags.SPAN_KIND, "client"),
        lambda: span.log_kv({"event": "e"}),
        lambda: span.set_operation_name("y"),
        lambda: span.fail(ValueError()),
        lambda: span.finish(20),
        lambda: span.__exit__(None, None, None),
    ]
    for call in calls:
        caplog.clear()
        call()
        assert [(record.name, record.levelname) for record in caplog.records] == [
            ("ot_bridge.bridge", "DEBUG")
        ]
        assert repr(span) in caplog.text
    ended = _finished_once(otel)
    assert (ended.name, ended.end_time, ended.events) == ("x", 10_000_000_000, ())
    assert dict(ended.attributes or {}) == {"a": 1}
    assert ended.status.status_code is StatusCode.UNSET


def test_S9_an_unsampled_span_ignores_everything_silently(
    otel: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    span = otel.tracer.start_span("x", tags={tags.SAMPLING_PRIORITY: 0, tags.ERROR: True})
    span.set_tag("a", 1).set_tag(tags.ERROR, True).set_tag(tags.SPAN_KIND, "client")
    span.log_kv({"event": "e"}).set_operation_name("y").set_baggage_item("user", "ann")
    span.finish()
    span.finish()
    assert otel.exporter.get_finished_spans() == ()
    assert caplog.records == []
    assert span.get_baggage_item("user") == "ann"
