"""`Judge`: goes through every file once and decides what each reference is and how it is rewritten.

Theory of operation:
1. A reference is an attribute of a known object (`span.set_tag`), or a name of a legacy package.
2. A rule (one in each file of `rules`) gives the edits, or blocks the reference's flow.
3. Where an object goes anywhere else (`sinks`), its flow is joined with that of the target, or is blocked.
4. Nothing is decided before everything is read. `block_of` returns at the end which flows are blocked.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Final

from ot_bridge.migrate import legacy
from ot_bridge.migrate.edits import Edit
from ot_bridge.migrate.names import Names
from ot_bridge.migrate.project import File
from ot_bridge.migrate.reading import Reading
from ot_bridge.migrate.rules import active, carriers, ends, logs, start, tags
from ot_bridge.migrate.sinks import Sinks
from ot_bridge.migrate.uses import Block, Site, Use
from ot_bridge.migrate.values import Flow, Value

Rule = Callable[[Site], "list[Edit] | Block"]

RULES: Final[dict[tuple[str, str], Rule]] = {
    ("tracer", "start_span"): start.start,
    ("tracer", "start_active_span"): start.start,
    ("tracer", "inject"): carriers.inject,
    ("tracer", "extract"): carriers.extract,
    ("tracer", "active_span"): active.active_span,
    ("tracer", "scope_manager"): active.scope_manager,
    ("manager", "active"): active.active,
    ("manager", "activate"): active.activate,
    ("scope", "span"): active.scope_span,
    ("span", "set_tag"): tags.set_tag,
    ("span", "log_kv"): logs.log_kv,
    ("span", "log_event"): logs.log_event,
    ("span", "log"): logs.log_event,
    ("span", "finish"): ends.finish,
    ("span", "set_operation_name"): ends.set_operation_name,
    ("span", "context"): active.context,
    ("context", "trace_id"): active.id_of_a_context,
    ("context", "span_id"): active.id_of_a_context,
}

#: Members without a counterpart: kind and attribute -> the message for a person.
NO_RULE: Final[dict[tuple[str, str], Block]] = {
    ("span", "set_baggage_item"): Block(
        "OTB204", "baggage: token = context.attach(baggage.set_baggage(k, v)), and detach where the item ends"
    ),
    ("span", "get_baggage_item"): Block(
        "OTB204", "baggage: baggage.get_baggage(k) reads the current context's"
    ),
    ("span", "tracer"): Block("OTB309", "an OpenTelemetry span has no tracer"),
    ("tracer", "close"): Block(
        "OTB401", "trace.get_tracer_provider().shutdown() of the SDK; ot_bridge.install() flushes at exit"
    ),
    ("tracer", "flush"): Block("OTB401", "trace.get_tracer_provider().force_flush() of the SDK"),
    ("tracer", "finished_spans"): Block(
        "OTB207", "ot_bridge.testing.RecordingTracer reads like MockTracer; the SDK has an in-memory exporter"
    ),
    ("tracer", "reset"): Block(
        "OTB207", "ot_bridge.testing.RecordingTracer, or the SDK's in-memory exporter"
    ),
    ("scope", "close"): Block(
        "OTB303", "the scope is used without with: use attach and detach, or a with block"
    ),
    ("scope", "manager"): Block("OTB303", "OpenTelemetry has no scope manager"),
    ("context", "baggage"): Block("OTB204", "baggage is in the context, not in the span context"),
    ("extracted", "baggage"): Block("OTB204", "baggage.get_all(context) reads what was extracted"),
}

_STAYS: Final = Block("OTB101", "the tracer stays, because one of its uses is left")


class Judge:
    """Decides on all references. uses: the references that were found. reading: the values in the project."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.uses: list[Use] = []
        self._tracers: dict[Flow, bool] = {}
        self._by_file: dict[File, list[Use]] = {}
        self._of_tracer: dict[Flow, list[Use]] = {}
        for file in reading.project.legacy:
            names = Names(self.reading, file, self.uses)
            sinks = Sinks(self.reading, file, self.uses)
            for node in file.module.nodes:
                self._look(file, node, names, sinks)
            sinks.slots()
        self._follow_calls()
        self._leave_tested_files()
        self._leave_formatted_texts()
        self.blocks: dict[Flow, Block] = {}
        for use in self.uses:
            if use.block is not None:
                self.blocks.setdefault(use.flow.root, use.block)
        self._spread()

    def _look(self, file: File, node: ast.AST, names: Names, sinks: Sinks) -> None:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            base = self.reading.value(file, node.value)
            if base is not None and base.is_object:
                self._member(file, node, base)
            elif base is None:
                names.by_name(node)
        if isinstance(
            node, (ast.Name, ast.Attribute, ast.Call, ast.IfExp, ast.BoolOp, ast.Await, ast.NamedExpr)
        ):
            value = self.reading.value(file, node)
            if (
                value is not None
                and value.is_object
                and not isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))
            ):
                sinks.goes(node, value)
        names.look(node)

    def _member(self, file: File, node: ast.Attribute, base: Value) -> None:
        """Decides on an attribute of a known object."""
        assert base.flow is not None
        parent = file.module.parents[node]
        call = parent if isinstance(parent, ast.Call) and parent.func is node else None
        result = self.reading.value(file, call or node)
        flow = result.flow if result is not None and result.flow is not None else base.flow
        if base.kind == "tracer" and node.attr == "inject":
            flow = Flow()
        if base.kind == "manager":
            flow = result.flow if result is not None and result.flow is not None else Flow()
            base.flow.join(flow)  # so that the tracer and its scope manager are rewritten or left together
        site = Site(self.reading, file, node, base, flow, call)
        code = legacy.METHODS[base.kind].get(node.attr)
        rule = RULES.get((base.kind, node.attr))
        if code is None or rule is None:
            missing = NO_RULE.get((base.kind, node.attr)) or Block(
                "OTB308", f"{node.attr} belongs to an implementation, not to OpenTracing's API"
            )
            flow = base.flow
            found: list[Edit] | Block = missing
        else:
            found = rule(site)
        block = found if isinstance(found, Block) else None
        if block is not None and call is not None:
            self._keep_arguments(file, call, flow)
        finding = block or site.note
        reported = finding.code if finding is not None else _code(code or "OTB308", site)
        use = Use(file, node, reported, flow, [] if isinstance(found, Block) else found, block)
        use.note = site.note
        use.origin = (
            result is not None and result.flow is flow and node.attr.startswith(("start_", "extract", "act"))
        )
        use.always = (base.kind == "tracer" and not use.origin) or node.attr in (
            "set_baggage_item",
            "get_baggage_item",
        )
        if base.kind == "tracer":
            if base.shared:
                use.tracer = base.flow
            elif block is None or node.attr in ("start_span", "start_active_span"):
                base.flow.join(flow)
        self.uses.append(use)

    def _keep_arguments(self, file: File, call: ast.Call, flow: Flow) -> None:
        """Leaves the flows of the arguments of a call that is left, because it must get the same objects."""
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            for node in ast.walk(argument):
                value = self.reading.value(file, node)
                if value is not None and value.is_object and value.kind != "tracer":
                    flow.join(value.flow)  # type: ignore[arg-type]

    def _follow_calls(self) -> None:
        """Rewrites or leaves a format or a reference together with the call that it is an argument of."""
        calls = {use.node: use.flow for use in self.uses if isinstance(use.node, ast.Attribute)}
        for use in self.uses:
            if use.block is None and not use.edits and use.code in ("OTB108", "OTB205"):
                for above in use.file.module.ancestors(use.node):
                    if isinstance(above, ast.Call) and above.func in calls:
                        use.flow = calls[above.func]
                        break
                else:
                    use.block = Block("OTB306", "its receiver is not known to be a tracer; left as it is")

    def _leave_tested_files(self) -> None:
        """Leaves all but constants in a file that tests or patches the module."""
        tested = {use.file for use in self.uses if use.code == "OTB310"}
        for use in self.uses:
            if use.file in tested and use.block is None and (use.code != "OTB108" or not use.edits):
                use.block = Block("OTB310", "this file tests or patches the module; left as it is")

    def _leave_formatted_texts(self) -> None:
        """Leaves expressions in f-strings: before 3.12 they have no positions, and quotes could clash."""
        for use in self.uses:
            inside = any(isinstance(above, ast.JoinedStr) for above in use.file.module.ancestors(use.node))
            if inside and use.block is None:
                use.block = Block("OTB302", "this stands in an f-string; left as it is")

    def _spread(self) -> None:
        """Blocks the flow of each blocked use. Joined flows share one root, so all their uses are left."""
        for use in self.uses:
            if use.block is None and (block := self.blocks.get(use.flow.root)) is not None and use.origin:
                use.code = block.code if block.code[3] in "34" else use.code

    def block_of(self, use: Use) -> Block | None:
        """The reason for which a use is left, or None if it is rewritten."""
        block = self.blocks.get(use.flow.root)
        if block is None and use.code == "OTB101" and not self.tracer_goes(use.flow):
            return _STAYS
        return block

    def tracer_goes(self, flow: Flow) -> bool:
        """Whether every use of a tracer is rewritten. Then its variable can hold OpenTelemetry's tracer."""
        root = flow.root
        if root not in self._tracers:
            if not self._of_tracer:
                for use in self.uses:
                    if use.tracer is not None:
                        self._of_tracer.setdefault(use.tracer.root, []).append(use)
            self._tracers[root] = root not in self.blocks and all(
                self.block_of(use) is None for use in self._of_tracer.get(root, ())
            )
        return self._tracers[root]

    def of(self, file: File) -> Iterator[Use]:
        if not self._by_file:
            for use in self.uses:
                self._by_file.setdefault(use.file, []).append(use)
        yield from self._by_file.get(file, ())


def _code(code: str, site: Site) -> str:
    """The code of a reference, which depends on its arguments."""
    sets = site.call is not None and code == "OTB103" and site.call.args
    return "OTB201" if sets and site.text(sets[0]) == "span.kind" else code
