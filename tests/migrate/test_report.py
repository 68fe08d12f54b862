"""The report: its summary, its exit status, and which codes need a person."""

from __future__ import annotations

import pytest

from ot_bridge.migrate.codes import CATEGORIES, CODES, described, needs_a_person
from ot_bridge.migrate.report import Line, Report


def _line(code: str, line: int = 1, file: str = "a.py") -> Line:
    return Line(file, line, 5, code, "text", False)


#: A code never changes its meaning.
MEANINGS = {
    "OTB101": "the tracer comes from opentracing",
    "OTB102": "a span is started",
    "OTB103": "a tag is set",
    "OTB104": "a log is written",
    "OTB105": "the span is finished or renamed",
    "OTB106": "a context is injected or extracted",
    "OTB107": "the active span, a scope or a span's context is used",
    "OTB108": "a constant for tags, logs or formats",
    "OTB109": "a type in an annotation",
    "OTB201": "span.kind is set after the start",
    "OTB202": "sampling.priority is set",
    "OTB203": "the value of the error tag is not True or False",
    "OTB204": "baggage belongs to the context in OpenTelemetry, not to the span",
    "OTB205": "a reference: the parent is the first CHILD_OF",
    "OTB206": "OpenTelemetry never raises this exception",
    "OTB207": "MockTracer in a test",
    "OTB208": "a scope manager",
    "OTB209": "a test reads events or a status",
    "OTB301": "only the name tells what the receiver is",
    "OTB302": "the span goes where it cannot be followed",
    "OTB303": "a scope is used without with",
    "OTB304": "the parent is of unknown type",
    "OTB305": "the content of tags or of a log is unknown",
    "OTB306": "a format that OpenTelemetry does not have",
    "OTB307": "a subclass of an OpenTracing class",
    "OTB308": "a private member, or a member of an implementation",
    "OTB309": "a span's tracer",
    "OTB310": "the module is patched or tested",
    "OTB311": "the module is imported by its name in a string",
    "OTB312": "a star import: the imported names are not visible",
    "OTB401": "a tracer is set up or closed",
    "OTB402": "a tracer's sampler, reporter, codec or metrics",
    "OTB403": "the global tracer is set or read",
    "OTB404": "a package that traces a framework",
    "OTB405": "a package that traces a client library",
    "OTB501": "does not work with the declared or installed packages",
    "OTB502": "pins a version that blocks an upgrade",
    "OTB503": "no longer needed on ot_bridge",
}


def test_each_code_has_its_meaning() -> None:
    assert CODES == MEANINGS


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
