"""The part of the editor that changes expressions: replacements, calls and their arguments, literal dicts.

Children are edited before their parents, so templates are filled with edited nodes.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import libcst as cst

from ot_bridge.migrate.edits import Argument, Call, Dict, Edit, Replace
from ot_bridge.migrate.nodes import Fill, Offsets, Span, wraps_itself
from ot_bridge.migrate.plan import Plan


class Expressions(cst.CSTTransformer):
    """Edits expressions. expressions: the edits, by the bytes that they span.

    holes: the nodes for the placeholders of templates. done: the same nodes after their own edits.
    """

    offsets: Offsets

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.done: dict[Span, cst.BaseExpression] = {}
        self.holes: set[Span] = set()
        self.expressions: dict[Span, list[Edit]] = defaultdict(list)

    def expression(self, span: Span | None, node: cst.BaseExpression) -> cst.BaseExpression:
        """The edited form of an expression whose children have been edited."""
        if span is None:
            return node
        for each in sorted(self.expressions.get(span, ()), key=lambda each: wraps_itself(each)):
            if isinstance(each, Call) and isinstance(node, cst.Call):
                node = self._call(each, node)
            elif isinstance(each, Dict) and isinstance(node, cst.Dict):
                node = self._literal_dict(each, node)
            elif isinstance(each, Replace):
                self.done[span] = node
                node = self._replaced(each, node)
        if span in self.holes:
            self.done[span] = node
        return node

    def _replaced(self, each: Replace, old: cst.BaseExpression) -> cst.BaseExpression:
        new = self.filled(each.template, each.holes, each.slot)
        if old.lpar and not wraps_itself(each):
            new = new.with_changes(lpar=old.lpar, rpar=old.rpar)
        return new

    def filled(self, template: str, holes: Sequence[ast.AST], slot: Any = None) -> cst.BaseExpression:
        """The expression of a template that is filled with edited nodes."""
        marks = [f"__hole{position}__" for position in range(len(holes))]
        names = {**self.plan.names, "name": self.plan.slots.get(slot, "")}
        expression = cst.parse_expression(template.format(*marks, **names))
        filling = [self.done[self.offsets.span(hole)] for hole in holes]
        return expression.visit(Fill(filling)) if holes else expression  # type: ignore[return-value]

    def _call(self, each: Call, node: cst.Call) -> cst.Call:
        function = node.func
        old = each.node.func
        is_own = isinstance(old, ast.Attribute) and each.receiver is old.value
        if each.node in self.plan.inline:
            function = self.filled(each.function.replace("{0}", "{tracer}"), ())
        elif each.receiver is None:
            function = self.filled(each.function, ())
        elif is_own and isinstance(function, cst.Attribute):
            function = function.with_changes(attr=cst.Name(each.function.rpartition(".")[2]))
        else:
            function = self.filled(each.function, (each.receiver,))
        return node.with_changes(func=function, args=self._arguments(each, node))

    def _arguments(self, each: Call, node: cst.Call) -> list[cst.Arg]:
        given = [*each.node.args, *(keyword.value for keyword in each.node.keywords)]
        in_order = sorted(given, key=self.offsets.span)
        old = dict(zip(in_order, node.args, strict=True))
        made = [self._argument(argument, old) for argument in each.arguments]
        made.sort(key=lambda arg: arg.keyword is not None)  # stable: arguments without a name come first
        between = next(
            (arg.comma for arg in node.args[:-1] if isinstance(arg.comma, cst.Comma)),
            cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")),
        )
        for position, arg in enumerate(made[:-1]):
            was_last = bool(node.args) and arg.comma is node.args[-1].comma
            if not isinstance(arg.comma, cst.Comma) or was_last:
                arg = arg.with_changes(whitespace_after_arg=cst.SimpleWhitespace(""), comma=between)
            made[position] = arg
        if made and node.args:
            end = node.args[-1]
            made[-1] = made[-1].with_changes(comma=end.comma, whitespace_after_arg=end.whitespace_after_arg)
        return made

    def _argument(self, argument: Argument, old: dict[ast.expr, cst.Arg]) -> cst.Arg:
        keyword = None if argument.keyword is None else cst.Name(argument.keyword)
        equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
        if argument.source is None:
            value = self.filled(argument.template or "", argument.holes)
            return cst.Arg(value, keyword, cst.MaybeSentinel.DEFAULT if keyword is None else equal)
        value = self.done[self.offsets.span(argument.source)]
        if argument.template is not None:
            value = self.filled(argument.template, (argument.source,))
        kept = old.get(argument.source)
        if kept is None:
            return cst.Arg(value, keyword, cst.MaybeSentinel.DEFAULT if keyword is None else equal)
        if keyword is None:
            return kept.with_changes(value=value, keyword=None, equal=cst.MaybeSentinel.DEFAULT)
        if kept.keyword is not None:
            return kept.with_changes(value=value, keyword=keyword)
        return kept.with_changes(value=value, keyword=keyword, equal=equal)

    def _literal_dict(self, each: Dict, node: cst.Dict) -> cst.Dict:
        elements: list[Any] = []
        for position, element in enumerate(node.elements):
            if position in each.drop:
                continue
            if position in each.wrap:
                self.done[-1, -1] = element.value
                made = cst.parse_expression(each.wrap[position].format("__hole0__"))
                element = element.with_changes(value=made.visit(Fill([element.value])))
            elements.append(element)
        if elements and node.elements:
            elements[-1] = elements[-1].with_changes(comma=node.elements[-1].comma)
        return node.with_changes(elements=elements)
