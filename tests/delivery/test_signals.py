"""`flush_on_sigterm`: if it is on, waiting spans are exported before SIGTERM ends the process (row D3)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ot_bridge
from ot_bridge.delivery import flush_on_sigterm, flush_on_sigterm_if_enabled
from tests.delivery.parts import ended, environment, hanging
from tests.receiver import HttpReceiver

PROGRAM = """
import os, signal, sys, threading, time
import ot_bridge

def work(*names):
    for name in names:
        tracer.start_span(name).finish()

def ready():
    work(*['a'] * 35)
    print('READY', flush=True)

{text}
for _ in range(600):
    time.sleep(0.05)  # a signal that comes just before a sleep takes effect after it
"""
INSTALL = "tracer = ot_bridge.install('signals', flush_on_sigterm=True)\nready()\n"
DROP_IN = """
from ot_bridge.jaeger_client import Config
tracer = Config({'sampler': {'type': 'const', 'param': 1}}, service_name='signals').initialize_tracer()
ready()
"""
VARIABLE = {"OT_BRIDGE_FLUSH_ON_SIGTERM": "true"}
ASYNCIO = """
import asyncio
tracer = ot_bridge.install('signals', flush_on_sigterm=True)
async def main():
    ready()
    await asyncio.sleep(30)
asyncio.run(main())
"""
CHILD = """
tracer = ot_bridge.install('signals', flush_on_sigterm=True)
if os.fork():
    _, status = os.wait()
    print(status, flush=True)
    os._exit(0)
ready()
print('CHILD', os.getpid(), flush=True)
"""


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as server:
        yield server


def _started(text: str, directory: Path, endpoint: str, **variables: str) -> subprocess.Popen[str]:
    (directory / "program.py").write_text(PROGRAM.format(text=text))
    base = endpoint.removesuffix("/v1/traces")
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": base, "OTEL_BSP_SCHEDULE_DELAY": "60000", **variables}
    process = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=directory,
        env=environment(**given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "READY\n"
    return process


@pytest.mark.parametrize(
    ("text", "variables", "arrive"),
    [
        (INSTALL, {}, 35),
        ("tracer = ot_bridge.install('signals')\nready()\n", VARIABLE, 35),
        (DROP_IN, VARIABLE, 35),
        (ASYNCIO, {}, 35),
        ("tracer = ot_bridge.install('signals')\nready()\n", {}, 0),
        ("tracer = ot_bridge.install('signals', flush_on_sigterm=False)\nready()\n", VARIABLE, 0),
    ],
    ids=["install()", "install() by the variable", "the drop-in", "asyncio", "not enabled", "refused"],
)
def test_waiting_spans_are_exported_and_the_process_dies_of_the_signal(
    text: str, variables: dict[str, str], arrive: int, receiver: HttpReceiver, tmp_path: Path
) -> None:
    process = _started(text, tmp_path, receiver.endpoint, **variables)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (-signal.SIGTERM, "")
    assert len(receiver.spans) == arrive


def test_a_hanging_collector_delays_the_end_of_the_process_by_two_seconds_at_most(tmp_path: Path) -> None:
    with hanging() as endpoint:
        process = _started(INSTALL, tmp_path, endpoint)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGTERM
        assert time.monotonic() - began < 5


def test_a_signal_handler_that_the_program_sets_later_replaces_ours(
    receiver: HttpReceiver, tmp_path: Path
) -> None:
    text = """
tracer = ot_bridge.install('signals', flush_on_sigterm=True)
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
ready()
"""
    process = _started(text, tmp_path, receiver.endpoint)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 7
    assert not receiver.spans


def test_a_second_call_finds_the_handler_and_says_that_it_is_set(caplog: pytest.LogCaptureFixture) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert [flush_on_sigterm(), flush_on_sigterm()] == [True, True]
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caplog.messages == []


def test_an_existing_signal_handler_is_kept_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    before = signal.signal(signal.SIGTERM, _mine)
    try:
        assert flush_on_sigterm() is False
        assert flush_on_sigterm() is False
        assert signal.getsignal(signal.SIGTERM) is _mine
    finally:
        signal.signal(signal.SIGTERM, before)
    (message,) = caplog.messages
    assert message.startswith("spans are not flushed on SIGTERM: the program has a handler of its own")


def _mine(number: int, frame: object) -> None:
    pass


def test_outside_the_main_thread_no_signal_handler_is_set_and_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(flush_on_sigterm()))
    thread.start()
    thread.join()
    assert done == [False]
    assert "this is not the main thread" in caplog.text


@pytest.mark.parametrize(
    ("text", "enabled", "says"),
    [
        ("true", True, ""),
        ("TRUE", True, ""),
        ("", False, ""),
        ("false", False, ""),
        ("1", False, "true or false"),
    ],
)
def test_the_variable_switches_flush_on_sigterm_on(
    text: str, enabled: bool, says: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OT_BRIDGE_FLUSH_ON_SIGTERM", text)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        flush_on_sigterm_if_enabled()
        flush_on_sigterm_if_enabled()
        assert (signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL) is enabled
    finally:
        signal.signal(signal.SIGTERM, before)
    assert says in caplog.text
    assert bool(caplog.messages) is bool(says)


def test_children_inherit_flush_on_sigterm(receiver: HttpReceiver, tmp_path: Path) -> None:
    process = _started(CHILD, tmp_path, receiver.endpoint)
    assert process.stdout is not None
    os.kill(int(process.stdout.readline().split()[1]), signal.SIGTERM)
    done = ended(process)
    assert (done.status, done.err, done.out) == (0, "", f"{int(signal.SIGTERM)}\n")
    assert len(receiver.spans) == 35


def test_process_1_and_its_tracing_continue_after_sigterm(receiver: HttpReceiver, tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    probe = unshare and subprocess.run([unshare, "--pid", "--fork", "true"], capture_output=True, check=False)
    if not probe or probe.returncode:
        pytest.skip("no pid namespaces here")
    text = """
tracer = ot_bridge.install('signals', flush_on_sigterm=True)
assert os.getpid() == 1
work('a')
for number in range(2):
    os.kill(1, signal.SIGTERM)
    work(f'after {number}')
assert tracer.flush(10)
"""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(text=text).partition("for _ in")[0])
    base = receiver.endpoint.removesuffix("/v1/traces")
    variables = environment(OTEL_EXPORTER_OTLP_ENDPOINT=base, OTEL_BSP_SCHEDULE_DELAY="60000")
    command = [str(unshare), "--pid", "--fork", sys.executable, str(program)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [[span.name for span in receiver.spans]] == [["a", "after 0", "after 1"]]
    assert len(receiver.requests) in (2, 3)  # on a busy machine the next signal comes before a flush begins


def test_install_sets_the_sigterm_handler() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        ot_bridge.install(exporters=[], set_global=False, flush_on_sigterm=True)
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        ot_bridge.uninstall()
        signal.signal(signal.SIGTERM, before)
