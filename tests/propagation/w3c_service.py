"""The kind of service that the W3C's validation harness for Trace Context talks to, on our middleware.

It is sent a list of `{"url": …, "arguments": […]}` and posts each one's arguments to its url, with the
headers of the trace. `python -m tests.propagation.w3c_service PORT` serves it.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.request import Request as Callback
from urllib.request import urlopen

import opentracing
from werkzeug.serving import run_simple
from werkzeug.wrappers import Request, Response

from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.engine import TracerProvider
from ot_bridge.wsgi import TracingMiddleware


def service() -> TracingMiddleware:
    """The application. A broken header starts a new trace, as the standard has it."""
    tracer = create_tracer(TracerProvider(shutdown_on_exit=False), propagators="tracecontext,baggage")

    @Request.application
    def app(request: Request) -> Response:
        for order in request.get_json():
            _call_back(tracer, order)
        return Response("done\n")

    return TracingMiddleware(app, tracer, on_corrupt="root")


def _call_back(tracer: Tracer, order: dict[str, Any]) -> None:
    headers: dict[str, str] = {"Content-Type": "application/json"}
    with tracer.start_active_span("callback") as scope:
        tracer.inject(scope.span.context, opentracing.Format.HTTP_HEADERS, headers)
        body = json.dumps(order["arguments"]).encode()
        urlopen(Callback(order["url"], body, headers), timeout=5).close()


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), service(), threaded=True)
