"""Processes that are forked, and processes that end without `atexit`.

1. `os.register_at_fork` renews every processor in the child before any of the child's code runs. It does
   nothing in the parent. uWSGI forks without these hooks; there a processor compares the process's id.
2. A child of `multiprocessing` ends by `os._exit`, after it has run its finalizers. At its start,
   `_bootstrap` deletes the finalizers that it has inherited, and then calls the functions that were given to
   `register_after_fork`. So such a function makes our finalizer (`_bootstrapped`). If the first processor is
   made later, in the child itself, the finalizer is made at once.
3. billiard's pool (celery's prefork) ends its workers by `os._exit` without running their finalizers, but it
   calls the pool's `on_exit` before. The export is done after `on_exit`.
4. Neither package is imported here. If it has not been imported, this process is not one of its children.

The tests, by number, in tests/delivery/:
1. test_forks.py::test_spans_that_waited_at_the_fork_are_exported_by_the_parent,
   test_forks.py::test_children_that_are_forked_without_pythons_hooks_export_their_spans
2. test_multiprocessing.py::test_all_spans_of_children_that_exit_normally_arrive
3. test_one_process.py::test_children_of_multiprocessing_and_of_billiards_pool_export_at_their_exit
4. test_exit.py::test_multiprocessing_is_watched_once_it_is_imported
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final

from ot_bridge.delivery import exit


class _Watch:
    """The object given to `register_after_fork`. pid: the process that has our finalizer."""

    registered = False
    pid = 0
    on_exit: Any = None


_WATCH: Final = _Watch()


def watch() -> None:
    """Has this process and its children export at their end, if they are of `multiprocessing`."""
    _register()
    if _WATCH.registered and _WATCH.pid != os.getpid() and _is_child():
        _bootstrapped(_WATCH)


def _register() -> None:
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _WATCH.registered:
        _WATCH.registered = True
        util.register_after_fork(_WATCH, _bootstrapped)


def _is_child() -> bool:
    ours = sys.modules.get("multiprocessing.process")
    if ours is not None and ours.parent_process() is not None:
        return True
    billiard = sys.modules.get("billiard.process")
    return billiard is not None and type(billiard.current_process()).__name__ != "_MainProcess"


def _bootstrapped(watched: _Watch) -> None:
    """Makes the finalizer in a child process, before or while the child does its work."""
    watched.pid = os.getpid()
    sys.modules["multiprocessing.util"].Finalize(None, exit.finish, exitpriority=0)
    billiard = sys.modules.get("billiard.process")
    worker: Any = getattr(billiard and billiard.current_process(), "_target", None)
    if hasattr(worker, "on_exit"):
        worker.on_exit = _before_exit(worker.on_exit)


def _before_exit(on_exit: Callable[..., object] | None) -> Callable[..., object]:
    def both(*args: Any) -> None:
        try:
            if on_exit is not None:
                on_exit(*args)
        finally:
            exit.finish()

    return both


def in_child() -> None:
    """Renews the processors in a process that has just been forked."""
    exit.reset()
    for processor in list(exit.PROCESSORS):
        processor.renew()
    _register()  # a finalizer made here would be deleted by `_bootstrap`, which may run next


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=in_child)
