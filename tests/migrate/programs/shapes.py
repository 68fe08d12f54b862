"""Shapes of code: several items, one line, branches, loops, finally, closures, globals, class attributes."""

import opentracing
from opentracing import global_tracer

tracer = None


def init():
    global tracer
    tracer = opentracing.global_tracer()


class Step:
    tracer = opentracing.tracer

    def run(self, flag):
        if flag:
            with self.tracer.start_active_span("yes") as scope:
                scope.span.set_tag("flag", flag)
        else:
            with self.tracer.start_active_span("no") as scope:
                scope.span.set_tag("flag", flag)


def several():
    with tracer.start_active_span("one") as one, tracer.start_active_span("two") as two_scope:
        one.span.set_tag("n", 1)
        two_scope.span.set_tag("n", 2)
    with tracer.start_active_span("line") as s: s.span.set_tag("x", 1)  # noqa: E701
    a = tracer.start_span("a"); a.set_tag("b", 1); a.finish()  # noqa: E702


def finally_(fail):
    span = None
    try:
        span = tracer.start_span("finally")
        if fail:
            raise ValueError("f")
    except ValueError as error:
        if span is not None:
            span.log_kv({"event": "error", "error.object": error})
    finally:
        if span:
            span.finish()


def closure():
    with global_tracer().start_active_span("closure") as scope:

        def inner():
            scope.span.set_tag("inner", True)

        inner()
        for n in range(2):
            with global_tracer().start_active_span(f"loop {n}", tags={"n": n}) as loop:
                if (span := tracer.active_span) and n:
                    span.set_tag("walrus", loop.span is not None)


def main():
    init()
    if tracer:
        Step().run(True)
        Step().run(False)
    several()
    finally_(True)
    finally_(False)
    closure()
