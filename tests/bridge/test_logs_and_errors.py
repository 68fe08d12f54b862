"""R27, R33 to R35 and S11: logs become events, and errors a status with an `exception` event."""

from __future__ import annotations

import weakref
from collections import UserDict
from collections.abc import Generator
from types import MappingProxyType
from typing import Any

import opentracing
import pytest
from opentelemetry.sdk.trace import Event
from opentelemetry.trace import StatusCode
from opentracing.scope_managers import ThreadLocalScopeManager

from ot_bridge.bridge import Tracer
from tests.conftest import Recorded, recorded


def _logged(otel: Recorded, *logs: Any) -> list[Event]:
    span = otel.tracer.start_span("x")
    for fields in logs:
        assert span.log_kv(fields) is span
    span.finish()
    return list(otel.spans["x"].events)


EVENT_NAMES = [
    ({"event": "cache miss", "key": "k"}, "cache miss"),
    ({"key": "k"}, "log"),
    ({}, "log"),
    ({"event": None}, "log"),
    ({"event": ""}, "log"),
    ({"event": 7}, "7"),
    ({"event": b"x"}, "b'x'"),
    ({"event": "\ud800"}, "?"),
    (None, "log"),
    ("no mapping", "log"),
    (MappingProxyType({"event": "mapped"}), "mapped"),
    (UserDict({"event": "mapped"}), "mapped"),
]


@pytest.mark.parametrize(("fields", "name"), EVENT_NAMES, ids=[repr(fields) for fields, _ in EVENT_NAMES])
def test_R27_a_log_is_an_event_whose_name_is_the_event_field_or_log(
    otel: Recorded, fields: Any, name: str
) -> None:
    assert [event.name for event in _logged(otel, fields)] == [name]


def test_R27_a_logs_fields_are_the_events_attributes(otel: Recorded) -> None:
    (event,) = _logged(otel, {"event": "e", "text": "a", "count": 1, "ratio": 0.5, "ok": True})
    assert dict(event.attributes or {}) == {"event": "e", "text": "a", "count": 1, "ratio": 0.5, "ok": True}


def test_R33_field_names_that_are_not_strings_become_strings(otel: Recorded) -> None:
    (event,) = _logged(otel, {1: "a", None: "b", ("t",): "c", "": "nameless"})
    assert dict(event.attributes or {}) == {"1": "a", "None": "b", "('t',)": "c"}


def test_R33_a_field_with_an_empty_name_is_dropped_without_a_log_line(
    otel: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    (event,) = _logged(otel, {"": "nameless", "a": 1})
    assert dict(event.attributes or {}) == {"a": 1}
    assert caplog.records == []


def test_R27_a_log_that_is_not_a_mapping_becomes_the_payload_field(otel: Recorded) -> None:
    (event,) = _logged(otel, "just text")
    assert dict(event.attributes or {}) == {"payload": "just text"}


def test_R27_the_deprecated_log_methods_of_opentracing_1_still_work(otel: Recorded) -> None:
    span: Any = otel.tracer.start_span("x")
    assert span.log_event("one") is span
    assert span.log_event("two", {"a": 1}) is span
    assert span.log(event="three", payload=3, timestamp=9.5) is span
    span.log()
    span.finish()
    events = [(event.name, dict(event.attributes or {})) for event in otel.spans["x"].events]
    assert events == [
        ("one", {"event": "one"}),
        ("two", {"event": "two", "payload": "{'a': 1}"}),
        ("three", {"event": "three", "payload": 3}),
        ("log", {}),
    ]
    assert otel.spans["x"].events[2].timestamp == 9_500_000_000


def _exception(text: str = "no") -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_R34_an_error_log_with_an_exception_records_it(otel: Recorded) -> None:
    (event,) = _logged(otel, {"event": "error", "error.object": _exception(), "attempt": 2})
    attributes = dict(event.attributes or {})
    assert event.name == "exception"
    assert "Traceback" in str(attributes.pop("exception.stacktrace"))
    attributes.pop("exception.escaped", None)
    assert attributes == {
        "exception.type": "ValueError",
        "exception.message": "no",
        "event": "error",
        "attempt": 2,
    }


def test_R34_a_message_field_is_kept_beside_the_message_of_the_exception(otel: Recorded) -> None:
    own, same = _logged(
        otel,
        {"event": "error", "error.object": _exception(), "message": "while saving", "error.kind": "x"},
        {"event": "error", "error.object": _exception(), "message": "no", "stack": "x"},
    )
    assert (own.attributes or {})["message"] == "while saving"
    assert (own.attributes or {})["exception.message"] == "no"
    assert not {"message", "stack", "error.kind"} & set(same.attributes or {})


def test_R34_an_exception_that_cannot_be_printed_is_recorded_by_its_type(otel: Recorded) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    (event,) = _logged(otel, {"event": "error", "error.object": Unspeakable()})
    assert event.name == "exception"
    assert str((event.attributes or {})["exception.type"]).endswith("Unspeakable")
    assert (event.attributes or {})["exception.message"] == "<unprintable Unspeakable>"


def test_R34_each_of_several_exceptions_is_recorded(otel: Recorded) -> None:
    span = otel.tracer.start_span("x")
    for number in range(5):  # each exception may have the memory address of the previous one
        span.log_kv({"event": "error", "error.object": _exception(str(number))})
    span.finish()
    messages = [(event.attributes or {})["exception.message"] for event in otel.spans["x"].events]
    assert messages == ["0", "1", "2", "3", "4"]


def test_R35_an_error_log_without_an_exception_is_an_exception_event(otel: Recorded) -> None:
    (event,) = _logged(
        otel, {"event": "error", "error.kind": "Timeout", "message": "too late", "stack": "line 1", "a": 1}
    )
    assert event.name == "exception"
    assert dict(event.attributes or {}) == {
        "event": "error",
        "exception.type": "Timeout",
        "exception.message": "too late",
        "exception.stacktrace": "line 1",
        "a": 1,
    }


def test_R35_an_error_object_that_is_not_an_exception_is_the_message(otel: Recorded) -> None:
    only, both = _logged(
        otel,
        {"event": "error", "error.object": "it broke"},
        {"event": "error", "error.object": "it broke", "message": "kept"},
    )
    assert (only.attributes or {})["exception.message"] == "it broke"
    assert (both.attributes or {})["exception.message"] == "kept"


def test_R35_an_error_object_that_is_a_class_is_the_type(otel: Recorded) -> None:
    (event,) = _logged(otel, {"event": "error", "error.object": LookupError, "message": "gone"})
    assert (event.attributes or {})["exception.type"] == "LookupError"
    assert (event.attributes or {})["exception.message"] == "gone"


def test_R34_an_error_object_that_is_the_class_of_the_handled_exception_means_that_exception(
    otel: Recorded,
) -> None:
    def logs_and_raises() -> None:
        try:
            raise _exception()
        except ValueError:
            scope.span.log_kv({"event": "error", "error.object": ValueError})
            raise

    with pytest.raises(ValueError, match="no"), otel.tracer.start_active_span("x") as scope:
        logs_and_raises()
    assert _failed(otel) == ["no"]


def test_R35_error_fields_of_any_type_become_text(otel: Recorded) -> None:
    (event,) = _logged(
        otel, {"event": "error", "error.kind": ValueError, "stack": _exception().__traceback__}
    )
    assert (event.attributes or {})["exception.type"] == "ValueError"
    assert "test_logs_and_errors.py" in str((event.attributes or {})["exception.stacktrace"])


def _failed(otel: Recorded, name: str = "x") -> list[str]:
    """Checks for one ERROR status and returns the messages of the recorded exceptions."""
    span = otel.spans[name]
    assert span.status.status_code is StatusCode.ERROR
    return [str((event.attributes or {})["exception.message"]) for event in span.events]


def test_S11_an_exception_that_leaves_a_span_is_one_error_and_one_event(otel: Recorded) -> None:
    with pytest.raises(ValueError, match="no"), otel.tracer.start_span("x"):
        raise _exception()
    assert _failed(otel) == ["no"]
    assert otel.spans["x"].status.description == "ValueError: no"


@pytest.mark.parametrize("manager", [None, ThreadLocalScopeManager], ids=["own", "stock"])
def test_S11_an_exception_that_leaves_a_scope_is_one_error_and_one_event(manager: Any) -> None:
    otel = recorded(scope_manager=None if manager is None else manager())
    with pytest.raises(ValueError, match="no"), otel.tracer.start_active_span("x"):
        raise _exception()
    assert _failed(otel) == ["no"]


def test_S11_an_exception_that_leaves_a_span_and_a_scope_is_one_event(otel: Recorded) -> None:
    span = otel.tracer.start_span("x")
    with pytest.raises(ValueError, match="no"), span, otel.tracer.scope_manager.activate(span, False):
        raise _exception()
    assert _failed(otel) == ["no"]


def test_S11_an_exception_that_was_already_logged_is_one_event(otel: Recorded) -> None:
    def logs_and_raises() -> None:
        error = _exception()
        scope.span.log_kv({"event": "error", "error.object": error})
        raise error

    with pytest.raises(ValueError, match="no"), otel.tracer.start_active_span("x") as scope:
        logs_and_raises()
    assert _failed(otel) == ["no"]


def test_S11_every_span_that_an_exception_passes_through_records_it(otel: Recorded) -> None:
    with (
        pytest.raises(ValueError, match="no"),
        otel.tracer.start_active_span("x"),
        otel.tracer.start_active_span("y"),
    ):
        raise _exception()
    assert _failed(otel, "x") == _failed(otel, "y") == ["no"]


def test_S11_a_scope_that_does_not_finish_its_span_still_marks_it(otel: Recorded) -> None:
    span = otel.tracer.start_span("x")
    with pytest.raises(ValueError, match="no"), otel.tracer.scope_manager.activate(span, False):
        raise _exception()
    assert otel.spans == {}
    span.finish()
    assert _failed(otel) == ["no"]


def test_S11_a_generator_that_is_not_read_to_its_end_has_not_failed(otel: Recorded) -> None:
    def rows(name: str) -> Generator[int, None, None]:
        with otel.tracer.start_active_span(name), otel.tracer.start_span(f"{name} too"):
            yield 1

    generator = rows("x")
    next(generator)
    generator.close()
    for name in "x", "x too":
        assert otel.spans[name].status.status_code is StatusCode.UNSET
        assert otel.spans[name].events == ()


def test_S11_a_foreign_span_in_our_scope_gets_the_error_tag_of_opentracing(tracer: Tracer) -> None:
    class Foreign(opentracing.Span):
        def __init__(self) -> None:
            super().__init__(opentracing.Tracer(), opentracing.SpanContext())
            self.tags: list[Any] = []

        def set_tag(self, key: str, value: Any) -> Foreign:
            self.tags.append((key, value))
            return self

    foreign = Foreign()
    with pytest.raises(ValueError, match="no"), tracer.scope_manager.activate(foreign, True):
        raise _exception()
    assert foreign.tags == [("error", True)]


def test_S11_a_span_does_not_keep_what_it_recorded_once_it_is_finished(otel: Recorded) -> None:
    error = type("Error", (Exception,), {})()
    gone = weakref.ref(error)
    span = otel.tracer.start_span("x")
    span.log_kv({"event": "error", "error.object": error})
    span.finish()
    del error
    assert gone() is None
