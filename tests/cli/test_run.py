"""`ot-bridge run`, and the redirection beneath it: one program, every way to start it."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
import zipapp
import zipfile
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import opentracing
import pytest

from ot_bridge import grpc_opentracing, jaeger_client
from ot_bridge.cli.interpreter import interpreter_of
from ot_bridge.cli.main import main
from ot_bridge.cli.run import SITE, command_of, environment
from ot_bridge.instrumentor import OpenTracingInstrumentor
from ot_bridge.redirect import Finder, redirect, undo
from tests.cli import programs
from tests.jaeger.servers import Collector, running

REDIRECTED = f"ot-bridge: imports redirected in {sys.executable}: jaeger_client -> ot_bridge.jaeger_client"


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
def test_an_unchanged_program_runs_on_our_jaeger_client(
    command: list[str], directory: Path, collector: Collector
) -> None:
    if command[0] == "app.py":
        (directory / "app.py").chmod(0o755)
        command = [str(directory / "app.py")]
    done = programs.run("run", "--", *command, cwd=directory, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert (done.returncode, done.stdout) == (0, "ot_bridge.jaeger_client.config\n"), done.stderr
    assert done.stderr.startswith(REDIRECTED)
    assert done.stderr.count("redirected") == 1
    assert collector.names == ["op"]
    assert collector.resource["service.name"] == "program"


def test_run_replaces_its_process_by_the_program(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    became: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda *how: became.append(how))
    assert main(["run", "--", sys.executable, "app.py"]) == 0
    ((program, words, environ),) = became
    assert (program, words) == (sys.executable, [sys.executable, "app.py"])
    assert environ["PYTHONPATH"].split(os.pathsep)[0] == SITE
    assert "OT_BRIDGE_QUIET" not in environ


def test_quiet_prints_nothing(directory: Path) -> None:
    done = programs.run("run", "--quiet", "--", sys.executable, "-c", "print('hello')", cwd=directory)
    assert (done.stdout, done.stderr) == ("hello\n", "")


def test_exit_status_and_signals_are_the_programs_own() -> None:
    done = programs.run("run", "--quiet", "--", sys.executable, "-c", "raise SystemExit(7)")
    assert done.returncode == 7
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    done = programs.run("run", "--quiet", "--", sys.executable, "-c", kill)
    assert done.returncode == -signal.SIGTERM


REFUSED = {
    "no program": ([], 2, "no program given; for example: ot-bridge run -- python app.py"),
    "nothing behind the dashes": (["--"], 2, "no program given; for example: ot-bridge run -- python app.py"),
    "not there": (["--", "no-such-program"], 127, "no-such-program: not found"),
    "a text": (
        ["--", "./text"],
        126,
        "./text: is not executable (chmod +x, or name its interpreter)",
    ),
    "no format": (["--", "./garbage"], 126, "./garbage: Exec format error"),
}


@pytest.mark.parametrize(("arguments", "status", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_command_that_cannot_be_run_gives_an_error_message(
    arguments: list[str],
    status: int,
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("no program")
    Path("garbage").write_bytes(b"\x00\x01")
    Path("garbage").chmod(0o755)
    assert main(["run", *arguments]) == status
    assert capsys.readouterr().err == f"ot-bridge run: {problem}\n"


def test_if_exec_is_missing_run_waits_for_the_program(tmp_path: Path) -> None:
    """As on Windows; its exit status is passed on."""
    code = (
        "import os, sys\n"
        "from ot_bridge.cli import run\n"
        "run._become = run._wait_for\n"
        "from ot_bridge.cli.main import main\n"
        "program = 'import sys; print(sys.argv); sys.exit(7)'\n"
        "sys.exit(main(['run', '--', sys.executable, '-c', program, 'a b']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=programs.environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (7, "['-c', 'a b']\n"), done.stderr
    assert done.stderr.startswith(REDIRECTED)


def test_the_command_line_is_passed_on_as_it_is() -> None:
    assert command_of(["--", "gunicorn", "--preload", "--", "app"]) == ["gunicorn", "--preload", "--", "app"]
    assert command_of(["app.py", "-v"]) == [sys.executable, "app.py", "-v"]


def test_pythonpath_is_put_before_what_is_there_once() -> None:
    once = environment({"PYTHONPATH": f"/mine{os.pathsep}", "HOME": "/"})
    assert once == {"PYTHONPATH": f"{SITE}{os.pathsep}/mine", "HOME": "/"}
    assert environment(once) == once


def test_the_real_packages_need_not_be_installed(directory: Path, collector: Collector) -> None:
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


def test_the_users_own_sitecustomize_still_runs(directory: Path) -> None:
    (directory / "sitecustomize.py").write_text("import sys; sys.mine = 'customized'")
    program = "import sys, sitecustomize; print(sys.mine, sitecustomize.__file__)"
    done = programs.run("run", "--quiet", "--", sys.executable, "-c", program, PYTHONPATH=str(directory))
    assert done.stdout.split() == ["customized", str(directory / "sitecustomize.py")]


REAL = "import jaeger_client.config; print(jaeger_client.name, jaeger_client.config.name)"


@pytest.fixture
def other_python(tmp_path: Path) -> list[str]:
    """A Python without ot_bridge, in an environment of its own; a package called jaeger_client is there."""
    package = tmp_path / "other" / "jaeger_client"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("name = 'real'")
    (package / "config.py").write_text("name = 'real, too'")
    (tmp_path / "other" / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    (tmp_path / "other" / "bin").mkdir()
    python = tmp_path / "other" / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())
    return [str(python), "-c", f"import sys; sys.path.append({str(package.parent)!r}); {REAL}"]


def test_a_python_without_ot_bridge_imports_the_real_packages_with_a_message(
    other_python: list[str], tmp_path: Path
) -> None:
    done = programs.run("run", "--", *other_python, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "real real, too\n"), done.stderr
    message = f"jaeger_client is not redirected: ot_bridge is not installed in {other_python[0]}\n"
    assert done.stderr == message


ISOLATED = {
    "-I": [sys.executable, "-I", "app.py"],
    "-E": [sys.executable, "-uE", "app.py"],
    "-S": [sys.executable, "-W", "ignore", "-S", "app.py"],
    "a script's first line": ["./app"],
    "env": ["env", "A=1", sys.executable, "-I", "app.py"],
}


@pytest.mark.parametrize("command", ISOLATED.values(), ids=ISOLATED)
def test_a_program_that_cannot_be_redirected_runs_unchanged_with_a_message(
    command: list[str], tmp_path: Path
) -> None:
    packages = str(Path(pytest.__file__).parent.parent)
    (tmp_path / "app.py").write_text(
        f"#!{sys.executable} -E\n"
        f"import sys; sys.path.append({packages!r})\n"
        "import jaeger_client; print(jaeger_client.Config.__module__)\n"
    )
    shutil.copy(tmp_path / "app.py", tmp_path / "app")
    (tmp_path / "app").chmod(0o755)
    done = programs.run("run", "--", *command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "jaeger_client.config\n"), done.stderr
    assert done.stderr.startswith("ot-bridge: nothing is redirected: Python's option -")
    assert "imports redirected" not in done.stderr


def test_a_zipapp_with_jaeger_client_in_it_is_redirected(tmp_path: Path, collector: Collector) -> None:
    source = tmp_path / "source"
    (source / "jaeger_client").mkdir(parents=True)
    (source / "jaeger_client" / "__init__.py").write_text("raise RuntimeError('the real one')")
    (source / "__main__.py").write_text(programs.PROGRAM)
    zipapp.create_archive(source, tmp_path / "app.pyz", interpreter="/usr/bin/env python3")
    done = programs.run(
        "run", "--", sys.executable, "app.pyz", cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url
    )
    assert (done.returncode, done.stdout) == (0, "ot_bridge.jaeger_client.config\n"), done.stderr
    assert collector.names == ["op"]


PEX_PROGRAM = """
import os
if os.environ["WAY_OUT"]:
    from ot_bridge.redirect import redirect
    redirect()
import jaeger_client
print(jaeger_client.Config.__module__)
"""


@pytest.fixture(scope="module")
def pex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a PEX file, which takes other packages from the Python that runs it."""
    pytest.importorskip("pex")
    directory = tmp_path_factory.mktemp("pex")
    (directory / "source").mkdir()
    (directory / "source" / "app.py").write_text(PEX_PROGRAM)
    command = ["-m", "pex", "-D", "source", "-m", "app", "-o", "app.pex", "--inherit-path=prefer"]
    variables = programs.environment(PEX_ROOT=str(directory / "root"))
    subprocess.run([sys.executable, *command], cwd=directory, env=variables, check=True, timeout=100)
    return directory


@pytest.mark.soak  # to make the file takes seconds
@pytest.mark.parametrize(
    ("way_out", "printed"),
    [("", "jaeger_client.config\n"), ("redirect()", "ot_bridge.jaeger_client.config\n")],
    ids=["as it is", "with the way out"],
)
def test_a_pex_file_is_not_redirected_and_one_message_says_so(way_out: str, printed: str, pex: Path) -> None:
    variables = {"PEX_ROOT": str(pex / "root"), "WAY_OUT": way_out}
    done = programs.run("run", "--", sys.executable, "app.pex", cwd=pex, **variables)
    assert (done.returncode, done.stdout) == (0, printed), done.stderr
    assert done.stderr == (
        "ot-bridge: nothing is redirected: a PEX file restarts itself without PYTHONPATH: build it with"
        " ot-bridge in it, and call ot_bridge.redirect.redirect() first in the program\n"
    )


LINES = {
    "python": ([sys.executable, "-X", "dev", "-m", "pkg", "-E"], sys.executable, ""),
    "a joined value": ([sys.executable, "-Wignore", "-c", "-E"], sys.executable, ""),
    "isolated": ([sys.executable, "-sE", "x"], sys.executable, "option -E"),
    "isolated with a module": ([sys.executable, "-Im", "x"], sys.executable, "option -I"),
    "env": (["env", "-u", "X", "A=1", sys.executable, "-S"], sys.executable, "option -S"),
    "env's own splitting": (["./split"], sys.executable, "option -I"),
    "a script": (["./script", "-E"], sys.executable, ""),
    "a script with an option": (["./isolated"], sys.executable, "option -E"),
    "pex": ([sys.executable, "app.pex"], sys.executable, "a PEX file restarts itself"),
    "no python": (["sh", "-c", "true"], "", ""),
    "not there": (["no-such-program"], "", ""),
    "a circle": (["./circle"], "", ""),
    "nothing": ([], "", ""),
}


@pytest.mark.parametrize(("command", "python", "hindrance"), LINES.values(), ids=LINES)
def test_the_python_behind_a_command_line_is_found(
    command: list[str], python: str, hindrance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("app.pex", "w") as packed:
        packed.writestr("PEX-INFO", "{}")
    for name, line in {
        "script": sys.executable,
        "isolated": f"{sys.executable} -E",
        "split": f"/usr/bin/env -S {sys.executable} -I",
        "circle": f"{tmp_path}/circle",
    }.items():
        Path(name).write_text(f"#!{line}\n")
        Path(name).chmod(0o755)
    found = interpreter_of(command)
    assert found.python == python
    assert hindrance in found.hindrance
    assert bool(hindrance) == bool(found.hindrance)


def test_an_error_in_the_redirection_is_printed_and_the_program_runs(tmp_path: Path) -> None:
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


def test_redirection_alone_imports_no_tracing_package() -> None:
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
def test_both_names_refer_to_the_same_module() -> None:
    import jaeger_client.metrics.prometheus as theirs

    from ot_bridge.jaeger_client.metrics import prometheus as ours

    assert theirs is ours
    assert sys.modules["jaeger_client"] is jaeger_client
    assert importlib.import_module("grpc_opentracing.grpcext") is grpc_opentracing.grpcext  # type: ignore[attr-defined]
    spec = jaeger_client.__spec__
    assert spec is not None
    assert spec.name == jaeger_client.__name__ == "ot_bridge.jaeger_client"


@pytest.mark.usefixtures("redirected")
def test_a_missing_submodule_is_not_found_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    assert importlib.util.find_spec("jaeger_client.nope") is None
    with pytest.raises(ModuleNotFoundError, match=r"jaeger_client\.nope") as raised:
        importlib.import_module("jaeger_client.nope")
    assert raised.value.name == "jaeger_client.nope"
    message = "jaeger_client.nope is not among the parts of jaeger_client that ot_bridge stands in for"
    assert caplog.messages == [message]


@pytest.mark.usefixtures("redirected")
def test_a_package_that_is_already_imported_is_not_redirected_in_part() -> None:
    undo()
    real = importlib.import_module("jaeger_client")
    redirect()
    assert importlib.import_module("jaeger_client.thrift").__file__.startswith(real.__path__[0])  # type: ignore[union-attr]
    for name in [name for name in sys.modules if name.split(".")[0] == "jaeger_client"]:
        del sys.modules[name]


@pytest.mark.usefixtures("redirected")
def test_undo_restores_the_real_packages() -> None:
    assert importlib.import_module("jaeger_client") is jaeger_client
    importlib.import_module("jaeger_client.config")
    undo()
    real = importlib.import_module("jaeger_client")
    assert real is not jaeger_client
    assert real.Config.__module__ == "jaeger_client.config"
    for name in [name for name in sys.modules if name.split(".")[0] == "jaeger_client"]:
        del sys.modules[name]


@pytest.mark.usefixtures("redirected")
def test_redirecting_twice_has_the_same_effect_as_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert redirect() == ["jaeger_client", "grpc_opentracing"]
    assert len([each for each in sys.meta_path if isinstance(each, Finder)]) == 1


@pytest.mark.usefixtures("redirected")
def test_redirection_comes_before_every_other_way_to_find_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(MetaPathFinder):
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
            return importlib.machinery.ModuleSpec(name, None) if name == "jaeger_client" else None

    undo()
    monkeypatch.setattr(sys, "meta_path", [Other(), *sys.meta_path])
    redirect()
    assert importlib.import_module("jaeger_client") is jaeger_client


def test_packages_that_were_imported_before_are_left_alone_and_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    early = ModuleType("jaeger_client")
    monkeypatch.setitem(sys.modules, "jaeger_client", early)
    monkeypatch.delitem(sys.modules, "grpc_opentracing", raising=False)
    with caplog.at_level(logging.WARNING, "ot_bridge"):
        redirect()
    undo()
    assert sys.modules["jaeger_client"] is early
    assert "imported before redirect(), therefore not redirected: jaeger_client" in caplog.text


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


def test_opentelemetry_instrument_redirects_without_ot_bridge_run(
    directory: Path, collector: Collector
) -> None:
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
