"""A server in the style of Twisted, without Twisted. Its own scope manager keeps active spans in logging
contexts, and its own reporter reads every attribute of ended spans.

    python app.py                        on jaeger-client
    ot-bridge run -- python app.py       on OpenTelemetry
"""

import json
import threading

import opentracing
from jaeger_client import Config, Tracer
from jaeger_client.reporter import BaseReporter
from opentracing import Scope, ScopeManager
from opentracing.ext import tags


class LoggingContext:
    """Keeps the data of one piece of work. The reactor switches between contexts."""

    _thread = threading.local()

    def __init__(self, name, parent=None):
        self.name = name
        self.scope = parent.scope if parent is not None else None

    @classmethod
    def current(cls):
        return getattr(cls._thread, "context", None)

    def __enter__(self):
        self._before = self.current()
        self._thread.context = self
        return self

    def __exit__(self, *error):
        self._thread.context = self._before


class LogContextScope(Scope):
    def __init__(self, manager, span, context, finish_on_close):
        super().__init__(manager, span)
        self._context = context
        self._finish_on_close = finish_on_close
        self._before = context.scope

    def close(self):
        self._context.scope = self._before
        if self._finish_on_close:
            self.span.finish()


class LogContextScopeManager(ScopeManager):
    @property
    def active(self):
        context = LoggingContext.current()
        return context.scope if context is not None else None

    def activate(self, span, finish_on_close):
        context = LoggingContext.current()
        if context is None:
            return Scope(None, span)
        context.scope = LogContextScope(self, span, context, finish_on_close)
        return context.scope


def _tag(tag):
    value = {0: tag.vStr, 1: tag.vDouble, 2: tag.vBool, 3: tag.vLong}[tag.vType]
    return [tag.key, value]


class ReadingReporter(BaseReporter):
    """Keeps what it reads off each span, as one that speaks to a collector in its own words would."""

    def __init__(self):
        self.read = []
        self.process = None

    def set_process(self, service_name, tags, max_length):
        self.process = {"service": service_name, "tags": sorted(tags), "max_length": max_length}

    def report_span(self, span):
        context = span.context
        self.read.append(
            {
                "ids": [context.trace_id, context.span_id, context.parent_id, context.flags],
                "same": [span.trace_id, span.span_id, span.parent_id, span.flags]
                == [context.trace_id, context.span_id, context.parent_id, context.flags],
                "name": span.operation_name,
                "times": [isinstance(span.start_time, float), span.end_time >= span.start_time],
                "tags": sorted(_tag(tag) for tag in span.tags),
                "logs": [
                    [log.timestamp >= int(span.start_time * 1e6) - 1, *(_tag(field) for field in log.fields)]
                    for log in span.logs
                ],
                "references": [
                    [each.type, each.referenced_context.trace_id, each.referenced_context.span_id]
                    for each in span.references or ()
                ],
                "baggage": dict(context.baggage),
                "sampled": [span.is_sampled(), span.is_debug(), span.is_rpc(), span.is_rpc_client()],
                "finished": span.finished,
                "text": str(span)
                == "{:x}:{:x}:{:x}:{:x} {}.{}".format(
                    context.trace_id,
                    context.span_id,
                    context.parent_id or 0,
                    context.flags,
                    "homeserver",
                    span.operation_name,
                ),
            }
        )


def work(tracer):
    """Two requests whose steps alternate, as on a reactor: each keeps its own active span."""
    contexts = [LoggingContext("GET-1"), LoggingContext("GET-2")]
    scopes = []
    for number, context in enumerate(contexts):
        with context:
            headers = {"uber-trace-id": f"{number + 1:x}:b:0:1", "uberctx-user": f"user {number}"}
            caller = tracer.extract(opentracing.Format.HTTP_HEADERS, headers)
            given = {tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER, "request": number, "share": 0.5}
            scopes.append(tracer.start_active_span(context.name, child_of=caller, tags=given))
    for context in contexts:
        with context, tracer.start_active_span("store", tags={"db.type": "sql"}) as scope:
            scope.span.log_kv({"event": "query", "rows": 3, "cached": False})
            scope.span.set_baggage_item("step", "store")
    for context, scope in zip(contexts, scopes, strict=True):
        with context:
            follows = opentracing.follows_from(scope.span.context)
            tracer.start_span("background", references=[follows], ignore_active_span=True).finish()
            scope.span.set_tag(tags.HTTP_STATUS_CODE, 200)
            scope.close()


def main():
    reporter = ReadingReporter()
    config = Config({"sampler": {"type": "const", "param": True}}, service_name="homeserver")
    tracer = Tracer(config.service_name, reporter, config.sampler, scope_manager=LogContextScopeManager())
    opentracing.set_global_tracer(tracer)
    work(tracer)
    print(json.dumps({"process": reporter.process, "spans": reporter.read}, indent=1))


if __name__ == "__main__":
    main()
