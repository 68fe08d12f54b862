"""What a request says about the trace it belongs to, and how much of that is believed."""

from __future__ import annotations

import logging
import threading
from typing import Any

import opentracing
from opentracing import Format
from opentracing.tags import SAMPLING_PRIORITY

from ot_bridge import bridge
from ot_bridge.propagation import WsgiHeaders
from ot_bridge.wsgi.options import TRUST, Trust
from ot_bridge.wsgi.quiet import attempt
from ot_bridge.wsgi.tags import Environ

_log = logging.getLogger(__name__)


class BrokenHeader(Exception):
    """The caller's tracing headers cannot be read, and that costs the span."""


class Callers:
    """Reads callers' contexts with any tracer. corrupt: how many could not be read so far."""

    def __init__(self, trust: Trust, corrupt_is_root: bool) -> None:
        self.corrupt = 0
        self._trust: Any = trust
        self._corrupt_is_root = corrupt_is_root
        self._lock = threading.Lock()
        self._headers: dict[type, frozenset[str]] = {}

    def parent(self, tracer: opentracing.Tracer, environ: Environ) -> Any:
        """The context to start from, None for a trace of our own. Raises `BrokenHeader`."""
        carrier: Any = WsgiHeaders(environ)
        try:
            context = tracer.extract(Format.HTTP_HEADERS, carrier)
        except Exception as error:
            return self._broken(tracer, environ, error)
        trust = self._trust
        if trust == "all" or context is None:
            return context
        if callable(trust):
            trust = attempt("trust", trust, environ, default="link")
        return bridge.trusted(context, trust if trust in TRUST else "link")

    def _broken(self, tracer: opentracing.Tracer, environ: Environ, error: Exception) -> None:
        if not isinstance(tracer, bridge.Tracer) and self._none_of(tracer, environ):
            return
        with self._lock:
            self.corrupt += 1
        _log.debug("tracing headers that cannot be read: %s", error)
        if not self._corrupt_is_root:
            raise BrokenHeader from None

    def _none_of(self, tracer: opentracing.Tracer, environ: Environ) -> bool:
        """Whether `tracer` calls headers corrupt that are simply absent, as OpenTracing's mock does."""
        names = self._headers.get(type(tracer))
        if names is None:
            names = attempt("inject", _headers_of, tracer, default=frozenset())
            self._headers[type(tracer)] = names
        return bool(names) and not any(name in environ for name in names)


def _headers_of(tracer: opentracing.Tracer) -> frozenset[str]:
    """The environ keys of the headers that `tracer` writes."""
    carrier: dict[str, str] = {}
    span = tracer.start_span("probe", tags={SAMPLING_PRIORITY: 0}, ignore_active_span=True)  # never finished
    tracer.inject(span.context, Format.HTTP_HEADERS, carrier)
    return frozenset(f"HTTP_{name.upper().replace('-', '_')}" for name in carrier)
