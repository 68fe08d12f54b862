"""Imports wherever people put them, and names that clash."""

import sys

try:
    import opentracing
except ImportError:
    raise

trace = "taken"
context = "taken as well"


def early():
    from opentracing import global_tracer
    from opentracing.ext import tags as ext_tags

    with global_tracer().start_active_span(
        "early", tags={ext_tags.COMPONENT: "c"}, ignore_active_span=True
    ) as s:
        span = "taken"
        s.span.set_tag("span", span)


def main():
    early()
    with opentracing.tracer.start_active_span("outer") as scope:
        span = sys.byteorder and "x"
        with opentracing.tracer.start_active_span("inner", child_of=scope.span) as inner_scope:
            inner_scope.span.set_tag("name", span)
        scope.span.set_tag(f"http.{span}", trace + context)
