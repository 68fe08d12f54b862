"""What a request's span is called: a fixed name, a callable's, or a template filled in after routing.

The route is the pattern that the framework matched (`/items/<id>`), never the path that the client
sent: a name for each path would be names without end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any, Final

from ot_bridge.errors import ConfigurationError
from ot_bridge.wsgi import urls
from ot_bridge.wsgi.tags import METHODS, Environ


def _named(environ: Environ, result: object) -> object:
    return environ.get("ot_bridge.route")


def _werkzeug(environ: Environ, result: object) -> object:
    return getattr(getattr(environ.get("werkzeug.request"), "url_rule", None), "rule", None)


def _bottle(environ: Environ, result: object) -> object:
    return getattr(environ.get("bottle.route"), "rule", None)


def _django(environ: Environ, result: object) -> object:
    # Django's environ does not lead to the request; its response does, which has to close the request.
    for closer in getattr(result, "_resource_closers", ()):
        match = getattr(getattr(closer, "__self__", None), "resolver_match", None)
        if match is not None:
            return getattr(match, "route", None)
    return None


#: Where each framework leaves the route it matched; `environ["ot_bridge.route"]` is for all others.
ROUTES: Final = (_named, _werkzeug, _bottle, _django)


def route(environ: Environ, result: object = None) -> str | None:
    """The pattern that the request matched, in the framework's own spelling; None if that is not known."""
    for look in ROUTES:
        found = look(environ, result)
        if found:
            return str(found)
    return None


def _method(environ: Environ) -> str:
    method = environ.get("REQUEST_METHOD", "")
    return method if method in METHODS else "HTTP"


FIELDS: Final[Mapping[str, Callable[[Environ], str]]] = {
    "method": _method,
    "route": lambda environ: "",
    "path": urls.path,
    "host": urls.host,
    "scheme": lambda environ: environ.get("wsgi.url_scheme", "http"),
}


class OperationName:
    """The `operation_name` option. `late`: whether the route belongs into it."""

    def __init__(self, name: str | Callable[[Environ], str]) -> None:
        if not isinstance(name, str) and not callable(name):
            raise ConfigurationError("operation_name", name, "a name, a template or a callable")
        self._name = name
        self._fields = _fields(name) if isinstance(name, str) else ()
        self.fixed = name if isinstance(name, str) and not self._fields else None
        self.late = "route" in self._fields

    def of(self, environ: Environ, route: str | None = None) -> str:
        """The span's name, as far as it is known before routing, or with the `route`."""
        if not isinstance(self._name, str):
            return str(self._name(environ))
        values: dict[str, Any] = {field: FIELDS[field](environ) for field in self._fields}
        if route:
            values["route"] = route
        return self._name.format_map(values).strip()


def _fields(template: str) -> tuple[str, ...]:
    try:
        fields = tuple(field for _, field, _, _ in Formatter().parse(template) if field is not None)
    except ValueError as error:
        raise ConfigurationError("operation_name", template, str(error)) from None
    for field in fields:
        if field not in FIELDS:
            raise ConfigurationError("operation_name", template, f"fields: {', '.join(FIELDS)}")
    return fields
