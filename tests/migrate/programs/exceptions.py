"""Exceptions through scopes and spans, logged before or not."""

import opentracing


def handled(name):
    with opentracing.tracer.start_active_span(name) as scope:
        try:
            raise KeyError(name)
        except KeyError as error:
            scope.span.log_kv({"event": "error", "error.object": error})
            raise


def main():
    for attempt in (lambda: handled("logged"), plain, in_a_span):
        try:
            attempt()
        except Exception as error:
            seen = opentracing.tracer.start_span("seen")
            seen.set_tag("error.seen", str(error)).finish()


def plain():
    with opentracing.tracer.start_active_span("plain"):
        raise ValueError("plain")


def in_a_span():
    with opentracing.tracer.start_span("span"):
        raise ValueError("span")
