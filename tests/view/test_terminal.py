"""Trees as text: cutting to the terminal's width, and escaping control characters."""

from __future__ import annotations

import io
import os
import pty
import unicodedata
from typing import Any

import pytest

from ot_bridge.otlp.decode import EventRecord, LinkRecord
from ot_bridge.view.terminal import Style, draw
from ot_bridge.view.text import harmless, value_text, width
from tests.view.spans import MS, START, TRACE, span

TERMINAL = Style(width=120, pictures=True)


def test_a_trace_is_drawn_as_a_heading_and_one_line_per_span() -> None:
    spans = [
        span(1, 77, length=6.61, name="ServeHTTP", kind="SERVER", parent_is_remote=True),
        span(2, 1, 0.2, 5.88, name="SayHello", kind="CLIENT", attributes={"component": "grpc"}),
        span(3, 2, 5, 0.401, name="SayHello", kind="SERVER", status="ERROR", status_message="DEADLINE"),
        span(4, 3, 5.1, 0.033, name="compose"),
    ]
    head, *lines = draw(spans, TERMINAL)
    assert head == "5b8aa5a2d2c8… · 4 spans · 6.61 ms · continues the caller's"
    assert [line[:18] for line in lines] == [
        "  ServeHTTP       ",
        "  └─ SayHello     ",
        "     └─ SayHello  ",
        "        └─ compose",
    ]
    assert [line.rstrip("# ").split("#")[0].split()[-2:] for line in lines] == [
        ["6.61", "ms"],
        ["5.88", "ms"],
        ["401", "µs"],
        ["33", "µs"],
    ]
    assert lines[1].endswith("component=grpc")
    assert lines[2].endswith("✖ DEADLINE")


#: Columns of the terminal -> the first span's line: the fewest columns for each part, and one column less.
NARROW = {
    27: "  GET /orders 6.61 ms",
    28: "  GET /orders che... 6.61 ms",
    37: "  GET /orders checkout-ser... 6.61 ms",
    38: "  GET /orders checkout-service 6.61 ms",
    44: "  GET /orders checkout-service 6.61 ms",
    45: "  GET /orders checkout-service server 6.61 ms",
    54: "  GET /orders checkout-service server 6.61 ms",
    55: "  GET /orders checkout-service server 6.61 ms  ####",
}


@pytest.mark.parametrize(("columns", "line"), NARROW.items(), ids=str)
def test_a_narrow_terminal_shows_the_parts_for_which_it_has_room(columns: int, line: str) -> None:
    shop = {"service.name": "checkout-service"}
    spans = [
        span(1, length=6.61, name="GET /orders", kind="SERVER", resource=shop),
        span(2, 1, 0.2, 5.88, name="SayHello", kind="CLIENT", resource=shop, attributes={"a": "1"}),
    ]
    assert list(draw(spans, Style(width=columns)))[1] == line


def test_the_text_is_ascii_if_the_encoding_has_no_line_characters() -> None:
    spans = [span(1, length=6.61), span(2, 1, length=0.033, status="ERROR", status_message="naïve 漢")]
    text = "\n".join(draw(spans, Style(encoding="ascii")))
    assert text.isascii()
    assert "`- span 2" in text
    assert "33 us" in text
    assert "x na\\xefve \\u6f22" in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8"])
def test_a_trace_can_be_drawn_in_any_encoding(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    for line in draw([span(1, name="a\ud800ß漢", status="ERROR")], Style.of(stream)):
        stream.write(line)


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_lines_fit_the_terminal_and_keep_name_and_duration(columns: int) -> None:
    spans = [
        span(1, length=9.87, name="a" * 50, attributes={"key": "value" * 50}),
        *(span(at, at - 1, length=1.23, name="漢字" * 20, kind="PRODUCER") for at in range(2, 20)),
    ]
    _, *lines = draw(spans, Style(width=columns, pictures=True))
    assert len(lines) == 19
    for line in lines:
        assert width(line) <= columns
        assert "9.87 ms" in line or "1.23 ms" in line
        name = line.split("└─ ")[-1].lstrip()
        assert width(name.split("…")[0]) >= 17
    short = spans[0]._replace(attributes={"key": "value" * 10})
    wide = list(draw([short], Style(width=columns, pictures=True)))[1]
    assert ("#" in wide) is (columns == 200)


def test_lines_are_not_cut_if_the_output_is_not_a_terminal() -> None:
    (_, line) = draw([span(1, name="n" * 300, attributes={"key": "v" * 300})], Style())
    assert "n" * 300 in line
    assert line.endswith("v" * 300)


def test_wide_and_combining_characters_keep_the_columns() -> None:
    spans = [span(1, name="e\u0301" * 8), span(2, name="漢字漢字", begin=1), span(3, name="plain", begin=2)]
    lines = list(draw(spans, TERMINAL))[1:]
    assert len({width(line[: line.index("internal")]) for line in lines}) == 1


def test_similar_siblings_are_one_line_unless_one_failed_or_all_are_requested() -> None:
    spans = [span(1, length=100), *(span(at, 1, at, 0.42, name="db.query") for at in range(2, 52))]
    lines = list(draw(spans, TERMINAL))
    assert len(lines) == 3
    assert "db.query ×50, 21 ms in all" in lines[2]
    assert len(list(draw(spans, TERMINAL, everything=True))) == 52
    spans[10] = spans[10]._replace(status="ERROR")
    assert sum("✖" in line for line in draw(spans, TERMINAL)) == 1


def test_events_and_links_have_their_own_lines() -> None:
    one = span(
        1,
        length=2,
        events=(EventRecord("retry", START + MS, {"attempt": 2}, 0),),
        links=(LinkRecord("a" * 32, "b" * 16, "", {}, 0, 0),),
    )
    lines = list(draw([one], TERMINAL))
    assert "· retry" in lines[2]
    assert "at 1 ms" in lines[2]
    assert lines[2].endswith("attempt=2")
    assert lines[3].split() == ["→", "a" * 32 + "/" + "b" * 16]


def test_a_missing_parent_is_reported() -> None:
    assert "⚠ parent 0000000000000009 did not arrive" in list(draw([span(1, 9)], TERMINAL))[1]


BAD = "\x1b[31m\n\r\t\x00\x7f\x9b\u202e\u2066\u200b\u2028\ufeff"


def test_control_characters_never_reach_the_terminal() -> None:
    one = span(
        1,
        name=BAD,
        status="ERROR",
        status_message=BAD,
        attributes={BAD: BAD, "list": [BAD, {BAD: BAD}]},
        resource={"service.name": BAD},
        events=(EventRecord(BAD, START, {BAD: BAD}, 0),),
        links=(LinkRecord(BAD, BAD, "", {}, 0, 0),),
        parent_id=BAD,
        trace_id=BAD,
    )
    lines = list(draw([one], Style(pictures=True)))
    assert lines
    for line in lines:
        assert all(unicodedata.category(each) not in ("Cc", "Cf", "Zl", "Zp") for each in line)
    assert "\\x1b[31m\\n" in "".join(draw([one], Style()))


ESCAPES = {
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\x1b": "\\x1b",
    "\x7f": "\\x7f",
    "\x9b": "\\x9b",
    "\u202e": "\\u202e",
    "\u2028": "\\u2028",
    "\ud800": "\\ud800",
    "\U000e0001": "\\U000e0001",
    "é": "é",
    "漢": "漢",
}


@pytest.mark.parametrize(("character", "printed"), ESCAPES.items(), ids=map(ascii, ESCAPES))
def test_each_kind_of_control_character_has_its_escape(character: str, printed: str) -> None:
    assert harmless(f"a{character}b") == f"a{printed}b"


VALUES: dict[str, tuple[Any, str]] = {
    "text": ("x", "x"),
    "nothing": (None, "null"),
    "true": (True, "true"),
    "false": (False, "false"),
    "integer": (2**63 - 1, "9223372036854775807"),
    "float": (0.5, "0.5"),
    "bytes": (b"\x00\xff", "0x00ff"),
    "list": ([1, "a", None], "[1, a, null]"),
    "map": ({"k": [True]}, "{k: [true]}"),
}


@pytest.mark.parametrize(("value", "printed"), VALUES.values(), ids=VALUES)
def test_each_type_of_value_is_formatted(value: Any, printed: str) -> None:
    assert value_text(value) == printed


def test_colours_are_used_only_in_a_terminal_that_supports_them(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        assert Style.of(stream, {}).colours
        assert Style.of(stream, {"TERM": "dumb"}) == Style(None, False, False, "utf-8")
        assert not Style.of(stream, {"NO_COLOR": "1"}).colours
        assert Style.of(stream, {}).width
    os.close(master)
    assert Style.of(io.StringIO(), {}) == Style(None, False, False, "ascii")
    failed = [span(1, status="ERROR")]
    assert "\x1b[31m" in "".join(draw(failed, Style(colours=True)))
    assert "\x1b" not in "".join(draw(failed, Style()))


def test_the_full_trace_id_is_shown_where_it_can_be_copied() -> None:
    assert next(draw([span(1)], Style())).startswith(TRACE)
