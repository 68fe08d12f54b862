"""What all commands share: help, exit statuses, broken pipes, full disks, and `python -m ot_bridge`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ot_bridge.cli.main import COMMANDS, main
from tests.cli import programs

UBER = "uber-trace-id: 5b8aa5a2d2c872e8:51581bf3cb55c13:0:1"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_and_exit_statuses(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as over:
        main([command, "--help"])
    assert over.value.code == 0
    text = capsys.readouterr().out
    examples = text.partition("examples:")[2].partition("\n\n")[0].splitlines()[1:]
    assert {line.split("ot-bridge ")[1].split()[0] for line in examples if "ot-bridge " in line} == {command}
    usage = text.partition("\n\n")[0]
    assert any(f"{command} " in line and " -- " in line for line in examples) <= (
        "-- COMMAND" in usage or usage.endswith("...")
    )
    assert "examples:" in text
    assert "exit status:" in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_help_lists_the_commands_and_what_applies_to_all_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for words in (*COMMANDS, "Windows", "exit status: 0 success"):
        assert words in text


MISSING = {"rewrite": ("libcst", ["src"], "migrate"), "demo": ("grpc", [], "demo")}


@pytest.mark.parametrize(("command", "missing"), MISSING.items(), ids=MISSING)
def test_a_command_whose_package_is_missing_says_what_to_install(
    command: str, missing: tuple[str, list[str], str]
) -> None:
    package, arguments, extra = missing
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"from ot_bridge.cli.main import main; main({[command, *arguments]!r})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    needed = f"ot-bridge {command} needs {package}: pip install 'ot-bridge[{extra}]'\n"
    assert (done.returncode, done.stderr) == (2, needed)


def test_a_broken_installation_is_not_reported_as_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot_bridge.cli.decode", None)
    with pytest.raises(ModuleNotFoundError):
        main(["decode", UBER])


def test_the_command_can_also_be_run_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ot_bridge", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("ot-bridge ")


INTERRUPTED = """
import sys
from ot_bridge.cli.main import main
class Finder:
    def find_spec(name, path=None, target=None):
        if name == sys.argv[1]:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder)
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("moment", ["ot_bridge.cli.doctor", "ot_bridge.cli.checkup.reasons"])
def test_ctrl_c_ends_a_command_quietly_even_while_it_loads(moment: str) -> None:
    done = programs.python("-c", INTERRUPTED, moment, "doctor", "--no-send")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def _into(target: int, *command: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "ot_bridge", *command],
        stdout=target,
        stderr=subprocess.PIPE,
        env=programs.environment(),
        text=True,
        timeout=50,
        check=False,
    )
    return done.returncode, done.stderr


SILENT = programs.PROGRAM.rpartition("print(")[0]
COMPARED = ["compare", "--", sys.executable, "-c", SILENT]


@pytest.mark.parametrize(
    "command",
    [["decode", UBER], ["doctor", "--no-send"], ["demo"], ["demo", "--html", "-"], COMPARED],
    ids=lambda each: " ".join(each[:2]),
)
def test_a_closed_pipe_ends_the_command_quietly(command: list[str]) -> None:
    """Row J4."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert _into(writing, *command) == (141, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_disk_gives_an_error_message() -> None:
    with open("/dev/full", "wb") as full:
        status, printed = _into(full.fileno(), "decode", UBER)
    assert (status, printed) == (
        2,
        "ot-bridge decode: the output cannot be written: No space left on device\n",
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_disk_gives_an_error_message_of_compare_whatever_program_it_runs() -> None:
    with open("/dev/full", "wb") as full:
        status, printed = _into(full.fileno(), *COMPARED)
    assert (status, printed.splitlines()[-1]) == (
        2,
        "ot-bridge compare: the output cannot be written: No space left on device",
    )


CLOSED = {
    "stdin": ("decode <&-", 2),
    "stdout": ("demo >&-", 0),
    "stderr": ("decode nonsense 2>&-", 2),
    "stderr of run": ("run -- $PYTHON -c 'raise SystemExit(3)' 2>&-", 3),
    "all": ("view no-such-file <&- >&- 2>&-", 2),
}


@pytest.mark.skipif(os.name == "nt", reason="needs a shell of POSIX")
@pytest.mark.parametrize(("line", "status"), CLOSED.values(), ids=CLOSED)
def test_a_closed_standard_stream_does_not_change_the_exit_status(line: str, status: int) -> None:
    done = subprocess.run(
        f"$PYTHON -m ot_bridge {line}",
        shell=True,
        capture_output=True,
        text=True,
        env=programs.environment(PYTHON=sys.executable),
        timeout=50,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr
    assert "stderr" not in line or done.stdout == ""


def test_a_character_that_the_encoding_lacks_is_escaped() -> None:
    done = programs.run("doctor", "--no-send", OTEL_SERVICE_NAME="caf\u00e9", PYTHONIOENCODING="ascii")
    assert "caf\\xe9" in done.stdout, done.stderr


def test_the_package_contains_no_symbolic_links() -> None:
    """git on Windows makes a file of one."""
    package = Path(__file__).parent.parent.parent / "ot_bridge"
    assert not [path for path in package.rglob("*") if path.is_symlink()]
