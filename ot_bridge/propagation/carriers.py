"""Carriers, the objects that hold headers. `Wanted.pick` takes the headers that a list of formats reads.

It returns a small dict of lower-case names to text (`raw` formats get their values unchanged). Names match in
any case. The values of a name that occurs more than once are joined with commas (RFC 9110, section 5.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from opentelemetry.propagators.textmap import Getter

from ot_bridge.wire import Format
from ot_bridge.wire.remote import Ids
from ot_bridge.wire.text import as_text

LEARNED = 1024


class WsgiHeaders(Mapping[str, str]):
    """The request headers in a WSGI environment, as a view with names in lower case."""

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
    """Converts gRPC metadata (pairs, or `grpc.aio.Metadata`) to headers. A repeated name gets a list."""
    headers: dict[str, Any] = {}
    for key, value in metadata or ():
        if key not in headers:
            headers[key] = value
        elif isinstance(headers[key], list):
            headers[key].append(value)
        else:
            headers[key] = [headers[key], value]
    return headers


class MetadataHeaders(dict[str, Any]):
    """Headers that become gRPC metadata. Only these accept `raw` formats, whose values may be bytes."""

    __slots__ = ()


class _LowerCase(Getter[dict[str, Any]]):
    """Reads the dicts that `lower_case` makes. Names match in any case.

    Each name has one value, a text; values of a repeated name are joined with commas. The values of names
    that end in `-bin` are returned unchanged.
    """

    def get(self, carrier: dict[str, Any], key: str) -> list[Any] | None:
        name = key.lower()
        values = [each for each in _flat(carrier.get(name)) if each is not None]
        if not values or name.endswith("-bin"):
            return values or None
        return [",".join(map(_text, values))]

    def keys(self, carrier: dict[str, Any]) -> list[str]:
        return list(carrier)


LOWER_CASE: Getter[dict[str, Any]] = _LowerCase()


def lower_case(carrier: Any) -> dict[str, Any]:
    """The headers of a mapping or an iterable of pairs, which other propagators read with `LOWER_CASE`.

    Raises `TypeError` or `AttributeError` if `carrier` is neither.
    """
    headers: dict[str, Any] = {}
    for key, value in _pairs(carrier):
        name = (key if type(key) is str else _text(key)).lower()
        headers[name] = [*_flat(headers[name]), *_flat(value)] if name in headers else value
    return headers


def _pairs(carrier: Any) -> Iterable[tuple[Any, Any]]:
    """Name and value of each header in a mapping or an iterable of pairs."""
    if hasattr(carrier, "items"):
        items: Iterable[tuple[Any, Any]] = carrier.items()
        return items
    if isinstance(carrier, str | bytes | bytearray):
        raise TypeError(f"{type(carrier).__name__} is no carrier")
    try:
        return [(name, value) for name, value in carrier]
    except ValueError:
        raise TypeError(f"{type(carrier).__name__} is no iterable of pairs") from None


class Known:
    """The wanted names as one kind of carrier spells them, and names that turned out to be irrelevant.

    To check many names one by one takes longer than to read a header. So up to `LEARNED` names are
    remembered, and one set operation shows whether a carrier holds any other name.
    plain: the wanted and the irrelevant names. usual: for each format with a usual header, its name, the
    function that checks that a carrier holds no other wanted name, and the function that reads the header.
    """

    __slots__ = ("_sets", "plain", "usual")

    def __init__(self, wanted: Iterable[str], usual: Iterable[tuple[str, Callable[[str], Ids]]]) -> None:
        self.plain = set(wanted)
        alone = [({name}, name, read) for name, read in usual]
        self.usual = tuple((name, names.issuperset, read) for names, name, read in alone)
        self._sets = (self.plain, *(names for names, _, _ in alone))

    def learn(self, name: str) -> None:
        """Remembers that a name is irrelevant."""
        if len(self.plain) < LEARNED and len(name) <= 64:
            for names in self._sets:
                names.add(name)


class Wanted:
    """The header names that a list of formats reads, prepared for looking them up.

    headers, environ: the `Known` names of carriers with header names, and of WSGI environments. A dict whose
    names are all among `headers.plain` can be given to the decoders as it is.
    """

    __slots__ = ("_environ", "_exact", "_prefixes", "_raw", "_spelled", "environ", "headers")

    def __init__(self, formats: Iterable[Format]) -> None:
        formats = tuple(formats)
        self._exact = dict.fromkeys(name for format in formats for name in format.fields)
        self._prefixes = tuple(prefix for format in formats for prefix in format.prefixes)
        self._raw = frozenset(name for format in formats if format.raw for name in format.fields)
        # The spellings in case-sensitive carriers: as the encoders write them, and in lower case.
        self._spelled = {
            name: tuple(dict.fromkeys((spelled, name)))
            for format in formats
            for name, spelled in zip(format.fields, format.spelled or format.fields, strict=True)
        }
        self._environ = {_environ_key(name): name for name in self._exact}
        usual = [(each.usual.name, each.usual.read) for each in formats if each.usual is not None]
        self.headers = Known(self._exact, usual)
        self.environ = Known(self._environ, [(_environ_key(name), read) for name, read in usual])

    def id_reader(self) -> Callable[[Any], Ids | None]:
        """Makes the function `Propagator.read_ids`. A method would take longer to call."""
        of_headers, of_environ = self.headers.usual, self.environ.usual

        def read_ids(carrier: Any) -> Ids | None:
            if type(carrier) is dict:
                headers, known = carrier, of_headers
            elif type(carrier) is WsgiHeaders and type(carrier.environ) is dict:
                headers, known = carrier.environ, of_environ
            else:
                return None
            for name, is_alone, read in known:
                if name in headers:
                    return read(headers[name]) if is_alone(headers) else None
            return None

        return read_ids

    def pick(self, carrier: Any) -> dict[str, Any]:
        """The wanted headers of `carrier`.

        carrier: a mapping, a view of a WSGI environment (anything with `.environ`), an iterable of pairs, or
        an object with the names as attributes. Raises `TypeError` or `AttributeError` for anything else.
        """
        environ = getattr(carrier, "environ", None)
        if type(environ) is dict:
            return self._from_environ(environ)
        if hasattr(carrier, "items") or hasattr(carrier, "__iter__"):
            return self._from_items(_pairs(carrier))
        return self._from_items((name, getattr(carrier, name)) for name in self._exact)

    def pick_through(self, carrier: Any, getter: Any) -> dict[str, Any]:
        """The wanted headers of a carrier that `getter` reads, even if its names are case-sensitive."""
        found: dict[str, Any] = {}
        for name, spellings in self._spelled.items():
            for spelling in spellings:
                if value := getter.get(carrier, spelling):
                    found[name] = value
                    break
        for key in dict.fromkeys(getter.keys(carrier) or ()) if self._prefixes else ():
            name = _text(key).lower()
            if name.startswith(self._prefixes):
                found.setdefault(name, getter.get(carrier, key))
        return self._from_items(found.items())

    def _from_environ(self, environ: dict[str, Any]) -> dict[str, Any]:
        found = {name: environ[key] for key, name in self._environ.items() if key in environ}
        plain = self.environ.plain
        if not plain.issuperset(environ):
            for key in environ.keys() - plain:
                name = key[5:].replace("_", "-").lower()
                if self._prefixes and key.startswith("HTTP_") and name.startswith(self._prefixes):
                    found[name] = environ[key]
                else:
                    self.environ.learn(key)
        return found

    def _from_items(self, items: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        exact, prefixes, plain = self._exact, self._prefixes, self.headers.plain
        found: dict[str, Any] = {}
        repeated: dict[str, list[Any]] = {}
        for key, value in items:
            if key in plain and key not in exact:
                continue
            name = (key if type(key) is str else _text(key)).lower()
            if not (name in exact or (prefixes and name.startswith(prefixes))):
                self.headers.learn(key)
            elif name in found:
                repeated.setdefault(name, [found[name]]).append(value)
            else:
                found[name] = value
        found.update(repeated)
        odd = [(name, value) for name, value in found.items() if type(value) is not str]
        for name, value in odd:
            values = [each for each in _flat(value) if each is not None]
            if not values:
                del found[name]
            else:
                found[name] = values[0] if name in self._raw else ",".join(map(_text, values))
        return found


def _flat(value: object) -> Iterator[object]:
    """The values of a header that was sent more than once, or whose value is a list, or both."""
    for each in value if isinstance(value, list | tuple) else (value,):
        yield from each if isinstance(each, list | tuple) else (each,)


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes | bytearray) else as_text(value)


def _environ_key(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")
