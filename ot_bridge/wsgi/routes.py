"""The pattern of a path that the framework has matched, such as `/items/<id>`.

It has to be looked up while the framework still has it: in `start_response`; in the application's result; or,
if the application has raised, in the frames of the traceback, which refer to the framework's request.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Final

from ot_bridge.wsgi.tags import Environ

#: The key under which the environ holds the middleware's `Request` until its span ends.
OPEN: Final = "ot_bridge.open"


def _set_by_the_program(environ: Environ, result: object) -> object:
    return environ.get("ot_bridge.route")


def _werkzeug(environ: Environ, result: object) -> object:
    return _of_request(environ.get("werkzeug.request"))


def _flask(environ: Environ, result: object) -> object:
    # When a copy of Flask's request context ends, it removes "werkzeug.request". The context still has it.
    flask: Any = sys.modules.get("flask")
    if flask is None or not flask.has_request_context():
        return None
    request = flask.request
    return _of_request(request) if request.environ.get(OPEN) is environ.get(OPEN) else None


def _bottle(environ: Environ, result: object) -> object:
    return getattr(environ.get("bottle.route"), "rule", None)


def _django(environ: Environ, result: object) -> object:
    # Django's environ does not refer to the request, but the response does, because it closes the request.
    for closer in getattr(result, "_resource_closers", ()):
        found = _of_request(getattr(closer, "__self__", None))
        if found is not None:
            return found
    return None


#: Look up the route in each framework's own place. Programs on other frameworks set
#: `environ["ot_bridge.route"]`.
_LOOKUPS: Final = (_set_by_the_program, _werkzeug, _flask, _bottle, _django)


def route(environ: Environ, result: object = None) -> str | None:
    """The pattern that the request has matched, as the framework writes it; None if it is not known."""
    for look in _LOOKUPS:
        found = look(environ, result)
        if found:
            return str(found)
    return None


def route_in(trace: TracebackType | None) -> str | None:
    """The route of the request in the frames of `trace`, the traceback of the exception that ended it."""
    while trace is not None:
        local = trace.tb_frame.f_locals
        found = _of_request(local.get("request")) or _of_request(getattr(local.get("ctx"), "request", None))
        if found:
            return str(found)
        trace = trace.tb_next
    return None


def _of_request(request: object) -> object:
    """The route of Werkzeug's or Django's request; None for anything else."""
    rule = getattr(getattr(request, "url_rule", None), "rule", None)
    return rule or getattr(getattr(request, "resolver_match", None), "route", None)
