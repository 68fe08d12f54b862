"""`OTEL_TRACES_EXPORTER=ot_bridge_tree`, with a program that is not changed; and `demo --html`."""

from __future__ import annotations

import io
import os
import random
import re
import socket
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ot_bridge.view.export import TreeExporter
from ot_bridge.view.page import of_traces, write_page
from ot_bridge.view.tree import trees
from tests.cli import programs
from tests.view.spans import many

WAYS = {
    "run --show": (["--show"], {}),
    "run --show beside another exporter": (["--show"], {"OTEL_TRACES_EXPORTER": "console"}),
    "run --show where nothing is exported": (["--show"], {"OTEL_TRACES_EXPORTER": "none"}),
    "run --show beside a configuration file": (["--show"], {"OTEL_CONFIG_FILE": "/nowhere/otel.yaml"}),
    "the exporter by name": (
        [],
        {"OTEL_TRACES_EXPORTER": "ot_bridge_tree", "OTEL_TRACES_SAMPLER": "always_on"},
    ),
}


@pytest.mark.parametrize(("options", "variables"), WAYS.values(), ids=WAYS)
def test_show_prints_the_traces_on_standard_error_and_changes_nothing_else(
    options: list[str], variables: dict[str, str], tmp_path: Path
) -> None:
    """Row T8. The program's own sampler would sample nothing."""
    program = programs.PROGRAM.replace('"param": 1', '"param": 0')
    (tmp_path / "app.py").write_text(program + "raise SystemExit(3)\n")
    command = ["run", "--quiet", *options, "--", sys.executable, "app.py"]
    done = programs.run(*command, cwd=tmp_path, **variables)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[0]) == (3, "ot_bridge.jaeger_client.config"), done.stderr
    assert (len(lines) > 1) == (variables.get("OTEL_TRACES_EXPORTER") == "console")
    assert re.search(r"^[0-9a-f]{32} - 1 span - ", done.stderr, re.M)
    assert re.search(r"^  op +program internal +[\d.]+ [mu]?s +#+ +.*n=1", done.stderr, re.M)


def test_a_sampler_in_the_environment_is_kept(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(programs.PROGRAM)
    command = ["run", "--quiet", "--show", "--", sys.executable, "app.py"]
    done = programs.run(*command, cwd=tmp_path, OTEL_TRACES_SAMPLER="always_off")
    assert (done.returncode, done.stderr) == (0, "")


def spans_of(count: int) -> list[ReadableSpan]:
    """A trace with so many children, in the order in which they ended: the root last."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("shop")
    with tracer.start_as_current_span("root"):
        for number in range(count):
            with tracer.start_as_current_span(f"child {number}"):
                pass
    return list(memory.get_finished_spans())


def test_a_tree_is_shown_when_its_root_ends_and_late_spans_in_a_second_tree() -> None:
    stream = io.StringIO()
    exporter = TreeExporter(stream)
    first, second, late, root = spans_of(3)
    exporter.export([first])
    exporter.export([second])
    assert stream.getvalue() == ""
    exporter.export([root])
    assert stream.getvalue().count("spans -") == 1
    assert [f"child {at}" in stream.getvalue() for at in range(3)] == [True, True, False]
    exporter.export([late])
    assert "! parent" in stream.getvalue().split("child 2")[1]
    exporter.shutdown()
    assert stream.getvalue().count("root") == 1


def test_spans_without_a_root_are_shown_at_shutdown_and_too_many_are_counted() -> None:
    stream = io.StringIO()
    exporter = TreeExporter(stream)
    spans = spans_of(1)[:1]
    for _ in range(101):
        exporter.export(spans * 100)
    assert stream.getvalue() == ""
    exporter.shutdown()
    assert "child 0" in stream.getvalue()
    assert "100 spans were left out" in stream.getvalue()


def test_a_closed_standard_error_raises_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    TreeExporter(stream).export(spans_of(1))


def test_the_demo_writes_its_page(tmp_path: Path) -> None:
    file = tmp_path / "demo.html"
    done = programs.run("demo", "--html", str(file), USER="zaphod", LOGNAME="zaphod", SECRET="zaphod")
    assert done.returncode == 0, done.stderr
    text = file.read_text("utf-8")
    assert len(text.encode()) < 100_000
    assert "compose greeting" in text
    for private in ("zaphod", socket.gethostname(), str(tmp_path), str(Path.cwd())):
        assert private not in text
    assert [each.name for each in tmp_path.iterdir()] == ["demo.html"]


def test_the_demos_page_goes_to_standard_output(tmp_path: Path) -> None:
    done = programs.run("demo", "--html", "-")
    assert done.stdout.startswith("<!doctype html>")


@pytest.mark.parametrize("target", ["", "no/such/directory/x.html"])
def test_a_page_that_cannot_be_written_gives_an_error_message(tmp_path: Path, target: str) -> None:
    done = programs.run("demo", "--html", str(tmp_path / target))
    assert (done.returncode, "was not written" in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_gives_an_error_message_and_a_device_file_is_not_replaced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not write_page("x" * 100_000, "/dev/full", "ot-bridge demo")
    assert "No space left" in capsys.readouterr().err
    assert Path("/dev/full").is_char_device()
    assert write_page("x", "/dev/null", "ot-bridge demo")


def test_a_symbolic_link_is_kept_and_its_target_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("file")
    assert write_page("text", str(link), "ot-bridge demo")
    assert (tmp_path / "file").read_text() == "text"
    assert link.is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_new_page_gets_the_mode_of_the_umask_and_an_existing_one_keeps_its_mode(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert write_page("new", str(tmp_path / "new"), "ot-bridge demo")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    (tmp_path / "new").chmod(0o640)
    assert write_page("again", str(tmp_path / "new"), "ot-bridge demo")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["new"]


def test_equal_traces_make_equal_pages() -> None:
    spans = many(50)
    pages = {of_traces(trees(random.sample(spans, len(spans)))) for _ in range(5)}
    assert len(pages) == 1
