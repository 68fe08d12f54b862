"""Spans without scopes: explicit parents, contexts in variables, roots, times."""

import time

from opentracing import child_of, follows_from, tracer


class Worker:
    def __init__(self, given):
        self.given = given

    def work(self, parent):
        span = self.given.start_span("work", child_of=parent)
        span.set_tag("worker", True)
        span.finish()


def helper(parent):
    context = parent.context
    child = tracer.start_span(operation_name="from a context", child_of=context)
    child.finish()


def main():
    root = tracer.start_span("root", start_time=1_000_000.25)
    helper(root)
    Worker(tracer).work(root)
    with tracer.start_active_span("active", child_of=root.context):
        orphan = tracer.start_span("orphan", ignore_active_span=True)
        orphan.finish()
        tracer.start_span("implicit").finish()
        tracer.start_span("none", child_of=None).finish()
    linked = tracer.start_span("linked", references=[follows_from(root.context)])
    linked.finish()
    tracer.start_span("referred", references=child_of(root.context)).finish()
    with tracer.start_span("not active", child_of=root) as span:
        span.set_tag("a", 1)
        tracer.start_span("no child").finish()
    now = time.time()
    tracer.start_span("timed", start_time=1_000_001).finish(1_000_002.5)
    late = tracer.start_span("late", start_time=now)
    late.finish(finish_time=now + 1)
    root.finish(1_000_003)
