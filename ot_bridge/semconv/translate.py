"""`Translator`: renames the attributes of one ended span, for the groups that were opted in.

1. A span belongs to `http` or `database` if it has certain attributes. Its kind does not matter, because old
   libraries do not set it. A span belongs to `rpc` if `component` is `grpc` and the kind is CLIENT or SERVER.
   Attributes of the peer alone do not decide on a group.
2. The rules for a span depend only on its shape: its kind, the names of its attributes, and whether it is an
   RPC. A program makes few shapes, so a plan is kept for each. The number of kept plans is bounded.
3. `translate` changes the dict that it gets. Its caller passes a dict to which nothing else refers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from opentelemetry.trace import SpanKind, StatusCode

from ot_bridge import rpc_status
from ot_bridge.semconv.groups import OptIn, known_methods
from ot_bridge.semconv.names import GRPC_CODES, NEW, SIGNS
from ot_bridge.semconv.rules import USUAL, Rule, rows, usual_rule

_CLIENT: Final = SpanKind.CLIENT
_SERVER: Final = SpanKind.SERVER
_SERVERS: Final = frozenset({SpanKind.SERVER, SpanKind.CONSUMER})
_FULL_METHOD: Final = re.compile(r"/?([^/\s]+/[^/\s]+)")

#: Events as the SDK has them, or as (name, attributes, time).
Events: TypeAlias = Iterable[Any]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The rules for spans of one shape.

    rules: (old name, rule, whether the old name is kept). usual: one rule that replaces several of them (see
    `usual_rule`). others: the rules that are applied after it.
    """

    rules: tuple[tuple[str, Rule, bool], ...]
    usual: Callable[[dict[str, Any]], bool] | None
    others: tuple[tuple[str, Rule, bool], ...]
    http_error: int  # the lowest HTTP status that is an error here
    rpc: bool


_Plans: TypeAlias = dict[tuple[str, ...], _Plan | None]


class Translator:
    """Translates for the groups of `opted`.

    signs: the names by which a span belongs to a group other than `rpc`. rpc: whether `rpc` is opted in.
    """

    def __init__(self, opted: OptIn) -> None:
        self._opted = opted
        self._methods = known_methods()
        self._rows = rows(self._methods)
        # The indexes: whether the span is an RPC, its kind, the names of its attributes.
        self._plans: list[list[_Plans]] = [[{} for _ in SpanKind] for _ in (False, True)]
        self.signs = frozenset().union(*(SIGNS[group] for group in opted))
        self.rpc = "rpc" in opted

    def translate(
        self, attributes: dict[str, Any], kind: SpanKind, status: StatusCode, name: str, events: Events
    ) -> bool:
        """Renames the attributes in `attributes`, which is a copy.

        Returns False, and changes nothing, if the span belongs to no group that was opted in.
        """
        rpc = self.rpc and attributes.get("component") == "grpc" and (kind is _CLIENT or kind is _SERVER)
        plans = self._plans[rpc][kind._value_]
        shape = (*attributes,)
        try:
            plan = plans[shape]
        except KeyError:
            plan = self._plan(attributes, kind, rpc)
            _keep(plans, shape, plan)
        if plan is None:
            return False
        gone = []
        usual = plan.usual
        for old, rule, stays in plan.rules if usual is None or not usual(attributes) else plan.others:
            if rule(attributes, attributes[old]) and not stays:
                gone.append(old)
        if plan.rpc:
            _add_rpc_names(attributes, name, events)
        if status is not _OK and "error.type" not in attributes:
            code = attributes.get("http.response.status_code")
            if type(code) is int and code >= plan.http_error:
                attributes["error.type"] = str(code)
            elif plan.rpc and type(rpc_code := attributes.get(rpc_status.NAME)) is str and rpc_code != "OK":
                attributes["error.type"] = rpc_code
            elif status is _ERROR:
                attributes["error.type"] = _exception(events) or "_OTHER"
        for old in gone:
            attributes.pop(old, None)  # two rules may be for the same old name
        return True

    def _plan(self, names: Iterable[str], kind: SpanKind, rpc: bool) -> _Plan | None:
        """The plan for a span whose attributes have these names; None if it belongs to no group."""
        has = frozenset(names)
        groups = {group for group in self._opted if not SIGNS[group].isdisjoint(has)}
        if rpc:
            groups.add("rpc")
        if not groups:
            return None
        server = kind in _SERVERS
        rules = []
        for row in self._rows:
            rule = row.server if server else row.client
            if rule is not None and row.name in has and not row.groups.isdisjoint(groups):
                rules.append((row.name, rule, any(self._opted[group] for group in row.groups & groups)))
        lowest = (500 if server else 400) if "http" in groups else sys.maxsize
        usual = None
        if "http" in groups and has.issuperset(USUAL) and has.isdisjoint(NEW):
            usual = usual_rule(self._methods, server, self._opted["http"])
        others = [each for each in rules if each[0] not in USUAL]
        return _Plan(tuple(rules), usual, tuple(others), lowest, rpc)


def _keep(plans: _Plans, shape: tuple[str, ...], plan: _Plan | None) -> None:
    if len(shape) < _LARGE:
        if len(plans) >= _MOST:
            plans.clear()
        plans[shape] = plan


_MOST: Final = 256  # maximum number of kept plans for one kind; when there are more, all are forgotten
_LARGE: Final = 40  # plans for spans with at least so many names are not kept
_OK: Final = StatusCode.OK
_ERROR: Final = StatusCode.ERROR


def _add_rpc_names(attributes: dict[str, Any], name: str, events: Events) -> None:
    attributes.setdefault("rpc.system.name", "grpc")
    method = _FULL_METHOD.fullmatch(name)
    if method is not None:
        attributes.setdefault("rpc.method", method[1])
    if rpc_status.NAME not in attributes:
        # grpcio-opentracing records the code only in the error that it logs.
        raised = _exception(events) or ""
        code = raised.removeprefix("StatusCode.")
        if code != raised and code in GRPC_CODES:
            attributes[rpc_status.NAME] = code


def _exception(events: Events) -> str | None:
    """The type in the last exception event, if it is text."""
    found = None
    for event in events:
        name, attributes = event[:2] if type(event) is tuple else (event.name, event.attributes)
        if name == "exception":
            found = attributes.get("exception.type") if attributes else None
    return found if type(found) is str else None
