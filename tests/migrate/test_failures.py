"""Files that cannot be read, edited or written: each is named, and the others are not affected."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.cli.main import main
from ot_bridge.migrate import editor
from ot_bridge.migrate.plan import Plan
from ot_bridge.migrate.report import check
from ot_bridge.migrate.rewriting import rewrite, write

SOURCE = "import opentracing\n\nopentracing.tracer.start_span('a').finish()\n"
MARKED = f"{SOURCE}opentracing.set_global_tracer(None)\n"
#: what the edited text would be -> why it is not written
BAD = {
    "x =": "the edited text would not compile: invalid syntax",
    "f(kind=1, kind=2)": "the edited text would not compile: keyword argument repeated: kind",
    "return": "the edited text would not compile: 'return' outside function",
    "b = c + a + print(c)": "these names would not be bound: a, c",
    "": "ValueError: no",
}


@pytest.mark.parametrize(("text", "problem"), BAD.items())
def test_a_text_that_must_not_be_written_is_left_and_the_other_files_are_rewritten(
    text: str,
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad, good = tmp_path / "bad.py", tmp_path / "good.py"
    bad.write_text(MARKED)
    good.write_text(SOURCE)
    real = editor.edit

    def edit(plan: Plan) -> bytes:
        if plan.file.path != bad:
            return real(plan)
        if not text:
            raise ValueError("no")
        return text.encode()

    monkeypatch.setattr("ot_bridge.migrate.rewriting.edit", edit)
    outcome = rewrite([tmp_path])
    ((path, found),) = outcome.failed
    assert path == bad
    assert found.startswith(problem)
    assert (outcome.rewritten, outcome.left, outcome.status, outcome.marks) == (3, 4, 1, {})
    assert [each.path for each in outcome.changed] == [good]
    assert main(["rewrite", str(tmp_path), "--write"]) == 1
    assert bad.read_text() == MARKED
    assert ".start_span('a').end()" in good.read_text()
    assert f"{bad} is left as it is: {problem}" in capsys.readouterr().err


def test_a_warning_about_a_text_is_not_shown(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    (tmp_path / "a.py").write_text(f"{SOURCE}assert ('\\d', x) is 1\n")
    assert len(rewrite([tmp_path]).changed) == 1
    assert not recwarn.list


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError("odd")])
def test_a_file_that_cannot_be_written_is_named_and_stays(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(SOURCE)
    real, count = os.replace, rewrite([tmp_path]).rewritten // 2

    def replace(source: str, target: Path) -> None:
        if target.name == "a.py":
            raise error
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    assert main(["rewrite", str(tmp_path), "--write"]) == 1
    assert (tmp_path / "a.py").read_text() == SOURCE
    assert ".end()" in (tmp_path / "b.py").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"a.py", "b.py"}
    summary = capsys.readouterr().err
    assert f"{tmp_path / 'a.py'} is left as it is: {error.strerror or error}" in summary
    assert f"{count} references rewritten in 1 files, {count} are left, with 0 marks" in summary


def test_an_interrupted_write_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text(SOURCE)

    def replace(source: str, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace)
    outcome = rewrite([tmp_path])
    with pytest.raises(KeyboardInterrupt):
        write(outcome)
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]
    assert (tmp_path / "a.py").read_text() == SOURCE


@pytest.mark.parametrize("error", [OSError(13, "Permission denied"), OSError("odd")])
def test_a_file_that_cannot_be_opened_is_named_and_the_others_are_read(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(SOURCE)
    for name in ("requirements.txt", "constraints.txt"):
        (tmp_path / name).write_text("lightstep\n")
    closed = (tmp_path / "a.py", tmp_path / "constraints.txt")

    def closing(real: Any) -> Any:
        def read(path: Path, *args: Any, **more: Any) -> Any:
            if path in closed:
                raise error
            return real(path, *args, **more)

        return read

    monkeypatch.setattr(Path, "read_bytes", closing(Path.read_bytes))
    monkeypatch.setattr(Path, "read_text", closing(Path.read_text))
    report = check([tmp_path])
    assert report.unread == [(str(tmp_path / "a.py"), error.strerror or str(error))]
    assert {Path(line.file).name for line in report.lines} == {"b.py", "requirements.txt"}
    assert (report.searched, report.status) == (2, 2)
    assert main(["rewrite", str(tmp_path), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["unread"] == [{"file": str(tmp_path / "a.py"), "problem": error.strerror or str(error)}]
    (changed,) = printed["files"]
    assert (Path(changed["file"]).name, changed["rewritten"], changed["left"]) == ("b.py", 3, 0)
    assert changed["diff"].startswith("--- a/")
    assert (printed["rewritten"], printed["left"], printed["refused"]) == (3, 0, None)


def test_a_chain_of_hundreds_of_calls_is_read_by_check_and_left_by_rewrite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.py"
    path.write_text("import opentracing\n\nx" + ".set_tag('a', 1)" * 700 + "\nx.set_tag('b', 1)\n")
    assert [line.code for line in check([tmp_path]).lines].count("OTB301") == 701
    assert main(["rewrite", str(tmp_path)]) == 1
    assert "x.set_tag('b', 1)" in path.read_text()
    assert "Traceback" not in capsys.readouterr().err
