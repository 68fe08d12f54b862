"""`ot-bridge check`: each code, where it stands, and what is never mistaken for OpenTracing.

In the programs here a comment `#: CODE CODE` at a line's end says which references `check` must name in
that line, sorted; a line without one has none.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ot_bridge.cli.main import main
from ot_bridge.migrate.codes import CODES, described
from ot_bridge.migrate.report import check

DOCS = Path(__file__).parent.parent.parent / "docs"
PROGRAMS = {
    "the API, whose receivers come from imports and assignments": """
        import opentracing
        from opentracing import Format, global_tracer
        from opentracing.ext import tags
        from opentracing import logs as l

        tracer = opentracing.tracer  #: OTB101

        def handle(request, headers):
            with global_tracer().start_active_span("a") as scope:  #: OTB101 OTB102
                scope.span.set_tag(tags.HTTP_URL, request)  #: OTB103 OTB107 OTB108
                scope.span.log_kv({l.EVENT: "x"})  #: OTB104 OTB107 OTB108
                tracer.inject(scope.span.context, Format.TEXT_MAP, headers)  #: OTB106 OTB107 OTB107 OTB108
                tracer.active_span.set_operation_name("b")  #: OTB105 OTB107
            span = tracer.start_span("c", child_of=tracer.extract(Format.TEXT_MAP, headers))  #: OTB102 OTB106 OTB108
            span.finish()  #: OTB105
        """,
    "types in annotations": """
        import opentracing
        from typing import Optional

        def a(tracer: opentracing.Tracer, span: "opentracing.Span", parent: Optional[opentracing.SpanContext]):  #: OTB109 OTB109 OTB109
            span.set_tag("a", 1)  #: OTB103
            return tracer.start_span("b")  #: OTB302
        """,
    "a kind that rewrite can move to the start": """
        import opentracing

        def a():
            span = opentracing.tracer.start_span("a")  #: OTB101 OTB102
            span.set_tag("span.kind", "client")  #: OTB201
            span.finish()  #: OTB105
        """,
    "what works differently": """
        import opentracing
        from opentracing import tags
        from opentracing.mocktracer import MockTracer
        from opentracing.scope_managers import ThreadLocalScopeManager

        def a(c):
            span = opentracing.tracer.start_span("a")  #: OTB101 OTB102
            print("later")
            span.set_tag(tags.SPAN_KIND, "client")  #: OTB108 OTB201
            span.set_tag("kind", "span.kind")  #: OTB103
            span.set_tag("sampling.priority", 1)  #: OTB202
            span.set_tag("error", c)  #: OTB203
            span.set_baggage_item("a", "b")  #: OTB204
            opentracing.tracer.start_span("b", references=[opentracing.follows_from(span.context)])  #: OTB101 OTB102 OTB107 OTB205
            try:
                pass
            except opentracing.InvalidCarrierException:  #: OTB206
                pass
            MockTracer(ThreadLocalScopeManager())  #: OTB207 OTB208
        """,
    "what a person decides": """
        import opentracing
        from opentracing.propagation import Format

        def by_name(span, key):
            span.set_tag("a", 1)  #: OTB301

        def leaves():
            span = opentracing.tracer.start_span("a")  #: OTB101 OTB302
            queue.put(span)

        def by_hand():
            scope = opentracing.tracer.start_active_span("a")  #: OTB101 OTB303
            scope.close()  #: OTB303

        def unknown(parent, key, values, carrier):
            span = opentracing.tracer.start_span("a", child_of=parent)  #: OTB101 OTB304
            with opentracing.tracer.start_span("b") as other:  #: OTB101 OTB305
                other.set_tag(key, 1)  #: OTB305
            with opentracing.tracer.start_span("b") as third:  #: OTB101 OTB305
                third.log_kv(values)  #: OTB305
            opentracing.tracer.extract(Format.BINARY, carrier)  #: OTB101 OTB108 OTB306

        class Own(opentracing.Span):  #: OTB307
            pass

        def members():
            span = opentracing.tracer.start_span("a")  #: OTB101 OTB308
            print(span.trace_id)  #: OTB308
            other = opentracing.tracer.start_span("a")  #: OTB101 OTB309
            other.tracer  #: OTB309
        """,
    "the module is tested, patched or imported by a string": """
        import importlib
        from unittest import mock
        try:
            import opentracing
        except ImportError:
            opentracing = None  #: OTB310

        mock.patch("opentracing.tracer")  #: OTB310
        importlib.import_module("opentracing")  #: OTB311
        """,
    "what a test reads of spans": """
        import opentracing
        from opentracing.mocktracer import MockTracer

        def test_a(response):
            tracer = MockTracer()  #: OTB207
            spans = tracer.finished_spans()  #: OTB207
            assert [span.logs for span in spans] == []  #: OTB209
            assert spans[0].status == "OK"  #: OTB209
            assert memory.finished_spans()[0].events == []  #: OTB209
            assert spans.status == memory.span.status  #: OTB209 OTB209
            assert memory.spanner()[0].events == memory[0]()[0].events
            assert response.status == 200
            assert response.span_log.events == []
        """,
    "stars": """
        import opentracing
        from opentracing.tags import *  #: OTB312

        def a(**more):
            span = opentracing.tracer.start_span("a", **more)  #: OTB101 OTB312
        """,
    "set-up": """
        import opentracing
        from flask_opentracing import FlaskTracing
        from jaeger_client import Config, ConstSampler
        from opentracing_instrumentation.client_hooks import install_patches

        tracer = Config(config={}, service_name="a").initialize_tracer()  #: OTB401
        ConstSampler(True)  #: OTB402
        opentracing.set_global_tracer(tracer)  #: OTB403
        opentracing.tracer = tracer  #: OTB403
        FlaskTracing(tracer)  #: OTB404
        install_patches.install_all_patches()  #: OTB405
        """,
    "objects that functions of legacy packages make": """
        import jaeger_client
        import lightstep
        import opentracing
        from basictracer import BasicTracer
        from opentracing.mocktracer import MockTracer
        from opentracing_instrumentation import get_current_span
        from opentracing_instrumentation.request_context import get_current_span as current
        from other import thing

        def a(parent):
            jaeger_client.Config({}).initialize_tracer().start_span("a").set_tag("a", 1)  #: OTB102 OTB103 OTB401
            jaeger_client.Config({}).create_tracer(None, None).start_span("a").finish()  #: OTB105 OTB401 OTB401
            jaeger_client.Config({}).new_tracer().start_span("a").finish()  #: OTB105 OTB401 OTB401
            jaeger_client.Tracer("a").start_span("a").finish()  #: OTB105 OTB401 OTB401
            lightstep.Tracer("a").start_span("a").finish()  #: OTB105 OTB401 OTB401
            BasicTracer().start_span("a").finish()  #: OTB105 OTB401 OTB401
            MockTracer().start_span("a").finish()  #: OTB102 OTB105 OTB207
            opentracing.Tracer().start_span("a").finish()  #: OTB101 OTB102 OTB105
            opentracing.start_child_span(parent, "a").finish()  #: OTB105 OTB309
            get_current_span().set_tag("a", 1)  #: OTB103 OTB405
            current().set_tag("a", 1)  #: OTB103 OTB405
            lightstep.other("a").start_span("a").finish()  #: OTB402
            thing().start_span("a").finish()
        """,
    "everyday names of other things": """
        import logging
        import re
        import opentracing

        class Parcel:
            def start_span(self): ...
            def finish(self): ...
            context = None

        def a(match, queue, logger, element):
            match.span()
            queue.finish()
            logger.log(1, "opentracing.tracer.start_span")
            Parcel().start_span()
            Parcel().finish()
            re.match("a", "a").span()
            element.span.text
        """,
    "names that hold a pattern's match or OpenTelemetry's span in one of two branches": """
        import json
        import re
        import opentracing
        from opentelemetry import trace

        def a(given, other):
            if given:
                span = trace.get_current_span()
                my_span = re.match("a", given)
                json_span = json.loads(given)
            else:
                span = my_span = json_span = other.thing
            span.set_tag("a", 1)
            my_span.finish()
            json_span.finish()  #: OTB301

        def b(span):
            span.set_tag("a", 1)  #: OTB301
        """,
}


def _expected(source: str) -> dict[int, list[str]]:
    lines = enumerate(source.splitlines(), 1)
    return {number: line.partition("#: ")[2].split() for number, line in lines if "#: " in line}


def _found(path: Path) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for each in check([path]).lines:
        found.setdefault(each.line, []).append(each.code)
    return {line: sorted(codes) for line, codes in found.items()}


@pytest.mark.parametrize("source", PROGRAMS.values(), ids=PROGRAMS)
def test_each_reference_is_named_by_its_code_in_its_line(source: str, tmp_path: Path) -> None:
    source = textwrap.dedent(source)
    (tmp_path / ("test_program.py" if "def test_" in source else "program.py")).write_text(source)
    assert _found(tmp_path) == _expected(source)


#: what a line is about -> (program, the code and the text of one of its lines)
TEXTS = {
    "what is rewritten": ("t = opentracing.tracer\n", "OTB101 the tracer comes from opentracing"),
    "what is left": (
        "def f(span):\n    span.set_tag('a', 1)\n",
        "OTB301 span is known only by its name; left as it is",
    ),
    "the start of an object that is left": (
        "ship(opentracing.tracer.start_span('a'))\n",
        "OTB302 the span is passed to ship(), which is not below the paths; left as it is",
    ),
    "what is left for another reason": (
        "span = opentracing.tracer.start_span('a')\nship(span)\nspan.set_tag('a', 1)\n",
        "OTB103 a tag is set; rewrite leaves it: the span is passed to ship(), which is not below the paths",
    ),
    "what works differently": (
        "span = opentracing.tracer.start_span('a')\nship(span)\nspan.set_tag('span.kind', 'client')\n",
        (
            "OTB201 span.kind is set after the start (docs/differences.md#from-every-opentracing-tracer); "
            "rewrite leaves it: the span is passed to ship(), which is not below the paths"
        ),
    ),
    "what is left for a reason of the same code": (
        "ship(opentracing.tracer.start_span('a'))\n",
        (
            "OTB101 the tracer comes from opentracing; "
            "rewrite leaves it: the tracer stays, because one of its uses is left"
        ),
    ),
}


@pytest.mark.parametrize(("source", "text"), TEXTS.values(), ids=TEXTS)
def test_a_line_says_what_a_reference_is_and_why_it_is_left(source: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"import opentracing\n{source}")
    assert text in [f"{line.code} {line.text}" for line in check([tmp_path]).lines]


def test_a_long_chain_of_attributes_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"import opentracing\nx = opentracing.tracer{'.a' * 600}\n")
    assert [line.code for line in check([tmp_path]).lines] == ["OTB101", "OTB308"]


def test_the_table_of_codes_in_the_docs_is_the_one_of_the_command() -> None:
    rows = re.findall(r"^\| (OTB\d\d\d) \| (.*) \|$", (DOCS / "migration.md").read_text(), re.MULTILINE)
    assert rows == [*CODES.items()]


def test_every_code_but_those_of_dependencies_is_shown_by_a_program() -> None:
    covered = set(re.findall(r"OTB\d\d\d", "".join(PROGRAMS.values())))
    assert {code for code in CODES if code[3] != "5"} <= covered


def _anchors(page: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", (DOCS / page).read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_place_in_the_docs_that_a_code_names_exists() -> None:
    named = [place for code in CODES for place in re.findall(r"docs/(\S+\.md)#([\w-]+)", described(code))]
    assert {page for page, _ in named} == {"differences.md"}
    assert [anchor for page, anchor in named if anchor not in _anchors(page)] == []


LOCAL = {
    "a relative import": {
        "pkg/__init__.py": "",
        "pkg/a.py": "from .opentracing import tracer\ntracer.start_span('a')\n",
    },
    "a submodule": {"a.py": "import pkg.opentracing\npkg.opentracing.start_active_span('a')\n"},
    "a file beside the program": {
        "opentracing.py": "def start_active_span(name): ...\n",
        "a.py": "import opentracing\nopentracing.start_active_span('a')\n",
    },
    "no import at all": {"a.py": "def f(span): span.set_tag('a', 1)\n# opentracing\n"},
}


@pytest.mark.parametrize("files", LOCAL.values(), ids=LOCAL)
def test_a_module_of_the_projects_own_is_not_opentracing(files: dict[str, str], tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert check([tmp_path]).lines == []


MAKES = "import opentracing\n\nmade = opentracing.global_tracer()\n"
USES = "import opentracing\nfrom {} import made as used\n\nused.start_span('a')\n"
#: Where modules of one name are -> their files, the program's file, the name that it imports, and whether
#: it is clear which of them that is.
SAME_NAME = {
    "beside the program, and elsewhere": ("a/t.py b/t.py", "a/app.py", "t", True),
    "a package beside the program, and elsewhere": ("a/t/__init__.py b/t.py", "a/app.py", "t", True),
    "in a folder beside the program, and elsewhere": ("a/p/t.py b/p/t.py", "a/app.py", "p.t", True),
    "elsewhere, one of them in a package": ("t.py b/__init__.py b/t.py", "c/app.py", "t", True),
    "one, elsewhere": ("b/t.py", "c/app.py", "t", True),
    "one, in a package elsewhere": ("b/__init__.py b/t.py", "c/app.py", "t", True),
    "two, elsewhere": ("a/t.py b/t.py", "c/app.py", "t", False),
    "two in packages elsewhere": ("a/__init__.py a/t.py b/__init__.py b/t.py", "c/app.py", "t", False),
}


@pytest.mark.parametrize(("made", "program", "name", "clear"), SAME_NAME.values(), ids=SAME_NAME)
def test_the_module_beside_a_program_is_the_one_that_it_imports(
    made: str, program: str, name: str, clear: bool, tmp_path: Path
) -> None:
    for path in [tmp_path / each for each in (*made.split(), program)]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(USES.format(name) if path.name == "app.py" else MAKES)
    found = {each.code for each in check([tmp_path]).lines if each.file.endswith("app.py")}
    assert ("OTB102" in found) is clear


LEFT = ["venv/a.py", "node_modules/a.py", ".git/a.py", "vendor/a.py", "a_pb2.py", "lib/site-packages/a.py"]


@pytest.mark.parametrize("name", LEFT)
def test_third_party_directories_are_not_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("import opentracing\nopentracing.tracer\n")
    assert check([tmp_path]).lines == []


@pytest.mark.parametrize(
    "line", ["# ot-bridge: off", "# Generated by the protocol buffer compiler.  DO NOT EDIT!"]
)
def test_a_file_that_is_marked_as_off_or_generated_is_skipped(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"{line}\nimport opentracing\nopentracing.tracer\n")
    assert check([tmp_path]).lines == []


def test_a_file_that_does_not_parse_is_named_and_the_others_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.py").write_text("import opentracing\nprint 1\n")
    (tmp_path / "good.py").write_text("import opentracing\nopentracing.tracer\n")
    assert main(["check", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert "bad.py cannot be read" in printed.err
    assert "Missing parentheses" in check([tmp_path]).unread[0][1]
    assert "good.py:2:13: OTB101" in printed.out


STATUS = {
    "nothing needs a person": ("import opentracing\nopentracing.tracer.start_span('a').finish()\n", 0),
    "something does": ("import opentracing\nopentracing.set_global_tracer(None)\n", 1),
    "nothing is there": ("", 0),
}


@pytest.mark.parametrize(("source", "status"), STATUS.values(), ids=STATUS)
def test_the_exit_status_is_1_if_manual_work_is_needed(source: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(source)
    assert main(["check", str(tmp_path)]) == status


def test_a_missing_path_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_json_output_has_the_same_references(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("import opentracing\nopentracing.tracer.start_span('a').finish()\n")
    assert main(["check", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(each["line"], each["column"], each["code"]) for each in report["references"]] == [
        (2, 13, "OTB101"),
        (2, 20, "OTB102"),
        (2, 36, "OTB105"),
    ]
    assert report["summary"] == {"OTB101": 1, "OTB102": 1, "OTB105": 1}


def test_check_runs_without_libcst_and_imports_nothing_that_it_reads(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import opentracing\nraise SystemExit('imported')\n")
    program = (
        "import sys; sys.modules['libcst'] = None; from ot_bridge.cli.main import main;"
        f"status = main(['check', {str(tmp_path)!r}]); assert 'a' not in sys.modules; sys.exit(status)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("end", ["\n", ""], ids=["a line end", "no line end"])
def test_columns_count_characters(end: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        f"import opentracing\nprint('ä', opentracing.tracer){end}", encoding="utf-8"
    )
    assert check([tmp_path]).lines[0].column == 24


def test_columns_count_characters_of_any_encoding(tmp_path: Path) -> None:
    text = "# coding: latin-1\r\nimport opentracing\r\nprint('ää', opentracing.tracer)\r\n"
    (tmp_path / "a.py").write_bytes(text.encode("latin-1"))
    assert [(line.line, line.column) for line in check([tmp_path]).lines] == [(3, 25)]
