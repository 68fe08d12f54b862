"""Carriers: where headers lie. `Wanted.pick` takes from any of them what a list of formats reads.

What it gives is a plain dict of lower-case names, small, of text (and untouched values for `raw` formats).
Names match in any case; a name that comes more than once is joined with commas, as RFC 9110 section 5.3 says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..wire import Format


class WsgiHeaders(Mapping[str, str]):
    """The request headers in a WSGI environment, looked at without copying it. Names in lower case."""

    __slots__ = ("environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.environ = environ

    def __getitem__(self, name: str) -> str:
        value: str = self.environ[_environ_key(name)]
        return value

    def __iter__(self) -> Iterator[str]:
        return (key[5:].replace("_", "-").lower() for key in self.environ if key.startswith("HTTP_"))

    def __len__(self) -> int:
        return sum(key.startswith("HTTP_") for key in self.environ)


def metadata_headers(metadata: Iterable[tuple[str, str | bytes]] | None) -> dict[str, Any]:
    """gRPC metadata (pairs, or `grpc.aio.Metadata`) as headers; what comes more than once is a list."""
    headers: dict[str, Any] = {}
    for key, value in metadata or ():
        if key not in headers:
            headers[key] = value
        elif isinstance(headers[key], list):
            headers[key].append(value)
        else:
            headers[key] = [headers[key], value]
    return headers


class Wanted:
    """The header names that a list of formats reads, prepared for looking them up."""

    __slots__ = ("_environ", "_environ_prefixes", "_exact", "_prefixes", "_raw")

    def __init__(self, formats: Iterable[Format]) -> None:
        formats = tuple(formats)
        self._exact = tuple(dict.fromkeys(name for format in formats for name in format.fields))
        self._prefixes = tuple(dict.fromkeys(prefix for format in formats for prefix in format.prefixes))
        self._raw = frozenset(name for format in formats if format.raw for name in format.fields)
        self._environ = tuple((_environ_key(name), name) for name in self._exact)
        self._environ_prefixes = tuple(_environ_key(prefix) for prefix in self._prefixes)

    def pick(self, carrier: Any) -> dict[str, Any]:
        """From a mapping, a view of a WSGI environment (anything with `.environ`), or pairs."""
        if type(carrier) is dict:
            return self._from_dict(carrier)
        environ = getattr(carrier, "environ", None)
        if type(environ) is dict:
            return self._from_environ(environ)
        return self._from_items(carrier.items() if hasattr(carrier, "items") else carrier)

    def pick_through(self, carrier: Any, getter: Any) -> dict[str, Any]:
        """From any carrier that an OpenTelemetry `Getter` can read."""
        names = self._exact
        if self._prefixes:
            names += tuple(
                {name for key in getter.keys(carrier) if (name := key.lower()).startswith(self._prefixes)}
            )
        return self._from_items((name, getter.get(carrier, name)) for name in names)

    def _from_dict(self, carrier: dict[str, Any]) -> dict[str, Any]:
        try:
            names = "\n".join(carrier)
        except TypeError:  # bytes, as ASGI has them
            return self._from_items(carrier.items())
        if not names.islower():
            return self._from_items(carrier.items()) if names else {}
        found = {}
        for name in self._exact:
            if name in carrier:
                value = carrier[name]
                if type(value) is str:
                    found[name] = value
                else:
                    self._add(found, name, value)
        for prefix in self._prefixes:
            if prefix in names:
                for name in carrier:
                    if name.startswith(prefix):
                        self._add(found, name, carrier[name])
        return found

    def _from_environ(self, environ: dict[str, Any]) -> dict[str, Any]:
        found = {name: environ[key] for key, name in self._environ if key in environ}
        for prefix in self._environ_prefixes:
            # One search through all names is much less than a look at each.
            if prefix in "\n".join(environ):
                for key, value in environ.items():
                    if key.startswith(prefix):
                        found[key[5:].replace("_", "-").lower()] = value
        return found

    def _from_items(self, items: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        exact, prefixes = self._exact, self._prefixes
        found: dict[str, Any] = {}
        for key, value in items:
            name = key.lower() if type(key) is str else _latin(key).lower()
            if name in exact or name.startswith(prefixes):
                self._add(found, name, value)
        return found

    def _add(self, found: dict[str, Any], name: str, value: Any) -> None:
        if isinstance(value, list | tuple):
            for each in value:
                self._add(found, name, each)
        elif name in self._raw:
            found.setdefault(name, value)
        elif value is not None:
            text = _latin(value)
            found[name] = f"{found[name]},{text}" if name in found else text


def _latin(value: object) -> str:
    if isinstance(value, str):
        return value
    return value.decode("latin-1") if isinstance(value, bytes | bytearray) else str(value)


def _environ_key(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")
