"""The rules that translate values: one rule for each old name, and for clients and servers.

1. A rule gets the attributes of the copy, and the old value. It adds attributes with new names, and returns
   whether they contain all of the old value. Only then may the old name be removed.
2. An existing attribute with a new name is never overwritten. `_put` returns whether its value is the same.
3. The order of `rows` is the order of precedence: the host in a URL, then `peer.hostname`, then
   `peer.address`, then the address of the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from ot_bridge import rpc_status
from ot_bridge.semconv.addresses import host_and_port, known_origin, number, split
from ot_bridge.semconv.names import DRIVERS, GRPC_CODES, SYSTEMS

Attributes: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Attributes, Any], bool]


def _put(attributes: Attributes, name: str, value: Any) -> bool:
    """Adds an attribute unless it exists. Returns whether its value is `value` now."""
    current = attributes.setdefault(name, value)
    return current is value or (type(current) is type(value) and current == value)


def _is_text(value: Any) -> bool:
    return type(value) is str and value != ""


# HTTP


def method_rule(known: frozenset[str]) -> Rule:
    """Makes the rule for `http.method`. known: the known methods, which are case-sensitive."""

    def rule(attributes: Attributes, value: Any) -> bool:
        if not _is_text(value):
            return False
        if value in known:
            return _put(attributes, "http.request.method", value)
        upper = value.upper()
        named = _put(attributes, "http.request.method", upper if upper in known else "_OTHER")
        return named and _put(attributes, "http.request.method_original", value)

    return rule


def _status(attributes: Attributes, value: Any) -> bool:
    code = number(value, 100, 599)
    return code is not None and _put(attributes, "http.response.status_code", code)


def _put_all(attributes: Attributes, pairs: Mapping[str, Any]) -> bool:
    """Adds attributes unless they exist. Returns whether all have these values now."""
    whole = True
    for name, value in pairs.items():
        whole = _put(attributes, name, value) and whole
    return whole


def _client_url(attributes: Attributes, value: Any) -> bool:
    if type(value) is not str:
        return False
    origin, rest = split(value)
    if origin is None or not origin.host:
        return False
    _put_all(attributes, origin.client)  # url.full contains all of it
    return _put(attributes, "url.full", origin.clean + rest if origin.user else value)


def _server_url(attributes: Attributes, value: Any) -> bool:
    if type(value) is not str:
        return False
    origin, path = split(value)
    whole = True
    if origin is not None and origin.host:
        whole = _put_all(attributes, origin.server)
    elif origin is not None or not path.startswith("/"):
        return False
    if "#" in path:
        path = path.partition("#")[0]
        whole = False
    if "?" in path:
        path, _, query = path.partition("?")
        if query:
            whole = _put(attributes, "url.query", query) and whole
    return _put(attributes, "url.path", path or "/") and whole


USUAL: Final = "http.method", "http.status_code", "http.url"


def usual_rule(known: frozenset[str], server: bool, stays: bool) -> Callable[[Attributes], bool]:
    """Makes one rule in place of those for `USUAL`, for a span that has these names and no new name.

    It translates a known method, an integer status code and an absolute URL without a query whose origin was
    seen before. For any other value it changes nothing and returns False; then the other rules are applied.
    It skips their calls and their checks for existing new names (benchmark row "semconv-http").
    tests/semconv/test_laws.py::test_the_usual_http_span_is_translated_as_by_the_rules checks that they agree.
    """

    def rule(attributes: Attributes) -> bool:
        method, code, url = attributes["http.method"], attributes["http.status_code"], attributes["http.url"]
        if not (type(method) is type(url) is str and type(code) is int and 100 <= code <= 599):
            return False
        start = url.find("/", 8)
        origin = known_origin(url[:start]) if start > 0 else None
        if origin is None or not origin.host or method not in known or "?" in url or "#" in url:
            return False
        if server:
            attributes["url.path"] = url[start:]
            attributes.update(origin.server)
        else:
            attributes["url.full"] = url
            attributes.update(origin.client)
        attributes["http.request.method"] = method
        attributes["http.response.status_code"] = code
        if not stays:
            del attributes["http.method"], attributes["http.status_code"], attributes["http.url"]
        return True

    return rule


# Databases


def _system(attributes: Attributes, value: Any) -> bool:
    if not _is_text(value):
        return False
    name = value.lower()
    return _put(attributes, "db.system.name", _sql(attributes) if name == "sql" else SYSTEMS.get(name, name))


def _sql(attributes: Attributes) -> str:
    """The system of a database whose `db.type` is only `sql`."""
    dialect, component, instance = map(attributes.get, ("sqlalchemy.dialect", "component", "db.instance"))
    if type(dialect) is str and dialect:
        return SYSTEMS.get(dialect.lower(), dialect.lower())
    driver = DRIVERS.get(component.lower()) if type(component) is str else None
    if driver is not None:
        return driver
    origin, _ = split(instance) if type(instance) is str else (None, "")
    if origin is None:
        return "other_sql"
    scheme = origin.scheme.partition("+")[0]
    return SYSTEMS.get(scheme, scheme)


def _namespace(attributes: Attributes, value: Any) -> bool:
    if not _is_text(value):
        return False
    if "://" not in value:
        return _put(attributes, "db.namespace", value)
    origin, rest = split(value)
    name = rest.partition("#")[0].partition("?")[0].rpartition("/")[2]
    if origin is None or not (name or origin.host):
        return False
    named = not name or _put(attributes, "db.namespace", name)
    address = {key: part for key, part in origin.server.items() if key != "url.scheme"}
    return _put_all(attributes, address) and named  # a database's scheme is its system


def _statement(attributes: Attributes, value: Any) -> bool:
    return type(value) is str and _put(attributes, "db.query.text", value)


# The other end of a connection


def _hostname(attributes: Attributes, value: Any) -> bool:
    return _is_text(value) and _put(attributes, "server.address", value)


def _address(attributes: Attributes, value: Any) -> bool:
    found = host_and_port(value) if type(value) is str else None
    if found is None:
        return False
    host, port = found
    # If another host is set already, this port does not belong to it.
    return _put(attributes, "server.address", host) and _put(attributes, "server.port", port)


def _connection(attributes: Attributes, value: Any) -> bool:
    """Sets the address of the connection and its port, both or neither."""
    if not _is_text(value):
        return False
    if "network.peer.address" in attributes:
        return _put(attributes, "network.peer.address", value)
    attributes["network.peer.address"] = value
    port = _port_in(attributes.get("peer.port"))
    if port is not None:
        attributes.setdefault("network.peer.port", port)
    return True


def _server_connection(attributes: Attributes, value: Any) -> bool:
    """In a client's span: sets the address of the server, unless a better one is known."""
    whole = _connection(attributes, value)
    if whole:
        attributes.setdefault("server.address", value)
    return whole


def _caller(attributes: Attributes, value: Any) -> bool:
    """In an HTTP server's span: sets the address of the client, which may differ from the connection's."""
    if _connection(attributes, value):
        attributes.setdefault("client.address", value)
    return bool(attributes.get("client.address") == value)


def _port_in(value: Any) -> int | None:
    return number(value, 1, 65535)


def _connection_port(attributes: Attributes, value: Any) -> bool:
    """Whether the connection's port is the value of `peer.port`."""
    port = attributes.get("network.peer.port")
    return port is not None and port == _port_in(value)


def _port(attributes: Attributes, value: Any) -> bool:
    """In a client's span: sets the server's port, if its address is `peer.hostname` or unknown."""
    port = _port_in(value)
    named = "peer.hostname" in attributes or not ("peer.ipv4" in attributes or "peer.ipv6" in attributes)
    added = named and port is not None and _put(attributes, "server.port", port)
    return _connection_port(attributes, value) or added


# RPC


def _grpc_code(attributes: Attributes, value: Any) -> bool:
    code = number(value, 0, len(GRPC_CODES) - 1)
    return code is not None and _put(attributes, rpc_status.NAME, GRPC_CODES[code])


class Row(NamedTuple):
    """The rules for `name` in spans of these groups, for clients and servers. None: the name stays."""

    name: str
    groups: frozenset[str]
    client: Rule | None
    server: Rule | None


_HTTP: Final = frozenset({"http"})
_DATABASE: Final = frozenset({"database"})
_RPC: Final = frozenset({"rpc"})
_ALL: Final = _HTTP | _DATABASE | _RPC


def rows(known_methods: frozenset[str]) -> tuple[Row, ...]:
    """All rules, in the order in which they are to be applied."""
    method = method_rule(known_methods)
    return (
        Row("http.method", _HTTP, method, method),
        Row("http.status_code", _HTTP, _status, _status),
        Row("http.url", _HTTP, _client_url, _server_url),
        Row("db.type", _DATABASE, _system, _system),
        Row("db.instance", _DATABASE, _namespace, _namespace),
        Row("db.statement", _DATABASE, _statement, _statement),
        Row("peer.hostname", _ALL, _hostname, None),
        Row("peer.address", _DATABASE, _address, None),
        Row("peer.ipv4", _HTTP, None, _caller),
        Row("peer.ipv6", _HTTP, None, _caller),
        Row("peer.ipv4", _ALL, _server_connection, _connection),
        Row("peer.ipv6", _ALL, _server_connection, _connection),
        Row("peer.port", _ALL, _port, _connection_port),
        Row(rpc_status.NUMBER, _RPC, _grpc_code, _grpc_code),
    )
