"""What all commands share: help, exit statuses, broken pipes, full disks, and `python -m ot_bridge`."""

from __future__ import annotations

import os
import re
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


#: command -> the texts of its arguments in its help, and the last line
HELP = {
    "demo": [
        "print the traces as JSON",
        "print every span, also similar siblings in a row",
        "also write the traces as a page (-: to standard output)",
        "also send the spans to this collector (OTLP over HTTP)",
        "show the traces in a browser, until Ctrl-C",
        "show sampling rules, and the segments that AWS X-Ray receives",
        "--html cannot be written.",
    ],
    "decode": [
        "'name: value', or a curl command",
        "a header, as for curl -H",
        "exit status: 0 all headers could be read, 1 at least one was refused, 2 none was a tracing header.",
    ],
    "run": [
        "the program and its arguments, after --",
        "do not print what is redirected",
        "print each trace on standard error when it ends",
        "show the traces in a browser",
        "On Windows this process waits for the program and returns its exit status.",
    ],
    "doctor": [
        "a Jaeger configuration in YAML, JSON or Python; - for stdin",
        "a request header to check",
        "the service name that the program passes to install() or Config",
        "print only OpenTelemetry's variables",
        "print only JSON",
        "send no span",
        "exit status: 0 nothing is wrong, 1 something is wrong, 2 the check failed (a file cannot be read).",
    ],
    "view": [
        "traces to show from the start, as OTLP in JSON",
        "an address to listen on (default: 127.0.0.1 and ::1), or a name to accept as Host",
        "port for OTLP over HTTP and for the page (default: 4318)",
        "number of traces to keep (default: 10000)",
        "open the page in a browser",
        (
            "exit status: 0 it was ended by Ctrl-C or SIGTERM, "
            "2 it cannot listen on the port or cannot read a file."
        ),
    ],
    "config": [
        "a Jaeger configuration in YAML, JSON or Python; - for stdin",
        "a request header to check",
        "the service name that the program passes to install() or Config",
        "print only OpenTelemetry's variables",
        "print only JSON",
        "exit status: 0 nothing is wrong, 1 something is wrong, 2 the check failed (a file cannot be read).",
    ],
    "compare": [
        "the program and its arguments, after --",
        "sample every trace in both runs",
        "a tag that may differ",
        "print the traces of both runs as trees",
        "write both runs side by side as a page that needs no network",
        "for servers: a shell command that sends requests",
        "wait before --then (default: 2)",
        "limit of each run (default: 120)",
        "could not be compared. Needs Linux, macOS or WSL.",
    ],
    "rewrite": [
        "a folder or a file",
        "show a diff (the default)",
        "change the files",
        "trust names such as span and tracer",
        "write OpenTelemetry's stable names for opentracing.tags",
        "print only JSON, which contains the diff",
        "exit status: 0 everything was rewritten; 1 something is left, below a mark; 2 wrong use",
    ],
    "check": [
        "a folder or a file",
        "print JSON and nothing else",
        "list the tags whose names change (docs/semconv.md); PATH may also be a file of OTLP in JSON",
        "with --tags: list the lines of dashboards, alerts and collector files that stop matching",
        "with --tags: run the program after -- and read its spans",
        "limit of that run (default: 60)",
        "file that cannot be read, or a run that did not end in time",
    ],
}


USAGE = """
check [-h] [--json] [--tags] [--in DIR] [--run] [--timeout SECONDS] [PATH ...] [-- COMMAND ...]
compare [-h] [--sample] [--ignore TAG] [--show] [--html FILE] [--then COMMAND] [--after SECONDS] [--timeout SECONDS] ...
config [-h] [-H HEADER] [--service-name NAME] [--otel] [--json] [file] [-- COMMAND ...]
decode [-h] [-H HEADER] [HEADER ...]
demo [-h] [--json] [--all] [--html FILE] [--otlp URL | --view | --xray]
doctor [-h] [-H HEADER] [--service-name NAME] [--otel] [--json] [--no-send] [file] [-- COMMAND ...]
rewrite [-h] [--diff | --write] [--trust-names] [--semconv] [--json] PATH [PATH ...]
run [-h] [--quiet] [--show] [--view] ...
view [-h] [--host HOST] [--port PORT] [--keep KEEP] [--open] [FILE ...]
"""  # noqa: E501


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_explains_each_argument(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # each explanation in one line
    with pytest.raises(SystemExit):
        main([command, "--help"])
    lines = [re.split(r"\s{2,}", line)[-1] for line in capsys.readouterr().out.splitlines()]
    summary = COMMANDS[command]
    assert lines[0].removeprefix("usage: ot-bridge ") in USAGE.splitlines()
    assert [line for line in HELP[command] if line not in lines] == []
    assert f"{summary[0].upper()}{summary[1:]}." in lines


def test_the_help_explains_each_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line.split(None, 1)[1] for line in lines if line.split(" ")[0] in COMMANDS] == [
        "send requests of older clients through a gateway and show the traces",
        "explain a tracing header, or why it is refused",
        "run a program on ot_bridge without changing it",
        "show the configuration, send one span, and find out why traces are missing",
        "show the traces that programs on this machine send, in a browser",
        "show the effective configuration, or translate Jaeger's",
        "run a program on jaeger-client and on ot_bridge and show how the traces differ",
        "rewrite OpenTracing calls to OpenTelemetry's API, and mark what a person decides",
        "report which parts of a code base work unchanged, work differently, or need a person",
    ]
    assert "OpenTracing code on OpenTelemetry." in lines
    assert lines[-1] == "macOS or WSL. All other commands are the same everywhere."


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


def test_options_cannot_be_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--no-sen"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --no-sen" in capsys.readouterr().err


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
