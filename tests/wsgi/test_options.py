from __future__ import annotations

from typing import Any

import pytest

from ot_bridge.bridge import Tracer
from ot_bridge.errors import ConfigurationError
from ot_bridge.wsgi import TracingMiddleware, trace_wsgi
from tests.wsgi.conftest import Spans, hello, run

FIELDS = "expected fields among method, route, path, host, scheme"
NAMES = "expected a list of names"
TRUST = "expected one of all, context, link, none"
HEADER = "expected a header, or one of tracecontext, baggage, jaeger, b3, b3multi, ottrace, xray"
#: option -> the values that cannot be used, and what each is said to be instead
WRONG: dict[str, list[tuple[object, str]]] = {
    "operation_name": [
        ("{path", "expected '}' before end of string"),
        ("{password}", FIELDS),
        ("{}", FIELDS),
        (7, "expected a name, a template or a callable"),
    ],
    "start_options": [("fn", "expected a callable")],
    "app": [(wrong, "expected a WSGI application") for wrong in (3, None, "app:app")],
    "exclude": [(7, NAMES), ([7], "expected a name"), ([b"/healthz"], "expected a name")],
    "trust": [("some", TRUST), (7, TRUST), (None, TRUST)],
    "on_corrupt": [("raise", "expected one of skip, root"), (None, "expected one of skip, root")],
    "capture_headers": [("x-a", NAMES), ([b"x-a"], "expected a name"), (7, NAMES)],
    "redact": [("token", NAMES), ([None], "expected a name")],
    "request_hook": [("hook", "expected a callable")],
    "response_hook": [(1, "expected a callable")],
    "response_header": [("x-trace", HEADER), ("grpc-trace-bin", HEADER), ("binary", HEADER), (7, HEADER)],
}


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [pytest.param(option, *each, id=f"{option}={each[0]!r}") for option in WRONG for each in WRONG[option]],
)
def test_invalid_option_value_raises_at_construction(option: str, value: object, reason: str) -> None:
    options: dict[str, Any] = {"app": hello, option: value}
    with pytest.raises(ConfigurationError) as raised:
        TracingMiddleware(**options)
    assert (raised.value.option, raised.value.reason) == (option, reason)


@pytest.mark.parametrize("make", [TracingMiddleware, trace_wsgi])
def test_unknown_option_raises_at_construction(make: Any) -> None:
    with pytest.raises(TypeError, match="tracr"):
        make(hello, tracr=None)


#: Options that have no effect on this request.
UNUSED: dict[str, dict[str, Any]] = {
    "capture_headers": {"capture_headers": ["X-Absent"]},
    "capture_query": {"capture_query": True},
    "exclude, names": {"exclude": ["/other", "/ot*"]},
    "exclude, a function": {"exclude": lambda environ: False},
    "on_corrupt": {"on_corrupt": "root"},
    "public_endpoint, a function": {"public_endpoint": lambda environ: False},
    "redact": {"redact": ["absent"]},
    "start_options": {"start_options": lambda environ: None},
    "request_hook": {"request_hook": lambda span, environ: None},
    "response_hook": {"response_hook": lambda span, environ, status, headers: None},
    "trust, a function": {"trust": lambda environ: "all"},
}


@pytest.mark.parametrize("caller", [{}, {"HTTP_TRACEPARENT": f"00-{1:032x}-{2:016x}-01"}], ids=["", "caller"])
@pytest.mark.parametrize("options", UNUSED.values(), ids=UNUSED)
def test_an_option_that_a_request_does_not_use_changes_nothing(
    options: dict[str, Any], caller: dict[str, str], tracer: Tracer, spans: Spans
) -> None:
    assert run(TracingMiddleware(hello, tracer), "/a", **caller) == b"hello"
    assert run(TracingMiddleware(hello, tracer, **options), "/a", **caller) == b"hello"
    plain, other = spans.all()
    assert (other.name, other.kind, other.attributes) == (plain.name, plain.kind, plain.attributes)
    assert (other.parent, other.links, other.events) == (plain.parent, plain.links, plain.events)
    assert other.status.status_code is plain.status.status_code
