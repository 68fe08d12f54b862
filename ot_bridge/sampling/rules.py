"""Samplers with rules: a list of patterns, each with a sampler. The first pattern that matches decides.

A pattern is text or a compiled regular expression. In text, `*` stands for any characters, including line
breaks, and the forms are

    paths        /api            this path and all paths below it (but not `/apiary`)
                 /api$           only this path
                 /api*           all paths with this prefix
                 GET /api        a pattern for one HTTP method
    operations   users.list      only this name
                 grpc.health.*   all names with this prefix
                 client SELECT*  a pattern for one span kind
    both         ~REGEX          a regular expression, matched from the start

Rules are compiled once into as few regular expressions as possible, so that many rules cost little more than
one. The time to match patterns with `*` grows linearly with the length of the path. The time of a user's
regular expression depends on that expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Optional, Union

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from ot_bridge.errors import ConfigurationError
from ot_bridge.sampling.basic import fast

Pattern = Union[str, "re.Pattern[str]"]
Rule = tuple[Pattern, Sampler]
Read = Callable[[str], tuple[str | None, str]]
_Step = tuple[Callable[[str], Optional["re.Match[str]"]], tuple[Sampler, ...]]

# Attributes that hold the path of a request: OpenTelemetry's present and former ones, and OpenTracing's tags,
# in order of preference.
_LOCATIONS = ("url.path", "http.target", "http.path", "http.url", "url.full")
_KINDS = {kind: kind.name.lower() for kind in SpanKind}
# Bounds of the remembered texts, so that callers cannot fill the memory with paths.
_MOST_KNOWN = 1024
_LONGEST_KNOWN = 256
_NO_FLAGS = re.compile("").flags


class PatternRules:
    """A compiled list of rules. `find(key, text)` returns the sampler of the first match, or None.

    read: splits a pattern into its key (an HTTP method or span kind; None for any) and a regular expression.
    subject: returns the part of a text that is matched; without it, all of the text is.
    """

    def __init__(
        self, rules: Iterable[Rule], read: Read, subject: Callable[[str], str | None] | None = None
    ) -> None:
        parsed = [(*_compiled(pattern, read), _checked(pattern, sampler)) for pattern, sampler in rules]
        self._any = _Table([(regex, sampler) for key, regex, sampler in parsed if key is None], subject)
        self.tables = {
            wanted: _Table(
                [(regex, sampler) for key, regex, sampler in parsed if key in (None, wanted)], subject
            )
            for wanted in {key for key, _, _ in parsed if key}
        }

    def find(self, key: str, text: str) -> Sampler | None:
        return self.tables.get(key, self._any).find(text)


class _Table:
    """The rules for one key. Remembers the sampler for a bounded number of texts."""

    __slots__ = ("_known", "_steps", "_subject")

    def __init__(
        self, rules: list[tuple[re.Pattern[str], Sampler]], subject: Callable[[str], str | None] | None
    ) -> None:
        self._steps = _steps(rules)
        self._subject = subject
        self._known: dict[str, Sampler | None] = {}

    def find(self, text: str) -> Sampler | None:
        try:
            return self._known[text]
        except KeyError:
            sampler = self._match(text)
        if len(self._known) < _MOST_KNOWN and len(text) <= _LONGEST_KNOWN:
            self._known[text] = sampler
        return sampler

    def _match(self, text: str) -> Sampler | None:
        subject = self._subject(text) if self._subject else text
        if subject is not None:
            for match, samplers in self._steps:
                if found := match(subject):
                    return samplers[found.lastindex or 0]
        return None


def _compiled(pattern: Pattern, read: Read) -> tuple[str | None, re.Pattern[str]]:
    if isinstance(pattern, re.Pattern):
        return None, pattern
    key, regex = read(pattern)
    try:
        return key, re.compile(regex)
    except re.error as error:
        raise ConfigurationError("pattern", pattern, f"expected a regular expression: {error}") from error


def _checked(pattern: Pattern, sampler: object) -> Sampler:
    if not isinstance(sampler, Sampler):
        raise ConfigurationError("rules", (pattern, sampler), "expected a pattern and a Sampler")
    return fast(sampler)


def _steps(rules: Iterable[tuple[re.Pattern[str], Sampler]]) -> tuple[_Step, ...]:
    """Merges neighbouring rules into one expression, except those with flags or groups of their own."""
    steps: list[_Step] = []
    for mergeable, group in groupby(rules, lambda rule: not rule[0].groups and rule[0].flags == _NO_FLAGS):
        run = list(group)
        if mergeable:
            merged = re.compile("|".join(f"({regex.pattern})" for regex, _ in run))
            # `_match` finds the sampler by the number of the group, which counts from 1.
            steps.append((merged.match, (run[0][1], *(sampler for _, sampler in run))))
        else:
            steps.extend((regex.match, (sampler,) * (regex.groups + 1)) for regex, sampler in run)
    return tuple(steps)


def _glob(text: str, end: str) -> str:
    """A regular expression for text in which `*` stands for any characters. end: an expression to append.

    After each `*` but the last, the expression takes the first occurrence of the text that follows. A later
    occurrence could not match more, so none is tried, and the time to match grows linearly with the length of
    the subject.
    """
    first, *rest = map(re.escape, text.split("*"))
    if not rest:
        return first + end
    *middle, last = rest
    found = "".join(f"(?:(?!{part})(?s:.))*{part}" for part in middle if part)
    return f"{first}{found}(?s:.)*?{last}{end}"


def read_path(pattern: str) -> tuple[str | None, str]:
    """Splits a pattern for paths into its HTTP method (or None) and a regular expression."""
    method, blank, rest = pattern.partition(" ")
    key, path = (method, rest) if blank and method.isupper() else (None, pattern)
    if path.startswith("~"):
        return key, path[1:]
    if not path.startswith(("/", "*")):
        raise ConfigurationError(
            "pattern", pattern, "expected a path that begins with /, * or ~, perhaps after a METHOD"
        )
    if path.endswith("$"):
        return key, _glob(path[:-1], r"\Z")
    return key, _glob(path, "" if path.endswith(("*", "/")) else "(?![^/])")


def read_operation(pattern: str) -> tuple[str | None, str]:
    """Splits a pattern for span names into its span kind (or None) and a regular expression."""
    kind, blank, rest = pattern.partition(" ")
    key, name = (kind, rest) if blank and kind in _KINDS.values() else (None, pattern)
    if name.startswith("~"):
        return key, name[1:]
    return key, _glob(name, "" if name.endswith("*") else r"\Z")


def path_in(url: str) -> str | None:
    """The path in a URL or a request's target, without the query; None if there is none."""
    location = url.partition("#")[0].partition("?")[0]
    if location.startswith("/"):
        return location
    _, has_host, rest = location.partition("://")
    return "/" + rest.partition("/")[2] if has_host else None


def _location(attributes: Mapping[str, object]) -> str | None:
    for name in _LOCATIONS:
        value = attributes.get(name)
        if value and isinstance(value, str):
            return value
    return None


class PathSampler(Sampler):
    """Samples by the path and the method of the request that a span serves.

    rules: pairs of a pattern and a sampler; the docstring of this module lists the forms of patterns.
    default: decides if no rule matches, if the span has no path, and on spans of kind CLIENT, because their
    URL belongs to another service. Raises ConfigurationError for a rule that cannot be used.
    """

    def __init__(self, rules: Sequence[Rule], default: Sampler) -> None:
        self._rules = PatternRules(rules, read_path, path_in)
        self._default = _checked("default", default)
        self._description = _described(rules, default)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        sampler = None
        if attributes and kind is not SpanKind.CLIENT:
            location = _location(attributes)
            if location is not None:
                method = ""
                if self._rules.tables:
                    method = str(attributes.get("http.request.method") or attributes.get("http.method"))
                sampler = self._rules.find(method, location)
        return (sampler or self._default).should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        return f"PathSampler{self._description}"


class OperationSampler(Sampler):
    """Samples by the name and the kind of a span, for work that does not begin with an HTTP request.

    rules: pairs of a pattern and a sampler; the docstring of this module lists the forms of patterns.
    default: decides if no rule matches. Raises ConfigurationError for a rule that cannot be used.
    """

    def __init__(self, rules: Sequence[Rule], default: Sampler) -> None:
        self._rules = PatternRules(rules, read_operation)
        self._default = _checked("default", default)
        self._description = _described(rules, default)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        sampler = self._rules.find(_KINDS[kind or SpanKind.INTERNAL], name) or self._default
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return f"OperationSampler{self._description}"


def _described(rules: Sequence[Rule], default: Sampler) -> str:
    pairs = [(p if isinstance(p, str) else f"~{p.pattern}", s) for p, s in (*rules, ("*", default))]
    return f"{{{','.join(f'{pattern}={sampler.get_description()}' for pattern, sampler in pairs)}}}"
