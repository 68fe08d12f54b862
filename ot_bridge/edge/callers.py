"""Reads the trace of a caller from a request's headers, and decides how much of it is used."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import opentracing
from opentracing import Format, UnsupportedFormatException
from opentracing.tags import SAMPLING_PRIORITY

from ot_bridge import bridge
from ot_bridge.edge.isolation import attempt
from ot_bridge.edge.options import as_choice

#: How much of a caller's context is used; `ot_bridge.bridge.trusted` documents each value.
TRUST: Final = ("all", "context", "link", "none")
ON_CORRUPT: Final = ("skip", "root")

_log = logging.getLogger("ot_bridge.edge")
# One lock for all counters: an object with a lock of its own could not be copied or pickled.
_counting = threading.RLock()


class BrokenHeader(Exception):
    """Raised if the caller's tracing headers cannot be read and the request therefore gets no span."""


class Callers:
    """Reads callers' contexts with any tracer. corrupt: the number of contexts that could not be read.

    trust: a value of `TRUST`, or a callable that returns one. public_endpoint: whether `"link"` replaces
    `trust`, or a callable that returns this. on_corrupt: for a broken header, the request gets no span
    ("skip") or starts a new trace ("root"). Raises `ConfigurationError` for other values.
    """

    def __init__(self, trust: Any, public_endpoint: Any, on_corrupt: Any) -> None:
        self.corrupt = 0
        if not callable(trust):
            as_choice("trust", trust, TRUST)
        if public_endpoint and not callable(public_endpoint):
            trust = "link"
        self._trust = trust
        self._public: Callable[..., Any] | None = public_endpoint if callable(public_endpoint) else None
        self._skips = as_choice("on_corrupt", on_corrupt, ON_CORRUPT) == "skip"
        self._written: dict[type, frozenset[str]] = {}

    def parent(
        self, tracer: opentracing.Tracer, headers: Mapping[str, Any], *request: Any
    ) -> tuple[Any, Exception | None]:
        """Returns the parent's context (None for a new trace), and the error if headers cannot be read.

        headers: with names in lower case. request: the arguments for the program's callables. Raises
        `BrokenHeader` for a broken header if `on_corrupt` is "skip".
        """
        carrier: Any = headers
        try:
            context = tracer.extract(Format.HTTP_HEADERS, carrier)
        except UnsupportedFormatException:
            return None, None
        except Exception as error:
            return None, self._broken(tracer, headers, error)
        if context is None or (self._trust == "all" and self._public is None):
            return context, None
        return bridge.trusted(context, attempt("trust", self._trust_for, *request, default="none")), None

    def _trust_for(self, *request: Any) -> Any:
        if self._public is not None and self._public(*request):
            return "link"
        return as_choice("trust", self._trust(*request), TRUST) if callable(self._trust) else self._trust

    def _broken(
        self, tracer: opentracing.Tracer, headers: Mapping[str, Any], error: Exception
    ) -> Exception | None:
        if not isinstance(tracer, bridge.Tracer) and self._are_absent(tracer, headers):
            return None
        with _counting:
            self.corrupt += 1
        _log.debug("the caller's tracing headers cannot be read: %s", error)
        if self._skips:
            raise BrokenHeader from None
        return error

    def _are_absent(self, tracer: opentracing.Tracer, headers: Mapping[str, Any]) -> bool:
        """Whether there are no tracing headers, which some tracers (OpenTracing's mock) report as broken."""
        names = self._written.get(type(tracer))
        if names is None:
            names = attempt("inject", _written_by, tracer, default=frozenset())
            self._written[type(tracer)] = names
        return bool(names) and not any(name in headers for name in names)


def _written_by(tracer: opentracing.Tracer) -> frozenset[str]:
    """The names of the headers that `tracer` writes. It injects a span that is never finished."""
    carrier: dict[str, str] = {}
    span = tracer.start_span("probe", tags={SAMPLING_PRIORITY: 0}, ignore_active_span=True)
    tracer.inject(span.context, Format.HTTP_HEADERS, carrier)
    return frozenset(name.lower() for name in carrier)
