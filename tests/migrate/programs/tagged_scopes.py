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
            same_trace = scope.span.context.trace_id == tracer.active_span.context.trace_id
            scope.span.set_tag("same trace", same_trace)
        with tracer.start_active_span("fine", tags={"error": False}) as fine_scope:
            fine_scope.span.set_operation_name("renamed")
    with tracer.start_active_span("error as text") as scope:
        scope.span.set_tag("error", "the parcel is gone")
        scope.span.set_tag("error", f"{len('gone')} are gone")
    with tracer.start_active_span("error as an exception") as scope:
        try:
            raise ValueError("no such parcel")
        except ValueError as e:
            scope.span.set_tag(tags.ERROR, e)
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
