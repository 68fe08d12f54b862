"""`TracingMiddleware`: a server span around every request of a WSGI application (PEP 3333).

Whatever goes wrong on the tracing side, the application is called, once, with the server's own environ.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import opentracing
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import SpanKind

from ot_bridge import bridge
from ot_bridge.bridge.create import usable_tracer
from ot_bridge.otel import current
from ot_bridge.wsgi import options, urls
from ot_bridge.wsgi.active import active, untraced
from ot_bridge.wsgi.answer import answer
from ot_bridge.wsgi.body import deliver
from ot_bridge.wsgi.callers import BrokenHeader, Callers
from ot_bridge.wsgi.names import OperationName
from ot_bridge.wsgi.options import AS_USUAL, HEALTH, Rules, StartOptions, Trust
from ot_bridge.wsgi.quiet import attempt, failed
from ot_bridge.wsgi.request import OPEN, SPAN, Request
from ot_bridge.wsgi.tags import Tags, convention, header_tags

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)


class TracingMiddleware:
    """Traces each request to `app`; the span is active while `app` works and in `environ["ot_bridge.span"]`.

    app: the WSGI application. tracer: any OpenTracing tracer; without one, `opentracing.global_tracer()`
    is looked up at each request.

    operation_name: the span's name; a callable is given the environ; a template (`"{method} {route}"`;
    also `{path}`, `{host}`, `{scheme}`) is filled in after routing.
    component, span_kind: the tags of these names.
    start_options: a callable that is given the environ and returns a `StartOptions`, or just a sampler,
    a span kind, a name, or False for "do not trace".
    exclude: paths that are not traced, `"/static/*"` for all below one, or a callable given the environ.
    trust: what to take from the caller: `"all"`, `"context"` (the sampling decision is ours), `"link"`
    (a trace of our own with a link), `"none"`; or a callable that is given the environ and returns one.
    public_endpoint: True, or a callable that is given the environ: then `"link"`.
    on_corrupt: a broken tracing header costs the span (`"skip"`), or the caller's trace (`"root"`).
    capture_headers: names of request and response headers to tag; sensitive ones are blotted out.
    capture_query: whether `http.url` has the query, with the values of sensitive parameters blotted out.
    redact: more names of parameters and headers that are sensitive.
    request_hook: called with the span and the environ before the application.
    response_hook: called with the span, the environ, the status and the headers before they are sent.
    response_header: a header (`"traceparent"`) or format by which the response tells its trace.

    Raises `ConfigurationError` for a value that cannot be used, `TypeError` for an unknown option.
    """

    def __init__(
        self,
        app: WSGIApplication,
        tracer: opentracing.Tracer | None = None,
        *,
        operation_name: str | Callable[[WSGIEnvironment], str] = "ServeHTTP",
        component: str = "grpc-gateway",
        span_kind: str | SpanKind = "server",
        start_options: Callable[[WSGIEnvironment], Any] | None = None,
        exclude: Iterable[str] | Callable[[WSGIEnvironment], bool] = HEALTH,
        trust: Trust = "all",
        public_endpoint: bool | Callable[[WSGIEnvironment], bool] = False,
        on_corrupt: str = "skip",
        capture_headers: Iterable[str] = (),
        capture_query: bool = False,
        redact: Iterable[str] = (),
        request_hook: Callable[[opentracing.Span, WSGIEnvironment], object] | None = None,
        response_hook: Callable[..., object] | None = None,
        response_header: str | None = None,
    ) -> None:
        self.app = app
        self.tracer = usable_tracer(tracer)
        name = OperationName(operation_name)
        semantics = convention(os.environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", ""))
        secret = urls.SENSITIVE | {word.lower() for word in options.words("redact", redact)}
        headers = header_tags(options.words("capture_headers", capture_headers), secret)
        answers = answer(response_header)
        self._rules = Rules(
            name=name,
            tags={"component": component, "span.kind": options.kind_tag(span_kind)},
            convention=semantics,
            headers=headers,
            capture_query=capture_query,
            redact=secret,
            excluded=options.excluded(exclude),
            start_options=options.function("start_options", start_options),
            request_hook=options.function("request_hook", request_hook),
            response_hook=options.function("response_hook", response_hook),
            response_header=answers,
            wants_route=name.late or semantics.route is not None,
            watches=bool(headers or response_hook or answers),
        )
        self._callers = Callers(options.trust_of(trust, public_endpoint), options.on_corrupt(on_corrupt))

    @property
    def corrupt_headers(self) -> int:
        """How many requests so far had tracing headers that could not be read."""
        return self._callers.corrupt

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            request = self._begin(environ, start_response)
        except Exception:
            failed("starting a span")
            request = None
        if request is None:
            return self.app(environ, start_response)
        try:
            result = request.step(self.app, environ, request.start_response)
        except BaseException as error:
            request.end(error)
            raise
        if self._rules.wants_route:
            request.routed(result)
        return deliver(result, request, environ.get("wsgi.file_wrapper"))

    def _begin(self, environ: WSGIEnvironment, start_response: StartResponse) -> Request | None:
        """The request with its span started, or without one; None if somebody else is dealing with it."""
        if OPEN in environ:
            self._step_aside(environ, environ.get(SPAN))
            return None
        if current():
            outer = _server_span(start_response)
            if outer is not None:
                self._step_aside(environ, outer)
                return None
        rules = self._rules
        tracer = self.tracer or opentracing.global_tracer()
        try:
            span = self._start(tracer, environ)
        except BrokenHeader:  # it costs this span, and none of those below
            environ.pop(SPAN, None)
            return None
        if span is None:
            environ.pop(SPAN, None)
            return Request(rules, environ, start_response, untraced(tracer), None)
        environ[SPAN] = span
        request = Request(rules, environ, start_response, active(tracer, span), span)
        if rules.request_hook is not None:
            attempt("request_hook", rules.request_hook, span, environ)
        return request

    def _start(self, tracer: opentracing.Tracer, environ: WSGIEnvironment) -> opentracing.Span | None:
        """The request's span; None if it is to have none."""
        rules = self._rules
        if rules.excluded is not None and rules.excluded(environ):
            return None
        start = None if rules.start_options is None else self._asked(environ, rules.start_options)
        if start is not None and not start.trace:
            return None
        parent = self._callers.parent(tracer, environ)
        tags = self._tags(environ)
        name = rules.name.fixed or attempt("operation_name", rules.name.of, environ) or "HTTP"
        if start is None:
            return tracer.start_span(name, child_of=parent, tags=tags)
        if start.kind is not None:
            tags["span.kind"] = options.kind_tag(start.kind)
        more = {} if start.sampler is None else self._sampler(tracer, start.sampler)
        return tracer.start_span(start.name or name, child_of=parent, tags=tags, **more)

    @staticmethod
    def _asked(environ: WSGIEnvironment, ask: Callable[[WSGIEnvironment], Any]) -> StartOptions:
        def answer() -> StartOptions:
            return options.start_options(ask(environ))

        answered: StartOptions = attempt("start_options", answer, default=AS_USUAL)
        return answered

    @staticmethod
    def _sampler(tracer: opentracing.Tracer, sampler: Sampler) -> dict[str, Any]:
        if isinstance(tracer, bridge.Tracer):
            return {"sampler": sampler}
        _log.debug("passed over: a sampler of one span's own needs ot_bridge's tracer")
        return {}

    def _tags(self, environ: WSGIEnvironment) -> Tags:
        rules = self._rules
        tags = rules.tags.copy()
        try:
            query = urls.query(environ, rules.redact) if rules.capture_query else ""
            rules.convention.describe(tags, environ, query)
            if rules.headers is not None:
                rules.headers.request(tags, environ)
        except Exception:
            failed("reading the environ")
        return tags

    def _step_aside(self, environ: WSGIEnvironment, outer: Any) -> None:
        """Somebody around us has started this request's span, or decided that it has none."""
        if outer is None:
            return
        put = outer.set_tag if isinstance(outer, opentracing.Span) else outer.set_attribute
        for name, value in self._tags(environ).items():
            put(name, value)
        hook = self._rules.request_hook
        if hook is not None:
            attempt("request_hook", hook, outer, environ)


def _server_span(start_response: object) -> trace.Span | None:
    """The span of OpenTelemetry's own instrumentation around us, if there is one."""
    span = trace.get_current_span()
    if not span.get_span_context().is_valid or span.get_span_context().is_remote:
        return None
    if span.is_recording():
        scope = getattr(getattr(span, "instrumentation_scope", None), "name", None)
        ours = scope == bridge.SCOPE_NAME  # a request within a request of ours is another request
        return span if getattr(span, "kind", None) is SpanKind.SERVER and not ours else None
    # An unsampled span has no kind; but the instrumentation's `start_response` says whose it is.
    module = getattr(start_response, "__globals__", {}).get("__name__", "")
    return span if module.startswith("opentelemetry.instrumentation.") else None


def trace_wsgi(app: WSGIApplication, **options: Any) -> TracingMiddleware:
    """`app` traced: `TracingMiddleware(app, **options)`, for one-liners."""
    return TracingMiddleware(app, **options)
