"""Reading the responses of collectors, and bytes that are not a valid response."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from ot_bridge.otlp.wire import FIXED32, FIXED64, fields, partial_success, status_message, tag
from tests.generated import short


def _response(rejected: int, message: str) -> bytes:
    partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    return ExportTraceServiceResponse(partial_success=partial).SerializeToString()


PARTIAL = [(0, ""), (3, ""), (0, "slow down"), (3, "no such tenant: Ü"), (-1, ""), (2**63 - 1, "x" * 1000)]


@pytest.mark.parametrize(("rejected", "message"), PARTIAL)
def test_a_partial_success_is_read(rejected: int, message: str) -> None:
    assert partial_success(_response(rejected, message)) == (rejected, message)


def test_a_response_without_a_partial_success_rejects_nothing() -> None:
    assert partial_success(b"") == (0, "")


def test_unknown_fields_and_fields_of_another_type_are_ignored() -> None:
    unknown = bytes([tag(9, FIXED32), 1, 2, 3, 4, tag(8, FIXED64), *range(8), tag(1, FIXED32), 1, 2, 3, 4])
    assert partial_success(unknown + _response(3, "m")) == (3, "m")


def test_repeated_parts_of_a_message_are_merged() -> None:
    assert partial_success(_response(3, "") + _response(0, "m")) == (3, "m")
    assert partial_success(_response(3, "a") + _response(4, "b")) == (4, "b")


def test_the_message_of_a_status_is_read() -> None:
    assert status_message(b"") == ""
    assert status_message(b"\x08\x03\x12\x0binvalid: \xc3\x9c\x1a\x02\x0a\x00") == "invalid: Ü"


BROKEN = {
    "cut in a tag": b"\x8a",
    "cut in a length": b"\x0a\x80",
    "cut in a text": b"\x12\x05ab",
    "cut in a number": b"\x08",
    "cut in a fixed number": b"\x0d\x00\x00",
    "a number without end": b"\x08" + b"\xff" * 11,
    "field zero": b"\x00\x00",
    "a field beyond 2**29": b"\x88\x80\x80\x80\x80\x01\x00",
    "a group": b"\x0b\x0c",
    "an unknown wire type": b"\x0e",
    "no UTF-8": b"\x0a\x04\x12\x02\xff\xfe",
    "JSON": b'{"partialSuccess": {}}',
    "HTML": b"<html><body>Welcome</body></html>",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_invalid_protobuf_raises_valueerror(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kinds of it are the library's affair
        partial_success(body)
    if body != BROKEN["no UTF-8"]:
        with pytest.raises(ValueError):  # noqa: PT011
            status_message(body)


def test_a_status_message_has_to_be_utf8() -> None:
    with pytest.raises(UnicodeDecodeError):
        status_message(b"\x12\x02\xff\xfe")


@short
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_raise_valueerror(body: bytes) -> None:
    for read in (partial_success, status_message, lambda given: list(fields(given))):
        with suppress(ValueError):
            read(body)


@short
@given(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_partial_success_is_read_as_protobuf_reads_it(rejected: int, message: str) -> None:
    assert partial_success(_response(rejected, message)) == (rejected, message)
