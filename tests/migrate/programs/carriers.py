"""Inject and extract, between a client and a server in one program."""

from opentracing import Format, global_tracer
from opentracing.propagation import Format as F


def call(headers):
    with global_tracer().start_active_span("call") as scope:
        global_tracer().inject(scope.span, Format.TEXT_MAP, headers)
    span = global_tracer().start_span("second")
    other = {}
    global_tracer().inject(span_context=span.context, format="http_headers", carrier=other)
    span.finish()
    return other


def serve(headers):
    parent = global_tracer().extract(F.HTTP_HEADERS, headers)
    with global_tracer().start_active_span("serve", child_of=parent):
        pass


def main():
    headers = {}
    other = call(headers)
    serve(headers)
    serve(dict((name.title(), value) for name, value in other.items()) and other)
    serve({})
    with global_tracer().start_active_span("around"):
        serve({})
        serve(other)
        global_tracer().start_span("direct", child_of=global_tracer().extract("text_map", other)).finish()
