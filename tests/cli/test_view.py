"""`ot-bridge view`, as it is called."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.cli import viewing
from ot_bridge.cli.checkup import effective
from ot_bridge.cli.main import main
from ot_bridge.otlp.decode_json import encode_json
from ot_bridge.view.app import NAMES, Viewer
from ot_bridge.view.serving import Server, bound
from ot_bridge.view.store import Store
from tests.cli import programs
from tests.receiver import HttpReceiver, free_port
from tests.view.spans import many
from tests.view.viewers import viewer

#: The command line, on any free port in place of 4318, which another test may have.
ANY_PORT = (
    "import sys; from ot_bridge.cli import viewing; viewing.PORT = 0; from ot_bridge.cli.main import main;"
    " sys.exit(main())"
)


@contextmanager
def started(
    *arguments: str, cwd: Path | None = None, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process of a command, and the address that it printed. `run` prints it on standard error."""
    process = subprocess.Popen(
        [sys.executable, "-c", ANY_PORT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=programs.environment(**variables),
    )
    try:
        stream = process.stderr if arguments[0] == "run" else process.stdout
        assert stream is not None
        line = next((line for line in stream if "shown at" in line), "")
        yield process, line.split(" at ")[1].split()[0] if line else ""
    finally:
        process.kill()
        process.communicate()


def names(address: str) -> list[str]:
    """The names of the traces' first spans that the viewer lists, newest first."""
    with urllib.request.urlopen(f"{address}api/traces?after=0", timeout=10) as response:
        found = sorted(json.load(response)["traces"], key=lambda each: -int(each["at"]))
    return [each["name"] for each in found]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_viewer_ends_quietly_on_a_signal_and_exports_no_spans_of_its_own(
    number: int, tmp_path: Path
) -> None:
    file = tmp_path / "traces.json"
    file.write_text(encode_json(many(10)))
    with (
        socket.create_server(("127.0.0.1", 0)) as collector,
        started(
            "view",
            "--port",
            "0",
            str(file),
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.getsockname()[1]}",
            OTEL_TRACES_EXPORTER="otlp",
        ) as (process, address),
    ):
        with urllib.request.urlopen(address + "api/traces?after=0", timeout=10) as response:
            assert [each["spans"] for each in json.load(response)["traces"]] == [10]
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        collector.settimeout(0.1)
        with pytest.raises(TimeoutError):
            collector.accept()


@pytest.mark.parametrize("arguments", [["view"], ["demo", "--view"]], ids=" ".join)
def test_a_signal_that_comes_as_soon_as_the_address_is_printed_ends_it_quietly(arguments: list[str]) -> None:
    program = (
        "import os, signal, sys; from ot_bridge.cli import viewing; viewing.PORT = 0\n"
        "real = viewing.announce\n"
        "viewing.announce = lambda address: (real(address), os.kill(os.getpid(), signal.SIGTERM))\n"
        "from ot_bridge.cli.main import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=programs.environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Traces are shown at" in done.stdout


def test_a_signal_that_comes_while_the_program_starts_ends_it() -> None:
    program = (
        "import os, signal, subprocess, sys; from ot_bridge.cli import viewing; viewing.PORT = 0\n"
        "class Popen(subprocess.Popen):\n"
        "    def __init__(self, *args, **more):\n"
        "        super().__init__(*args, **more)\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "subprocess.Popen = Popen\n"
        "from ot_bridge.cli.main import main; sys.exit(main())"
    )
    sleep = [sys.executable, "-c", "import time; time.sleep(20)"]
    done = programs.python("-c", program, "run", "--view", "--", *sleep)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert "has ended" not in done.stderr


def test_run_shows_traces_in_the_viewer_that_is_already_running() -> None:
    (listening,) = bound(["127.0.0.1"], 0)
    server = Server(Viewer(Store()), listening, print)
    command = ANY_PORT.replace("PORT = 0", f"PORT = {server.port}")
    try:
        done = programs.python(
            "-c", command, *("run", "--quiet", "--view", "--", sys.executable, "-c", "print(1)")
        )
    finally:
        server.stop()
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert done.stderr == f"ot-bridge run: traces are shown at http://127.0.0.1:{server.port}/\n"


def test_if_another_program_has_the_port_a_free_one_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[viewing.Address] = []

    def announce(address: viewing.Address) -> None:
        found.append(address)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(viewing, "announce", announce)
    with HttpReceiver() as other:
        monkeypatch.setattr(viewing, "PORT", other.port)
        assert main(["view", "--host", "127.0.0.1"]) == 0
    assert capsys.readouterr().out == (
        f"Port {viewing.PORT} is taken by another program. For programs to send here:\n"
        f"export OTEL_EXPORTER_OTLP_ENDPOINT={found[0].url}\n"
    )


def test_a_requested_port_that_is_in_use_gives_an_error_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(viewing, "PORT", free_port())
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert main(["view", "--port", str(other.getsockname()[1])]) == 2
        taken = f"ot-bridge view: port {other.getsockname()[1]} cannot be listened on: "
    assert capsys.readouterr().err.startswith(taken)
    assert main(["view", "--host", "203.0.113.1"]) == 2  # an address of no machine
    assert capsys.readouterr().err.startswith(f"ot-bridge view: port {viewing.PORT} cannot be listened on: ")
    assert main(["view", "--port", "65536"]) == 2
    assert capsys.readouterr().err.startswith("ot-bridge view: port 65536 cannot be listened on: ")


def test_a_viewer_that_is_already_running_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (listening,) = bound(["127.0.0.1"], 0)
    server = Server(Viewer(Store()), listening, print)
    monkeypatch.setattr(viewing, "PORT", server.port)
    try:
        assert main(["view"]) == 0
        printed = capsys.readouterr()
        assert printed.out == f"Traces are shown at http://127.0.0.1:{server.port}/\n"
        assert printed.err == "ot-bridge view: it runs already\n"
    finally:
        server.stop()


def test_a_port_in_use_by_another_program_is_avoided_and_the_line_to_copy_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.01)
        monkeypatch.setattr(viewing, "PORT", other.getsockname()[1])
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        threading.Timer(3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        try:
            before = time.monotonic()
            assert main(["view"]) == 0
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        assert time.monotonic() - before < 30
    (port,) = re.findall(
        r"^export OTEL_EXPORTER_OTLP_ENDPOINT=http://127\.0\.0\.1:(\d+)$", capsys.readouterr().out, re.M
    )
    assert int(port) > 1023


def test_an_unchanged_program_is_seen_in_the_viewer_and_its_exit_status_is_passed_on(tmp_path: Path) -> None:
    """The program's settings (a sampler that drops everything, another collector) are overridden."""
    program = programs.PROGRAM.replace('"param": 1', '"param": 0')
    (tmp_path / "app.py").write_text(program + "raise SystemExit(3)\n")
    elsewhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.invalid", "OTEL_TRACES_EXPORTER": "console"}
    command = ["run", "--view", "--", sys.executable, "app.py"]
    lines: list[str] = []
    with started(*command, cwd=tmp_path, **elsewhere) as (process, address):
        assert process.stderr is not None
        while "stays until Ctrl-C" not in "".join(lines[-1:]):
            lines.append(process.stderr.readline())
            assert lines[-1]
        assert names(address) == ["op"]
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=20)
        assert (process.returncode, out) == (3, "ot_bridge.jaeger_client.config\n")
    assert "imports redirected" in lines[0]
    assert lines[1].startswith("ot-bridge run: the program has ended with exit status 3; the viewer stays")
    assert (lines[2:], rest) == ([], "")


SERVER = "import os, time; open('new', 'w').close(); os.rename('new', 'up'); time.sleep(60)"


def test_a_signal_to_run_with_a_viewer_ends_the_program(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ANY_PORT, "run", "--view", "--quiet", "--", sys.executable, "-c", SERVER],
        cwd=tmp_path,
        env=programs.environment(),
        stderr=subprocess.DEVNULL,
    )
    while not (tmp_path / "up").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM


def test_a_program_is_seen_in_the_viewer_that_is_already_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(programs.PROGRAM)
    with viewer() as running:
        other = ANY_PORT.replace("PORT = 0", f"PORT = {running.port}")
        done = subprocess.run(
            [sys.executable, "-c", other, "run", "--view", "--", sys.executable, "app.py"],
            cwd=tmp_path,
            env=programs.environment(),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "ot_bridge.jaeger_client.config\n"), done.stderr
        assert [each["name"] for each in running.list()] == ["op"]


def test_the_demo_is_seen_in_the_viewer() -> None:
    with started("demo", "--view") as (process, address):
        assert len(names(address)) == 5
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_the_viewer_listens_on_both_addresses_of_localhost() -> None:
    sockets = bound(["127.0.0.1", "::1"], 0)
    assert len({each.getsockname()[1] for each in sockets}) == 1
    assert sockets[1].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    for each in sockets:
        each.close()


def test_a_file_that_cannot_be_read_gives_an_error_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    assert main(["view", str(bad)]) == 2
    assert capsys.readouterr().err.startswith(f"ot-bridge view: {bad} cannot be read: ")
    assert main(["view", str(tmp_path / "none.json")]) == 2
    problem = f"{tmp_path / 'none.json'} cannot be read: No such file or directory"
    assert capsys.readouterr().err == f"ot-bridge view: {problem}\n"
    assert main(["view", "--keep", "0"]) == 2
    assert capsys.readouterr().err == "ot-bridge view: --keep needs a number of traces, at least 1\n"
    assert main(["view", "--keep", "1", str(bad)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_listening_on_all_addresses_is_warned_of_once() -> None:
    with started("view", "--host", "0.0.0.0", "--host", "traces.lan", "--port", "0") as (process, address):
        for host in ("10.1.2.3", "traces.lan", "localhost"):
            request = urllib.request.Request(address, headers={"Host": host})
            with urllib.request.urlopen(request, timeout=10) as response:
                assert response.status == 200
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(address, headers={"Host": "a.lan"}), timeout=10)
        refused.value.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr is not None
        note = "everyone who reaches this machine can read the traces."
        lines = [line for line in process.stderr.read().splitlines() if "left out" not in line]
        assert lines == [f"ot-bridge view: {note} A name in the Host header must be given with --host"]


def test_a_program_with_a_viewer_sends_its_spans_there_whatever_is_set() -> None:
    names = (
        "CONFIG_FILE",
        "TRACES_EXPORTER",
        "EXPORTER_OTLP_TRACES_PROTOCOL",
        "EXPORTER_OTLP_TRACES_ENDPOINT",
    )
    code = f"import os; print([os.environ[f'OTEL_{{name}}'] for name in {names}], flush=True)"
    others: dict[str, Any] = dict.fromkeys((f"OTEL_{name}" for name in names), "other")
    with started("run", "--view", "--", sys.executable, "-c", code, **others) as (process, address):
        assert process.stdout is not None
        line = process.stdout.readline()
    assert line == f"{['', 'otlp', 'http/protobuf', f'{address}v1/traces']}\n"


@pytest.mark.parametrize(
    ("hosts", "public"),
    [(["0.0.0.0"], True), (["::"], True), (["a.lan", "::"], True), (["10.0.0.1"], False), (["a.lan"], False)],
)
def test_on_all_addresses_every_address_is_accepted_as_host(
    hosts: list[str], public: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def started(store: Store, addresses: list[str], names: set[str], port: int) -> Iterator[viewing.Address]:
        assert addresses == ([host for host in hosts if host != "a.lan"] or ["127.0.0.1", "::1"])
        assert names == {*NAMES, *hosts, *([Viewer.ANY_ADDRESS] * public)}
        yield viewing.Address(port, True)

    monkeypatch.setattr(viewing, "viewer", started)
    monkeypatch.setattr(viewing, "serve", lambda address, ended: None)
    assert main(["view", "--port", "0", *(word for host in hosts for word in ("--host", host))]) == 0
    assert ("everyone who reaches this machine" in capsys.readouterr().err) is public


@pytest.mark.parametrize("option", [[], ["--open"]], ids=["nothing", "open"])
def test_the_page_is_opened_in_a_browser_on_request(
    option: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(viewing, "serve", lambda address, ended: None)
    assert main(["view", "--port", "0", *option]) == 0
    assert opened == re.findall(r"http://\S+/", capsys.readouterr().out) * len(option)


def test_the_viewer_listens_where_exporters_send_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert effective.target() == f"http://localhost:{viewing.PORT}/v1/traces"


def test_only_the_address_is_printed_if_the_port_is_requested(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(viewing, "serve", lambda address, ended: None)
    assert main(["view", "--port", "0"]) == 0
    line = r"Traces are shown at http://127\.0\.0\.1:\d+/ \(Ctrl-C ends it\)\n"
    assert re.fullmatch(line, capsys.readouterr().out)


def test_a_real_collector_reads_what_is_downloaded() -> None:
    pytest.importorskip("rotel", reason="rotel has wheels for Linux and macOS only")
    from tests.cli.test_demo import collector

    with HttpReceiver() as receiver, collector(receiver) as url:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/v1/traces", encode_json(many(30)).encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.status == 200
        spans = {span.name: span for span in receiver.wait(30)}
    assert len(spans) == 30
    assert spans["span 2"].parent_span_id == bytes.fromhex(f"{1:016x}")
    assert {each.key for each in spans["span 2"].attributes} == {"number", "user"}


def test_ports_for_old_clients_and_grpc_that_are_in_use_are_skipped_with_a_message_each() -> None:
    pytest.importorskip("grpc")
    with started("view", "--port", "0"), started("view", "--port", "0") as (second, address):
        assert names(address) == []
        second.send_signal(signal.SIGTERM)
        _, lines = second.communicate(timeout=20)
    assert lines.splitlines() == [
        "ot-bridge view: Jaeger's packets (UDP 6831): left out, as the port is taken",
        "ot-bridge view: OTLP over gRPC (4317): left out, as the port is taken",
    ]


def test_without_grpcio_its_port_is_skipped_with_a_message_that_names_the_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(store: Store, host: str) -> None:
        raise OSError

    monkeypatch.setitem(sys.modules, "ot_bridge.view.grpc_port", None)
    monkeypatch.setattr(viewing, "_packets", taken)
    with viewing.viewer(Store(), ["127.0.0.1"], port=0) as address:
        assert address.ours
    packets, grpc = capsys.readouterr().err.splitlines()
    assert packets == "ot-bridge view: Jaeger's packets (UDP 6831): left out, as the port is taken"
    assert grpc == (
        "ot-bridge view: OTLP over gRPC (4317): left out, as grpcio is not installed "
        "(pip install 'ot-bridge[grpc]')"
    )
