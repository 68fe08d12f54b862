"""README and docs: their Python blocks run, their links work, and the files that they name exist."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import opentracing
import pytest
from opentelemetry import propagate, trace

import ot_bridge
from ot_bridge.jaeger_client import Config, Tracer
from ot_bridge.wire import FORMATS
from tests import needs

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*.md")),
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")),
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "examples").rglob("*.md")),
]
TEXTS = {page: (ROOT / page).read_text("utf-8") for page in PAGES}


def blocks(page: str) -> list[str]:
    """The Python blocks of a page, in order, without the indentation that a list gives them."""
    found = re.findall(r"^( *)```python\n(.*?)^ *```$", TEXTS[page], re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


#: Pages whose blocks another test runs, since they need more around them than names.
ELSEWHERE = {
    "docs/testing.md": "tests/test_docs_of_the_bridge.py",
    "docs/wsgi.md": "tests/wsgi/test_docs.py",
}
#: (page, a line of the block) -> why the block cannot run as it stands.
NOT_RUN = {
    ("docs/xray.md", "def for_request(environ: dict[str, Any]) -> Sampler | None:"): (
        "an extract of ot_bridge/cli/xray_gateway/recipe.py, which tests/examples/test_xray_gateway.py runs"
    ),
}


def test_code_blocks_that_are_not_run_here_are_listed_with_the_reason() -> None:
    assert all(page in TEXTS and (ROOT / test).exists() for page, test in ELSEWHERE.items())
    for page, line in NOT_RUN:
        assert any(line in block.splitlines() for block in blocks(page))


def _names(page: str, tracer: Any) -> dict[str, Any]:
    """What the blocks of a page take for granted."""
    import flask
    import grpc
    from flask_opentracing import FlaskTracing
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentracing import tags

    from ot_bridge.otlp import OTLPSpanExporter
    from ot_bridge.sampling import OperationSampler

    tracers: dict[str, Any] = {"docs/sampling.md": trace.get_tracer("shop")}
    return {
        "__name__": page,
        "Config": Config,
        "FlaskTracing": FlaskTracing,
        "OTLPSpanExporter": OTLPSpanExporter,
        "OperationSampler": OperationSampler,
        "SpanKind": trace.SpanKind,
        "Status": trace.Status,
        "StatusCode": trace.StatusCode,
        "app": flask.Flask("shop"),
        "asyncio": asyncio,
        "contextlib": contextlib,
        "executor": ThreadPoolExecutor(1),
        "exporter": InMemorySpanExporter(),
        "grpc": grpc,
        "opentracing": opentracing,
        "ot_bridge": ot_bridge,
        "parent": None,
        "provider": TracerProvider(shutdown_on_exit=False),
        "ship": lambda span: span.finish(),
        "tags": tags,
        "target": "localhost:1",
        "trace": trace,
        "tracer": tracers.get(page, tracer),
    }


@pytest.fixture
def _a_program_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No network, and all that a page registers is taken back."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setattr(Config, "_initialized", False)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", type(trace._TRACER_PROVIDER_SET_ONCE)())
    textmap = propagate.get_global_textmap()
    yield
    ot_bridge.uninstall()
    propagate.set_global_textmap(textmap)


RUN = [page for page in PAGES if page not in ELSEWHERE and blocks(page)]
NEEDS = {"docs/installation.md": [needs.otlp_over_grpc]}


@pytest.mark.filterwarnings(
    "ignore:This package is no longer supported:DeprecationWarning"
)  # flask_opentracing
@pytest.mark.usefixtures("_a_program_of_its_own")
@pytest.mark.parametrize("page", [pytest.param(page, marks=NEEDS.get(page, ())) for page in RUN])
async def test_the_python_blocks_of_a_page_run_one_after_the_other(page: str, tracer: Any) -> None:
    names = _names(page, tracer)
    left_out = {line for where, line in NOT_RUN if where == page}
    for block in blocks(page):
        if not left_out & {*block.splitlines()}:
            exec(compile(block, page, "exec"), names)
            ot_bridge.uninstall()
    names["provider"].shutdown()
    for made in names.values():
        if isinstance(made, Tracer):  # the drop-in's, which has a provider of its own
            assert made.close().result(10)


def test_the_list_of_code_blocks_is_not_empty() -> None:
    assert len(RUN) > 8
    assert {"README.md", "CONTRIBUTING.md", "docs/installation.md"} <= {*RUN}


def _anchors(text: str) -> set[str]:
    """The ids that a page's headings have, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _links(page: str) -> list[str]:
    """Where a page's links to files of this project lead."""
    prose = re.sub(r"^ *```.*?^ *```$", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", prose)


def _files(page: str) -> list[str]:
    """The files of this project that a page names."""
    roots = r"(?:ot_bridge|tests|docs|examples|benchmarks|\.ci)"
    return re.findall(rf"`({roots}/[\w./-]+)`", TEXTS[page])


def test_the_lists_of_links_and_of_named_files_are_not_empty() -> None:
    assert sum(len(_links(page)) for page in PAGES) > 40
    assert sum(len(_files(page)) for page in PAGES) > 30
    assert all(_links(page) for page in ("README.md", "CONTRIBUTING.md", "docs/README.md"))


@pytest.mark.parametrize("page", PAGES)
def test_no_code_is_marked_by_indentation_alone_which_no_test_runs(page: str) -> None:
    prose = re.sub(r"^ *```.*?^ *```$", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"\n\n( {4}\S.*)", prose) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_to_an_existing_file(page: str) -> None:
    for target in _links(page):
        path, _, anchor = target.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there.read_text("utf-8")), target


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != "CHANGELOG.md"]
)  # which tells of former ones
def test_every_file_of_this_project_that_is_named_exists(page: str) -> None:
    assert [path for path in _files(page) if not (ROOT / path).exists()] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" not in index} == set()


# ---- docs/requirements.md

IDS = set(re.findall(r"^\| ((?:[RSDCEJKV]\d+(?:, )?)+) \|", TEXTS["docs/requirements.md"], re.MULTILINE))
KNOWN = {each for row in IDS for each in row.split(", ")}


def _carried() -> Iterator[tuple[str, str]]:
    """(id, where) of the requirements that tests name: in functions' names and in docstrings of modules."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text("utf-8")
        if not re.search(r"(\b|_)[RSDCEJKV]\d", text):
            continue
        tree = ast.parse(text)
        requirements = re.findall(r"\b[RSDCEJKV]\d{1,2}\b", ast.get_docstring(tree) or "")
        names = [
            node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        for name in names:
            found = re.match(r"test((?:_[RSDCEJKV]\d+)+)_", name)
            requirements += found[1].split("_")[1:] if found else []
        yield from ((each, str(path.relative_to(ROOT))) for each in requirements)


def test_every_id_that_a_test_names_is_explained_and_every_rule_of_the_specification_has_a_test() -> None:
    carried = list(_carried())
    assert [pair for pair in carried if pair[0] not in KNOWN] == []
    assert {each for each in KNOWN if each[0] in "RS"} - {each for each, _ in carried} == set()


# ---- header formats


def test_every_header_format_has_a_row() -> None:
    on_http = {name for name, format in FORMATS.items() if not format.raw}
    for page, expected in (("README.md", on_http), ("docs/headers.md", {*FORMATS})):
        rows = re.findall(r"^\| (`.*?) \|", TEXTS[page], re.MULTILINE)
        assert expected - {name for row in rows for name in re.findall(r"`(.+?)`", row)} == set()


# ---- docs/architecture.md


def test_the_docs_list_the_same_rooms_as_the_architecture_test() -> None:
    from tests.test_architecture import ABOVE, MAY_IMPORT

    above = {*ABOVE, "cli"}
    for room, allowed in MAY_IMPORT.items():
        right = "every room" if room in above else ", ".join(f"`{each}`" for each in sorted(allowed))
        row = rf"^\| `{room}` \| .+ \| {re.escape(right)} ?\|$"
        assert re.search(row, TEXTS["docs/architecture.md"], re.MULTILINE), f"| `{room}` | ... | {right} |"
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .*\|$", TEXTS["docs/architecture.md"], re.MULTILINE)
    assert {*rows} == {*MAY_IMPORT}


# ---- versions


def test_versions_licence_and_pythons_are_the_same_everywhere() -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", TEXTS["CHANGELOG.md"], re.MULTILINE)
    assert newest is not None
    assert newest[1] == ot_bridge.__version__
    assert project["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text("utf-8")
    pythons = [line.split()[-1] for line in project["classifiers"] if "Python :: 3." in line]
    lowest, highest = pythons[0], pythons[-1]
    assert f"| Python (CPython) | {lowest} | {highest} |" in TEXTS["docs/versions.md"]
    assert project["requires-python"] == f">={lowest}"
