"""Traces any WSGI application: a server span for each request, on any OpenTracing tracer."""

from ot_bridge.edge import DO_NOT_TRACE, StartOptions
from ot_bridge.wsgi.middleware import TracingMiddleware, trace_wsgi

__all__ = ["DO_NOT_TRACE", "StartOptions", "TracingMiddleware", "trace_wsgi"]
