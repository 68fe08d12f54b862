"""The name of a request's span: a fixed name, a callable's result, or a template filled in after routing.

The route is the pattern that the framework has matched (`/items/<id>`), never the path that the client has
sent, because the number of different paths is unlimited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any, Final

from ot_bridge.errors import ConfigurationError
from ot_bridge.wsgi import urls
from ot_bridge.wsgi.tags import METHODS, Environ


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
    """The `operation_name` option.

    fixed: the name, if it is the same for all requests. late: whether the route is part of the name.
    """

    def __init__(self, name: str | Callable[[Environ], str]) -> None:
        if not isinstance(name, str) and not callable(name):
            raise ConfigurationError("operation_name", name, "expected a name, a template or a callable")
        self._name = name
        self._fields = _fields(name) if isinstance(name, str) else ()
        self.fixed = name if isinstance(name, str) and not self._fields else None
        self.late = "route" in self._fields

    def of(self, environ: Environ, route: str | None = None) -> str:
        """Makes the span's name. route: None if it is not known yet."""
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
            raise ConfigurationError("operation_name", template, f"expected fields among {', '.join(FIELDS)}")
    return fields
