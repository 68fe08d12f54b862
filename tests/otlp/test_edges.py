"""The limits of OTLP's settings, responses and values: at the limit and beyond it; tables row by row."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge import __version__
from ot_bridge.errors import ConfigurationError
from ot_bridge.otlp import OTLPSpanExporter, decode, decode_json, values
from ot_bridge.otlp.settings import Settings
from ot_bridge.otlp.values import any_value
from ot_bridge.otlp.varint import varint
from ot_bridge.otlp.verdict import Verdict, judge, judge_error, retry_after
from ot_bridge.otlp.wire import fields, tag
from ot_bridge.sending.responses import MAX_BODY, Response
from tests.otlp.conftest import exporting, some_spans
from tests.receiver import HttpReceiver, free_port
from tests.receiver import Response as Answer

P = "OTEL_EXPORTER_OTLP_"
OWN = (
    *("Host", "Content-Length", "Content-Type", "Content-Encoding", "Accept-Encoding", "Transfer-Encoding"),
    *("Connection", "Expect", "TE", "Upgrade", "Proxy-Authorization"),
)


@pytest.mark.parametrize("name", OWN)
def test_a_header_of_the_exporters_own_cannot_be_replaced(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{P}HEADERS", f"{name.lower()}=x,a=b")
    assert Settings(headers={name: "y", "c": "d"}).headers == (("a", "b"), ("c", "d"))


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (0.001, 0.001),
        (999.9, 999.9),
        (1000, 1.0),
        (1001, 1.001),
        ("5", 5.0),
        (86_400_000, 86_400.0),
        (86_400_001, 86_400.0),
        (1e300, 86_400.0),
    ],
)
def test_a_timeout_is_at_most_a_day(given: Any, seconds: float) -> None:
    assert Settings(timeout=given).timeout == seconds


#: Characters of a header's value, and whether they may be sent.
CHARACTERS = dict.fromkeys("\t ~\x80\ud7ff\ue000", True)
CHARACTERS |= dict.fromkeys("\0\x08\n\x0b\x1f\x7f\ud800\udfff", False)


@pytest.mark.parametrize(("char", "sent"), CHARACTERS.items(), ids=ascii)
def test_a_headers_value_has_no_control_characters_but_a_tab(char: str, sent: bool) -> None:
    headers = {"k": f"a{char}b"}
    if sent:
        assert Settings(headers=headers).headers == (("k", f"a{char}b"),)
    else:
        with pytest.raises(ConfigurationError, match="a line break or another character"):
            Settings(headers=headers)


def _can_be_a_name(name: str) -> bool:
    try:
        return Settings(headers={name: "v"}).headers == ((name, "v"),)
    except ConfigurationError as refused:
        return "a name that no header can have" not in refused.reason


def test_a_headers_name_is_a_token() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    found = {chr(code) for code in range(256) if _can_be_a_name(f"a{chr(code)}b")}
    assert found == set("!#$%&'*+-.^_`|~" + letters)


#: Arguments that cannot be used -> the option that the error names, and its words.
ARGUMENTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "endpoint": ({"endpoint": "h"}, "endpoint", "a URL begins with http"),
    "timeout": ({"timeout": 0}, "timeout", "a number of seconds above 0"),
    "compression": ({"compression": "br"}, "compression", "expected one of gzip, deflate, none"),
    "headers": ({"headers": [("a", 1)]}, "headers", "pairs of names and values: one is no text"),
    "a name": ({"headers": {"": "x"}}, "headers", "has a name that no header can have"),
    "a certificate": ({"certificate_file": 7}, "certificate_file", "the path of a file"),
    "a client's certificate": (
        {"endpoint": "https://h", "client_certificate_file": "/no"},
        "client_certificate_file",
        "the path of a file",
    ),
    "a client's key": (
        {"endpoint": "https://h", "client_key_file": "/no"},
        "client_key_file",
        "the path of a file",
    ),
    "no size": ({"max_request_size": 0}, "max_request_size", "a number above 0"),
    "a size that is no number": ({"max_request_size": 1.5}, "max_request_size", "a number above 0"),
}


@pytest.mark.parametrize(("arguments", "option", "words"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_an_argument_that_cannot_be_used_is_named(arguments: dict[str, Any], option: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        OTLPSpanExporter(**arguments)
    assert refused.value.option == option


def test_the_values_of_headers_are_not_shown_in_an_error() -> None:
    with pytest.raises(ConfigurationError) as refused:
        OTLPSpanExporter(headers={"authorization": "se\ncret"})
    assert refused.value.value == "…"


def test_a_batch_that_cannot_be_encoded_at_all_is_lost_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ot_bridge.otlp.sender.encode", lambda *_: 1 / 0)
    exporter = OTLPSpanExporter(endpoint="http://127.0.0.1:9/v1/traces")
    assert exporter.export(some_spans(3)) is SpanExportResult.FAILURE
    assert exporter.failed == {"not encodable": 3}
    failed, *lost = caplog.messages
    assert failed.startswith("a batch could not be encoded")
    assert [text.partition(":")[0] for text in lost] == ["3 spans are lost on the way to http"]


def test_the_smallest_size_of_a_request_is_one_byte() -> None:
    OTLPSpanExporter(max_request_size=1).shutdown()


#: Variables that cannot be used -> what the log says about them, and what it says is done.
VARIABLES: dict[str, tuple[str, str, str, str]] = {
    "timeout": ("TIMEOUT", "soon", "TIMEOUT='soon': expected a number of seconds above 0", "10.0 is taken"),
    "traces' timeout": ("TRACES_TIMEOUT", "-1", "TRACES_TIMEOUT='-1': expected", "10.0 is taken"),
    "compression": ("COMPRESSION", "br", "COMPRESSION='br': expected one of", "none is taken"),
    "headers": ("HEADERS", "a=b,secret", "HEADERS: pair 2 has no '='", "that pair is left out"),
    "headers in no UTF-8": ("HEADERS", "a=%ff", "HEADERS: pair 1 is not UTF-8", "that pair is left out"),
    "endpoint": ("ENDPOINT", "h", "ENDPOINT='h': a URL begins", "nothing is exported, and every span"),
}


@pytest.mark.parametrize(("name", "value", "words", "instead"), VARIABLES.values(), ids=VARIABLES)
def test_a_variable_that_cannot_be_used_is_named_in_the_log(
    name: str,
    value: str,
    words: str,
    instead: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(f"{P}{name}", value)
    Settings()
    (record,) = caplog.records
    assert record.message.startswith(f"{P}{words}")
    assert f"; {instead}" in record.message
    assert "secret" not in record.message


@pytest.mark.parametrize("given", ["argument", "variable"])
@pytest.mark.parametrize(
    ("option", "name", "field"),
    [
        ("certificate_file", "CERTIFICATE", "certificate"),
        ("client_certificate_file", "CLIENT_CERTIFICATE", "client_certificate"),
        ("client_key_file", "CLIENT_KEY", "client_key"),
    ],
)
def test_each_file_comes_from_its_argument_or_its_variable(
    option: str, name: str, field: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, Any] = {}
    if given == "argument":
        arguments[option] = __file__
    else:
        monkeypatch.setenv(f"{P}{name}", __file__)
    settings = Settings("https://h/", **arguments)
    fields_ = {"certificate", "client_certificate", "client_key"}
    found = {each: getattr(settings, each) for each in fields_}
    assert found == {**dict.fromkeys(fields_), field: __file__}


def _judged(status: int, body: bytes = b"", spans: int = 3, **headers: str) -> Verdict:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return judge(Response(status, named, body, True, True), spans)


STATUSES = {
    **dict.fromkeys((200, 202, 299), (0, "", False)),
    **dict.fromkeys((300, 399, 400, 499, 500, 501, 505, 199), (3, "status", False)),
    **dict.fromkeys((429, 502, 503, 504), (3, "status", True)),
    413: (3, "too large", False),
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_says_whether_the_spans_are_lost_and_whether_to_try_again(status: int) -> None:
    found = _judged(status, retry_after="7")
    assert (found.lost, found.reason, found.again) == STATUSES[status]
    assert found.pause == (7.0 if found.again else None)
    assert ("a redirect, which is not followed" in found.text) is (300 <= status < 400)


def _partial(rejected: int, message: str) -> bytes:
    success = ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    return bytes(ExportTraceServiceResponse(partial_success=success).SerializeToString())


TAKEN = {
    "rejected": (_partial(2, "no"), "", Verdict(2, "partial", "the collector rejected them: no")),
    "rejected, more than sent": (_partial(9, ""), "", Verdict(3, "partial", "the collector rejected them: ")),
    "a warning": (_partial(0, "w"), "", Verdict(text="the collector took the spans, and says: w")),
    "nothing said": (_partial(0, ""), "", Verdict()),
    "fewer than none": (_partial(-1, ""), "", Verdict()),
    "no protobuf": (
        b"\xff",
        "",
        Verdict(text="the collector took the spans, and its answer cannot be read"),
    ),
    "JSON": (b'{"partialSuccess":{}}', "application/JSON; charset=utf-8", Verdict()),
    "a page": (
        b"",
        "Text/HTML ; x",
        Verdict(3, "status", "HTTP 200, but a web page came back, so no collector is there"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "expected"), TAKEN.values(), ids=TAKEN)
def test_a_response_of_a_collector_that_took_the_spans_is_read(
    body: bytes, kind: str, expected: Verdict
) -> None:
    assert _judged(200, body, content_type=kind) == expected


#: Bodies of a failure -> what is logged of them.
FAILURES: dict[str, tuple[bytes, str, str]] = {
    "no text": (b"", "text/plain", "HTTP 500"),
    "only blanks": (b" \r\n", "text/plain", "HTTP 500"),
    "control characters": (
        "a\x00\x1f\x7f\x9fb ~\xa0c".encode(),
        "text/plain",
        "HTTP 500: a b ~\xa0c",
    ),
    "200 characters": (b"x" * 200, "", "HTTP 500: " + "x" * 200),
    "201 characters": (b"x" * 201, "", "HTTP 500: " + "x" * 200),
    "blanks before the text": (b" " * 799 + b"xy", "", "HTTP 500: x"),
    "no UTF-8": (b"a\xff", "text/plain", "HTTP 500: a\ufffd"),
    "protobuf": (b"\x12\x02no", "application/x-protobuf", "HTTP 500: no"),
    "no protobuf": (b"\xff", "application/x-protobuf", "HTTP 500"),
}


@pytest.mark.parametrize(("body", "kind", "text"), FAILURES.values(), ids=FAILURES)
def test_the_text_of_a_failure_is_cut_and_cleaned(body: bytes, kind: str, text: str) -> None:
    assert _judged(500, body, content_type=kind).text == text


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "deflate"])
def test_a_compressed_response_is_read_up_to_a_limit(coding: str) -> None:
    window = zlib.MAX_WBITS | (0 if coding == "deflate" else 16)
    press = zlib.compressobj(wbits=window)
    body = press.compress(b" " * (MAX_BODY - 1) + b"xy") + press.flush()
    assert _judged(500, body, content_encoding=coding).text == "HTTP 500"
    press = zlib.compressobj(wbits=window)
    body = press.compress(_partial(1, "no")) + press.flush()
    assert _judged(200, body, content_encoding=coding).text.endswith("no")
    assert _judged(500, b"text", content_encoding=coding).text == "HTTP 500"
    assert _judged(500, b"text", content_encoding="br").text == "HTTP 500: text"


def test_a_time_to_wait_of_any_length_is_read() -> None:
    assert retry_after(" 5 ") == 5.0
    assert retry_after("9" * 5000) == 999_999_999_999.0
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT", now=-5.0) is None  # the beginning of time is no date
    assert retry_after("Sat, 28 Nov 2026 16:00:10 +0000", now=0.0) is None
    assert judge_error(TimeoutError(), 3) == Verdict(3, "timeout", "no answer came in time", True)


#: A number -> the bytes of its AnyValue.
WHOLES = [
    *(0, 1, 127, 128, 255, (1 << 14) - 1, 1 << 14, (1 << 21) - 1, 1 << 21, (1 << 28) - 1, 1 << 28),
    *(1023, 1024, (1 << 35), (1 << 63) - 1, -1, -(1 << 63)),
]


@pytest.mark.parametrize("number", WHOLES)
def test_a_whole_number_is_written_as_protobuf_writes_it(number: int) -> None:
    assert any_value(number) == AnyValue(int_value=number).SerializeToString()
    if number >= 0:
        assert list(fields(b"\x08" + varint(number))) == [(8, number)]


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 1 << 200])
def test_a_number_of_more_than_64_bits_is_written_as_text(number: int) -> None:
    assert any_value(number) == AnyValue(string_value=hex(number)).SerializeToString()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 1023, 1024, 16_383, 16_384, 70_000])
def test_texts_and_bytes_of_any_length_have_their_length_before_them(size: int) -> None:
    assert any_value("x" * size) == AnyValue(string_value="x" * size).SerializeToString()
    assert any_value(b"x" * size) == AnyValue(bytes_value=b"x" * size).SerializeToString()


def test_the_limits_of_nesting_are_those_that_readers_have() -> None:
    assert (values.DEEPEST, decode.DEEPEST) == (30, 64)


def _time(value: Any) -> Any:
    span = {"startTimeUnixNano": value}
    return decode_json.decode_json(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))[
        0
    ].start


TIMES = {0: 0, "": 0, None: 0, "7": 7, 2.0: 2, (1 << 64) - 1: (1 << 64) - 1, -(1 << 63): -(1 << 63)}


@pytest.mark.parametrize(("given", "read"), TIMES.items())
def test_a_number_in_json_has_at_most_64_bits(given: Any, read: int) -> None:
    assert _time(given) == read


@pytest.mark.parametrize("given", [1 << 64, -(1 << 63) - 1, str(1 << 64), [], {}])
def test_another_number_in_json_is_malformed(given: Any) -> None:
    with pytest.raises(ValueError, match="a number"):
        _time(given)


def test_a_tag_is_a_fields_number_and_its_type() -> None:
    assert (tag(1, 0), tag(2, 2), tag(16, 5)) == (8, 18, 133)
    assert list(fields(b"\x08\x01")) == [(8, 1)]
    for body in (b"\x00\x01", b"\x07\x01", b"\x80\x80\x80\x80\x10\x01"):
        with pytest.raises(ValueError, match="no field has the tag"):
            list(fields(body))
    assert list(fields(b"\xf8\xff\xff\xff\x0f\x01")) == [((1 << 32) - 8, 1)]
    assert list(fields(b"\x08" + b"\xff" * 9 + b"\x01")) == [(8, (1 << 64) - 1)]
    for body in (b"\x08" + b"\x80" * 10 + b"\x00", b"\x08\x80", b"\x08"):
        with pytest.raises(ValueError, match="a number without an end"):
            list(fields(body))


#: What is logged of a loss -> what it says to do.
HINTS = {
    "refused": "; is a collector running? OTEL_EXPORTER_OTLP_ENDPOINT says where",
    "timeout": "; OTEL_EXPORTER_OTLP_TIMEOUT says how long an export may take",
    "too large": "; a smaller OTEL_BSP_MAX_EXPORT_BATCH_SIZE makes smaller requests",
}


@pytest.mark.parametrize("reason", HINTS)
def test_the_log_says_what_to_do_about_a_loss(reason: str, caplog: pytest.LogCaptureFixture) -> None:
    with HttpReceiver(always=Answer(413)) as receiver:
        endpoint = f"http://127.0.0.1:{free_port()}/v1" if reason == "refused" else receiver.endpoint
        with exporting(endpoint, timeout=0.05 if reason == "refused" else 10.0) as exporter:
            if reason == "timeout":
                exporter.give_up_at(0.0)
            exporter.export(some_spans())
            assert exporter.failed == {reason: 1}
    assert caplog.records[0].message.endswith(HINTS[reason])


def test_the_exporter_says_who_it_is_and_what_it_sends() -> None:
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        exporter.export(some_spans())
        headers = receiver.seen[0].headers
    assert headers["user-agent"] == f"ot-bridge/{__version__} OTel-OTLP-Exporter-Python/{__version__}"
    assert headers["content-type"] == "application/x-protobuf"
    assert (exporter.name, exporter.force_flush(), exporter.target) == ("otlp", True, receiver.endpoint)


def test_an_exporter_whose_address_cannot_be_used_loses_everything(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(f"{P}ENDPOINT", "nowhere")
    exporter = OTLPSpanExporter()
    assert (dict(exporter.failed), exporter.refusing) == ({}, False)
    exporter.export(some_spans(2))
    exporter.shutdown()
    exporter.export(some_spans(3))
    assert exporter.failed == {"other": 2, "shut down": 3}
    assert exporter.target == f"{P}ENDPOINT='nowhere'"
    assert "this is no address that can be used" in caplog.text
    assert "the exporter was shut down before" in caplog.text


def test_a_span_is_too_large_by_its_size_before_compression(caplog: pytest.LogCaptureFixture) -> None:
    spans = some_spans(1, size=5000)
    with HttpReceiver() as receiver:
        with exporting(receiver) as exporter:
            exporter.export(spans)
            size = len(receiver.seen[0].body)
        with exporting(receiver, max_request_size=size) as exporter:
            exporter.export(spans)
            assert not exporter.failed
        with exporting(receiver, max_request_size=size - 1, compression="gzip") as exporter:
            exporter.export(spans)
            assert exporter.failed == {"too large": 1}
    assert f"{size} bytes, {size - 1} are allowed" in caplog.text
