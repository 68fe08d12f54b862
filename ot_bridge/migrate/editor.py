"""Applies a plan to a file's text with LibCST. Code that no edit changes stays the same, byte for byte.

LibCST's nodes and the nodes of the syntax tree are matched by the bytes that they span. This module edits
statements, imports and marks; `expression_edits` edits expressions.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

from ot_bridge.migrate.edits import Call, Dict, Edit, Insert, Rename, Replace, Split
from ot_bridge.migrate.expression_edits import Expressions
from ot_bridge.migrate.nodes import Offsets, Span, marked, without_blank_lines
from ot_bridge.migrate.plan import MARK, Plan

_COMPOUND: Final = (
    cst.SimpleStatementLine,
    cst.BaseCompoundStatement,
    cst.ExceptHandler,
    cst.ExceptStarHandler,
)


def edit(plan: Plan) -> bytes:
    """The file's bytes after the plan. Raises LibCST's errors for text that it cannot parse."""
    module = cst.parse_module(plan.file.source.data)
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    spans = {
        node: (span.start, span.start + span.length)
        for node, span in wrapper.resolve(ByteSpanPositionProvider).items()
    }
    for node in spans:
        if isinstance(node, (cst.Tuple, cst.GeneratorExp)) and node.lpar:  # ast counts their parentheses in
            spans[node] = spans[node.lpar[-1]][0], spans[node.rpar[0]][1]
    changed = wrapper.module.visit(_Editor(plan, spans))
    return changed.bytes


class _Editor(Expressions):
    def __init__(self, plan: Plan, spans: dict[cst.CSTNode, Span]) -> None:
        super().__init__(plan)
        self.spans = spans
        self.statements: dict[Span, list[Edit]] = defaultdict(list)
        self.marks: dict[Span, str] = {}
        self.aliases: set[Span] = set()
        self.carried: list[cst.EmptyLine] = []
        self.removed: set[cst.CSTNode] = set()
        self.kept_lines: dict[cst.CSTNode, list[cst.EmptyLine]] = {}
        self.anchor: Span | None = None
        self.last: Span | None = None

    def visit_Module(self, node: cst.Module) -> None:
        self.offsets = Offsets(self.plan.file.source.data, node.encoding)
        at = self.offsets.span
        for each in self.plan.edits:
            if isinstance(each, (Replace, Call, Dict)):
                self.expressions[at(each.node)].append(each)
            elif isinstance(each, Rename):
                name = each.item.optional_vars
                assert name is not None
                self.expressions[at(name)].append(Replace(name, "{name}", slot=each.slot))
            elif isinstance(each, (Insert, Split)):
                self.statements[at(each.statement)].append(each)
            self._need(each)
        self.marks = {at(statement): text for statement, text in self.plan.marks.items()}
        if node.body and any(line.comment is not None and MARK in line.comment.value for line in node.header):
            self.marks.pop(at(self.plan.file.tree.body[0]), None)  # its mark exists already
        self.aliases = {at(alias) for alias in self.plan.dropped}
        self._find_anchor()
        spans = [*self.expressions, *self.statements, *self.marks, *self.aliases, *self.holes]
        self.places = sorted(start for start, _ in spans)

    def _need(self, each: Edit) -> None:
        holes = list(getattr(each, "holes", ()))
        if isinstance(each, Call):
            holes += [hole for argument in each.arguments for hole in argument.holes]
            holes += [argument.source for argument in each.arguments if argument.source is not None]
            holes += [each.receiver] if each.receiver is not None else []
        if isinstance(each, Split):
            holes += list(each.parts)
        self.holes.update(map(self.offsets.span, holes))

    def _find_anchor(self) -> None:
        """Finds the place for new imports: before the first top-level import that loses a part."""
        if not (self.plan.imports or self.plan.tracers):
            return
        body = self.plan.file.tree.body
        for position, statement in enumerate(body):
            if isinstance(statement, (ast.Import, ast.ImportFrom)) and self.plan.dropped & {*statement.names}:
                following = position
                while following + 1 < len(body) and isinstance(
                    body[following + 1], (ast.Import, ast.ImportFrom)
                ):
                    following += 1
                self.anchor = self.offsets.span(statement)
                self.last = self.offsets.span(body[following])
                return

    # Visiting

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Module):
            self.visit_Module(node)
        if self.carried and isinstance(node, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            self.kept_lines[node] = self.carried
            self.carried = []
        return not isinstance(node, cst.BaseCompoundStatement) or self._is_touched(node)

    def _is_touched(self, node: cst.CSTNode) -> bool:
        """Whether an edit changes anything inside a statement. Other statements are not visited."""
        start, end = self.spans.get(node, (0, 1 << 62))
        position = bisect_left(self.places, start)
        return position < len(self.places) and self.places[position] <= end

    def on_leave(self, original: Any, updated: Any) -> Any:
        span = self.spans.get(original)
        if isinstance(updated, cst.BaseExpression):
            return self.expression(span, updated)
        if isinstance(updated, (cst.Import, cst.ImportFrom)):
            return self._import(original, updated)
        if isinstance(updated, cst.SimpleStatementLine):
            return self._line(original, updated)
        if isinstance(updated, _COMPOUND):
            return self._compound(original, updated)
        if isinstance(updated, cst.IndentedBlock) and original.body and original.body[0] in self.removed:
            updated = without_blank_lines(updated)
        if isinstance(updated, cst.IndentedBlock) and self.carried:
            comments = [line for line in self.carried if line.comment is not None]
            updated = updated.with_changes(footer=[*comments, *updated.footer])
            self.carried = []
        if isinstance(updated, cst.Module):
            return self._module(updated)
        return updated

    # Statements

    def _import(self, original: Any, updated: Any) -> Any:
        if isinstance(updated.names, cst.ImportStar) or not self.aliases:
            return updated
        kept = [
            new
            for old, new in zip(original.names, updated.names, strict=True)
            if self.spans.get(old) not in self.aliases
        ]
        if not kept:
            return cst.RemoveFromParent()
        if len(kept) < len(updated.names):
            kept[-1] = kept[-1].with_changes(comma=updated.names[-1].comma)
        return updated.with_changes(names=kept)

    def _line(self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine) -> Any:
        updated = self._with_kept(original, updated)
        spans = [self.spans.get(each) for each in original.body]
        lines: list[cst.BaseStatement] = self._parts(spans, updated)
        before: list[cst.BaseStatement] = []
        after: list[cst.BaseStatement] = []
        if self.anchor in spans:
            before = [cst.parse_statement(line) for line in self.plan.imports]
        if self.last in spans and self.last is not None:
            after = self._tracer_lines()
        for each in self._edits(spans, Insert):
            if not each.first:
                after.append(
                    cst.SimpleStatementLine([cst.Expr(self.filled(each.template, each.holes, each.slot))])
                )
        if before and lines:
            before[0] = before[0].with_changes(leading_lines=lines[0].leading_lines)  # type: ignore[attr-defined]
            lines[0] = lines[0].with_changes(leading_lines=[])
        elif before:
            before[0] = before[0].with_changes(leading_lines=updated.leading_lines)
        elif not lines:
            self.carried = list(updated.leading_lines)
            self.removed.add(original)
        everything = [*before, *lines, *after]
        if any(span in self.marks for span in spans) and everything:
            text = next(self.marks[span] for span in spans if span in self.marks)
            everything[len(before)] = marked(everything[len(before)], text)
        if len(everything) == 1:
            return everything[0]
        return cst.FlattenSentinel(everything) if everything else cst.RemoveFromParent()

    def _parts(self, spans: list[Span | None], updated: cst.SimpleStatementLine) -> list[cst.BaseStatement]:
        """The lines that replace a line: none, the line itself, or several."""
        splits = self._edits(spans, Split)
        if not updated.body:
            return []
        if not splits:
            return [updated]
        (split, *_) = splits
        if not split.parts:
            kept = [part for part, span in zip(updated.body, spans, strict=True) if span != self._at(split)]
            if kept:
                kept[-1] = kept[-1].with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
            return [updated.with_changes(body=kept)] if kept else []
        made: list[cst.BaseStatement] = [
            cst.SimpleStatementLine(
                [cst.Expr(self.done[self.offsets.span(part)].with_changes(lpar=[], rpar=[]))]
            )
            for part in split.parts
        ]
        made[0] = made[0].with_changes(leading_lines=updated.leading_lines)
        made[-1] = made[-1].with_changes(trailing_whitespace=updated.trailing_whitespace)
        return made

    def _at(self, each: Insert | Split) -> Span:
        return self.offsets.span(each.statement)

    def _edits(self, spans: Sequence[Span | None], kind: type) -> list[Any]:
        return [
            each
            for span in spans
            if span is not None
            for each in self.statements.get(span, ())
            if isinstance(each, kind)
        ]

    def _compound(self, original: Any, updated: Any) -> Any:
        updated = self._with_kept(original, updated)
        span = self.spans.get(original)
        if span is None:
            return updated
        for each in self._edits([span], Insert):
            line = cst.SimpleStatementLine([cst.Expr(self.filled(each.template, each.holes, each.slot))])
            block = updated.body
            if isinstance(block, cst.SimpleStatementSuite):
                block = cst.IndentedBlock([cst.SimpleStatementLine(block.body)])
            updated = updated.with_changes(body=block.with_changes(body=[line, *block.body]))
        text = self.marks.get(span)
        return updated if text is None else marked(updated, text)

    def _with_kept(self, original: Any, updated: Any) -> Any:
        kept = self.kept_lines.pop(original, None)
        if not kept:
            return updated
        if (
            updated.leading_lines and updated.leading_lines[0].comment is None
        ):  # it has blank lines of its own
            kept = [line for line in kept if line.comment is not None]
        return updated.with_changes(leading_lines=[*kept, *updated.leading_lines])

    def _tracer_lines(self) -> list[cst.BaseStatement]:
        lines: list[cst.BaseStatement] = [cst.parse_statement(line) for line in self.plan.tracers]
        if lines:
            lines[0] = lines[0].with_changes(leading_lines=[cst.EmptyLine(indent=False)])
        return lines

    def _module(self, module: cst.Module) -> cst.Module:
        if self.carried:
            module = module.with_changes(
                footer=[*(line for line in self.carried if line.comment is not None), *module.footer]
            )
        if self.anchor is not None or not (self.plan.imports or self.plan.tracers):
            return module
        body = list(module.body)
        position = 0
        for number, statement in enumerate(body):
            if not isinstance(statement, cst.SimpleStatementLine):
                break
            first = statement.body[0] if statement.body else None
            if isinstance(first, (cst.Import, cst.ImportFrom)):
                position = number + 1
            elif not (
                number == 0 and isinstance(first, cst.Expr) and isinstance(first.value, cst.SimpleString)
            ):
                break
            else:
                position = number + 1
        imports = [cst.parse_statement(line) for line in self.plan.imports]
        return module.with_changes(body=[*body[:position], *imports, *self._tracer_lines(), *body[position:]])
