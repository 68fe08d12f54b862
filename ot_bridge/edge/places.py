"""Saves and restores the state in which another scope manager keeps the active scope.

OpenTracing's API cannot suspend an open scope: `close()` may finish its span, and does nothing for a scope
that is not the innermost. So this module saves the manager's state, and restores it later:

1. A manager keeps its state in context variables or thread-locals, which are attributes of the manager or of
   its module. Two of OpenTracing's managers use an attribute of the running greenlet or task.
2. This module writes only to those places whose content changed when a scope was activated, so that it does
   not change other data of the program.
3. It copies lists, because a manager may keep a stack of scopes in a list.

tests/edge/test_activity.py runs with managers of each kind (tests/edge/managers.py).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

import opentracing
from opentracing.scope_managers.constants import ACTIVE_ATTR

from ot_bridge.instance import dict_of

_ABSENT: Final[Any] = object()
_VARIABLES: Final = -1  # the place number that stands for all context variables

#: (number of a place, key in it) -> value
State: TypeAlias = dict[tuple[int, Any], Any]


class Places:
    """Reads and writes the state that a scope manager keeps for this thread, task or greenlet."""

    __slots__ = ("_keys", "_locals", "_variables")

    def __init__(self, manager: opentracing.ScopeManager) -> None:
        found = list(_held_by(manager))
        self._variables = [each for each in found if isinstance(each, ContextVar)]
        self._locals = [each for each in found if isinstance(each, threading.local)]
        self._keys: tuple[tuple[int, Any], ...] = ()

    @property
    def known(self) -> bool:
        """Whether a place is known in which the manager keeps the scope."""
        return bool(self._keys)

    def learn(self, before: State) -> None:
        """Finds the places by comparing with `before`, the state before the first scope was activated."""
        if not self._keys:
            now = self.read()
            self._keys = tuple(key for key, value in now.items() if not _is_same(before.get(key), value))

    def read(self) -> State:
        """The present state of all possible places."""
        state: State = {}
        for each in self._variables:
            with suppress(LookupError):  # a variable without a value
                state[_VARIABLES, each] = _copied(each.get())
        for number, space in enumerate(self._spaces()):
            state.update({(number, key): _copied(value) for key, value in space.items()})
        return state

    def write(self, state: State) -> None:
        """Restores a state that `read` has returned."""
        if not self._keys:
            return
        spaces = list(self._spaces())
        for number, key in self._keys:
            value = _copied(state.get((number, key), _ABSENT))
            if number == _VARIABLES:
                key.set(None if value is _ABSENT else value)
            elif value is _ABSENT:
                spaces[number].pop(key, None)
            else:
                spaces[number][key] = value

    def _spaces(self) -> Iterator[Any]:
        """All possible places but context variables: thread-locals, and the running greenlet and task."""
        for each in self._locals:
            yield vars(each)
        gevent: Any = sys.modules.get("gevent")
        yield _Attribute(None if gevent is None else gevent.getcurrent())
        asyncio: Any = sys.modules.get("asyncio")  # importing takes 30 ms; without it no task runs
        try:
            yield _Attribute(None if asyncio is None else asyncio.current_task())
        except RuntimeError:  # no event loop runs here
            yield _Attribute(None)


class _Attribute:
    """A dict-like view of the attribute in which two of OpenTracing's managers keep the scope."""

    def __init__(self, owner: object) -> None:
        self._owner = owner

    def items(self) -> Iterator[tuple[str, Any]]:
        if hasattr(self._owner, ACTIVE_ATTR):
            yield ACTIVE_ATTR, getattr(self._owner, ACTIVE_ATTR)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self._owner, name, value)

    def pop(self, name: str, default: None) -> None:
        if hasattr(self._owner, name):
            delattr(self._owner, name)


def _held_by(manager: object) -> Iterator[object]:
    yield from dict_of(manager).values()
    for kind in type(manager).__mro__[:-1]:
        if kind is not opentracing.ScopeManager:
            yield from vars(kind).values()
            yield from list(getattr(sys.modules.get(kind.__module__), "__dict__", {}).values())


def _copied(value: Any) -> Any:
    return value.copy() if type(value) is list else value


def _is_same(before: Any, now: Any) -> bool:
    return before is now or (type(now) is list and before == now)
