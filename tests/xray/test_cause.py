from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from ot_bridge.xray import segment
from ot_bridge.xray.cause import traceback as parsed
from tests.xray.spans import ERROR, raised, span

SERVER, CLIENT, PRODUCER = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER


def flags(attributes: Any, status: Status = Status(StatusCode.UNSET)) -> str:  # noqa: B008
    found = segment(span("s", SERVER, attributes, status=status))
    return " ".join(flag for flag in ("error", "fault", "throttle") if found.get(flag))


@pytest.mark.parametrize(
    ("attributes", "status", "wanted"),
    [
        ({}, StatusCode.UNSET, ""),
        ({}, StatusCode.OK, ""),
        ({}, StatusCode.ERROR, "fault"),
        ({"http.status_code": 200}, StatusCode.ERROR, "fault"),
        ({"http.response.status_code": 302}, StatusCode.UNSET, ""),
        ({"http.response.status_code": 400}, StatusCode.UNSET, "error"),
        ({"http.response.status_code": 499}, StatusCode.ERROR, "error"),
        ({"http.response.status_code": 429}, StatusCode.UNSET, "error throttle"),
        ({"http.response.status_code": 500}, StatusCode.UNSET, "fault"),
        ({"http.response.status_code": 599}, StatusCode.UNSET, "fault"),
        ({"http.response.status_code": 600}, StatusCode.UNSET, ""),
        ({"http.status_code": "404"}, StatusCode.UNSET, "error"),
        ({"http.status_code": "often"}, StatusCode.UNSET, ""),
        ({"rpc.grpc.status_code": 0}, StatusCode.UNSET, ""),
        ({"rpc.grpc.status_code": 1}, StatusCode.UNSET, "error"),
        ({"rpc.grpc.status_code": 2}, StatusCode.UNSET, "fault"),
        ({"rpc.grpc.status_code": 4}, StatusCode.ERROR, "fault"),
        ({"rpc.grpc.status_code": 5}, StatusCode.UNSET, "error"),
        ({"rpc.grpc.status_code": 8}, StatusCode.ERROR, "error throttle"),
        ({"rpc.grpc.status_code": 16}, StatusCode.ERROR, "error"),
        ({"rpc.grpc.status_code": 17}, StatusCode.UNSET, ""),
        ({"rpc.grpc.status_code": -1}, StatusCode.ERROR, "fault"),
        ({"rpc.response.status_code": "PERMISSION_DENIED"}, StatusCode.ERROR, "error"),
        ({"rpc.response.status_code": "14"}, StatusCode.ERROR, "fault"),
        ({"rpc.response.status_code": "NO_SUCH"}, StatusCode.UNSET, ""),
        ({"grpc.status_code": 3}, StatusCode.UNSET, "error"),
        ({"rpc.status_code": "NOT_FOUND"}, StatusCode.ERROR, "error"),
        ({"rpc.status_code": "StatusCode.NOT_FOUND"}, StatusCode.ERROR, "error"),
        ({"rpc.status_code": "NotFound"}, StatusCode.ERROR, "error"),
        ({"rpc.status_code": "canceled"}, StatusCode.ERROR, "error"),
        ({"rpc.status_code": "RESOURCE_EXHAUSTED"}, StatusCode.ERROR, "error throttle"),
        ({"rpc.status_code": "INTERNAL"}, StatusCode.UNSET, "fault"),
        ({"rpc.status_code": "OK"}, StatusCode.UNSET, ""),
        ({"rpc.status_code": 5}, StatusCode.ERROR, "error"),
        ({"rpc.response.status_code": "not_found"}, StatusCode.ERROR, "error"),
        ({"rpc.grpc.status_code": "NOT_FOUND"}, StatusCode.ERROR, "error"),
        ({"rpc.status_code": "", "rpc.grpc.status_code": 5}, StatusCode.ERROR, "error"),
        ({"rpc.status_code": "NOT_FOUND", "rpc.grpc.status_code": 13}, StatusCode.ERROR, "error"),
        ({"rpc.status_code": "-32602"}, StatusCode.ERROR, "fault"),
    ],
    ids=str,
)
def test_error_fault_and_throttle_depend_on_the_status(
    attributes: Any, status: StatusCode, wanted: str
) -> None:
    assert flags(attributes, Status(status)) == wanted


#: gRPC's codes, by what the flags of a segment are
GRPC = {
    "": ("OK",),
    "error": (
        *("CANCELLED", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED"),
        *("FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNAUTHENTICATED"),
    ),
    "error throttle": ("RESOURCE_EXHAUSTED",),
    "fault": ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
}


@pytest.mark.parametrize(("wanted", "code"), [(flag, code) for flag, codes in GRPC.items() for code in codes])
def test_each_code_of_grpc_is_an_error_or_a_fault(wanted: str, code: str) -> None:
    number = grpc.StatusCode[code].value[0]
    for value in (number, str(number), code, f"StatusCode.{code}", code.lower()):
        assert flags({"rpc.grpc.status_code": value}) == wanted


def printed(fail: Callable[[], object]) -> str:
    try:
        fail()
    except BaseException:
        return traceback.format_exc()
    raise AssertionError("it did not fail")


def dig(depth: int) -> None:
    if not depth:
        raise LookupError("ground")
    (dig if depth % 2 else dig_on)(depth - 1)


def dig_on(depth: int) -> None:
    dig(depth)


def test_a_traceback_of_this_python_version_is_parsed() -> None:
    def chained() -> None:
        try:
            dig(0)
        except LookupError as error:
            raise RuntimeError("a: b") from error

    outer, inner = parsed(printed(chained))
    assert (outer.type, outer.message) == ("RuntimeError", "a: b")
    assert [frame["label"] for frame in outer.frames][-1] == "printed"
    assert outer.frames[0]["label"].endswith("chained")
    assert (inner.type, inner.message, inner.frames[0]["label"]) == ("LookupError", "ground", "dig")
    assert inner.frames[0]["path"] == __file__
    assert inner.frames[0]["line"] == dig.__code__.co_firstlineno + 2


def test_the_innermost_of_many_frames_are_kept_and_the_others_counted() -> None:
    event = raised(type="LookupError", message="ground", stacktrace=printed(lambda: dig(200)))
    (found,) = segment(span("s", events=(event,)))["cause"]["exceptions"]
    assert len(found["stack"]) == 100
    assert found["truncated"] > 100
    assert found["stack"][0]["line"] == dig.__code__.co_firstlineno + 2


GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/app/x.py", line 16, in <module>
  |     raise ExceptionGroup("g",[ValueError(1),KeyError(2)])
  | ExceptionGroup: g (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/y.py", line 1, in inner
    | ValueError: 1
    +------------------------------------
"""
SYNTAX = """Traceback (most recent call last):
  File "/app/x.py", line 11, in run
    compile("a b","<s>","exec")
  File "<s>", line 1
    a b
      ^
SyntaxError: invalid syntax
"""


@pytest.mark.parametrize(
    ("text", "type_", "message", "labels"),
    [
        (GROUP, "ExceptionGroup", "g (2 sub-exceptions)", ["<module>"]),
        (SYNTAX, "SyntaxError", "invalid syntax", ["run"]),
        ("ValueError", "ValueError", "", []),
        ("ValueError: a\nb", "ValueError", "a\nb", []),
        ("KeyError: 'x'\n", "KeyError", "'x'", []),
        ("no traceback at all", "", "", []),
        ('  File "x", line 9999999999999999999999, in f\n', "", "", ["f"]),
    ],
)
def test_a_traceback_of_any_form_is_parsed_as_far_as_possible(
    text: str, type_: str, message: str, labels: list[str]
) -> None:
    outer = parsed(text)[0]
    assert (outer.type, [frame["label"] for frame in outer.frames]) == (type_, labels)
    assert outer.message.startswith(message)


def test_an_empty_traceback_has_no_exception() -> None:
    assert parsed("") == []
    assert parsed("\n\n") == []


def test_type_and_message_of_the_event_take_precedence_over_the_traceback() -> None:
    event = raised(type="shop.Error", message="as recorded", stacktrace="Error: as printed\n")
    (found,) = segment(span("s", events=(event,)))["cause"]["exceptions"]
    assert (found["type"], found["message"]) == ("shop.Error", "as recorded")
    (found,) = segment(span("s", events=(raised(stacktrace="Error: as printed\n"),)))["cause"]["exceptions"]
    assert (found["type"], found["message"]) == ("Error", "as printed")


@pytest.mark.parametrize(("kind", "remote"), [(CLIENT, True), (PRODUCER, True), (SERVER, None)])
def test_an_exception_of_a_client_span_is_remote(kind: SpanKind, remote: Any) -> None:
    (found,) = segment(span("s", kind, events=(raised(type="E"),)))["cause"]["exceptions"]
    assert found.get("remote") == remote


def test_an_error_without_an_exception_has_its_status_description_as_message() -> None:
    assert "cause" not in segment(span("s", status=ERROR))
    assert "cause" not in segment(span("s", status=Status(StatusCode.OK)))
    (found,) = segment(span("s", status=Status(StatusCode.ERROR, "why")))["cause"]["exceptions"]
    assert found["message"] == "why"


def test_a_span_of_the_sdk_is_translated_with_the_exception_it_recorded() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("t")
    inside = tracer.start_as_current_span("inner", kind=CLIENT)
    with pytest.raises(LookupError), tracer.start_as_current_span("outer"), inside:
        dig(3)
    inner, outer = map(segment, exporter.get_finished_spans())
    assert inner["parent_id"] == outer["id"]
    assert inner["type"] == "subsegment"
    assert [frame["label"] for frame in inner["cause"]["exceptions"][0]["stack"]][:4] == [
        *("dig", "dig", "dig_on", "dig")
    ]
    assert outer["fault"] is True
