"""The options of one middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import opentracing
from opentelemetry.trace import SpanKind

from ot_bridge import edge
from ot_bridge.bridge import convert
from ot_bridge.semconv.groups import opt_in
from ot_bridge.wsgi.operation_name import OperationName
from ot_bridge.wsgi.response_header import response_header as header_maker
from ot_bridge.wsgi.secrets import Secrets
from ot_bridge.wsgi.tags import HeaderTags, Tags

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Settings:
    """The options of one `TracingMiddleware`, which describes them, checked and ready for use.

    Raises `ConfigurationError` for values that cannot be used.
    """

    def __init__(
        self,
        *,
        operation_name: str | Callable[[WSGIEnvironment], str],
        component: str,
        span_kind: str | SpanKind,
        start_options: Callable[[WSGIEnvironment], Any] | None,
        exclude: str | Iterable[str] | Callable[[WSGIEnvironment], bool],
        trust: str | Callable[[WSGIEnvironment], str],
        public_endpoint: bool | Callable[[WSGIEnvironment], bool],
        on_corrupt: str,
        capture_headers: Iterable[str],
        capture_query: bool,
        redact: Iterable[str],
        request_hook: Callable[[opentracing.Span, WSGIEnvironment], object] | None,
        response_hook: Callable[..., object] | None,
        response_header: str | None,
    ) -> None:
        self.name = OperationName(operation_name)
        #: Whether `OTEL_SEMCONV_STABILITY_OPT_IN` selects OpenTelemetry's names.
        self.opted_in = "http" in opt_in()
        self.secrets = Secrets(edge.as_names("redact", redact))
        captured = edge.as_names("capture_headers", capture_headers)
        self.captured = HeaderTags(captured, self.secrets, self.opted_in) if captured else None
        self.capture_query = capture_query
        self.tags: Tags = {"component": component, "span.kind": edge.kind_tag(span_kind)}
        #: Whether the tracer sets the span's kind from `span.kind` -> `tags`, cleaned once. Empty if tags are
        #: added to each request that have to be cleaned.
        self.ready: Mapping[bool, convert.Tags] = {}
        if not (captured or capture_query or self.opted_in):
            self.ready = {maps: convert.tags(self.tags, maps) for maps in (True, False)}
        self.exclusion = edge.Exclusion(exclude)
        self.callers = edge.Callers(trust, public_endpoint, on_corrupt)
        self.start_options = edge.as_function("start_options", start_options)
        self.request_hook = edge.as_function("request_hook", request_hook)
        self.response_hook = edge.as_function("response_hook", response_hook)
        self.response_header = header_maker(response_header)
        #: Whether the route is looked up, and whether response headers are read.
        self.wants_route = self.name.late or self.opted_in
        self.wants_headers = bool(captured or response_hook or response_header)
