"""The active span: asked for, tested, activated."""

import opentracing

tracer = opentracing.tracer


def note(key):
    span = tracer.active_span
    if span is not None:
        span.set_tag(f"seen.{key}", True)
    if not span:
        tracer.start_span("nobody").finish()
    if span and key:
        span.log_kv({"event": "seen"})
    return None if span is None else key


def main():
    note("outside")
    span = tracer.start_span("work")
    with tracer.scope_manager.activate(span, False):
        note("inside")
        tracer.scope_manager.active.span.set_tag("manager", True)
        with tracer.start_active_span("kept", finish_on_close=False) as scope:
            note("kept")
        scope.span.finish()
    with tracer.scope_manager.activate(span, finish_on_close=True) as scope:
        scope.span.set_tag("scope", True)
    if tracer.active_span is None:
        tracer.start_span("after", child_of=tracer.active_span).finish()
    if tracer.scope_manager.active is None:
        tracer.start_span("after all").finish()
