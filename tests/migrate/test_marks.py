"""Where a mark stands, and what it says.

It is above the start of a span that is left, and at each call of a tracer that is.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.migrate.test_rewrite import HEAD, START, rewritten

SPAN = START.strip()
ROWS = {
    "a span with one problem": (START + "span.trace_id\nspan.finish()\n", [("OTB308", SPAN)]),
    "a span with two problems": (
        START + "span.set_tag(name, 1)\nspan.log_kv(values)\nspan.finish()\n",
        [("OTB305", SPAN)],
    ),
    "a span that functions use": (
        START
        + "def f():\n    span.set_tag(name, 1)\n    span.set_tag('a', 1)\n\ndef g():\n    span.finish()\n",
        [("OTB305", SPAN), ("OTB305", "span.set_tag(name, 1)"), ("OTB305", "span.finish()")],
    ),
    "baggage of a span": (
        START + "span.set_baggage_item(k, v)\nspan.set_tag('a', 1)\n",
        [("OTB204", SPAN), ("OTB204", "span.set_baggage_item(k, v)")],
    ),
    "a tracer's own member": (
        "t = opentracing.tracer\nt.metrics\nt.start_span('a').finish()\n",
        [("OTB308", "t = opentracing.tracer"), ("OTB308", "t.metrics")],
    ),
}


@pytest.mark.parametrize(("source", "wanted"), ROWS.values(), ids=ROWS)
def test_what_is_left_has_its_marks(source: str, wanted: list[tuple[str, str]], tmp_path: Path) -> None:
    lines = [line.strip() for line in rewritten(HEAD + source, tmp_path).splitlines()]
    found = [(line.split()[2], below) for line, below in pairwise(lines) if line.startswith("# ot-bridge: ")]
    assert found == wanted


ABOVE = """\
class A:
    def f(self, x):
        self.b.s = x
    def __init__(self):
        self.b = B()
class B:
    def __init__(self):
        self.s = opentracing.tracer.start_span('a')
    def g(self):
        self.s.finish()
"""
STATIC = """\
class A:
    @staticmethod
    def f(a, b: opentracing.Span):
        b.finish()
    def g(self, x):
        span = opentracing.tracer.start_span('a')
        self.f(x, span)
        span.tracer
"""
#: what is left -> (program, the codes and texts of its marks)
LEFT = {
    "a constant compared by identity": ("x is tags.ERROR\n", ["OTB108 a constant is compared by identity"]),
    "the module passed on": (
        "f(opentracing)\n",
        ["OTB310 opentracing is tested, patched or passed on as a module"],
    ),
    "the function of the tracer passed on": (
        "f(opentracing.global_tracer)\n",
        ["OTB302 global_tracer is passed on as a function"],
    ),
    "a class as a value": (
        "isinstance(x, opentracing.Span)\n",
        ["OTB302 opentracing.Span is used as a value; left as it is"],
    ),
    "a type of a variable with unknown values": (
        "def f(span: opentracing.Span):\n    pass\nf(x)\nspan: opentracing.Span = x\n",
        [
            "OTB302 f() is also called with a value that is not known",
            "OTB109 the value of the annotated variable is not known everywhere; left as it is",
        ],
    ),
    "a star import": (
        "from opentracing.tags import *\n",
        ["OTB312 a star import: the imported names are not visible"],
    ),
    "a module in a list of texts": ("APPS = ['opentracing.tags', 'a']\n", ["OTB311 a string names a module"]),
    "a framework's module in a list of texts": (
        "APPS = ['django_opentracing.middleware']\n",
        [
            "OTB404 a framework's package: ot_bridge's middleware, interceptors, or opentelemetry-instrumentation"
        ],
    ),
    "a name of the module that is replaced": (
        "opentracing.Format = x\n",
        ["OTB310 a name of the module is replaced"],
    ),
    "the tracer of the module that is replaced": (
        "opentracing.tracer = x\n",
        ["OTB403 the global tracer: ot_bridge.install(service) sets it, and OpenTelemetry has its own"],
    ),
    "an argument that the API lacks": (
        "opentracing.tracer.start_span('a', colour=1)\n",
        ["OTB308 colour= is an argument of an implementation, not of the API"],
    ),
    "arguments by a star": (
        "opentracing.tracer.start_span(*args)\n",
        ["OTB312 arguments that start_span() gets by * are not visible"],
    ),
    "arguments by two stars": (
        START + "span.set_tag(**args)\n",
        ["OTB312 arguments that set_tag() gets by ** are not visible"],
    ),
    "a scope that is never closed": (
        "def f():\n    opentracing.tracer.start_active_span('a')\n",
        ["OTB303 the scope is never closed"],
    ),
    "a scope in one expression": (
        "opentracing.tracer.start_active_span('a').span.set_tag('a', 1)\n",
        ["OTB303 the scope is used without with"],
    ),
    "a scope in several names": (
        "with opentracing.tracer.start_active_span('a') as (s, t):\n    pass\n",
        [
            "OTB303 the scope is used without with; use start_as_current_span in a with block, or attach and detach"
        ],
    ),
    "a scope in an attribute": (
        "with opentracing.tracer.start_active_span('a') as x.s:\n    pass\n",
        [
            "OTB303 the scope is used without with; use start_as_current_span in a with block, or attach and detach"
        ],
    ),
    "a scope passed on": (
        "with opentracing.tracer.start_active_span('a') as s:\n    f(s)\n",
        ["OTB303 the scope is used for more than its span"],
    ),
    "a span or another object": (
        "x = opentracing.tracer.start_span('a') if y else z\nx.set_tag('a', 1)\n",
        [
            "OTB302 the span goes where it cannot be followed; left as it is",
            "OTB301 x is known only by its name; left as it is",
        ],
    ),
    "a variable with other values": (
        "x = opentracing.tracer.start_span('a')\nx = y\nx.set_tag('a', 1)\n",
        [
            "OTB302 the span is assigned to x, which also holds other values; left as it is",
            "OTB301 x is known only by its name; left as it is",
        ],
    ),
    "an attribute that gets another value above its class": (
        ABOVE,
        ["OTB302 the span is assigned to s, which also holds other values; left as it is"],
    ),
    "an argument of a static method": (
        STATIC,
        ["OTB309 an OpenTelemetry span has no tracer"] * 2,
    ),
    "an annotated variable with other values": (
        "x: opentracing.Span = opentracing.tracer.start_span('a')\nx = y\n",
        ["OTB109 the value of the annotated variable is not known everywhere; left as it is"],
    ),
    "a variable in an expression with other values": (
        "if (x := opentracing.tracer.start_span('a')).context:\n    x = y\n",
        ["OTB302 the span is assigned to x, which also holds other values; left as it is"],
    ),
    "a name after as with other values": (
        "with opentracing.tracer.start_active_span('a') as s:\n    pass\ns = 3\n",
        ["OTB303 the name after `as` also holds other values"],
    ),
    "a span in an attribute": (
        "x.y = opentracing.tracer.start_span('a')\n",
        ["OTB302 the span goes where it cannot be followed; left as it is"],
    ),
    "a span in an item": (
        "x['y'] = opentracing.tracer.start_span('a')\n",
        ["OTB302 the span goes where it cannot be followed; left as it is"],
    ),
    "the tracer passed on": (
        "f(opentracing.tracer)\n",
        ["OTB302 the tracer is passed to f(), which is not below the paths; left as it is"],
    ),
    "an unknown member of a scope manager": (
        "m = opentracing.tracer.scope_manager\nm.other()\nm.more = 1\n",
        ["OTB303 OpenTelemetry has no scope manager"] * 2,
    ),
    "the tracer passed to a function of the API": (
        "t = opentracing.global_tracer()\nopentracing.set_global_tracer(t)\n",
        [
            "OTB403 the tracer is passed to opentracing.set_global_tracer(); left as it is",
            "OTB403 the global tracer: ot_bridge.install(service) sets it, and OpenTelemetry has its own",
        ],
    ),
    "the tracer passed to a function of a package": (
        "import grpc_opentracing\nt = opentracing.tracer\ngrpc_opentracing.open_tracing_client_interceptor(t)\n",
        [
            "OTB404 the tracer is passed to grpc_opentracing.open_tracing_client_interceptor(); left as it is",
            "OTB404 a framework's package: ot_bridge's middleware, interceptors, or opentelemetry-instrumentation",
        ],
    ),
    "inject without a carrier": (
        START + "opentracing.tracer.inject(span, Format.TEXT_MAP)\n",
        ["OTB306 inject without a format or a carrier", "OTB306 inject without a format or a carrier"],
    ),
    "extract without a carrier": (
        "opentracing.tracer.extract(Format.TEXT_MAP)\n",
        ["OTB306 extract without a format or a carrier"],
    ),
    "inject of an unknown object": (
        "opentracing.tracer.inject(x, Format.TEXT_MAP, c)\n",
        ["OTB304 the type of the injected object is not known"],
    ),
    "the active scope": (
        "s = opentracing.tracer.scope_manager.active\nf(s)\n",
        ["OTB303 the active scope is used by itself; OpenTelemetry has only the current span"],
    ),
    "the scope manager": (
        "f(opentracing.tracer.scope_manager)\n",
        ["OTB303 OpenTelemetry has no scope manager"],
    ),
    "the scope manager of a scope": (
        "with opentracing.tracer.start_active_span('a') as scope:\n    m = scope.manager\n",
        ["OTB303 OpenTelemetry has no scope manager"],
    ),
    "an annotated item": (
        "x['a']: opentracing.Span = f()\n",
        ["OTB109 the value of the annotated variable is not known everywhere; left as it is"],
    ),
    "activate without with": (
        START + "s = opentracing.tracer.scope_manager.activate(span, True)\n",
        [
            "OTB303 the scope is used without with; use start_as_current_span in a with block",
            "OTB101 the tracer stays, because one of its uses is left",
        ],
    ),
    "an activated scope in several names": (
        START + "with opentracing.tracer.scope_manager.activate(span, True) as (s, t):\n    pass\n",
        [
            "OTB303 the scope is used without with; use trace.use_span in a with block",
            "OTB101 the tracer stays, because one of its uses is left",
        ],
    ),
    "an activated scope that is never closed": (
        START + "opentracing.tracer.scope_manager.activate(span, True)\n",
        [
            "OTB303 the scope is never closed",
            "OTB101 the tracer stays, because one of its uses is left",
        ],
    ),
    "an unknown span that is activated": (
        "with opentracing.tracer.scope_manager.activate(x, True):\n    pass\n",
        ["OTB304 the type of the activated object is not known"],
    ),
    "a name of an activated scope with other values": (
        START + "with opentracing.tracer.scope_manager.activate(span, True) as s:\n    pass\ns = 3\n",
        [
            "OTB303 the name after `as` also holds other values",
            "OTB101 the tracer stays, because one of its uses is left",
        ],
    ),
    "a span or the active one, tested": (
        "if x:\n    s = opentracing.tracer.active_span\nelse:\n    s = opentracing.tracer.start_span('a')\nif s:\n    pass\n",
        [
            "OTB302 the span is tested, and may be the active one, or none",
            "OTB101 the tracer stays, because one of its uses is left",
        ],
    ),
    "an error at the start of a span without a name": (
        "opentracing.tracer.start_span('a', tags={'error': True})\n",
        ["OTB203 the error tag of a span without a name"],
    ),
    "an error at the start that is not known": (
        "s = opentracing.tracer.start_span('a', tags={'error': x})\n",
        ["OTB203 the value of the error tag is not True or False"],
    ),
    "tags by two stars": (
        "s = opentracing.tracer.start_span('a', tags={**x})\n",
        ["OTB312 the tags that ** adds are not visible"],
    ),
    "a reference's function passed on": (
        "f(opentracing.follows_from)\n",
        ["OTB205 references: a person decides which one is the parent, and which are links"],
    ),
    "an unknown reference": (
        "opentracing.tracer.start_span('a', references=[opentracing.child_of(x)])\n",
        ["OTB205 a reference to an object that is not a known span's context"],
    ),
    "two references": (
        START
        + "opentracing.tracer.start_span('a', references=[opentracing.child_of(span.context), opentracing.child_of(span.context)])\n",
        [
            "OTB205 references: a person decides which one is the parent, and which are links",
            "OTB101 the tracer stays, because one of its uses is left",
        ],
    ),
    "a reference to a span instead of its context": (
        START + "opentracing.tracer.start_span('a', references=[opentracing.child_of(span)])\n",
        [
            "OTB205 a reference to an object that is not a known span's context",
            "OTB101 the tracer stays, because one of its uses is left",
        ],
    ),
    "ignore_active_span that is not known": (
        "opentracing.tracer.start_span('a', ignore_active_span=x)\n",
        ["OTB304 whether the active span is ignored is not known"],
    ),
    "finish_on_close that is not known": (
        "with opentracing.tracer.start_active_span('a', finish_on_close=x):\n    pass\n",
        ["OTB303 finish_on_close is not known"],
    ),
    "finish_on_close that is no bool": (
        "with opentracing.tracer.start_active_span('a', finish_on_close=1):\n    pass\n",
        ["OTB303 finish_on_close is not known"],
    ),
    "a tag without a value": (START + "span.set_tag('a')\n", ["OTB305 a tag without name or value"]),
    "a tag without a name": (START + "span.set_tag(value='a')\n", ["OTB305 a tag without name or value"]),
    "the result of a chain": (
        START + "x = span.set_tag('a', 1)\n",
        ["OTB302 the result of set_tag() is used; OpenTelemetry returns None"],
    ),
    "a chain as an argument": (
        START + "f(span.set_tag('a', 1))\n",
        ["OTB302 the span is passed to f(), which is not below the paths; left as it is"],
    ),
    "a chain that begins with a call": (
        "opentracing.tracer.start_span('a').set_tag('a', 1).set_tag('b', 1)\n",
        ["OTB302 set_tag() in a chain that begins with a call"],
    ),
    "fields by two stars": (
        START + "span.log_kv({**x})\n",
        ["OTB312 the fields that ** adds to the log are not visible"],
    ),
    "arguments of log_event by a star": (
        START + "span.log_event(*x)\n",
        ["OTB312 arguments that log_event() gets by * are not visible"],
    ),
    "a span in an f-string": (
        "x = f'{opentracing.tracer.start_span(1)}'\n",
        ["OTB302 the span goes where it cannot be followed; left as it is"],
    ),
    "a method that a subclass overrides": (
        "class A:\n    def f(self, span):\n        span.set_tag('a', 1)\nclass B(A):\n    def f(self, span):\n        pass\ndef g(a: A):\n    span = opentracing.tracer.start_span('a')\n    A().f(span)\n",
        [
            "OTB301 span is known only by its name; left as it is",
            "OTB302 the span is passed to a function(), which a subclass overrides",
        ],
    ),
    "a function that is also called with others": (
        "def f(s):\n    s.set_tag('a', 1)\nf(opentracing.tracer.start_span('a'))\nf(x)\n",
        [
            "OTB301 s is known only by its name; left as it is",
            "OTB302 the span is passed to f(), where its type is not known; left as it is",
        ],
    ),
    "baggage of an extracted context": (
        "f(opentracing.tracer.extract(Format.TEXT_MAP, x).baggage)\n",
        ["OTB204 baggage.get_all(context) reads what was extracted"],
    ),
    "baggage of a span's context": (
        START + "span.context.baggage\n",
        ["OTB204 baggage is in the context, not in the span context"],
    ),
    "a format that is kept": (
        "x = Format.TEXT_MAP\n",
        ["OTB306 the format is used outside inject and extract of a known tracer"],
    ),
    "a result of unknown type": (
        "def f() -> opentracing.Span:\n    return x\n",
        ["OTB109 the value of the annotated variable is not known everywhere; left as it is"],
    ),
    "a result that contains a type": (
        "def f() -> list[opentracing.Span]:\n    return [x]\n",
        ["OTB109 the value of the annotated variable is not known everywhere; left as it is"],
    ),
    "arguments of finish by two stars": (
        START + "span.finish(**x)\n",
        ["OTB312 arguments that finish() gets by ** are not visible"],
    ),
}


@pytest.mark.parametrize(("source", "marks"), LEFT.values(), ids=LEFT)
def test_the_mark_says_why_code_is_left(source: str, marks: list[str], tmp_path: Path) -> None:
    lines = [line.strip() for line in rewritten(HEAD + source, tmp_path).splitlines()]
    found = [line for line in lines if line.startswith("# ot-bridge: ")]
    assert found == [f"# ot-bridge: {mark}" for mark in marks]
    assert [line for line in map(str.strip, source.splitlines()) if line not in lines] == []


def test_a_file_that_tests_the_module_is_left_and_says_so(tmp_path: Path) -> None:
    source = HEAD + "if opentracing:\n    opentracing.tracer.start_span('a').finish()\n"
    assert rewritten(source, tmp_path).splitlines()[-4:] == [
        "# ot-bridge: OTB310 opentracing is tested, patched or passed on as a module",
        "if opentracing:",
        "    # ot-bridge: OTB310 this file tests or patches the module; left as it is",
        "    opentracing.tracer.start_span('a').finish()",
    ]


def test_a_mark_stands_above_the_first_statement(tmp_path: Path) -> None:
    source = "# about this file\n\nimport opentracing_instrumentation\n"
    lines = rewritten(source, tmp_path).splitlines()
    assert (lines[0], lines[-1]) == ("# about this file", "import opentracing_instrumentation")
    assert lines[-2].startswith("# ot-bridge: OTB405 ")


VALUES = ("x", "x.format('a')", "'a'.startswith(x)", "'a'.encode()", "(1).bit_length()", "len(x)", "x()()")


@pytest.mark.parametrize("value", [*VALUES, "x + 'a'", "5 % x", "x.y", "1", "None", "b'a'.join(x)"])
def test_an_error_that_may_be_no_text_is_left(value: str, tmp_path: Path) -> None:
    lines = rewritten(HEAD + START + f"span.set_tag('error', {value})\n", tmp_path).splitlines()
    assert lines[-1] == f"span.set_tag('error', {value})"
    assert "# ot-bridge: OTB203 the value of the error tag is not True or False" in lines


def test_a_result_of_the_projects_own_str_may_be_no_text(tmp_path: Path) -> None:
    source = f"def str(x):\n    return 1\n\n{START}span.set_tag('error', str(x))\n"
    assert rewritten(HEAD + source, tmp_path).endswith("\nspan.set_tag('error', str(x))\n")
