"""The lines that `compare`, `check` and `rewrite` print; the Python behind a command, option by option."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.cli import jaeger_file, traces
from ot_bridge.cli.checkup.known import nearest, typing_errors
from ot_bridge.cli.interpreter import interpreter_of
from ot_bridge.cli.main import main
from ot_bridge.otlp.decode import EventRecord, LinkRecord
from tests.view.spans import MS, START, TRACE, span

END = START + MS


def _link(span_id: int, **attributes: Any) -> LinkRecord:
    return LinkRecord(TRACE, f"{span_id:016x}", "", attributes, 0, 0)


def test_spans_are_lines_without_ids_and_times_in_the_order_of_their_text() -> None:
    spans = [
        span(1, name="b", kind="SERVER", resource={"service.name": "shop", "region": "eu", "n": 1}),
        span(
            *(2, 1),
            name="query",
            kind="INTERNAL",
            status="ERROR",
            attributes={"n": 1, "text": "é", "sure": True, "peer.port": 5, "rpc.status_code": "OK"},
            events=(EventRecord("log", START, {"a": 1}, 0), EventRecord("retry", START, {"n": 2}, 0)),
            links=(_link(1, **{"opentracing.ref_type": "child_of"}), _link(3), _link(9)),
        ),
        span(3, 1, name="a", status="OK", kind="CONSUMER"),
        span(4, 99, name="a", resource={"service.name": "stock", "telemetry.x": 1, "jaeger.version": 2}),
    ]
    assert traces.text(spans) == [
        "process shop",
        "process shop n=1 region='eu'",
        "process stock",
        "",
        "shop: b span.kind='server'",
        "  shop: a error=False span.kind='consumer'",
        "  shop: query error=True n=1 sure=True text='é'",
        "    log a=1",
        "    log event='retry' n=2",
        "    follows_from a",
        "    follows_from a span elsewhere",
        "",
        "stock: a (its parent is elsewhere)",
    ]


def test_only_a_top_says_that_its_parent_is_elsewhere() -> None:
    spans = [span(1, 9, name="a"), span(2, 1, name="b"), span(3, 2, name="c"), span(4, 8, name="d")]
    assert traces.text(spans)[2:] == [
        "shop: a (its parent is elsewhere)",
        "  shop: b",
        "    shop: c",
        "",
        "shop: d (its parent is elsewhere)",
    ]
    assert traces.text(spans[1:3])[2:] == ["shop: b (its parent is elsewhere)", "  shop: c"]


def test_tags_that_are_to_be_ignored_are_left_out_of_spans_and_processes() -> None:
    one = span(1, attributes={"a": 1, "b": 2}, resource={"service.name": "shop", "a": 3, "c": 4})
    assert traces.text([one], ignore=("a", "c")) == ["process shop", "", "shop: span 1 b=2"]


@pytest.mark.parametrize("kind", ["SERVER", "CLIENT", "PRODUCER", "CONSUMER"])
def test_a_kind_is_shown_as_the_tag_of_opentracing(kind: str) -> None:
    assert traces.text([span(1, kind=kind)])[-1] == f"shop: span 1 span.kind={kind.lower()!r}"


def test_a_value_above_a_hundred_characters_is_cut_and_has_a_checksum() -> None:
    def line(length: int) -> str:
        return traces.text([span(1, attributes={"a": "x" * length})])[-1]

    assert line(98) == f"shop: span 1 a='{'x' * 98}'"
    whole = "'" + "x" * 99 + "'"
    assert line(99) == f"shop: span 1 a={whole[:80]}... (checksum {zlib.crc32(whole.encode()):08x})"


@pytest.mark.parametrize(
    ("time", "inside"), [(START - 1000, True), (START - 1001, False), (END + 1000, True), (END + 1001, False)]
)
def test_a_log_may_be_a_microsecond_outside_of_its_span(time: int, inside: bool) -> None:
    lines = traces.text([span(1, events=(EventRecord("x", time, {}, 0),))])
    assert lines[-1].endswith("(not in the time of its span)") is not inside


EXCEPTION = {"exception.type": "E", "exception.message": "no", "exception.stacktrace": "s"}


@pytest.mark.parametrize(
    ("name", "fields", "line"),
    [
        ("exception", EXCEPTION, "log of an exception"),
        ("exception", {"exception.message": "no"}, "log event='error' message='no'"),
        ("exception", {"exception.type": "E", "exception.escaped": "True"}, "log event='error'"),
        ("error", {"error.object": "E"}, "log of an exception"),
        ("error", {"stack": "s"}, "log of an exception"),
        ("error", {"error.kind": "E", "a": 1}, "log a=1 event='error'"),
        ("other", {"error.kind": "E"}, "log error.kind='E' event='other'"),
    ],
    ids=str,
)
def test_an_exception_has_one_line_in_either_form(name: str, fields: Any, line: str) -> None:
    assert traces.text([span(1, events=(EventRecord(name, START, fields, 0),))])[-1] == f"  {line}"


def test_an_exception_is_counted_once_a_span_and_other_logs_each() -> None:
    raised, log = EventRecord("exception", START, EXCEPTION, 0), EventRecord("x", START, {}, 0)
    assert traces.text([span(1, events=(raised, log, raised, log))])[-3:] == [
        "  log of an exception",
        "  log event='x'",
        "  log event='x'",
    ]


PROGRAM = """\
import opentracing
span = opentracing.tracer.start_span("a", tags={"http.method": "GET", "component": "x"})
span.finish()
ship(opentracing.tracer.start_span("b"))
"""
TAGS = """\
Names that change when their group is opted in:
  http.method -> http.request.method, http.request.method_original [http]: 1 (app.py:2)
Names that stay:
  component -> it has no successor; the scope's name comes nearest: 1 (app.py:2)
Names whose values may carry secrets:
  none
Queries that stop matching without /dup:
  rules.yml:1: http.method -> http.request.method
Sampling rules behind the program (a collector's, Refinery's) see the new names. OTEL_SEMCONV_STABILITY_OPT_IN
=http/dup,database/dup,rpc/dup sends the old ones beside them.
"""
NO_TAGS = """\
Names that change when their group is opted in:
  none
Names that stay:
  none
Names whose values may carry secrets:
  none
Sampling rules behind the program (a collector's, Refinery's) see the new names. OTEL_SEMCONV_STABILITY_OPT_IN
=http/dup,database/dup,rpc/dup sends the old ones beside them.
"""
CHECKED = """\
app.py:2:20: OTB101 the tracer comes from opentracing
app.py:2:27: OTB102 a span is started
app.py:3:6: OTB105 the span is finished or renamed
app.py:4:18: OTB101 the tracer comes from opentracing; rewrite leaves it: \
the tracer stays, because one of its uses is left
app.py:4:25: OTB302 the span is passed to ship(), which is not below the paths; left as it is

5 references in 1 files (2 Python files read)
     4  works unchanged on ot_bridge; rewritten
         2  OTB101 the tracer comes from opentracing
         1  OTB102 a span is started
         1  OTB105 the span is finished or renamed
     1  a person decides
         1  OTB302 the span goes where it cannot be followed
"""
REWRITTEN = """\
bad.py is left as it is: invalid syntax (bad.py, line 2)
3 references would be rewritten in 1 files, 2 are left, with 1 marks
     1  OTB302 the span goes where it cannot be followed
A cancelled task, SystemExit or KeyboardInterrupt makes the status ERROR on the bridge, and none after.
OpenTelemetry drops attributes whose values are neither text, numbers, truth values nor lists of these.
"""
UNREAD = "ot-bridge check: bad.py cannot be read: invalid syntax (bad.py, line 2)\n"
OLD = "opentracing before 2.0 has neither scopes nor a global tracer: nothing is rewritten"
#: command line -> the exit status, and what is printed on both streams (None: something else)
PRINTED: dict[str, tuple[int, str | None, str]] = {
    "check .": (2, CHECKED, UNREAD),
    "check": (2, "", "ot-bridge check: a PATH is needed\n"),
    "check none": (2, "", "ot-bridge check: none: No such file or directory\n"),
    "check --tags . --in .": (2, TAGS, UNREAD),
    "check --tags app.py --in .": (1, TAGS, ""),
    "check --tags rules.yml": (0, NO_TAGS, ""),
    "check --tags none": (2, "", "ot-bridge check: [Errno 2] No such file or directory: 'none'\n"),
    "check --tags --run": (
        2,
        "",
        "ot-bridge check: no program given; for example: ot-bridge check --tags --run -- python app.py\n",
    ),
    "check --tags --run --timeout 0.2 -- sleep 60": (
        2,
        NO_TAGS,
        "ot-bridge check: the program did not end within 0.2 seconds\n",
    ),
    "rewrite .": (1, None, REWRITTEN),
    "rewrite . --write": (1, "", REWRITTEN.replace("would be rewritten", "rewritten")),
    "rewrite rules.yml": (0, "", "0 references would be rewritten in 0 files, 0 are left, with 0 marks\n"),
    "rewrite none": (2, "", "ot-bridge rewrite: none: No such file or directory\n"),
}


@pytest.mark.parametrize(("line", "printed"), PRINTED.items(), ids=PRINTED)
def test_check_and_rewrite_print_what_they_find(
    line: str,
    printed: tuple[int, str | None, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "bad.py").write_text("import opentracing\nx = = 1\n")
    (tmp_path / "rules.yml").write_text("key: http.method\n")
    monkeypatch.chdir(tmp_path)
    status, out, err = printed
    assert main(line.split()) == status
    found = capfd.readouterr()
    assert (found.out if out is not None else None, found.err) == (out, err)


def test_rewrite_says_which_requirement_prevents_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "requirements.txt").write_text("opentracing<2\n")
    monkeypatch.chdir(tmp_path)
    assert main(["rewrite", "."]) == 1
    assert capsys.readouterr() == ("", f"Nothing is rewritten: requirements.txt:1: {OLD}\n")


def _script(tmp_path: Path, first: str) -> str:
    path = tmp_path / "script"
    path.write_text(first + "\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("words", "options", "hindered"),
    [
        (["app.py", "-I"], (), ""),
        (["-B", "-u", "app.py"], ("-B", "-u"), ""),
        (["-W", "error", "app.py", "-E"], ("-W", "error"), ""),
        (["-Werror", "-Xdev", "app.py"], ("-Werror", "-Xdev"), ""),
        (["-uW", "error", "-"], ("-uW", "error"), ""),
        (["-c", "-I"], (), ""),
        (["-Bm", "-I"], ("-B",), ""),
        (["-I", "app.py"], ("-I",), "-I"),
        (["-uE", "app.py"], ("-uE",), "-E"),
        (["-sS"], ("-sS",), "-S"),
        (["--version"], (), ""),
        ([], (), ""),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "form", ["{}", "env {}", "env -i A=1 -u B {}", "env -C / {}", "env --unset B {}", "env -S {}"]
)
def test_pythons_own_options_are_those_before_the_program(
    form: str, words: list[str], options: tuple[str, ...], hindered: str
) -> None:
    found = interpreter_of([*form.format("python3").split(), *words])
    assert Path(found.python).name == "python3"
    assert found.options == options
    assert found.hindrance.startswith(f"Python's option {hindered} " if hindered else "")
    assert bool(found.hindrance) is bool(hindered)


@pytest.mark.parametrize(
    ("first", "options"),
    [
        ("#!/usr/bin/env python3", ()),
        ("#! /usr/bin/env  python3", ()),
        ("#!/usr/bin/env -S python3 -u", ("-u",)),
        ("#!/usr/bin/env --split-string=python3 -I", ("-I",)),
    ],
)
def test_a_scripts_first_line_names_its_python(first: str, options: tuple[str, ...], tmp_path: Path) -> None:
    found = interpreter_of([_script(tmp_path, first), "-B"])
    assert (Path(found.python).name, found.options) == ("python3", options)


@pytest.mark.parametrize("first", ["#!/bin/sh", "import os", "#!", "#!/no/such/python3"])
def test_a_program_that_is_no_python_has_none(first: str, tmp_path: Path) -> None:
    assert interpreter_of([_script(tmp_path, first)]) == ("", (), "")
    assert interpreter_of(["no-such-program"]) == interpreter_of([]) == ("", (), "")


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        *(("abc", "abc", 0), ("abc", "ab", 1), ("abc", "xabc", 1), ("abc", "axc", 1), ("abc", "acb", 1)),
        *(("abcd", "badc", 2), ("abc", "ab123", 3), ("abc", "abc12", 2), ("a", "abcd", 3), ("abc", "ca", 3)),
    ],
)
def test_typing_errors_are_counted(one: str, other: str, distance: int) -> None:
    assert typing_errors(one, other) == typing_errors(other, one) == distance


def test_the_nearest_of_several_names_is_found() -> None:
    known = ("OTEL_SERVICE_NAME", "OTEL_SERVICE_GAME", "OTEL_NAME")
    assert nearest("OTEL_SERVICE_NAMEE", known) == "OTEL_SERVICE_NAME"
    assert nearest("OTEL_SERVICE_NAME_ABC", known) == ""
    assert nearest("OTEL", ()) == ""


@pytest.mark.parametrize("name", ["jaeger", "jaeger_config", "tracing", "opentracing", "config"])
def test_a_configuration_may_be_a_section_of_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(f'{{"{name}": {{"config": {{"logging": true}}}}, "other": {{"config": 1}}}}')
    assert jaeger_file.read(str(file)) == {"logging": True}
    file.write_text(f'{{"{name}": 1, "logging": false}}')
    assert jaeger_file.read(str(file)) == {name: 1, "logging": False}
