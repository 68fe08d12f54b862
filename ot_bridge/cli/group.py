"""Runs a program in a process group of its own, so that its child processes can be ended with it.

1. The program is the group's leader. The processes that it starts (the commands of a shell, make or npm, the
   child of a reloader) are in the group unless they leave it.
2. The program starts with the default actions of SIGINT, SIGQUIT and SIGTERM, even if this process ignores
   them (as a background job of a shell does). A signal with a handler here has its default after `exec`.
3. While a group runs, SIGTERM and SIGHUP end this process by an exception, which ends the group as well.
4. At the end of the `with` block no process of the group is left: it gets SIGTERM, and SIGKILL after
   `PATIENCE`.

The tests, by number, in tests/cli/:
1 and 2. test_compare.py::test_no_process_is_left_running_if_a_shell_or_reloader_has_started_the_server
3. test_compare.py::test_when_compare_is_terminated_it_terminates_its_programs
4. test_compare.py::test_a_server_that_ignores_signals_is_killed
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

PATIENCE: Final = 2.0  # seconds from SIGTERM to SIGKILL
_PROC: Final = Path("/proc")


class Group:
    """A running process group. leader: its first process."""

    def __init__(self, leader: subprocess.Popen[bytes]) -> None:
        self.leader = leader

    def signal(self, number: int) -> None:
        """Sends a signal to every process of the group."""
        with suppress(ProcessLookupError, PermissionError):  # macOS reports this for a group of zombies
            os.killpg(self.leader.pid, number)

    def ends(self, seconds: float) -> bool:
        """Waits for the leader to end, for this time at most. Returns whether it has ended."""
        try:
            self.leader.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Waits for all processes to end, for this time at most. Returns whether they have ended."""
        end = time.monotonic() + seconds
        while self._running():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def _running(self) -> bool:
        if self.leader.poll() is None:
            return True
        try:
            os.killpg(self.leader.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return not _PROC.is_dir() or any(_groups_that_live(self.leader.pid))

    def end(self) -> None:
        """Ends the processes that still run."""
        if not self._running():
            return
        self.signal(signal.SIGTERM)
        if not self.wait(PATIENCE):
            self.signal(signal.SIGKILL)
            self.wait(PATIENCE)


def _groups_that_live(group: int) -> Iterator[bool]:
    """Linux: yields True for each process of the group that is not a zombie."""
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                state, _, owner = entry.joinpath("stat").read_text().rpartition(")")[2].split()[:3]
                if int(owner) == group and state not in "ZX":
                    yield True


@contextmanager
def running(command: Sequence[str] | str, environ: Mapping[str, str]) -> Iterator[Group]:
    """Starts a command, a string in the shell, with its output on our standard error. Raises OSError."""
    with _default_signals():
        group = Group(
            subprocess.Popen(
                command,
                shell=isinstance(command, str),
                env=dict(environ),
                stdout=sys.stderr,
                start_new_session=True,
            )
        )
        try:
            yield group
        finally:
            group.end()


@contextmanager
def _default_signals() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = dict.fromkeys((signal.SIGINT, signal.SIGQUIT), signal.default_int_handler)
    numbers |= dict.fromkeys((signal.SIGTERM, signal.SIGHUP), _leave)
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
