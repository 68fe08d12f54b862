"""Scopes, tags of every kind of value, and what three tags mean."""

import opentracing
from opentracing.ext import tags


def main():
    tracer = opentracing.global_tracer()
    named()
    with tracer.start_active_span(
        "request",
        tags={
            tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER,
            tags.HTTP_URL: "http://a/b",
            "retries": 3,  # of three
            "nested": {"a": 1},
        },
    ) as scope:
        scope.span.set_tag(tags.HTTP_STATUS_CODE, 200).set_tag("size", 1.5)
        scope.span.set_tag("nothing", None)
        scope.span.set_tag("set", {1})
        scope.span.set_tag("list", ["a", "b"])
        scope.span.set_tag("mixed", ["a", 1])
        with tracer.start_active_span("inner") as scope:
            scope.span.set_tag(tags.SPAN_KIND, "client")
            scope.span.set_tag(tags.ERROR, True)
        with tracer.start_active_span("fine", tags={"error": False}) as fine_scope:
            fine_scope.span.set_operation_name("renamed")
    with tracer.start_active_span("odd kind", tags={"span.kind": "internal"}):
        pass


def named():
    with opentracing.global_tracer().start_active_span("named") as scope:
        span = scope.span
        span.set_tag(opentracing.tags.COMPONENT, "named")
    given = {tags.SPAN_KIND: tags.SPAN_KIND_PRODUCER, "a": 1}
    with opentracing.global_tracer().start_active_span("given", tags=given) as scope:
        span = scope.span
        span.set_tag("b", 2)
