"""Packets, bodies, stored traces and the exporter that prints trees, each at its limits."""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from ot_bridge.otlp.decode import EventRecord, LinkRecord
from ot_bridge.view import export, receive
from ot_bridge.view.export import TreeExporter
from ot_bridge.view.packets import records
from ot_bridge.view.receive import FORMS, Received, Refused, body_of, form_of, is_known_by, response_body
from ot_bridge.view.store import Store
from ot_bridge.view.terminal import Style, draw
from tests.interrupts import handled
from tests.view.spans import START, TRACE, span


def _number(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def _zigzag(value: int) -> bytes:
    return _number((value << 1) ^ (value >> 63))


def _text(value: str) -> bytes:
    return _number(len(value.encode())) + value.encode()


def _fields(*fields: tuple[int, int, bytes]) -> bytes:
    """A struct. Each field: its id, its kind, its bytes."""
    found, last = b"", 0
    for id_, kind, data in fields:
        near = 0 < id_ - last < 16
        found += (bytes([(id_ - last) << 4 | kind]) if near else bytes([kind]) + _zigzag(id_)) + data
        last = id_
    return found + b"\0"


def _list(*structs: bytes) -> bytes:
    head = bytes([len(structs) << 4 | 12]) if len(structs) < 15 else b"\xfc" + _number(len(structs))
    return head + b"".join(structs)


def _tag(key: str, kind: int, field: int, type_: int, data: bytes) -> bytes:
    return _fields((1, 8, _text(key)), (2, 5, _zigzag(kind)), (field, type_, data))


TAGS = _list(
    _tag("text", 0, 3, 8, _text("é")),
    _tag("double", 1, 4, 7, struct.pack("<d", -2.5)),
    _tag("true", 2, 5, 1, b""),
    _tag("false", 2, 5, 2, b""),
    _tag("integer", 3, 6, 6, _zigzag(-(2**40))),
    _tag("bytes", 4, 7, 8, _text("raw")),
)


def _packet(*extra: tuple[int, int, bytes], process: bytes | None = None) -> bytes:
    usual = [
        (1, 6, _zigzag(-1)),
        (2, 6, _zigzag(5)),
        (3, 6, _zigzag(7)),
        (5, 8, _text("op")),
        (8, 6, _zigzag(START // 1000)),
        (9, 6, _zigzag(1500)),
    ]
    held = {id_: (id_, kind, data) for id_, kind, data in [*usual, *extra]}
    one = _fields(*(held[id_] for id_ in sorted(held)))
    process = process or _fields((1, 8, _text("shop")), (2, 9, TAGS))
    batch = _fields((1, 12, process), (2, 9, _list(one)))
    return b"\x82\x21" + _number(300) + _text("emitBatch") + _fields((1, 12, batch))


VALUES = {"text": "é", "double": -2.5, "true": True, "false": False, "integer": -(2**40), "bytes": "raw"}


def test_a_packet_is_read_field_by_field() -> None:
    log = _fields((1, 6, _zigzag(START // 1000 + 2)), (2, 9, _list(_tag("event", 0, 3, 8, _text("retry")))))
    plain = _fields((1, 6, _zigzag(3)), (2, 9, _list(_tag("n", 3, 6, 6, _zigzag(1)))))
    parent = _fields((1, 5, _zigzag(0)), (2, 6, _zigzag(1)), (3, 6, _zigzag(0)), (4, 6, _zigzag(6)))
    other = _fields((1, 5, _zigzag(0)), (2, 6, _zigzag(1)), (3, 6, _zigzag(-2)), (4, 6, _zigzag(-3)))
    follows = _fields((1, 5, _zigzag(1)), (2, 6, _zigzag(1)), (3, 6, _zigzag(0)), (4, 6, _zigzag(6)))
    (found,) = records(
        _packet(
            (4, 6, _zigzag(6)),
            (6, 9, _list(parent, other, follows)),
            (10, 9, TAGS),
            (11, 9, _list(log, plain)),
        )
    )
    assert (found.trace_id, found.span_id, found.parent_id) == (
        f"{5:016x}" + "f" * 16,
        f"{7:016x}",
        f"{6:016x}",
    )
    assert (found.name, found.kind, found.status) == ("op", "INTERNAL", "UNSET")
    assert (found.start, found.end) == (START, START + 1_500_000)
    assert found.attributes == VALUES
    assert found.resource == {**VALUES, "service.name": "shop"}
    assert found.events == (
        EventRecord("retry", START + 2000, {}, 0),
        EventRecord("log", 3000, {"n": 1}, 0),
    )
    child, after = {"opentracing.ref_type": "child_of"}, {"opentracing.ref_type": "follows_from"}
    assert found.links == (
        LinkRecord("f" * 15 + "e" + f"{1:016x}", "f" * 15 + "d", "", child, 0, 0),
        LinkRecord(f"{1:032x}", f"{6:016x}", "", after, 0, 0),
    )


@pytest.mark.parametrize(
    ("key", "value", "kind", "status"),
    [
        *(
            ("span.kind", each, each.upper(), "UNSET")
            for each in ("server", "client", "producer", "consumer")
        ),
        ("span.kind", "other", "INTERNAL", "UNSET"),
        ("error", "true", "INTERNAL", "ERROR"),
        ("error", "false", "INTERNAL", "UNSET"),
    ],
)
def test_kind_and_error_of_a_packets_span_are_tags(key: str, value: str, kind: str, status: str) -> None:
    (found,) = records(_packet((10, 9, _list(_tag(key, 0, 3, 8, _text(value))))))
    assert (found.kind, found.status, found.parent_id) == (kind, status, "")


def test_a_list_of_many_tags_has_a_longer_head() -> None:
    tags = _list(*(_tag(str(at), 3, 6, 6, _zigzag(at)) for at in range(20)))
    assert records(_packet((10, 9, tags)))[0].attributes == {str(at): at for at in range(20)}


@pytest.mark.parametrize(
    "data",
    [
        *(bytes([3 << 4 | kind, 1, 2, 1]) for kind in (1, 2)),
        bytes([2 << 4 | 3, 1, 2]),
        bytes([2 << 4 | 5]) + _zigzag(-300) + _zigzag(1),
        bytes([1 << 4 | 7]) + bytes(8),
        bytes([1 << 4 | 9, 1 << 4 | 8]) + _text("a"),
        b"\xf5" + _number(1) + _zigzag(1),
        b"\x08",
    ],
    ids=["bool", "bool, the other kind", "byte", "number", "double", "list", "a long head", "nothing"],
)
def test_a_list_in_a_field_that_is_not_known_is_skipped(data: bytes) -> None:
    process = _fields((1, 8, _text("shop")), (2, 9, TAGS), (9, 9, data))
    assert records(_packet((20, 9, data), process=process)) == records(_packet())


@pytest.mark.parametrize(
    "data",
    [b"", b"\x82\x21", b"\x82\x21" + b"\xff" * 20, _packet()[:-30], _packet(process=_fields((2, 9, TAGS)))],
    ids=["nothing", "the head", "a number without an end", "cut off", "no service"],
)
def test_other_bytes_are_no_packet(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a packet of jaeger-client|a number without an end"):
        records(data)


def _request(body: bytes = b"", **headers: str) -> Request:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request(EnvironBuilder(method="POST", data=body, headers=named).get_environ())


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", " GZIP "])
def test_a_body_is_unpacked(encoding: str) -> None:
    packed = gzip.compress(b"body") if "gzip" in encoding.lower() else b"body"
    assert body_of(_request(packed, Content_Encoding=encoding)) == b"body"
    assert body_of(_request(b"body")) == b"body"


@pytest.mark.parametrize(
    ("body", "encoding", "status", "why"),
    [
        (b"", "br", 415, "the content encoding br is not known; gzip is"),
        (b"", "x" * 50, 415, f"the content encoding {'x' * 40} is not known; gzip is"),
        (b"none", "gzip", 400, "no gzip: "),
        (gzip.compress(b"body")[:-5], "gzip", 400, "the gzip is cut off"),
        (b"x" * 1025, "identity", 413, "a body has at most 0 MB"),
        (gzip.compress(b"x" * 1025), "gzip", 413, "a body has at most 0 MB"),
    ],
    ids=["br", "a long name", "no gzip", "cut off", "too large", "too large when unpacked"],
)
def test_a_body_that_cannot_be_used_is_refused(
    body: bytes, encoding: str, status: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "MOST", 1024)
    with pytest.raises(Refused, match=why) as refused:
        body_of(_request(body, Content_Encoding=encoding))
    assert refused.value.status == status
    assert refused.value.why.startswith(why)


def _request_of_unknown_length(size: int) -> Request:
    read = {"wsgi.input": io.BytesIO(b"x" * size), "wsgi.input_terminated": True}
    return Request({**EnvironBuilder(method="POST").get_environ(), **read})


def test_a_body_of_unknown_length_is_read_until_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "MOST", 1024)
    monkeypatch.setattr(receive, "_PIECE", 512)
    assert len(body_of(_request_of_unknown_length(1024))) == 1024
    with pytest.raises(Refused, match="a body has at most"):
        body_of(_request_of_unknown_length(1025))


class _Endless(io.BytesIO):
    """A body without an end. taken: the number of bytes that were read."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert 0 < size <= 65536
        self.taken += size
        return bytes(size)


@pytest.mark.parametrize(("length", "taken"), [("1000000000", 64 << 20), ("", (20 << 20) + 1 + (64 << 20))])
def test_so_much_of_a_body_that_is_too_large_is_read_that_its_sender_gets_the_response(
    length: str, taken: int
) -> None:
    body = _Endless()
    environ = EnvironBuilder(method="POST").get_environ()
    with pytest.raises(Refused, match="a body has at most 20 MB") as refused:
        body_of(
            Request({**environ, "CONTENT_LENGTH": length, "wsgi.input": body, "wsgi.input_terminated": True})
        )
    assert (refused.value.status, body.taken) == (413, taken)


def test_a_body_of_exactly_the_limit_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert receive.MOST == 20 * 1024 * 1024
    monkeypatch.setattr(receive, "MOST", 1024)
    assert len(body_of(_request(b"x" * 1024))) == 1024
    assert len(body_of(_request(gzip.compress(b"x" * 1024), Content_Encoding="gzip"))) == 1024


def test_the_form_of_a_request_is_its_content_type() -> None:
    for kind, form in FORMS.items():
        assert form_of(_request(Content_Type=f"{kind}; charset=utf-8")) is form
    with pytest.raises(Refused, match="application/x-protobuf, application/json") as refused:
        form_of(_request(Content_Type="text/plain"))
    assert refused.value.status == 415


def test_the_response_says_how_many_spans_were_rejected() -> None:
    protobuf, plain = FORMS.values()
    fine, partly = Received([], 0, ""), Received([], 300, "né")
    assert (response_body(protobuf, fine), response_body(plain, fine)) == (b"", b"{}")
    read = ExportTraceServiceResponse.FromString(response_body(protobuf, partly)).partial_success
    assert (read.rejected_spans, read.error_message) == (300, "né")
    assert json.loads(response_body(plain, partly)) == {
        "partialSuccess": {"rejectedSpans": "300", "errorMessage": "né"}
    }
    assert json.loads(plain.error("né")) == {"message": "né"}
    assert protobuf.error("no") == b"\x12\x02no"


@pytest.mark.parametrize(
    ("trace_id", "span_id", "known"),
    [
        *((TRACE, "1" * 16, True), (TRACE[1:], "1" * 16, False), (TRACE, "1" * 15, False)),
        *(("0" * 32, "1" * 16, False), (TRACE, "0" * 16, False), ("", "", False)),
    ],
)
def test_a_span_is_known_by_two_whole_ids(trace_id: str, span_id: str, known: bool) -> None:
    assert is_known_by(span(1, trace_id=trace_id)._replace(span_id=span_id)) is known


def test_a_store_forgets_and_counts() -> None:
    store = Store(keep=2)
    for at in (1, 2, 3):
        store.add([span(1, trace_id=f"{at:032x}", name=str(at))])
    changes = store.changes(0)
    assert {name: changes[name] for name in ("first", "gone", "more", "now")} == {
        "first": 2,
        "gone": 1,
        "more": False,
        "now": 3,
    }
    assert [(each["name"], each["serial"]) for each in changes["traces"]] == [("2", 2), ("3", 3)]
    assert [[each.name for each in spans] for spans in store.everything()] == [["2"], ["3"]]
    store.clear()
    after = store.changes(0)
    assert (after["traces"], after["gone"], after["first"], after["now"]) == ([], 0, 4, 4)
    assert after["run"] == changes["run"] != Store().changes(0)["run"]
    assert store.trace(f"{3:032x}") is None


def test_a_stored_span_is_replaced_even_where_its_trace_is_full() -> None:
    store = Store(most_spans=1)
    one = span(
        1,
        events=(EventRecord("e", START, {"n": 1}, 2),),
        links=(LinkRecord(TRACE, "b" * 16, "k=v", {}, 3, 4),),
    )
    store.add([one, span(2), one._replace(name="again")])
    trace = store.trace(TRACE)
    assert trace is not None
    assert ([each["name"] for each in trace["spans"]], trace["left_out"]) == (["again"], 1)
    assert list(store.everything()) == [[one._replace(name="again")]]


def _ended(number: int, parent: int = 0, remote: bool = False, trace: int = 1) -> ReadableSpan:
    above = SpanContext(trace, parent, remote) if parent else None
    return ReadableSpan(
        f"span {number}",
        SpanContext(trace, number, False),
        above,
        kind=SpanKind.INTERNAL,
        start_time=START,
        end_time=START + 1,
    )


def test_a_tree_is_printed_when_its_local_root_is_there_and_the_rest_at_shutdown() -> None:
    exporter = TreeExporter(stream := io.StringIO())

    def printed(*spans: ReadableSpan) -> list[str]:
        before = len(stream.getvalue())
        exporter.export(spans)
        return re.findall(r"span \d", stream.getvalue()[before:])

    assert printed(_ended(2, 1)) == []
    assert printed(_ended(1)) == ["span 1", "span 2"]
    assert printed(_ended(3, 1)) == ["span 3"]
    assert printed(_ended(4, 9, True, trace=2)) == ["span 4"]
    assert printed(_ended(5, 9, trace=3)) == []
    assert exporter.force_flush() is True
    assert "span 5" not in stream.getvalue()
    exporter.shutdown()
    assert "span 5" in stream.getvalue()


def test_what_is_printed_are_the_lines_of_the_tree() -> None:
    exporter = TreeExporter(stream := io.StringIO())
    spans = [_ended(2, 1), _ended(1)]
    exporter.export(spans)
    lines = list(draw(export.records(spans), Style.of(stream)))
    assert len(lines) == 3
    assert stream.getvalue() == "".join(f"{line}\n" for line in lines)


def test_what_is_printed_is_not_held_back() -> None:
    exporter = TreeExporter(io.TextIOWrapper(written := io.BytesIO(), encoding="utf-8"))
    assert exporter.export([_ended(1)]) is SpanExportResult.SUCCESS
    assert b"span 1" in written.getvalue()


@pytest.mark.timeout(30)
def test_a_signal_handler_may_export_while_a_tree_is_printed() -> None:
    exporter = TreeExporter(stream := io.StringIO())
    line = 0

    def handler() -> None:
        exporter.export([_ended(2, trace=2 * line)])
        exporter.shutdown()

    def step() -> None:
        exporter.export([_ended(1, trace=2 * line + 1)])

    while handled(step, line := line + 1, export.__file__, handler):
        pass
    assert line > 20
    assert [stream.getvalue().count(f" span {number} ") for number in (1, 2)] == [line, line - 1]


@pytest.mark.timeout(30)
def test_a_stream_may_end_a_span() -> None:
    class Traced(io.StringIO):
        def write(self, text: str) -> int:
            if "span 1" in text:
                exporter.export([_ended(2, 1)])
            return super().write(text)

    exporter = TreeExporter(stream := Traced())
    exporter.export([_ended(1)])
    assert re.findall(r"span \d", stream.getvalue()) == ["span 1", "span 2"]


def test_what_arrives_at_the_end_of_a_turn_is_printed() -> None:
    class Turn:
        """Another thread exports just before the turn is given back."""

        late = [export.records([_ended(2, 1)])]

        def acquire(self, blocking: bool) -> bool:
            return True

        def release(self) -> None:
            exporter._arrived.extend(self.late)
            self.late = []

    exporter: Any = TreeExporter(stream := io.StringIO())
    exporter._turn = Turn()
    exporter.export([_ended(1)])
    assert re.findall(r"span \d", stream.getvalue()) == ["span 1", "span 2"]


def test_the_number_of_waiting_spans_is_bounded_and_printed_spans_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (export._MOST, export._REMEMBERED) == (10_000, 10_000)
    monkeypatch.setattr(export, "_MOST", 2)
    exporter = TreeExporter(stream := io.StringIO())
    exporter.export([_ended(2, 1), _ended(3, 1), _ended(4, 1)])
    assert stream.getvalue() == ""
    exporter.shutdown()
    assert "1 span was left out: more than 2 waited for their root" in stream.getvalue()
    exporter.export([_ended(1, trace=2), _ended(2, 1, trace=2)])
    exporter.shutdown()
    assert stream.getvalue().count("left out") == 1


def test_the_number_of_remembered_traces_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_REMEMBERED", 1)
    exporter = TreeExporter(stream := io.StringIO())
    exporter.export([_ended(1)])
    exporter.export([_ended(1, trace=2)])
    before = stream.getvalue()
    exporter.export([_ended(2, 1)])
    assert stream.getvalue() == before
    exporter.export([_ended(2, 1, trace=2)])
    assert stream.getvalue() != before
