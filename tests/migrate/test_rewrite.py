"""`ot-bridge rewrite`: before and after, rule by rule; what is left and marked; what is never touched."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ot_bridge.cli.main import main
from ot_bridge.migrate.rewriting import rewrite

HEAD = "import opentracing\nfrom opentracing import Format, tags\n"
START = "span = opentracing.tracer.start_span('a')\n"


def rewritten(source: str, folder: Path, trust_names: bool = False, semconv: bool = False) -> str:
    """The text after; twice is the same as once."""
    path = folder / "program.py"
    path.write_bytes(source.encode())
    outcome = rewrite([folder], trust_names, semconv)
    assert not outcome.failed
    after = outcome.changed[0].after if outcome.changed else path.read_bytes()
    path.write_bytes(after)
    again = rewrite([folder], trust_names, semconv)
    assert not again.changed, "".join(again.changed[0].diff())
    return after.decode()


def body(source: str, folder: Path) -> str:
    """The text after without its imports."""
    lines = rewritten(textwrap.dedent(source), folder).splitlines()
    kept = [line for line in lines if not line.startswith(("from ", "import "))]
    return "\n".join(kept).strip()


GET = "trace.get_tracer(__name__)"

TEXT = "# ot-bridge: OTB203 this text is an attribute and no status; set_status(Status(StatusCode.ERROR)) sets one"

TEXTS = ("'a'", "'a' + x", "'%s' % x", "'{}'.format(x)", "', '.join(x)", "str(x)", "repr(x)", "f'{x}'")
#: rule -> (before, after), each below the imports; what is free is bound by the test.
ROWS = {
    "tracer": ("t = opentracing.global_tracer()\n", f"t = {GET}"),
    "no-op tracer": ("t = opentracing.Tracer()\n", "t = trace.NoOpTracer()"),
    "scope": (
        "with opentracing.tracer.start_active_span('n') as scope:\n    scope.span.set_tag('a', 1)\n",
        f"with {GET}.start_as_current_span('n') as span:\n    span.set_attribute('a', 1)",
    ),
    "a kind set first, and a tag set last": (
        "with opentracing.tracer.start_active_span('n') as s:\n"
        "    s.span.set_tag('span.kind', 'client')\n    work()\n    s.span.set_tag('a', 1)\n",
        f"with {GET}.start_as_current_span('n', kind=SpanKind.CLIENT) as s:\n"
        "    work()\n    s.set_attribute('a', 1)",
    ),
    "scope, whose name is taken": (
        "span = 1\nwith opentracing.tracer.start_active_span('n') as scope:\n    scope.span.set_tag('a', span)\n",
        f"span = 1\nwith {GET}.start_as_current_span('n') as scope_span:\n    scope_span.set_attribute('a', span)",
    ),
    "scope, whose span gets a name first": (
        "def f():\n    with opentracing.tracer.start_active_span('n') as scope:\n        # why\n"
        "        span = scope.span\n\n        span.set_tag('a', 1)\n        s = scope.span\n",
        f"def f():\n    with {GET}.start_as_current_span('n') as span:\n        # why\n\n"
        "        span.set_attribute('a', 1)\n        s = span",
    ),
    "scope, whose span gets a name and nothing else": (
        "def f():\n    with opentracing.tracer.start_active_span('n') as scope:\n        span = scope.span\n",
        f"def f():\n    with {GET}.start_as_current_span('n') as span:\n        pass",
    ),
    "scope, whose span gets a name in a line with more": (
        "def f():\n    with opentracing.tracer.start_active_span('n') as scope:\n"
        "        span = scope.span; work()\n",
        f"def f():\n    with {GET}.start_as_current_span('n') as span:\n        work()",
    ),
    "scope, whose span gets a name later": (
        "def f():\n    with opentracing.tracer.start_active_span('n') as scope:\n        work()\n"
        "        span = scope.span\n",
        f"def f():\n    with {GET}.start_as_current_span('n') as scope_span:\n        work()\n"
        "        span = scope_span",
    ),
    "scope, whose span gets a name of the module": (
        "with opentracing.tracer.start_active_span('n') as scope:\n    span = scope.span\n",
        f"with {GET}.start_as_current_span('n') as scope_span:\n    span = scope_span",
    ),
    "name by keyword": (
        "opentracing.tracer.start_span(operation_name='n')\n",
        f"{GET}.start_span(name='n')",
    ),
    "finish_on_close": (
        "with opentracing.tracer.start_active_span('n', finish_on_close=False):\n    pass\n",
        f"with {GET}.start_as_current_span('n', end_on_exit=False):\n    pass",
    ),
    "ignore_active_span": (
        "opentracing.tracer.start_span('n', ignore_active_span=True)\n",
        f"{GET}.start_span('n', context=context.Context())",
    ),
    "span that ends": (START + "span.finish()\n", f"span = {GET}.start_span('a')\nspan.end()"),
    "span that ends at a time": (
        START + "span.finish(t + 1)\n",
        f"span = {GET}.start_span('a')\nspan.end(end_time=int((t + 1) * 1e9))",
    ),
    "start time": (
        "opentracing.tracer.start_span('n', start_time=time())\n",
        f"{GET}.start_span('n', start_time=int(time() * 1e9))",
    ),
    "times that may be None": (
        "def f(t, u):\n    v = None\n    if u:\n        v = u\n"
        "    s = opentracing.tracer.start_span('n', start_time=t)\n    s.log_kv({'a': 1}, u)\n    s.finish(v)\n",
        f"def f(t, u):\n    v = None\n    if u:\n        v = u\n"
        f"    s = {GET}.start_span('n', start_time=None if t is None else int(t * 1e9))\n"
        "    s.add_event(\"log\", {'a': 1}, timestamp=None if u is None else int(u * 1e9))\n"
        "    s.end(end_time=None if v is None else int(v * 1e9))",
    ),
    "times that are not None": (
        "def f(now):\n    t = 5\n    u = now()\n"
        "    s = opentracing.tracer.start_span('n', start_time=t)\n    s.finish(u)\n",
        f"def f(now):\n    t = 5\n    u = now()\n"
        f"    s = {GET}.start_span('n', start_time=int(t * 1e9))\n    s.end(end_time=int(u * 1e9))",
    ),
    "a tuple and a generator as arguments": (
        START + "span.log_kv({'event': 'e', 'a': (1, 2)}, (t, u)[0])\n"
        "opentracing.tracer.inject(span, Format.TEXT_MAP, (  # c\n    c, d))\n"
        "x = tags.ERROR, (tags.ERROR, 1)\n",
        f"span = {GET}.start_span('a')\n"
        "span.add_event(\"e\", {'event': 'e', 'a': (1, 2)}, timestamp=int((t, u)[0] * 1e9))\n"
        "propagate.inject((  # c\n    c, d), context=trace.set_span_in_context(span))\n"
        'x = "error", ("error", 1)',
    ),
    "span in a with": (
        "with opentracing.tracer.start_span('n') as span:\n    span.set_tag('a', 1)\n",
        f"with {GET}.start_span('n') as span:\n    span.set_attribute('a', 1)",
    ),
    "parent": (
        START + "t = opentracing.tracer\nt.start_span('b', child_of=span)\nt.start_span('c', span.context)\n",
        f"span = {GET}.start_span('a')\nt = {GET}\n"
        "t.start_span('b', context=trace.set_span_in_context(span))\n"
        "t.start_span('c', context=trace.set_span_in_context(span))",
    ),
    "arguments that are None": (
        "opentracing.tracer.start_span(None, child_of=None, references=None, tags=None, start_time=None)\n",
        f'{GET}.start_span("")',
    ),
    "no arguments": ("opentracing.tracer.start_span()\n", f'{GET}.start_span("")'),
    "a list of no references": ("opentracing.tracer.start_span('n', references=[])\n", f"{GET}.start_span('n')"),
    "blanks around commas": (
        "opentracing.tracer.start_span('n',tags={'a': 1, 'span.kind': 'client'} ,  start_time=t)\n",
        f"{GET}.start_span('n',attributes={{'a': 1}} ,  start_time=int(t * 1e9),kind=SpanKind.CLIENT)",
    ),
    "no parent": ("opentracing.tracer.start_span('n', child_of=None)\n", f"{GET}.start_span('n')"),
    "extracted parent": (
        "t = opentracing.tracer\nt.start_span('n', child_of=t.extract(Format.HTTP_HEADERS, request.headers))\n",
        f"t = {GET}\nt.start_span('n', context=propagate.extract(request.headers, context.get_current()))",
    ),
    "extract from a plain dictionary": (
        "c = opentracing.tracer.extract(Format.HTTP_HEADERS, dict(request.headers))\n",
        "c = propagate.extract({key.lower(): value for key, value in dict(request.headers).items()}, "
        "context.get_current())",
    ),
    "inject": (
        START + "opentracing.tracer.inject(span.context, Format.TEXT_MAP, c)\n",
        f"span = {GET}.start_span('a')\npropagate.inject(c, context=trace.set_span_in_context(span))",
    ),
    "chain": (
        START + "span.set_tag('a', 1).log_kv({'event': 'b'}).finish()\n",
        f"span = {GET}.start_span('a')\nspan.set_attribute('a', 1)\n"
        "span.add_event(\"b\", {'event': 'b'})\nspan.end()",
    ),
    "chain of two": (
        START + "span.set_tag('a', 1).finish()\n",
        f"span = {GET}.start_span('a')\nspan.set_attribute('a', 1)\nspan.end()",
    ),
    "error": (
        START + "span.set_tag(tags.ERROR, True)\nspan.set_tag('error', False)\n",
        f"span = {GET}.start_span('a')\nspan.set_status(Status(StatusCode.ERROR))\n"
        "span.set_status(Status(StatusCode.OK))",
    ),
    "tags at the start": (
        "s = opentracing.tracer.start_span('n', tags={'a': 1, tags.SPAN_KIND: tags.SPAN_KIND_PRODUCER, 'error': True})\n",
        f"s = {GET}.start_span('n', attributes={{'a': 1}}, kind=SpanKind.PRODUCER)\n"
        "s.set_status(Status(StatusCode.ERROR))",
    ),
    "an error at the start of a scope": (
        "with opentracing.tracer.start_active_span('n', tags={'error': True}) as scope:\n    work()\n",
        f"with {GET}.start_as_current_span('n') as span:\n    span.set_status(Status(StatusCode.ERROR))\n    work()",
    ),
    "an error at the start of a scope in one line": (
        "with opentracing.tracer.start_active_span('n', tags={'error': False}) as s: work()\n",
        f"with {GET}.start_as_current_span('n') as s:\n    s.set_status(Status(StatusCode.OK))\n    work()",
    ),
    "an error at the start of a span in a with": (
        "with opentracing.tracer.start_span('n', tags={'error': True}) as s:\n    work()\n",
        f"with {GET}.start_span('n') as s:\n    s.set_status(Status(StatusCode.ERROR))\n    work()",
    ),
    "an error at the start of a span in an attribute": (
        "class A:\n    def f(self):\n        self.s = opentracing.tracer.start_span('n', tags={'error': True})\n",
        f"class A:\n    def f(self):\n        self.s = {GET}.start_span('n')\n"
        "        self.s.set_status(Status(StatusCode.ERROR))",
    ),
    "errors that are texts": (
        START + "".join(f"span.set_tag('error', {each})\n" for each in TEXTS),
        f"span = {GET}.start_span('a')\n" + "\n".join(f"{TEXT}\nspan.set_attribute('error', {each})" for each in TEXTS),
    ),
    "kind straight after the start": (
        START + "span.set_tag('a', 1)\nspan.set_tag(tags.SPAN_KIND, 'client')\n",
        f"span = {GET}.start_span('a', kind=SpanKind.CLIENT)\nspan.set_attribute('a', 1)",
    ),
    "values that are no attributes": (
        START + "span.set_tag('a', {'b': 1})\nspan.set_tag('c', None)\n",
        f"span = {GET}.start_span('a')\nspan.set_attribute('a', str({{'b': 1}}))\n"
        "span.set_attribute('c', str(None))",
    ),
    "a value at the start that is no attribute": (
        "opentracing.tracer.start_span('n', tags={'a': 1, 'b': None})\n",
        f"{GET}.start_span('n', attributes={{'a': 1, 'b': str(None)}})",
    ),
    "constant": ("url = tags.HTTP_URL\n", 'url = "http.url"'),
    "log": (
        START + "span.log_kv({'event': 'e', 'a': 1}, t)\nspan.log_kv({'a': 1})\n",
        f"span = {GET}.start_span('a')\n"
        "span.add_event(\"e\", {'event': 'e', 'a': 1}, timestamp=int(t * 1e9))\n"
        "span.add_event(\"log\", {'a': 1})",
    ),
    "error as text": (
        START + "span.set_tag('error', f'{a}!')\ntry:\n    pass\nexcept OSError as e:\n    span.set_tag('error', e)\n",
        f"span = {GET}.start_span('a')\n{TEXT}\nspan.set_attribute('error', f'{{a}}!')\ntry:\n    pass\n"
        f"except OSError as e:\n    {TEXT}\n    span.set_attribute('error', str(e))",
    ),
    "ids of a span's context": (
        START + "a = span.context.trace_id\nb = opentracing.tracer.active_span.context.span_id\n",
        f"span = {GET}.start_span('a')\na = span.get_span_context().trace_id\n"
        "b = trace.get_current_span().get_span_context().span_id",
    ),
    "parameter that no call gives": (
        "class A:\n    def __init__(self, t=None):\n        self.t = t or opentracing.global_tracer()\n"
        "        self.t.start_span('a').finish()\n\nA()\n",
        f"class A:\n    def __init__(self, t=None):\n        self.t = t or {GET}\n"
        "        self.t.start_span('a').end()\n\nA()",
    ),
    "name": (START + "span.set_operation_name('b')\n", f"span = {GET}.start_span('a')\nspan.update_name('b')"),
    "active span": (
        "span = opentracing.tracer.active_span\nif span:\n    span.set_tag('a', 1)\n",
        "span = trace.get_current_span()\nif span is not trace.INVALID_SPAN:\n    span.set_attribute('a', 1)",
    ),
    "active span, tested for None": (
        "a = opentracing.tracer.active_span is None\nb = not opentracing.tracer.active_span\n",
        "a = trace.get_current_span() is trace.INVALID_SPAN\nb = trace.get_current_span() is trace.INVALID_SPAN",
    ),
    "active scope": (
        "opentracing.tracer.scope_manager.active.span.set_tag('a', 1)\n",
        "trace.get_current_span().set_attribute('a', 1)",
    ),
    "activate": (
        START + "with opentracing.tracer.scope_manager.activate(span, done):\n    pass\n",
        f"span = {GET}.start_span('a')\nwith trace.use_span(span, end_on_exit=done):\n    pass",
    ),
    "reference": (
        START + "opentracing.tracer.start_span('b', references=[opentracing.follows_from(span.context)])\n",
        f"span = {GET}.start_span('a')\n"
        f"{GET}.start_span('b', context=trace.set_span_in_context(span), "
        "links=[trace.Link(span.get_span_context())])",
    ),
    "reference, and ignore_active_span": (
        START + "opentracing.tracer.start_span('b', references=[opentracing.child_of(span.context)], "
        "ignore_active_span=True)\n",
        f"span = {GET}.start_span('a')\n"
        f"{GET}.start_span('b', context=trace.set_span_in_context(span), "
        "links=[trace.Link(span.get_span_context())])",
    ),
    "annotation": (
        "def f(span: opentracing.Span, tracer: 'opentracing.Tracer') -> None:\n    span.finish()\n",
        "def f(span: trace.Span, tracer: \"trace.Tracer\") -> None:\n    span.end()",
    ),
    "annotation of a variable": (
        "def f():\n    a: opentracing.Span\n    b: opentracing.Span = None\n    a.finish()\n    b.finish()\n",
        "def f():\n    a: trace.Span\n    b: trace.Span = None\n    a.end()\n    b.end()",
    ),
    "annotation of an attribute": (
        "class A:\n    a: opentracing.Span\n    b: 'opentracing.Span' = None\n\n"
        "    def f(self):\n        self.a.finish()\n        self.b.finish()\n",
        "class A:\n    a: trace.Span\n    b: \"trace.Span\" = None\n\n"
        "    def f(self):\n        self.a.end()\n        self.b.end()",
    ),
    "annotation of a result": (
        "def f() -> opentracing.Span:\n    return opentracing.tracer.start_span('a')\n\nf().finish()\n",
        f"def f() -> trace.Span:\n    return {GET}.start_span('a')\n\nf().end()",
    ),
    "annotation of a result, in quotes": (
        "async def f() -> 'opentracing.Span':\n    return opentracing.tracer.start_span('a')\n\n"
        "async def g():\n    (await f()).finish()\n",
        f"async def f() -> \"trace.Span\":\n    return {GET}.start_span('a')\n\n"
        "async def g():\n    (await f()).end()",
    ),
    "functions with decorators": (
        "class A:\n    @x.y\n    def f(self, span: opentracing.Span):\n        span.finish()\n\n"
        "    @x.y()\n    def g(self, span: opentracing.Span):\n        span.finish()\n\n"
        "    @classmethod\n    def h(cls, span: opentracing.Span):\n        span.finish()\n\n"
        "    @staticmethod\n    def i(span: opentracing.Span):\n        span.finish()\n",
        "class A:\n    @x.y\n    def f(self, span: trace.Span):\n        span.end()\n\n"
        "    @x.y()\n    def g(self, span: trace.Span):\n        span.end()\n\n"
        "    @classmethod\n    def h(cls, span: trace.Span):\n        span.end()\n\n"
        "    @staticmethod\n    def i(span: trace.Span):\n        span.end()",
    ),
    "methods that are called through an instance or a class": (
        "class A:\n    def f(self, a: opentracing.Span, b: opentracing.Span):\n        a.finish()\n\n"
        "    @classmethod\n    def g(cls, a: opentracing.Span, b: opentracing.Span):\n        a.finish()\n\n"
        "    @staticmethod\n    def h(a: opentracing.Span, b: opentracing.Span):\n        a.finish()\n\n"
        "    def i(self):\n        s = opentracing.tracer.start_span('s')\n"
        + "".join(
            f"        {each}\n"
            for each in (
                *("self.f(s, s)", "A.f(self, s, s)", "self.g(s, s)", "A.g(s, s)"),
                *("self.h(s, s)", "A.h(s, s)"),
            )
        ),
        "class A:\n    def f(self, a: trace.Span, b: trace.Span):\n        a.end()\n\n"
        "    @classmethod\n    def g(cls, a: trace.Span, b: trace.Span):\n        a.end()\n\n"
        "    @staticmethod\n    def h(a: trace.Span, b: trace.Span):\n        a.end()\n\n"
        f"    def i(self):\n        s = {GET}.start_span('s')\n"
        "        self.f(s, s)\n        A.f(self, s, s)\n        self.g(s, s)\n        A.g(s, s)\n"
        "        self.h(s, s)\n        A.h(s, s)",
    ),
    "attributes of attributes": (
        "class A:\n    def f(self):\n        self.b.c.s = opentracing.tracer.start_span('a')\n\n"
        "    def __init__(self):\n        self.b = B()\n\n"
        "class B:\n    def __init__(self):\n        self.c = C()\n\n"
        "class C:\n    def f(self):\n        self.s.finish()\n",
        f"class A:\n    def f(self):\n        self.b.c.s = {GET}.start_span('a')\n\n"
        "    def __init__(self):\n        self.b = B()\n\n"
        "class B:\n    def __init__(self):\n        self.c = C()\n\n"
        "class C:\n    def f(self):\n        self.s.end()",
    ),
    "one of two spans": (
        "a = opentracing.tracer.start_span('a') if x else opentracing.tracer.start_span('b')\n"
        "b = a or a\nif b:\n    opentracing.tracer.start_span('c', child_of=b).finish()\n",
        f"a = {GET}.start_span('a') if x else {GET}.start_span('b')\nb = a or a\n"
        f"if b:\n    {GET}.start_span('c', context=trace.set_span_in_context(b)).end()",
    ),
    "a method that no subclass overrides": (
        "class A:\n    def f(self, span):\n        span.finish()\n\n"
        "class B(A):\n    def g(self, span):\n        span.finish()\n\n"
        "class C:\n    def f(self, span):\n        span.finish()\n\n"
        "A().f(opentracing.tracer.start_span('a'))\nB().f(opentracing.tracer.start_span('b'))\n"
        "B().g(opentracing.tracer.start_span('c'))\nC().f(opentracing.tracer.start_span('d'))\n",
        "class A:\n    def f(self, span):\n        span.end()\n\n"
        "class B(A):\n    def g(self, span):\n        span.end()\n\n"
        "class C:\n    def f(self, span):\n        span.end()\n\n"
        f"A().f({GET}.start_span('a'))\nB().f({GET}.start_span('b'))\n"
        f"B().g({GET}.start_span('c'))\nC().f({GET}.start_span('d'))",
    ),
    "comments and spacing": (
        "# before\nwith opentracing.tracer.start_active_span(  # here\n"
        "    'n',  # name\n    child_of = None,  # none\n    finish_on_close = False,\n) as scope:  # scope\n"
        "    pass  # nothing\n",
        f"# before\nwith {GET}.start_as_current_span(  # here\n"
        "    'n',  # name\n    end_on_exit = False,\n) as span:  # scope\n"
        "    pass  # nothing",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), ROWS.values(), ids=ROWS)
def test_each_rule_rewrites_code_to_its_opentelemetry_counterpart(
    before: str, after: str, tmp_path: Path
) -> None:
    found = body(HEAD + before, tmp_path)
    assert "import opentracing" not in (tmp_path / "program.py").read_text()
    assert "from opentracing" not in (tmp_path / "program.py").read_text()
    first = f"tracer = {GET}\n"
    if found.startswith(first):  # more than one use: then the module has a name for it
        found = re.sub(r"\btracer\b(?=\.|$)", GET, found.removeprefix(first).strip(), flags=re.MULTILINE)
    assert found == after


#: values that become text, because they cannot be attributes
WRAPPED = (
    *(
        "{1: 2}",
        "{1}",
        "{x: 1 for x in y}",
        "{x for x in y}",
        "lambda: 1",
        "(x for x in y)",
        "((x for x in y))",
    ),
    *(
        "dict(b=1)",
        "set()",
        "frozenset()",
        "object()",
        "[1, 'x']",
        "(1, 'x')",
        "( 1, 'é' )",
        "None",
        "...",
        "b'x'",
    ),
)
#: values that stay as they are
BARE = (
    *(
        "1",
        "-1",
        "1.5",
        "True",
        "'x'",
        "f'{x}'",
        "x",
        "(x)",
        "x.y",
        "x[1]",
        "[1, 2]",
        "(1, 2)",
        "((1, 2))",
        "()",
    ),
    *("[1, x]", "(1, x)", "[*x]", "list(x)", "x.dict()", "f(x)(y)", "x if y else z", "not x", "(x := 1)"),
)


@pytest.mark.parametrize(
    ("value", "after"),
    [*((value, f"str({value})") for value in WRAPPED), *((value, value) for value in BARE)],
)
def test_a_value_that_cannot_be_an_attribute_becomes_text(value: str, after: str, tmp_path: Path) -> None:
    start = f"span = opentracing.tracer.start_span('n', tags={{'a': {value}}})\n"
    assert body(HEAD + start + f"span.set_tag('b', {value})\n", tmp_path).splitlines() == [
        f"span = {GET}.start_span('n', attributes={{'a': {after}}})",
        f"span.set_attribute('b', {after})",
    ]


#: what is left -> (the code and the text of its first mark, program)
LEFT = {
    "span given away": (
        "OTB302 the span is passed to ship(), which is not below the paths; left as it is",
        START + "ship(span)\nspan.set_tag('a', 1)\n",
    ),
    "span in a container": (
        "OTB302 the span goes where it cannot be followed; left as it is",
        START + "spans = [span]\n",
    ),
    "span returned to nobody": (
        "OTB302 the span is returned by f(), and not all callers are known",
        "def f():\n    span = opentracing.tracer.start_span('a')\n    return span\n",
    ),
    "span yielded": (
        "OTB302 the span goes where it cannot be followed; left as it is",
        "def f():\n    span = opentracing.tracer.start_span('a')\n    yield span\n",
    ),
    "finish handed on": ("OTB302 finish is passed on as a function", START + "callback(span.finish)\n"),
    "scope by hand": (
        "OTB303 the scope is used without with; use start_as_current_span in a with block",
        "s = opentracing.tracer.start_active_span('a')\ns.close()\n",
    ),
    "scope used": (
        "OTB303 the scope is used without with: use attach and detach, or a with block",
        "with opentracing.tracer.start_active_span('a') as s:\n    s.close()\n",
    ),
    "a parent that is the active span or a started one": (
        "OTB304 the parent may be the active span, or none",
        "if x:\n    s = opentracing.tracer.active_span\nelse:\n    s = opentracing.tracer.start_span('a')\n"
        "opentracing.tracer.start_span('b', child_of=s).finish()\n",
    ),
    "such a parent in one expression": (
        "OTB304 the parent may be the active span, or none",
        "s = opentracing.tracer.active_span if x else opentracing.tracer.start_span('a')\n"
        "opentracing.tracer.start_span('b', child_of=s).finish()\n",
    ),
    "unknown parent": (
        "OTB304 the type of the parent is not known",
        "s = opentracing.tracer.start_span('a', child_of=parent)\ns.finish()\n",
    ),
    "unknown tags": (
        "OTB305 the content of the tags is not known: they may contain error or span.kind",
        "s = opentracing.tracer.start_span('a', tags=given)\ns.finish()\n",
    ),
    "unknown name of a tag": (
        "OTB305 the tag's name is not known: it may be error or span.kind",
        START + "span.set_tag(name, 1)\n",
    ),
    "unknown log": (
        "OTB305 the content of the log is not known: it may be an error, or name the event",
        START + "span.log_kv(fields)\n",
    ),
    "binary format": (
        "OTB306 a format that OpenTelemetry does not have, or that is not known",
        START + "opentracing.tracer.inject(span, Format.BINARY, c)\n",
    ),
    "unknown format": (
        "OTB306 a format that OpenTelemetry does not have, or that is not known",
        START + "opentracing.tracer.inject(span, given, c)\n",
    ),
    "a format that OpenTracing does not have": (
        "OTB306 a format that OpenTelemetry does not have, or that is not known",
        START + "opentracing.tracer.inject(span, 'zipkin', c)\n",
    ),
    "injection of nothing": (
        "OTB304 None is injected",
        "opentracing.tracer.inject(None, Format.TEXT_MAP, c)\n",
    ),
    "an error with a tag that its span records again": (
        "OTB305 the exception leaves the block of the span, which records it again",
        "with opentracing.tracer.start_active_span('a') as s:\n    try:\n        work()\n"
        "    except ValueError as e:\n"
        "        s.span.log_kv({'event': 'error', 'error.object': e, 'a': 1})\n        raise\n",
    ),
    "late kind": (
        "OTB201 a span's kind cannot be changed after its start; give it at the start as kind=",
        START + "other()\nspan.set_tag('span.kind', 'client')\n",
    ),
    "priority": (
        "OTB202 sampling.priority has no counterpart but a sampler",
        START + "span.set_tag(tags.SAMPLING_PRIORITY, 1)\n",
    ),
    "odd error": (
        "OTB203 the value of the error tag is not True or False",
        START + "span.set_tag('error', status > 499)\n",
    ),
    "baggage": (
        "OTB204 baggage: token = context.attach(baggage.set_baggage(k, v)), and detach where the item ends",
        START + "span.set_baggage_item('a', 'b')\n",
    ),
    "parent of a span that is left": (
        "OTB305 the content of the tags is not known: they may contain error or span.kind",
        START + "opentracing.tracer.start_span('b', child_of=span, tags=given)\n",
    ),
    "baggage that is read": (
        "OTB204 baggage: baggage.get_baggage(k) reads the current context's",
        START + "a = span.get_baggage_item('a')\n",
    ),
    "a scope in an annotation": (
        "OTB303 OpenTelemetry has no Scope",
        "def f(scope: opentracing.Scope):\n    scope.span.finish()\n",
    ),
    "a tracer that is closed": (
        "OTB401 set-up: ot_bridge.install(service), or the SDK's provider, processor and exporter",
        "from jaeger_client import Config\nt = Config({}, 'a').initialize_tracer()\nt.close()\n",
    ),
    "a framework's package": (
        "OTB404 a framework's package: ot_bridge's middleware, interceptors, or opentelemetry-instrumentation",
        "from flask_opentracing import FlaskTracing\nFlaskTracing(x)\n",
    ),
    "a client library's package": (
        "OTB405 a client library's package: opentelemetry-instrumentation takes its place",
        "from opentracing_instrumentation import get_current_span\nget_current_span()\n",
    ),
    "a mock tracer": (
        "OTB207 MockTracer: ot_bridge.testing.RecordingTracer, or the SDK's in-memory exporter",
        "from opentracing.mocktracer import MockTracer\nt = MockTracer()\nt.start_span('a').finish()\n",
    ),
    "a scope manager": (
        "OTB208 OpenTelemetry's context follows threads' and tasks' variables by itself",
        "from opentracing.scope_managers import ThreadLocalScopeManager\nm = ThreadLocalScopeManager()\n",
    ),
    "a string that names the module": (
        "OTB311 opentracing is imported by its name in a string",
        "import importlib\nimportlib.import_module('opentracing')\n",
    ),
    "stars": (
        "OTB312 arguments that start_span() gets by ** are not visible",
        "def f(**more):\n    opentracing.tracer.start_span('a', **more)\n",
    ),
    "an exception that is never raised": (
        "OTB206 OpenTelemetry's propagators never raise this; the handler is dead code",
        "try:\n    pass\nexcept opentracing.InvalidCarrierException:\n    pass\n",
    ),
    "sampling.priority at the start": (
        "OTB202 sampling.priority has no counterpart but a sampler",
        "s = opentracing.tracer.start_span('a', tags={'sampling.priority': 1})\ns.finish()\n",
    ),
    "a kind at the start that is not known": (
        "OTB201 span.kind is not known at the start",
        "s = opentracing.tracer.start_span('a', tags={'span.kind': kind})\ns.finish()\n",
    ),
    "reference in a variable": (
        "OTB302 the span's context is passed to opentracing.follows_from(), which is not below the paths; left as it is",
        START + "r = opentracing.follows_from(span.context)\n",
    ),
    "several references": (
        "OTB205 references: a person decides which one is the parent, and which are links",
        "opentracing.tracer.start_span('a', references=refs)\n",
    ),
    "a parent, then a reference": (
        "OTB205 references: a person decides which one is the parent, and which are links",
        START + "opentracing.tracer.start_span('b', child_of=span, "
        "references=[opentracing.follows_from(span.context)])\n",
    ),
    "a reference, then a parent": (
        "OTB205 references: a person decides which one is the parent, and which are links",
        START + "opentracing.tracer.start_span('b', references=[opentracing.follows_from(span.context)], "
        "child_of=span)\n",
    ),
    "extracted and tested": (
        "OTB304 the extracted context is tested: it is never None in OpenTelemetry, ask its span for is_valid",
        "c = opentracing.tracer.extract(Format.TEXT_MAP, h)\nif c is None:\n    pass\n",
    ),
    "by name": (
        "OTB301 span is known only by its name; left as it is",
        "def f(span):\n    span.set_tag('a', 1)\n",
    ),
    "span's tracer": ("OTB309 an OpenTelemetry span has no tracer", START + "span.tracer.close()\n"),
    "private member": (
        "OTB308 trace_id belongs to an implementation, not to OpenTracing's API",
        START + "print(span.trace_id)\n",
    ),
    "subclass": (
        "OTB307 a subclass of opentracing.Tracer; left as it is",
        "class A(opentracing.Tracer):\n    pass\n",
    ),
    "set-up": (
        "OTB403 the global tracer: ot_bridge.install(service) sets it, and OpenTelemetry has its own",
        "opentracing.set_global_tracer(x)\n",
    ),
    "error that may be none": (
        "OTB305 error.object may be no exception",
        START + "span.log_kv({'event': 'error', 'error.object': thing})\n",
    ),
}


@pytest.mark.parametrize(("text", "program"), LEFT.values(), ids=LEFT)
def test_code_that_needs_a_decision_is_left_below_one_mark(text: str, program: str, tmp_path: Path) -> None:
    after = rewritten("import opentracing\nfrom opentracing import Format, tags\n\n" + program, tmp_path)
    marks = [line.strip() for line in after.splitlines() if line.strip().startswith("# ot-bridge: ")]
    assert [mark for mark in marks if "OTB101" not in mark][:1] == [f"# ot-bridge: {text}"]
    assert not ({"set_attribute", "end()", "add_event"} & set(after.replace("(", " ").split()))
    code_lines = [line for line in after.splitlines() if line.strip() and "# ot-bridge:" not in line]
    for line in program.splitlines():
        assert line.replace("tags.SAMPLING_PRIORITY", '"sampling.priority"') in code_lines


def test_an_import_that_only_a_removed_tag_needs_is_removed(tmp_path: Path) -> None:
    start = "s = opentracing.tracer.start_span('a', tags={tags.SPAN_KIND: 'client', 'a': 1})\ns.finish()\n"
    assert "opentracing" not in rewritten(HEAD + start, tmp_path)


def test_code_that_is_rewritten_and_marked_counts_as_rewritten_and_sets_exit_status_1_once(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.py").write_text(HEAD + START + "span.set_tag('error', 'gone')\nspan.finish()\n")
    outcome = rewrite([tmp_path])
    assert (outcome.rewritten, outcome.left, outcome.status) == (4, 0, 1)
    assert main(["rewrite", str(tmp_path), "--write"]) == 1
    assert main(["rewrite", str(tmp_path), "--write"]) == 0
    assert (tmp_path / "a.py").read_text().count("# ot-bridge: OTB203") == 1


def test_a_span_that_leaves_the_paths_does_not_prevent_the_rewriting_of_others(tmp_path: Path) -> None:
    after = body(
        """
        import opentracing

        def f():
            with opentracing.tracer.start_active_span("outer") as scope:
                span = opentracing.tracer.start_span("parcel")
                ship(span)
                scope.span.set_tag("a", 1)
        """,
        tmp_path,
    )
    assert after == textwrap.dedent(
        """\
        def f():
            with trace.get_tracer(__name__).start_as_current_span("outer") as scope_span:
                # ot-bridge: OTB302 the span is passed to ship(), which is not below the paths; left as it is
                span = opentracing.tracer.start_span("parcel")
                ship(span)
                scope_span.set_attribute("a", 1)"""
    )


#: what has such a name -> (program, the program after)
TRUSTED = {
    "parameters": (
        "def f(span, my_tracer):\n    span.set_tag('a', 1)\n    my_tracer.start_span('b').finish()\n",
        "def f(span, my_tracer):\n    span.set_attribute('a', 1)\n    my_tracer.start_span('b').end()\n",
    ),
    "a parameter with a default": (
        "def f(span=None):\n    span.finish()\n",
        "def f(span=None):\n    span.end()\n",
    ),
    "variables with unknown values": (
        "span = make()\nspan.finish()\ntracer = make()\ntracer.start_span('a').finish()\n",
        "span = make()\nspan.end()\ntracer = make()\ntracer.start_span('a').end()\n",
    ),
    "attributes of a parameter": (
        "def f(a):\n    a.span.finish()\n    a.tracer.start_span('a').finish()\n",
        "def f(a):\n    a.span.end()\n    a.tracer.start_span('a').end()\n",
    ),
    "attributes of an instance": (
        "class A:\n    def __init__(self, span):\n        self.span = span\n\n"
        "    def f(self):\n        self.span.finish()\n",
        "class A:\n    def __init__(self, span):\n        self.span = span\n\n"
        "    def f(self):\n        self.span.end()\n",
    ),
    "a type that is not known": (
        "span: Any = make()\nspan.finish()\n",
        "span: Any = make()\nspan.end()\n",
    ),
    "a type of the API": (
        "def f(x):\n    span: opentracing.Span = x\n    span.finish()\n",
        "def f(x):\n    span: trace.Span = x\n    span.end()\n",
    ),
    "a scope of a type of the API": (
        "def f(x):\n    scope: opentracing.Scope = x\n    scope.close()\n",
        "def f(x):\n    # ot-bridge: OTB109 the value of the annotated variable is not known everywhere; left as it is\n"
        "    scope: opentracing.Scope = x\n    scope.close()\n",
    ),
    "a type of another kind": (
        "span: Any = 3\nspan.finish()\n",
        "span: Any = 3\nspan.finish()\n",
    ),
    "another kind under one name": (
        "def f(x):\n    span = 3\n    span = x\n    span.finish()\n",
        "def f(x):\n    span = 3\n    span = x\n"
        "    # ot-bridge: OTB301 span is known only by its name; left as it is\n    span.finish()\n",
    ),
    "a known value of another kind": ("span = 3\nspan.finish()\n", "span = 3\nspan.finish()\n"),
    "uses of another kind": ("def f(span):\n    span.text()\n", "def f(span):\n    span.text()\n"),
    "no name of these": (
        "def f(spanner):\n    spanner.finish()\n",
        "def f(spanner):\n    spanner.finish()\n",
    ),
    "a scope, which nothing can be instead of": (
        "def f(scope, span):\n    scope.close()\n    span.finish()\n    a = scope.span\n",
        "def f(scope, span):\n    scope.close()\n    span.end()\n"
        "    # ot-bridge: OTB301 scope is known only by its name; left as it is\n    a = scope.span\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), TRUSTED.values(), ids=TRUSTED)
def test_with_trust_names_variable_names_decide_what_is_a_span(
    before: str, after: str, tmp_path: Path
) -> None:
    source = "import opentracing\n\nopentracing.tracer.start_span('a').finish()\n"
    found = rewritten(source + before, tmp_path, trust_names=True)
    assert found.partition(".start_span('a').end()\n")[2] == after


def test_with_the_semconv_option_stable_names_are_written(tmp_path: Path) -> None:
    after = rewritten(
        "from opentracing.ext import tags\n\na = (tags.HTTP_URL, tags.COMPONENT)\n", tmp_path, semconv=True
    )
    assert after.endswith('a = ("url.full", "component")\n')


TREES = {
    "a tracer from another module": (
        {
            "tracing.py": "import opentracing\n\ntracer = opentracing.global_tracer()\n",
            "views.py": "import opentracing\nfrom tracing import tracer\n\n\ndef view():\n"
            "    with tracer.start_active_span('v'):\n        return opentracing\n",
        },
        {
            "tracing.py": "from opentelemetry import trace\n\ntracer = trace.get_tracer(__name__)\n",
            "views.py": "import opentracing\nfrom tracing import tracer\n\n\ndef view():\n"
            "    with tracer.start_as_current_span('v'):\n        return opentracing\n",
        },
    ),
    "a tracer of another module's name": (
        {
            "tracing.py": "import opentracing\n\ntracer = opentracing.global_tracer()\n",
            "views.py": "import opentracing\nimport tracing\n\n\ndef view():\n"
            "    with tracing.tracer.start_active_span('v'):\n        return opentracing\n",
        },
        {
            "tracing.py": "from opentelemetry import trace\n\ntracer = trace.get_tracer(__name__)\n",
            "views.py": "import opentracing\nimport tracing\n\n\ndef view():\n"
            "    with tracing.tracer.start_as_current_span('v'):\n        return opentracing\n",
        },
    ),
    "a span for a helper in another module": (
        {
            "helper.py": "import opentracing\n\n\ndef note(span: opentracing.Span):\n    span.set_tag('a', 1)\n",
            "main.py": "import opentracing\nimport helper\n\n\ndef f():\n"
            "    with opentracing.tracer.start_span('a') as span:\n        helper.note(span)\n",
        },
        {
            "helper.py": "from opentelemetry import trace\n\n\ndef note(span: trace.Span):\n"
            "    span.set_attribute('a', 1)\n",
            "main.py": "from opentelemetry import trace\nimport helper\n\n\ndef f():\n"
            "    with trace.get_tracer(__name__).start_span('a') as span:\n        helper.note(span)\n",
        },
    ),
}


@pytest.mark.parametrize(("before", "after"), TREES.values(), ids=TREES)
def test_a_flow_through_several_files_is_rewritten_completely(
    before: dict[str, str], after: dict[str, str], tmp_path: Path
) -> None:
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    main(["rewrite", str(tmp_path), "--write"])
    assert {name: (tmp_path / name).read_text() for name in before} == after


#: an import in a file of the package `pkg` -> the file, and whether it means the package's module `tracing`
USED = {
    "from .tracing import tracer": ("pkg/views.py", True),
    "from . import tracing": ("pkg/views.py", True),
    "from .. import tracing": ("pkg/sub/views.py", True),
    "from ..tracing import tracer": ("pkg/sub/views.py", True),
    "from .tracing import tracer ": ("pkg/sub/views.py", False),
    "from . import tracing ": ("pkg/sub/views.py", False),
    "from pkg.tracing import tracer": ("views.py", True),
    "from pkg import tracing": ("views.py", True),
    "import pkg.tracing as tracing": ("views.py", True),
    "from pkg.tracing import *": ("views.py", True),
    "from pkg.tracing import other": ("views.py", False),
    "from other.tracing import tracer": ("views.py", False),
}


@pytest.mark.parametrize(("line", "where", "left"), [(key, *row) for key, row in USED.items()])
def test_a_name_that_a_file_without_an_import_uses_is_left(
    line: str, where: str, left: bool, tmp_path: Path
) -> None:
    for folder in ("pkg", "pkg/sub"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "pkg" / "tracing.py").write_text(
        "import opentracing\n\ntracer = opentracing.global_tracer()\n"
    )
    views = tmp_path / where
    views.write_text(
        f"{line}\n"
        + ("tracing.tracer.start_span('a')\n" if "import tracing" in line or " as " in line else "")
    )
    assert main(["rewrite", str(tmp_path), "--write"]) == int(left)
    after = (tmp_path / "pkg" / "tracing.py").read_text()
    mark = f"# ot-bridge: OTB302 tracer is used in {views}, which has no import to change; left as it is"
    assert (mark in after) is left
    assert ("opentracing.global_tracer()" in after) is left


def test_code_used_in_a_file_without_an_import_is_left(tmp_path: Path) -> None:
    (tmp_path / "tracing.py").write_text("import opentracing\n\ntracer = opentracing.global_tracer()\n")
    (tmp_path / "views.py").write_text(
        "from tracing import tracer\n\ntracer.start_span('a').set_tag('b', 1)\n"
    )
    assert main(["rewrite", str(tmp_path), "--write"]) == 1
    assert (
        tmp_path / "views.py"
    ).read_text() == "from tracing import tracer\n\ntracer.start_span('a').set_tag('b', 1)\n"
    assert "# ot-bridge: OTB302 tracer is used in" in (tmp_path / "tracing.py").read_text()


HOSTILE = {
    "CRLF": b"import opentracing\r\n\r\nif 1:\r\n    opentracing.tracer.start_span('a').finish()\r\n",
    "tabs": b"import opentracing\nif 1:\n\twith opentracing.tracer.start_active_span('a') as scope:\n\t\tscope.span.finish()\n",
    "no line end": b"import opentracing\nopentracing.tracer.start_span('a').finish()",
    "byte order mark": b"\xef\xbb\xbfimport opentracing\nopentracing.tracer.start_span('\xc3\xa4').finish()\n",
    "byte order mark before a call": b"\xef\xbb\xbfimport opentracing; opentracing.tracer.start_span('a').finish()\n",
    "latin-1": b"# coding: latin-1\nimport opentracing\nx = '\xe4'; opentracing.tracer.start_span('\xe4').finish()\n",
    "wide characters before": "import opentracing\nx = '𝔘ñ'; opentracing.tracer.start_span('ü').finish()\n".encode(),
    "form feed": b"import opentracing\n\x0c\ndef f():\n    opentracing.tracer.start_span('a').finish()\n",
    "one line": b"import opentracing\nif 1: opentracing.tracer.start_span('a').finish(); x = 1\n",
    "continuation": b"import opentracing\nopentracing \\\n    .tracer \\\n    .start_span('a') \\\n    .finish()\n",
    "parentheses": b"import opentracing\n(opentracing.tracer\n .start_span('a')  # b\n .finish())\n",
    "decorators": b"import opentracing\n\n@a\n@b(1)\ndef f(span):\n    span.set_tag('a', 1)\n",
    "match": b"import opentracing\nmatch 1:\n    case 1:\n        opentracing.tracer.start_span('a').finish()\n",
    "nested functions": b"import opentracing\ndef f():\n    with opentracing.tracer.start_active_span('a') as scope:\n"
    b"        def g():\n            scope.span.set_tag('a', 1)\n        g()\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_line_ends_and_byte_order_marks_of_a_file_are_kept(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_bytes(data)
    main(["rewrite", str(path), "--write"])
    after = path.read_bytes()
    ast.parse(after)
    assert after != data
    assert (b"\r\n" in after) == (b"\r\n" in data)
    assert after.count(b"\n") - after.count(b"\r\n") == 0 or b"\r\n" not in data
    assert after.startswith(b"\xef\xbb\xbf") == data.startswith(b"\xef\xbb\xbf")
    assert after.endswith(b"\n") == data.endswith(b"\n")
    assert main(["rewrite", str(path)]) in (0, 1)
    main(["rewrite", str(path), "--write"])
    assert path.read_bytes() == after


UNTOUCHED = {
    "comments and texts": "import json\n# opentracing.tracer.start_span('a')\nx = 'opentracing.tracer'\n",
    "a module of the project's own": "from .opentracing import tracer\n\ntracer.start_span('a').finish()\n",
    "another module's name": "import pkg.opentracing\n\npkg.opentracing.tracer.start_span('a')\n",
    "a file that is off": "# ot-bridge: off\nimport opentracing\n\nopentracing.tracer.start_span('a').finish()\n",
    "generated": "# Code generated. DO NOT EDIT.\nimport opentracing\n\nopentracing.tracer.start_span('a').finish()\n",
    "a class with such methods": "class Span:\n    def set_tag(self, k, v): ...\n\n\nSpan().set_tag('a', 1)\n",
    "what does not parse": "import opentracing\n\nprint 'a'\n",
    "an optional import of another module": "import opentracing\n\nx = opentracing\ntry:\n    import json\n"
    "except ImportError:\n    json = None\n",
    "texts that name no module": "import opentracing\n\nx = opentracing\nmock.patch('opentracing.tracer[0]')\n"
    "y = ['opentracing tracer', 'opentracing', 'opentracing.', 'json.tool']\nimport_module('json')\nmock.patch('json')\n",
    "nothing but an import that is needed": "import opentracing\n\n__all__ = ['opentracing']\n",
}


@pytest.mark.parametrize("source", UNTOUCHED.values(), ids=UNTOUCHED)
def test_code_that_is_not_opentracing_is_not_changed(source: str, tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("")
    path = tmp_path / "program.py"
    path.write_text(source)
    main(["rewrite", str(tmp_path), "--write"])
    assert path.read_text() == source


def test_a_file_with_an_optional_import_is_left(tmp_path: Path) -> None:
    source = (
        "try:\n    import opentracing\nexcept ImportError:\n    opentracing = None\n\n\n"
        "def f():\n    if opentracing:\n        opentracing.tracer.start_span('a').finish()\n"
    )
    after = rewritten(source, tmp_path)
    assert [line for line in after.splitlines() if "# ot-bridge: OTB310" not in line] == source.splitlines()


#: where new imports go -> (before, after)
IMPORTS = {
    "below the text at the start": (
        '''
            """About."""
            x = 1


            def f():
                import opentracing
                opentracing.tracer.start_span("a").finish()
                return opentracing
        ''',
        '''
            """About."""
            from opentelemetry import trace
            x = 1


            def f():
                import opentracing
                trace.get_tracer(__name__).start_span("a").end()
                return opentracing
        ''',
    ),
    "below the text at the start and the imports": (
        '''
            """About."""

            from __future__ import annotations

            import opentracing


            def f():
                opentracing.tracer.start_span("a").finish()
                return opentracing
        ''',
        '''
            """About."""

            from __future__ import annotations

            import opentracing
            from opentelemetry import trace


            def f():
                trace.get_tracer(__name__).start_span("a").end()
                return opentracing
        ''',
    ),
    "with a tracer, below a comment": (
        """
            # why
            x = 1
            def f():
                import opentracing
                opentracing.tracer.start_span("a").finish()
                opentracing.tracer.start_span("b").finish()
                return opentracing
        """,
        """
            # why
            from opentelemetry import trace

            tracer = trace.get_tracer(__name__)
            x = 1
            def f():
                import opentracing
                tracer.start_span("a").end()
                tracer.start_span("b").end()
                return opentracing
        """,
    ),
    "above a function that is first": (
        """
            def f():
                # first
                import opentracing

                opentracing.tracer.start_span("a").finish()
        """,
        """
            from opentelemetry import trace
            def f():
                # first

                trace.get_tracer(__name__).start_span("a").end()
        """,
    ),
    "above a function whose first line is blank": (
        """
            def f():

                import opentracing

                # why
                opentracing.tracer.start_span("a").finish()
        """,
        """
            from opentelemetry import trace
            def f():
                # why
                trace.get_tracer(__name__).start_span("a").end()
        """,
    ),
    "nowhere, but a comment stays": (
        """
            import a
            # about
            import opentracing
            # end
        """,
        """
            import a
            # about
            # end
        """,
    ),
    "instead of a part of an import": (
        """
            import a
            # why
            import opentracing, b
            from opentracing import tracer, Format
            import c

            tracer.start_span("a").finish()
            x = opentracing
        """,
        """
            import a
            # why
            import opentracing, b
            from opentelemetry import trace
            import c

            tracer = trace.get_tracer(__name__)

            tracer.start_span("a").end()
            x = opentracing
        """,
    ),
}


@pytest.mark.parametrize(("before", "after"), IMPORTS.values(), ids=IMPORTS)
def test_new_imports_stand_at_the_place_of_the_old_ones(before: str, after: str, tmp_path: Path) -> None:
    before, after = (textwrap.dedent(text.lstrip("\n").rstrip(" ")) for text in (before, after))
    assert rewritten(before, tmp_path) == after


def test_an_import_stays_while_an_earlier_call_of_a_chain_needs_it(tmp_path: Path) -> None:
    after = rewritten(HEAD + START + "span.set_tag('a', Format).set_tag('b', 1)\n", tmp_path)
    assert "from opentracing import Format\n" in after
    assert after.endswith("\nspan.set_attribute('a', Format)\nspan.set_attribute('b', 1)\n")


def test_an_import_stays_while_anything_needs_it(tmp_path: Path) -> None:
    after = rewritten(
        "import opentracing\nfrom opentracing import tags, Format\n\nx = tags.HTTP_URL\ny = Format\n",
        tmp_path,
    )
    assert after == (
        'from opentracing import Format\n\nx = "http.url"\n# ot-bridge: OTB306 the format is used outside inject '
        "and extract of a known tracer\ny = Format\n"
    )


#: what a file of a package imports from another file -> (the other file, whether it keeps its import)
IMPORTED = {
    "from .formats import Format": ("pkg/formats.py", True),
    "from . import Format": ("pkg/__init__.py", True),
    "from pkg.formats import Format": ("pkg/formats.py", True),
    "from formats import Format": ("formats.py", True),
    "from .formats import Span": ("pkg/formats.py", False),
    "from .formats import Format ": ("formats.py", False),
}


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(("line", "where", "stays"), [(key, *row) for key, row in IMPORTED.items()])
def test_an_import_stays_while_another_file_imports_its_name(
    line: str, where: str, stays: bool, legacy: bool, tmp_path: Path
) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "a.py").write_text(("import opentracing\n" if legacy else "") + line + "\n")
    text = "from opentracing import Format\nimport opentracing\n"
    (tmp_path / where).write_text(text + "opentracing.tracer.start_span('a').finish()\nx = 1\n")
    main(["rewrite", str(tmp_path), "--write"])
    after = (tmp_path / where).read_text()
    assert ".start_span('a').end()" in after
    assert ("from opentracing import Format" in after) is stays


#: a place that names a type -> a function with it
TYPED = {
    "a text": "def f(a: 'dict[str, Span]'): ...",
    "a text, before a comma": "def f(a: 'tuple[Span, int]'): ...",
    "a text without blanks": "def f(a: 'int|Span'): ...",
    "a comment": "def f(a):  # type: (int) -> Span\n    ...",
    "a comment, in parentheses": "def f(a):  # type: (Span, int) -> None\n    ...",
}


@pytest.mark.parametrize("function", TYPED.values(), ids=TYPED)
def test_an_import_stays_while_a_text_or_comment_about_types_needs_it(function: str, tmp_path: Path) -> None:
    source = f"import opentracing\nfrom opentracing import Span\n\n{function}\n\n"
    after = rewritten(source + "opentracing.tracer.start_span('a').finish()\n", tmp_path)
    assert "from opentracing import Span\n" in after
    assert function in after
    assert after.endswith(".start_span('a').end()\n")


def test_a_span_and_its_inject_are_rewritten_although_their_tracer_stays(tmp_path: Path) -> None:
    source = HEAD + "t = opentracing.tracer\nt.metrics\nspan = t.start_span('a')\n"
    after = rewritten(source + "t.inject(span.context, Format.HTTP_HEADERS, h)\nspan.finish()\n", tmp_path)
    mark = "# ot-bridge: OTB308 metrics belongs to an implementation, not to OpenTracing's API"
    assert after.splitlines()[-7:] == [
        *(mark, "t = opentracing.tracer", mark, "t.metrics"),
        "span = trace.get_tracer(__name__).start_span('a')",
        "propagate.inject(h, context=trace.set_span_in_context(span))",
        "span.end()",
    ]


LINE = f"tracer = {GET}"
STAYS = "t = opentracing.tracer\nt.metrics\n"
ONE, TWO = "opentracing.tracer.start_span('a')\n", "t.start_span('a')\n"
#: how often the tracer is used -> (program, the lines with a tracer after)
TRACERS = {
    "once": (ONE, [f"{GET}.start_span('a')"]),
    "twice": (ONE + ONE, [LINE, *["tracer.start_span('a')"] * 2]),
    "twice, and the name is taken": (f"tracer = 1\n{ONE}{ONE}", ["tracer = 1", *[f"{GET}.start_span('a')"] * 2]),
    "in a variable": (f"t = opentracing.tracer\n{TWO}{TWO}", [f"t = {GET}", *["t.start_span('a')"] * 2]),
    "once, instead of a variable that stays": (STAYS + TWO, [f"{GET}.start_span('a')"]),
    "twice, instead of a variable that stays": (STAYS + TWO + TWO, [LINE, *["tracer.start_span('a')"] * 2]),
    "once, and instead of a variable": (STAYS + TWO + ONE, [LINE, *["tracer.start_span('a')"] * 2]),
    "imported": (
        "from opentracing import tracer as t\n" + TWO + ONE,
        [f"t = {GET}", "t.start_span('a')", f"{GET}.start_span('a')"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "lines"), TRACERS.values(), ids=TRACERS)
def test_the_module_has_a_tracer_if_two_uses_need_it(source: str, lines: list[str], tmp_path: Path) -> None:
    after = rewritten(HEAD + source, tmp_path).splitlines()
    marks = ("#", "from ", "import ", "t.metrics", "t = opentracing.")
    assert [line for line in after if line and not line.startswith(marks)] == lines


def test_a_name_that_is_bound_twice_to_the_same_text_is_known(tmp_path: Path) -> None:
    source = HEAD + "k = 'http.url'\nif x:\n    k = 'http.' 'url'\n" + START + "span.set_tag(k, 1)\n"
    assert rewritten(source, tmp_path).endswith("\nspan.set_attribute(k, 1)\n")


def test_the_active_span_in_an_assignment_expression_is_compared(tmp_path: Path) -> None:
    source = HEAD + "if s := opentracing.tracer.active_span:\n    s.set_tag('a', 1)\n"
    assert rewritten(source, tmp_path).splitlines()[-2:] == [
        "if (s := trace.get_current_span()) is not trace.INVALID_SPAN:",
        "    s.set_attribute('a', 1)",
    ]


def test_each_receiver_that_has_no_name_has_its_own_mark(tmp_path: Path) -> None:
    lines = ["a().set_tag('x', 1)", "a().set_tag('y', 1)", "b().set_tag('z', 1)"]
    after = rewritten("import opentracing\n" + "\n".join(lines) + "\n", tmp_path).splitlines()
    mark = "# ot-bridge: OTB301 the receiver is known only by its name; left as it is"
    assert after[-5:] == [mark, lines[0], lines[1], mark, lines[2]]


def test_a_pin_below_2_rewrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "requirements.txt").write_text("opentracing<2\n")
    (tmp_path / "a.py").write_text("import opentracing\nopentracing.tracer.start_span('a').finish()\n")
    assert main(["rewrite", str(tmp_path), "--write"]) == 1
    assert "start_span('a').finish()" in (tmp_path / "a.py").read_text()
    assert "Nothing is rewritten" in capsys.readouterr().err


def test_the_diff_can_be_applied_by_patch_and_no_file_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    lines = ["import opentracing", *["x = 1"] * 20, "opentracing.tracer.start_span('a').finish()"]
    path.write_text("\n".join(lines))
    before = path.read_text()
    command = [sys.executable, "-m", "ot_bridge.cli", "rewrite", "a.py"]
    diff = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert diff.returncode == 0
    assert path.read_text() == before
    hunks = [line for line in diff.stdout.splitlines() if line.startswith("@@")]
    assert hunks == ["@@ -1,4 +1,4 @@", "@@ -19,4 +19,4 @@"]
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff.stdout, text=True, check=True)
    patched = path.read_text()
    path.write_text(before)
    main(["rewrite", str(path), "--write"])
    assert path.read_text() == patched


@pytest.mark.parametrize("where", ["a.py", ".", "{folder}/a.py", "{folder}", "../{name}/a.py"])
def test_the_diff_names_a_file_relative_to_the_current_directory(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("import opentracing\n\nopentracing.tracer.start_span('a').finish()\n")
    assert main(["rewrite", where.format(folder=tmp_path, name=tmp_path.name)]) == 0
    assert capsys.readouterr().out.startswith("--- a/a.py\n+++ b/a.py\n")


def test_the_diff_of_a_file_elsewhere_has_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    (tmp_path / "a.py").write_text("import opentracing\n\nopentracing.tracer.start_span('a').finish()\n")
    assert main(["rewrite", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"--- a{tmp_path}/a.py\n+++ b{tmp_path}/a.py\n")


def test_a_files_mode_and_links_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        "#!/usr/bin/env python\nimport opentracing\n\nopentracing.tracer.start_span('a').finish()\n"
    )
    path.chmod(0o755)
    (tmp_path / "link.py").symlink_to(path)
    assert main(["rewrite", str(tmp_path / "link.py"), "--write"]) == 0
    assert (tmp_path / "link.py").is_symlink()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o755
    assert "opentelemetry" in path.read_text()


def test_the_mark_of_a_jaeger_configuration_lists_the_variables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text(
        "from jaeger_client import Config\n\n"
        "c = Config(config={'sampler': {'type': 'const', 'param': 1}}, service_name='shop')\n"
    )
    assert main(["rewrite", str(tmp_path), "--write"]) == 1
    (mark,) = [
        line for line in (tmp_path / "a.py").read_text().splitlines() if line.startswith("# ot-bridge: ")
    ]
    assert "OTB401 set-up: ot_bridge.install('shop')" in mark
    assert "OTEL_SERVICE_NAME=shop" in mark
    assert "OTEL_TRACES_SAMPLER=" in mark


def test_the_mark_of_a_configuration_that_jaeger_client_refuses_has_no_variables(tmp_path: Path) -> None:
    source = "from jaeger_client import Config\n\nc = Config(config={'reporter_batch_size': 'x'}, service_name='shop')\n"
    (tmp_path / "a.py").write_text(source)
    assert main(["rewrite", str(tmp_path), "--write"]) == 1
    after = (tmp_path / "a.py").read_text()
    assert [
        line for line in after.splitlines() if not line.startswith("# ot-bridge: ")
    ] == source.splitlines()
    assert "OTB401 set-up: ot_bridge.install('shop')" in after
    assert "OTEL_" not in after


def test_the_summary_explains_once_what_changes_for_every_span(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text(HEAD + START + "span.finish()\n" + START + "span.finish()\n")
    assert main(["rewrite", str(tmp_path)]) == 0
    printed = capsys.readouterr().err
    assert printed.count("A cancelled task, SystemExit or KeyboardInterrupt makes the status ERROR") == 1
    assert "6 references would be rewritten in 1 files, 0 are left, with 0 marks" in printed


def test_the_json_output_lists_what_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("import opentracing\n\nship(opentracing.tracer.start_span('a'))\n")
    assert main(["rewrite", str(tmp_path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["rewritten"], report["left"]) == (0, 2)
    assert next(iter(report["marks"].values()))[0].startswith("# ot-bridge: OTB302")


def test_without_libcst_the_command_says_how_to_install_it() -> None:
    program = "import sys; sys.modules['libcst'] = None; from ot_bridge.cli.main import main; main(['rewrite', '.'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'ot-bridge[migrate]'" in done.stderr


@pytest.mark.parametrize("command", ["check", "rewrite"])
def test_the_help_has_examples_and_the_exit_status(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    printed = capsys.readouterr().out
    assert "examples:" in printed
    assert "exit status: 0" in printed
