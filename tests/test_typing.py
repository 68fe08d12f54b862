"""mypy, in its strict mode and with `types-opentracing`, accepts what users write."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api
from opentracing import Tracer

from ot_bridge.testing import RecordingTracer
from tests.typing import program

PROGRAM = Path(program.__file__)


@pytest.mark.timeout(300)
def test_mypy_accepts_a_typed_program_of_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    copy = tmp_path / "program.py"
    copy.write_text(PROGRAM.read_text())
    monkeypatch.setenv("MYPYPATH", str(PROGRAM.parents[2]))
    # Without this project's configuration; errors in imported modules are hidden, as for installed packages.
    options = ["--strict", "--config-file=", "--follow-imports=silent", "--python-version=3.10"]
    # What mypy knows of other packages' files, it reads again when these change.
    cache: pytest.Cache | None = getattr(pytestconfig, "cache", None)  # missing with `-p no:cacheprovider`
    directory = cache.mkdir("mypy") if cache else tmp_path / "cache"
    out, errors, status = api.run([*options, f"--cache-dir={directory}", str(copy)])
    assert (status, errors) == (0, ""), out


def test_the_typed_program_runs() -> None:
    assert program.Shop(RecordingTracer()).handle({}) == "ann"
    assert isinstance(program.ours(), Tracer)
    assert [span.operation_name for span in program.recorded()][-1] == "handled"
