"""`ot-bridge run`, and the redirection beneath it: one program, every way to start it."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import opentracing
import pytest

from ot_bridge import grpc_opentracing, jaeger_client
from ot_bridge.cli.main import main
from ot_bridge.cli.run import SITE, command_of, environment
from ot_bridge.instrumentor import OpenTracingInstrumentor
from ot_bridge.redirect import Finder, redirect, undo
from tests.cli import programs
from tests.jaeger.servers import Collector, running

SAID = "ot-bridge: imports redirected: jaeger_client -> ot_bridge.jaeger_client"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running(Collector()) as server:
        yield server


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(programs.PROGRAM)
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(programs.PROGRAM)
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys\nsys.exit(subprocess.call([sys.executable, 'app.py']))\n"
    )
    (tmp_path / "spawning.py").write_text(
        "import multiprocessing\n"
        "def child():\n"
        "    import app\n"
        "if __name__ == '__main__':\n"
        "    process = multiprocessing.get_context('spawn').Process(target=child)\n"
        "    process.start(); process.join(); raise SystemExit(process.exitcode)\n"
    )
    return tmp_path


COMMANDS = {
    "python app.py": [sys.executable, "app.py"],
    "python -m pkg": [sys.executable, "-m", "pkg"],
    "app.py": ["app.py"],
    "a child process": [sys.executable, "parent.py"],
    "a spawned process": [sys.executable, "spawning.py"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_unchanged_program_runs_on_ours(command: list[str], directory: Path, collector: Collector) -> None:
    if command[0] == "app.py":
        (directory / "app.py").chmod(0o755)
        command = [str(directory / "app.py")]
    done = programs.run("run", "--", *command, cwd=directory, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert (done.returncode, done.stdout) == (0, "ot_bridge.jaeger_client.config\n"), done.stderr
    assert done.stderr.startswith(SAID)
    assert done.stderr.count("redirected") == 1
    assert collector.names == ["op"]
    assert collector.resource["service.name"] == "program"


def test_the_process_becomes_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    became: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda *how: became.append(how))
    assert main(["run", "--", sys.executable, "app.py"]) == 0
    ((program, words, environ),) = became
    assert (program, words) == (sys.executable, [sys.executable, "app.py"])
    assert environ["PYTHONPATH"].split(os.pathsep)[0] == SITE
    assert capsys.readouterr().err.startswith(SAID)
    assert main(["run"]) == 2
    assert main(["run", "--quiet", "no-such-program"]) == 127


def test_quiet_says_nothing(directory: Path) -> None:
    done = programs.run("run", "--quiet", "--", sys.executable, "-c", "print('hello')", cwd=directory)
    assert (done.stdout, done.stderr) == ("hello\n", "")


def test_exit_status_and_signals_are_the_programs_own() -> None:
    done = programs.run("run", "--quiet", "--", sys.executable, "-c", "raise SystemExit(7)")
    assert done.returncode == 7
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    done = programs.run("run", "--quiet", "--", sys.executable, "-c", kill)
    assert done.returncode == -signal.SIGTERM


def test_no_program_and_one_that_is_not_there_are_told() -> None:
    assert (programs.run("run").returncode, programs.run("run", "--").returncode) == (2, 2)
    done = programs.run("run", "--", "no-such-program")
    assert (done.returncode, done.stderr) == (127, "ot-bridge run: no-such-program: not found\n")


def test_the_command_line_is_passed_on_as_it_is() -> None:
    assert command_of(["--", "gunicorn", "--preload", "--", "app"]) == ["gunicorn", "--preload", "--", "app"]
    assert command_of(["app.py", "-v"]) == [sys.executable, "app.py", "-v"]


def test_pythonpath_is_put_before_what_is_there_once() -> None:
    once = environment({"PYTHONPATH": f"/mine{os.pathsep}", "HOME": "/"})
    assert once == {"PYTHONPATH": f"{SITE}{os.pathsep}/mine", "HOME": "/"}
    assert environment(once) == once


def test_the_real_packages_need_not_be_there(directory: Path, collector: Collector) -> None:
    block = (
        "import sys\n"
        "class Block:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('jaeger_client', 'thrift', 'tornado', 'threadloop'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(1, Block)\n"
    )
    (directory / "app.py").write_text(block + programs.PROGRAM)
    done = programs.run("run", "--", "app.py", cwd=directory, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert (done.returncode, done.stdout) == (0, "ot_bridge.jaeger_client.config\n"), done.stderr
    assert collector.names == ["op"]


def test_a_sitecustomize_of_ones_own_still_has_its_turn(directory: Path) -> None:
    (directory / "sitecustomize.py").write_text("import sys; sys.mine = 'customized'")
    program = "import sys, sitecustomize; print(sys.mine, sitecustomize.__file__)"
    done = programs.run("run", "--quiet", "--", sys.executable, "-c", program, PYTHONPATH=str(directory))
    assert done.stdout.split() == ["customized", str(directory / "sitecustomize.py")]


def test_an_interpreter_without_ot_bridge_gets_the_real_packages(tmp_path: Path) -> None:
    (tmp_path / "jaeger_client.py").write_text("name = 'the real one'")
    program = "import jaeger_client; print(jaeger_client.name)"
    bare = [sys.executable, "-S", "-c", f"import sitecustomize\n{program}"]
    done = subprocess.run(
        bare,
        cwd=tmp_path,
        env=environment(programs.environment(PYTHONPATH=str(tmp_path))),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("the real one\n", "")


def test_a_broken_start_is_printed_and_the_program_runs(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('broken')")
    done = programs.run(
        "run",
        "--quiet",
        "--",
        sys.executable,
        "-c",
        "print('ran')",
        OT_BRIDGE_SITE=str(tmp_path / "broken.py"),
    )
    assert done.stdout == "ran\n"
    assert "RuntimeError: broken" in done.stderr


def test_an_interpreter_pays_little_for_it() -> None:
    program = "import sys; print(sorted({'opentelemetry', 'opentracing', 'ot_bridge'} & set(sys.modules)))"
    done = programs.run("run", "--quiet", "--", sys.executable, "-c", program)
    assert done.stdout == "[]\n"


@pytest.fixture
def redirected() -> Iterator[None]:
    """Redirection in this process, where the real packages may have been imported by other tests."""
    before = {
        name: module
        for name, module in sys.modules.items()
        if name.split(".")[0] in ("jaeger_client", "grpc_opentracing")
    }
    for name in before:
        del sys.modules[name]
    redirect()
    yield
    undo()
    sys.modules.update(before)


@pytest.mark.usefixtures("redirected")
def test_both_names_mean_one_module() -> None:
    import jaeger_client.metrics.prometheus as theirs

    from ot_bridge.jaeger_client.metrics import prometheus as ours

    assert theirs is ours
    assert sys.modules["jaeger_client"] is jaeger_client
    assert importlib.import_module("grpc_opentracing.grpcext") is grpc_opentracing.grpcext  # type: ignore[attr-defined]
    spec = jaeger_client.__spec__
    assert spec is not None
    assert spec.name == jaeger_client.__name__ == "ot_bridge.jaeger_client"


@pytest.mark.usefixtures("redirected")
def test_a_part_that_is_not_ours_is_named() -> None:
    with pytest.raises(
        ModuleNotFoundError, match=r"jaeger_client\.thrift_gen is not among the parts"
    ) as raised:
        importlib.import_module("jaeger_client.thrift_gen")
    assert raised.value.name == "jaeger_client.thrift_gen"


@pytest.mark.usefixtures("redirected")
def test_undo_gives_the_real_ones_back() -> None:
    assert importlib.import_module("jaeger_client") is jaeger_client
    importlib.import_module("jaeger_client.config")
    undo()
    real = importlib.import_module("jaeger_client")
    assert real is not jaeger_client
    assert real.Config.__module__ == "jaeger_client.config"
    for name in [name for name in sys.modules if name.split(".")[0] == "jaeger_client"]:
        del sys.modules[name]


@pytest.mark.usefixtures("redirected")
def test_redirecting_twice_is_redirecting_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert redirect() == ["jaeger_client", "grpc_opentracing"]
    assert len([each for each in sys.meta_path if isinstance(each, Finder)]) == 1


def test_what_was_imported_before_is_left_alone_and_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    early = ModuleType("jaeger_client")
    monkeypatch.setitem(sys.modules, "jaeger_client", early)
    monkeypatch.delitem(sys.modules, "grpc_opentracing", raising=False)
    with caplog.at_level(logging.WARNING, "ot_bridge"):
        redirect()
    undo()
    assert sys.modules["jaeger_client"] is early
    assert "imported before redirect(), and therefore left as they are: jaeger_client" in caplog.text


def test_the_instrumentor_redirects_and_gives_a_global_tracer(monkeypatch: pytest.MonkeyPatch) -> None:
    from ot_bridge.bridge import Tracer

    monkeypatch.setattr(opentracing, "tracer", opentracing.Tracer())
    monkeypatch.setattr(opentracing, "is_tracer_registered", False)
    instrumentor = OpenTracingInstrumentor()
    instrumentor.instrument(skip_dep_check=True)
    assert any(isinstance(each, Finder) for each in sys.meta_path)
    tracer = opentracing.global_tracer()
    assert isinstance(tracer, Tracer)
    instrumentor.instrument()
    assert opentracing.global_tracer() is tracer
    instrumentor.uninstrument()
    assert not any(isinstance(each, Finder) for each in sys.meta_path)
    assert not opentracing.is_global_tracer_registered()


def test_opentelemetry_instrument_is_enough(directory: Path, collector: Collector) -> None:
    code = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
    command = [sys.executable, "-c", code, sys.executable, "app.py"]
    done = subprocess.run(
        command,
        cwd=directory,
        env=programs.environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_METRICS_EXPORTER="none",
            OTEL_LOGS_EXPORTER="none",
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "ot_bridge.jaeger_client.config\n"), done.stderr
    assert collector.names == ["op"]
