"""Trees as text, each line as it is printed: in columns, with and without a terminal."""
# ruff: noqa: E501 (lines as they are drawn)

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ot_bridge.otlp.decode import EventRecord, LinkRecord
from ot_bridge.view.terminal import Style, draw
from ot_bridge.view.text import cut, padded, width
from tests.view.spans import MS, START, span

SPANS = [
    span(
        *(1, 77),
        length=10,
        name="GET /orders",
        kind="SERVER",
        parent_is_remote=True,
        attributes={"http.method": "GET", "n": 1},
    ),
    span(2, 1, 1, 4, name="SELECT orders", kind="CLIENT"),
    span(3, 1, 5, 5, name="render", status="ERROR", status_message="no template"),
    span(
        *(4, 3, 3.5, 2),
        name="early",
        events=(EventRecord("retry", START + 6 * MS, {"attempt": 2}, 0),),
        links=(LinkRecord("a" * 32, "b" * 16, "", {}, 0, 0),),
    ),
    *(span(at, 3, at - 14, 0.5, name="few", kind="CLIENT") for at in range(20, 24)),
    *(span(at, 3, at / 4 + 7, 0.5, name="many", kind="CLIENT") for at in range(10, 15)),
]

#: Width and pictures -> the lines.
DRAWN: dict[tuple[int | None, bool], list[str]] = {
    (None, False): [
        "5b8aa5a2d2c872e8321cf37308d69df2 - 13 spans - 11 ms - continues the caller's",
        "  GET /orders                  shop server       10 ms  ##################    http.method=GET n=1",
        "  `- SELECT orders             shop client        4 ms   ########",
        "  `- render                    shop internal      5 ms           #########    x no template",
        "     `- early                  shop internal      2 ms        ####            ! begins 1.5 ms before its parent",
        "        - retry                              at 2.5 ms                        attempt=2",
        "        >                                                                     aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbb",
        "     `- few                    shop client      500 us            ##",
        "     `- few                    shop client      500 us              ##",
        "     `- few                    shop client      500 us                #",
        "     `- few                    shop client      500 us                  #",
        "     `- many x5, 2.5 ms in all shop client      1.5 ms                   ###",
    ],
    (130, True): [
        "5b8aa5a2d2c8… · 13 spans · 11 ms · continues the caller's",
        "  GET /orders                  shop server       10 ms  ##################    http.method=GET n=1",
        "  └─ SELECT orders             shop client        4 ms   ########",
        "  └─ render                    shop internal      5 ms           #########    ✖ no template",
        "     └─ early                  shop internal      2 ms        ####            ⚠ begins 1.5 ms before its parent",
        "        · retry                              at 2.5 ms                        attempt=2",
        "        →                                                                     aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbb",
        "     └─ few                    shop client      500 µs            ##",
        "     └─ few                    shop client      500 µs              ##",
        "     └─ few                    shop client      500 µs                #",
        "     └─ few                    shop client      500 µs                  #",
        "     └─ many ×5, 2.5 ms in all shop client      1.5 ms                   ###",
    ],
    (70, True): [
        "5b8aa5a2d2c8… · 13 spans · 11 ms · continues the caller's",
        "  GET /orders                  shop server       10 ms http.method=GE…",
        "  └─ SELECT orders             shop client        4 ms",
        "  └─ render                    shop internal      5 ms ✖ no template",
        "     └─ early                  shop internal      2 ms ⚠ begins 1.5 m…",
        "        · retry                              at 2.5 ms attempt=2",
        "        →                                              aaaaaaaaaaaaaa…",
        "     └─ few                    shop client      500 µs",
        "     └─ few                    shop client      500 µs",
        "     └─ few                    shop client      500 µs",
        "     └─ few                    shop client      500 µs",
        "     └─ many ×5, 2.5 ms in all shop client      1.5 ms",
    ],
    (60, False): [
        "5b8aa5a2d2c8... - 13 spans - 11 ms - continues the caller's",
        "  GET /orders                  shop server       10 ms ht...",
        "  `- SELECT orders             shop client        4 ms",
        "  `- render                    shop internal      5 ms x ...",
        "     `- early                  shop internal      2 ms ! ...",
        "        - retry                              at 2.5 ms at...",
        "        >                                              aa...",
        "     `- few                    shop client      500 us",
        "     `- few                    shop client      500 us",
        "     `- few                    shop client      500 us",
        "     `- few                    shop client      500 us",
        "     `- many x5, 2.5 ms in all shop client      1.5 ms",
    ],
    (50, True): [
        "5b8aa5a2d2c8… · 13 spans · 11 ms · continues the caller's",
        "  GET /orders                shop     10 ms http.…",
        "  └─ SELECT orders           shop      4 ms",
        "  └─ render                  shop      5 ms ✖ no …",
        "     └─ early                shop      2 ms ⚠ beg…",
        "        · retry                   at 2.5 ms attem…",
        "        →                                   aaaaa…",
        "     └─ few                  shop    500 µs",
        "     └─ few                  shop    500 µs",
        "     └─ few                  shop    500 µs",
        "     └─ few                  shop    500 µs",
        "     └─ many ×5, 2.5 ms in … shop    1.5 ms",
    ],
    (40, True): [
        "5b8aa5a2d2c8… · 13 spans · 11 ms · continues the caller's",
        "  GET /orders                    10 ms",
        "  └─ SELECT orders                4 ms",
        "  └─ render                       5 ms",
        "     └─ early                     2 ms",
        "        · retry              at 2.5 ms",
        "        →",
        "     └─ few                     500 µs",
        "     └─ few                     500 µs",
        "     └─ few                     500 µs",
        "     └─ few                     500 µs",
        "     └─ many ×5, 2.5 ms in …    1.5 ms",
    ],
    (20, True): [
        "5b8aa5a2d2c8… · 13 spans · 11 ms · continues the caller's",
        "  GET /orders              10 ms",
        "  SELECT orders             4 ms",
        "  render                    5 ms",
        "  early                     2 ms",
        "  · retry              at 2.5 ms",
        "  →",
        "  few                     500 µs",
        "  few                     500 µs",
        "  few                     500 µs",
        "  few                     500 µs",
        "  many ×5, 2.5 ms in …    1.5 ms",
    ],
}


@pytest.mark.parametrize("style", DRAWN, ids=str)
def test_a_trace_is_drawn_line_by_line(style: tuple[int | None, bool]) -> None:
    columns, pictures = style
    assert list(draw(SPANS, Style(columns, pictures))) == DRAWN[style]
    without = list(draw(SPANS, Style(columns, pictures), headed=False))
    assert without == DRAWN[style][1:]


def test_no_line_below_the_heading_is_wider_than_the_terminal_with_and_without_pictures() -> None:
    for columns in (*range(34, 60), *range(60, 150, 7)):
        for pictures in (True, False):
            lines = list(draw(SPANS, Style(columns, pictures), headed=False))
            assert max(map(width, lines)) <= columns, (columns, pictures)


@pytest.mark.parametrize(
    ("keys", "tail"),
    [
        (None, "http.method=GET n=1"),
        (("n",), "n=1"),
        (("n", "none", "http.method"), "n=1 http.method=GET"),
        ((), ""),
    ],
)
def test_the_attributes_that_are_asked_for_are_shown_in_that_order(keys: Any, tail: str) -> None:
    line = list(draw(SPANS, Style(), keys=keys))[1]
    assert line.split("#")[-1].strip() == tail


def test_so_many_siblings_in_a_row_are_one_line() -> None:
    for count, lines in ((4, 4), (5, 1)):
        spans = [span(1, length=9), *(span(at, 1, at, name="row") for at in range(2, 2 + count))]
        assert len(list(draw(spans, Style(), headed=False))) == 1 + lines


@pytest.mark.parametrize(
    "other",
    [
        {"name": "b"},
        {"kind": "CLIENT"},
        {"resource": {"service.name": "stock"}},
        {"status": "ERROR"},
        {"links": (LinkRecord("a" * 32, "b" * 16, "", {}, 0, 0),)},
        {"end": START},
    ],
    ids=str,
)
def test_a_sibling_that_differs_has_a_line_of_its_own(other: dict[str, Any]) -> None:
    spans = [span(1, length=30), *(span(at, 1, at, name="a") for at in range(2, 12))]
    spans[5] = spans[5]._replace(**other)
    lines = list(draw(spans, Style(), headed=False))
    assert len(lines) - bool(other.get("links")) == 1 + 4 + 1 + 1
    assert "x5" in lines[-1]


def test_siblings_with_children_are_not_one_line() -> None:
    spans = [span(1, length=30), *(span(at, 1, at, name="a") for at in range(2, 7))]
    assert len(list(draw([*spans, span(9, 6, 6)], Style(), headed=False))) == 7


def test_twelve_levels_are_indented() -> None:
    spans = [span(at, at - 1, at) for at in range(1, 16)]
    lines = list(draw(spans, Style(), headed=False))
    assert [line.index("span") for line in lines] == [2, *(2 + 3 * min(at, 12) for at in range(1, 15))]


@pytest.mark.parametrize(
    ("status", "warned", "colour"),
    [("ERROR", False, "31"), ("ERROR", True, "31"), ("UNSET", True, "33"), ("UNSET", False, "")],
)
def test_a_line_has_the_colour_of_its_state(status: str, warned: bool, colour: str) -> None:
    one = span(1, parent=9 if warned else 0, status=status)
    (line,) = draw([one], Style(colours=True), headed=False)
    plain = next(draw([one], Style(), headed=False))
    assert line == (f"\x1b[{colour}m{plain}\x1b[0m" if colour else plain)


def test_notes_and_folded_siblings_are_dim() -> None:
    lines = list(draw(SPANS, Style(colours=True), headed=False))
    dim = [line.startswith("\x1b[2m") for line in lines]
    assert dim == ["- retry" in line or "> " in line or "many" in line for line in lines]


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("abcd", 4, "abcd"),
        ("abcde", 4, "abc…"),
        ("漢字漢", 6, "漢字漢"),
        ("漢字漢字", 6, "漢字…"),
        ("漢字漢字", 5, "漢字…"),
        ("e\u0301e\u0301e", 3, "e\u0301e\u0301e"),
        ("\u20e0ab", 2, "\u20e0ab"),
        ("ｆｗ", 4, "ｆｗ"),
    ],
    ids=ascii,
)
def test_a_text_is_cut_by_columns(text: str, columns: int, shown: str) -> None:
    assert cut(text, columns, "…") == shown


def test_a_text_is_filled_on_either_side() -> None:
    assert (padded("漢", 4), padded("漢", 4, right=True), padded("abc", 2)) == ("漢  ", "  漢", "abc")


def test_pictures_need_an_encoding_that_has_all_of_them() -> None:
    def pictures(encoding: str) -> bool:
        stream: Any = SimpleNamespace(encoding=encoding, isatty=lambda: True)
        return Style.of(stream, {}).pictures

    found = {each: pictures(each) for each in ("utf-8", "utf-16", "ascii", "latin-1", "none")}
    assert found == {"utf-8": True, "utf-16": True, "ascii": False, "latin-1": False, "none": False}


def test_the_number_of_spans_is_in_the_plural_except_for_one() -> None:
    assert [next(draw(SPANS[:count], Style())).split(" - ")[1] for count in (1, 2)] == ["1 span", "2 spans"]


def test_a_bar_has_at_least_one_column_and_stays_in_its_place() -> None:
    spans = [span(1, length=100), span(2, 1, 0, 0), span(3, 1, 50, 0), span(4, 1, 100, 0)]
    places = [line.index("#") for line in draw(spans, Style(), headed=False)]
    assert [place - places[0] for place in places] == [0, 0, 10, 19]
    assert [line.count("#") for line in draw(spans, Style(), headed=False)] == [20, 1, 1, 1]
