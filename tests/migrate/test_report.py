"""The report: its summary, its exit status, and which codes need a person."""

from __future__ import annotations

import pytest

from ot_bridge.migrate.codes import CATEGORIES, CODES, described, needs_a_person
from ot_bridge.migrate.report import Line, Report


def _line(code: str, line: int = 1, file: str = "a.py") -> Line:
    return Line(file, line, 5, code, "text", False)


#: Codes -> whether a person must change something.
PEOPLE = {
    **dict.fromkeys((code for code in CODES if code[3] in "12"), False),
    **dict.fromkeys((code for code in CODES if code[3] in "34"), True),
    "OTB501": True,
    "OTB502": True,
    "OTB503": False,
}


@pytest.mark.parametrize("code", CODES)
def test_the_exit_status_says_whether_a_person_is_needed(code: str) -> None:
    assert needs_a_person(code) is PEOPLE[code]
    assert Report([_line("OTB101"), _line(code)], [], 1).status == int(PEOPLE[code])
    assert Report([_line(code)], [("b.py", "no")], 1).status == 2
    assert code[3] in CATEGORIES


def test_a_report_of_nothing_is_well() -> None:
    assert Report([], [], 3).status == 0
    assert list(Report([], [], 3).summary()) == ["0 references in 0 files (3 Python files read)"]


def test_the_summary_counts_by_category_and_code() -> None:
    lines = [_line("OTB103"), _line("OTB101", file="b.py"), _line("OTB101", 2), _line("OTB501", 3)]
    assert list(Report(lines, [], 7).summary()) == [
        "4 references in 2 files (7 Python files read)",
        f"     3  {CATEGORIES['1']}",
        f"         2  OTB101 {CODES['OTB101']}",
        f"         1  OTB103 {CODES['OTB103']}",
        f"     1  {CATEGORIES['5']}",
        f"         1  OTB501 {CODES['OTB501']}",
    ]
    assert str(lines[1]) == "b.py:1:5: OTB101 text"


def test_the_report_as_json_has_these_fields() -> None:
    report = Report([_line("OTB301"), _line("OTB101")], [("b.py", "no")], 2)
    one = {"file": "a.py", "line": 1, "column": 5, "text": "text", "rewritten": False}
    assert report.as_json() == {
        "references": [
            {**one, "code": "OTB301", "category": CATEGORIES["3"], "needs_a_person": True},
            {**one, "code": "OTB101", "category": CATEGORIES["1"], "needs_a_person": False},
        ],
        "summary": {"OTB101": 1, "OTB301": 1},
        "unread": [{"file": "b.py", "problem": "no"}],
        "files": 2,
    }


@pytest.mark.parametrize(
    ("code", "heading"),
    [
        *((f"OTB20{number}", "from-every-opentracing-tracer") for number in (1, 2, 3, 4, 5, 6, 9)),
        ("OTB207", "from-mocktracer"),
        ("OTB208", "with-a-scope-manager-of-the-programs-own"),
        *((code, "") for code in CODES if code[3] != "2"),
    ],
)
def test_a_code_that_works_differently_names_its_place_in_the_docs(code: str, heading: str) -> None:
    place = f" (docs/differences.md#{heading})" if heading else ""
    assert described(code) == f"{CODES[code]}{place}"
