"""A tracer in an attribute, spans through methods, annotations, a helper module."""


import opentracing
from opentracing import Span, Tracer


class Service:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.span: Span | None = None

    def begin(self, name: str) -> None:
        self.span = self._tracer.start_span(name)

    def step(self, name: str) -> None:
        with self._tracer.start_active_span(name, child_of=self.span) as scope:
            annotate(scope.span, name)

    def end(self) -> None:
        if self.span is not None:
            self.span.finish()


def annotate(span: opentracing.Span, name: str) -> None:
    span.set_tag("step", name)


def make(tracer: "opentracing.Tracer") -> Span:
    return tracer.start_span("made")


def main():
    service = Service(opentracing.global_tracer())
    service.begin("service")
    service.step("one")
    service.step("two")
    service.end()
    span = make(opentracing.tracer)
    span.finish()
