"""`TracingMiddleware`: a server span around every request of a WSGI application (PEP 3333).

The application is called exactly once, with the server's own environ, even if tracing fails.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import opentracing
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from ot_bridge import bridge, edge
from ot_bridge.bridge import convert
from ot_bridge.bridge.create import usable_tracer
from ot_bridge.edge import StartOptions, attempt, failed
from ot_bridge.errors import ConfigurationError
from ot_bridge.otel import current
from ot_bridge.propagation import WsgiHeaders
from ot_bridge.wsgi import urls
from ot_bridge.wsgi.body import FILE_WRAPPER, FINISHED, deliver, record_files
from ot_bridge.wsgi.request import SPAN, Request
from ot_bridge.wsgi.routes import OPEN
from ot_bridge.wsgi.settings import Settings
from ot_bridge.wsgi.tags import Tags, describe, describe_more

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Paths that load balancers request all the time.
HEALTH: Final = ("/healthz", "/_ah/health")

_new_tuple: Final[Any] = tuple.__new__  # makes what `Tags(...)` makes, in a third of the time


class TracingMiddleware:
    """Traces each request to `app`. Its span is active while `app` works, and in `environ["ot_bridge.span"]`.

    app: the WSGI application. tracer: any OpenTracing tracer; without one, `opentracing.global_tracer()`
    is looked up at each request.

    operation_name: the span's name; or a callable that gets the environ; or a template
    (`"{method} {route}"`; also `{path}`, `{host}`, `{scheme}`), which is filled in after routing.
    component, span_kind: the values of the tags with these names.
    start_options: a callable that gets the environ and returns a `StartOptions`, or just a sampler, a span
    kind, a name, or False for "do not trace".
    exclude: paths that are not traced (`"/static/*"` excludes all paths below `/static/`), or a callable that
    gets the environ.
    trust: what is used of the caller's context: `"all"`, `"context"` (this process decides on sampling),
    `"link"` (a new trace with a link to the caller's span), `"none"`; or a callable that gets the environ and
    returns one of these.
    public_endpoint: whether `"link"` replaces `trust`, or a callable that gets the environ and returns this.
    on_corrupt: if a tracing header is broken, the request gets no span (`"skip"`) or starts a new trace
    (`"root"`).
    capture_headers: names of request and response headers that become tags; the values of sensitive headers
    are replaced.
    capture_query: whether `http.url` has the query, with the values of sensitive parameters replaced.
    redact: more names of parameters and headers that are sensitive.
    request_hook: is called with the span and the environ before the application.
    response_hook: is called with the span, the environ, the status and the headers before these are sent.
    response_header: a header (`"traceparent"`) or format in which the response sends the trace id.

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
        exclude: str | Iterable[str] | Callable[[WSGIEnvironment], bool] = HEALTH,
        trust: str | Callable[[WSGIEnvironment], str] = "all",
        public_endpoint: bool | Callable[[WSGIEnvironment], bool] = False,
        on_corrupt: str = "skip",
        capture_headers: Iterable[str] = (),
        capture_query: bool = False,
        redact: Iterable[str] = (),
        request_hook: Callable[[opentracing.Span, WSGIEnvironment], object] | None = None,
        response_hook: Callable[..., object] | None = None,
        response_header: str | None = None,
    ) -> None:
        if not callable(app):
            raise ConfigurationError("app", app, "expected a WSGI application")
        self.app = app
        self.tracer = usable_tracer(tracer)
        self._settings = Settings(
            operation_name=operation_name,
            component=component,
            span_kind=span_kind,
            start_options=start_options,
            exclude=exclude,
            trust=trust,
            public_endpoint=public_endpoint,
            on_corrupt=on_corrupt,
            capture_headers=capture_headers,
            capture_query=capture_query,
            redact=redact,
            request_hook=request_hook,
            response_hook=response_hook,
            response_header=response_header,
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> TracingMiddleware:
        """A copy with a copy of the application. It shares the tracer, which has threads and sockets."""
        made = copy.copy(self)
        made.app = copy.deepcopy(self.app, memo)
        return made

    @property
    def corrupt_headers(self) -> int:
        """The number of requests so far whose tracing headers could not be read."""
        return self._settings.callers.corrupt

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
        if self._settings.wants_route:
            request.find_route(result)
        if type(result) in FINISHED:
            request.end()
            return result
        return deliver(result, request, environ)

    def _begin(self, environ: WSGIEnvironment, start_response: StartResponse) -> Request | None:
        """Makes the `Request` and starts its span, if it gets one. None if another middleware traces it."""
        outer = environ.get(OPEN)
        if outer is not None and not outer.is_open:  # a copy of the environ of a request that has ended
            outer = None
        if outer is not None and outer.is_of(environ):
            self._add_to_outer(environ, outer.span)
            return None
        if current():
            outer_span = _server_span(environ, start_response)
            if outer_span is not None:
                self._add_to_outer(environ, outer_span)
                return None
        settings = self._settings
        tracer = self.tracer or opentracing.global_tracer()
        try:
            span = self._start(tracer, environ, outer is not None)
        except edge.BrokenHeader:  # this request gets no span, but its application may start spans
            environ.pop(SPAN, None)
            return None
        wrapper = environ.get(FILE_WRAPPER)
        if wrapper is not None and not isinstance(wrapper, type):
            record_files(environ, wrapper)
        if span is None:
            environ.pop(SPAN, None)
            step = edge.activity(tracer, edge.untraced_span(tracer))
            return Request(settings, environ, start_response, step, None)
        environ[SPAN] = span
        request = Request(settings, environ, start_response, edge.activity(tracer, span), span)
        if settings.request_hook is not None:
            attempt("request_hook", settings.request_hook, span, environ)
        return request

    def _start(
        self, tracer: opentracing.Tracer, environ: WSGIEnvironment, is_nested: bool
    ) -> opentracing.Span | None:
        """Starts the request's span; None if it gets none. is_nested: whether another request makes it."""
        settings = self._settings
        exclusion = settings.exclusion
        if exclusion.excludes(environ) if exclusion.is_callable else exclusion[_path(environ)]:
            return None
        start = None if settings.start_options is None else edge.options_for(settings.start_options, environ)
        if start is not None and not start.trace:
            return None
        parent = broken = None
        if not is_nested:  # the headers of a nested request are a copy of the outer request's
            parent, broken = settings.callers.parent(tracer, WsgiHeaders(environ), environ)
        name = settings.name.fixed or attempt("operation_name", settings.name.of, environ) or "HTTP"
        if start is not None:
            span = self._start_as(start, tracer, name, parent, self._tags(environ))
        elif type(tracer) is bridge.Tracer and settings.ready:
            span = tracer.start_span(name, parent, None, self._ready_tags(tracer.maps_kind, environ))
        else:
            span = tracer.start_span(name, child_of=parent, tags=self._tags(environ))
        if broken is not None:
            attempt("log_kv", span.log_kv, {"event": "error", "error.object": broken})
        return span

    def _ready_tags(self, maps_kind: bool, environ: WSGIEnvironment) -> convert.Tags:
        """The tags of `_tags` as a `convert.Tags`, if only `describe` adds tags for each request.

        This skips the copy and the checks in `bridge.convert`, because all the values are clean. test_tags.py
        checks that it agrees with `_tags`; benchmark row wsgi needs it.
        """
        ready, kind, _, _ = self._settings.ready[maps_kind]
        tags = ready.copy()
        try:
            describe(tags, environ, "")
        except Exception:
            failed("reading the environ")
        return _new_tuple(convert.Tags, (tags, kind, None, None))  # type: ignore[no-any-return]

    @staticmethod
    def _start_as(
        start: StartOptions, tracer: opentracing.Tracer, name: str, parent: Any, tags: Tags
    ) -> opentracing.Span:
        if start.kind is not None:
            tags["span.kind"] = edge.kind_tag(start.kind)
        more = edge.sampler_argument(tracer, start)
        return tracer.start_span(start.name or name, child_of=parent, tags=tags, **more)

    def _tags(self, environ: WSGIEnvironment) -> Tags:
        settings = self._settings
        tags = settings.tags.copy()
        try:
            query = urls.query(environ, settings.secrets) if settings.capture_query else ""
            describe(tags, environ, query)
            if settings.opted_in:
                describe_more(tags, environ)
            if settings.captured is not None:
                tags.update(settings.captured.request(environ))
        except Exception:
            failed("reading the environ")
        return tags

    def _add_to_outer(self, environ: WSGIEnvironment, outer: Any) -> None:
        """Adds tags to `outer`, the span that an outer middleware has started for the request, or None."""
        if outer is None:
            return
        put = outer.set_tag if isinstance(outer, opentracing.Span) else outer.set_attribute
        for name, value in self._tags(environ).items():
            put(name, value)
        hook = self._settings.request_hook
        if hook is not None:
            attempt("request_hook", hook, outer, environ)


def _path(environ: WSGIEnvironment) -> Any:
    try:
        target = environ.get("PATH_INFO", "")
        return environ.get("SCRIPT_NAME", "") + target if target[:1] == "/" else urls.raw_path(environ)
    except Exception:  # the path in the environ is not a text
        return None


def _server_span(environ: WSGIEnvironment, start_response: object) -> trace.Span | None:
    """The span that an instrumentation of OpenTelemetry has started for this request, or None."""
    span: Any = trace.get_current_span()
    if not span.get_span_context().is_valid or span.get_span_context().is_remote:
        return None
    # The module of `start_response` shows whether the instrumentation made it, unless it has been wrapped.
    module = getattr(start_response, "__globals__", {}).get("__name__", "")
    is_from_instrumentation = module.startswith("opentelemetry.instrumentation.")
    if not span.is_recording():  # such a span has no kind
        return span if is_from_instrumentation else None
    scope = getattr(getattr(span, "instrumentation_scope", None), "name", None)
    if scope == bridge.SCOPE_NAME or getattr(span, "kind", None) is not SpanKind.SERVER:
        return None
    return span if is_from_instrumentation or _is_of_request(span, environ) else None


def _is_of_request(span: Any, environ: WSGIEnvironment) -> bool:
    """Whether the method and path in the attributes of a server span are those of this request."""
    attributes = getattr(span, "attributes", None) or {}
    method = attributes.get("http.request.method") or attributes.get("http.method")
    path = attributes.get("url.path") or str(attributes.get("http.target") or "").partition("?")[0]
    return method == environ.get("REQUEST_METHOD") and path in (_path(environ), urls.path(environ))


def trace_wsgi(app: WSGIApplication, **options: Any) -> TracingMiddleware:
    """Returns `TracingMiddleware(app, **options)`."""
    return TracingMiddleware(app, **options)
