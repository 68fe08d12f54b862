"""How each old name's value becomes the values of new names: one rule a name and side.

1. A rule gets the attributes that are being made, and the old value. It adds new names, and returns whether
   they say all that the old one did: only then may the old one go.
2. A new name that is there already is never overwritten. Whether it says the same is what `_put` returns.
3. The order of `rows` is the order of precedence: a URL's host comes before `peer.hostname`, that before
   `peer.address`, and that before the address of the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from ot_bridge import rpc_status
from ot_bridge.semconv.addresses import host_and_port, known_origin, number, split
from ot_bridge.semconv.names import DRIVERS, GRPC_CODES, SYSTEMS

Told: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Told, Any], bool]


def _put(told: Told, name: str, value: Any) -> bool:
    """Adds an attribute that is not there; whether it says `value` now."""
    said = told.setdefault(name, value)
    return said is value or (type(said) is type(value) and said == value)


def _is_text(value: Any) -> bool:
    return type(value) is str and value != ""


# HTTP


def method_rule(known: frozenset[str]) -> Rule:
    """The rule for `http.method`, by the known methods; case counts in them."""

    def rule(told: Told, value: Any) -> bool:
        if not _is_text(value):
            return False
        if value in known:
            return _put(told, "http.request.method", value)
        upper = value.upper()
        named = _put(told, "http.request.method", upper if upper in known else "_OTHER")
        return named and _put(told, "http.request.method_original", value)

    return rule


def _status(told: Told, value: Any) -> bool:
    code = number(value, 100, 599)
    return code is not None and _put(told, "http.response.status_code", code)


def _put_all(told: Told, pairs: Mapping[str, Any]) -> bool:
    """Adds attributes that are not there; whether all say these values now."""
    whole = True
    for name, value in pairs.items():
        whole = _put(told, name, value) and whole
    return whole


def _client_url(told: Told, value: Any) -> bool:
    if type(value) is not str:
        return False
    origin, rest = split(value)
    if origin is None or not origin.host:
        return False
    _put_all(told, origin.client)  # url.full says all of it
    return _put(told, "url.full", origin.clean + rest if origin.user else value)


def _server_url(told: Told, value: Any) -> bool:
    if type(value) is not str:
        return False
    origin, path = split(value)
    whole = True
    if origin is not None and origin.host:
        whole = _put_all(told, origin.server)
    elif origin is not None or not path.startswith("/"):
        return False
    if "#" in path:
        path = path.partition("#")[0]
        whole = False
    if "?" in path:
        path, _, query = path.partition("?")
        if query:
            whole = _put(told, "url.query", query) and whole
    return _put(told, "url.path", path or "/") and whole


USUAL: Final = "http.method", "http.status_code", "http.url"


def usual_rule(known: frozenset[str], server: bool, stays: bool) -> Callable[[Told], bool]:
    """One rule in place of those of `USUAL`, for a span that has these names and no new name.

    It translates a known method, an integer status code and an absolute URL without a query whose origin was
    seen before. With any other value it changes nothing and returns False; then the rules are applied. It
    skips their calls and their checks for new names that are there already (benchmark row "semconv-http").
    tests/semconv/test_laws.py::test_the_usual_http_span_is_translated_as_by_the_rules holds them together.
    """

    def rule(told: Told) -> bool:
        method, code, url = told["http.method"], told["http.status_code"], told["http.url"]
        if not (type(method) is type(url) is str and type(code) is int and 100 <= code <= 599):
            return False
        start = url.find("/", 8)
        origin = known_origin(url[:start]) if start > 0 else None
        if origin is None or not origin.host or method not in known or "?" in url or "#" in url:
            return False
        if server:
            told["url.path"] = url[start:]
            told.update(origin.server)
        else:
            told["url.full"] = url
            told.update(origin.client)
        told["http.request.method"] = method
        told["http.response.status_code"] = code
        if not stays:
            del told["http.method"], told["http.status_code"], told["http.url"]
        return True

    return rule


# Databases


def _system(told: Told, value: Any) -> bool:
    if not _is_text(value):
        return False
    name = value.lower()
    return _put(told, "db.system.name", _sql(told) if name == "sql" else SYSTEMS.get(name, name))


def _sql(told: Told) -> str:
    """Which database it is, where `db.type` says only that it takes SQL."""
    dialect, component, instance = map(told.get, ("sqlalchemy.dialect", "component", "db.instance"))
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


def _namespace(told: Told, value: Any) -> bool:
    if not _is_text(value):
        return False
    if "://" not in value:
        return _put(told, "db.namespace", value)
    origin, rest = split(value)
    name = rest.partition("#")[0].partition("?")[0].rpartition("/")[2]
    if origin is None or not (name or origin.host):
        return False
    named = not name or _put(told, "db.namespace", name)
    address = {key: said for key, said in origin.server.items() if key != "url.scheme"}
    return _put_all(told, address) and named  # a database's scheme is its system


def _statement(told: Told, value: Any) -> bool:
    return type(value) is str and _put(told, "db.query.text", value)


# The other end of a connection


def _hostname(told: Told, value: Any) -> bool:
    return _is_text(value) and _put(told, "server.address", value)


def _address(told: Told, value: Any) -> bool:
    found = host_and_port(value) if type(value) is str else None
    if found is None:
        return False
    host, port = found
    # A port of another host would be wrong beside the host that is there.
    return _put(told, "server.address", host) and _put(told, "server.port", port)


def _connection(told: Told, value: Any) -> bool:
    """The address of the connection and its port, which are only set together."""
    if not _is_text(value):
        return False
    if "network.peer.address" in told:
        return _put(told, "network.peer.address", value)
    told["network.peer.address"] = value
    port = _port_in(told.get("peer.port"))
    if port is not None:
        told.setdefault("network.peer.port", port)
    return True


def _server_connection(told: Told, value: Any) -> bool:
    """In a client's span: the address of the server, if nothing better is known."""
    whole = _connection(told, value)
    if whole:
        told.setdefault("server.address", value)
    return whole


def _caller(told: Told, value: Any) -> bool:
    """In an HTTP server's span: the address of the client, which behind a proxy is not the connection's."""
    if _connection(told, value):
        told.setdefault("client.address", value)
    return bool(told.get("client.address") == value)


def _port_in(value: Any) -> int | None:
    return number(value, 1, 65535)


def _connection_port(told: Told, value: Any) -> bool:
    """Whether the connection's port says what `peer.port` says."""
    port = told.get("network.peer.port")
    return port is not None and port == _port_in(value)


def _port(told: Told, value: Any) -> bool:
    """In a client's span: the server's port, where `peer.hostname` is its address or none is known."""
    port = _port_in(value)
    named = "peer.hostname" in told or not ("peer.ipv4" in told or "peer.ipv6" in told)
    said = named and port is not None and _put(told, "server.port", port)
    return _connection_port(told, value) or said


# RPC


def _grpc_code(told: Told, value: Any) -> bool:
    code = number(value, 0, len(GRPC_CODES) - 1)
    return code is not None and _put(told, rpc_status.NAME, GRPC_CODES[code])


class Row(NamedTuple):
    """groups: in a span of one of these, `name` goes by `client` or `server`; None: it stays."""

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
