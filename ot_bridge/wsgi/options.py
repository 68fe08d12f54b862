"""The middleware's options: checked once, at construction, and frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import SpanKind

from ot_bridge.errors import ConfigurationError
from ot_bridge.wsgi.names import OperationName
from ot_bridge.wsgi.quiet import attempt
from ot_bridge.wsgi.tags import Convention, Environ, HeaderTags, Tags

#: Paths that load balancers ask for and nobody wants to see traced.
HEALTH: Final = ("/healthz", "/_ah/health")

TRUST: Final = ("all", "context", "link", "none")
ON_CORRUPT: Final = {"skip": False, "root": True}

Trust: TypeAlias = str | Callable[[Environ], str]


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How to start one request's span. Every field left out is as the middleware has it.

    sampler: decides on this span alone, also under a caller's decision. kind: an OpenTelemetry `SpanKind`
    or an OpenTracing `span.kind`. name: the operation's. trace: False for no span, here and below.
    """

    sampler: Sampler | None = None
    kind: SpanKind | str | None = None
    name: str | None = None
    trace: bool = True


#: What `start_options` returns for a request that is to have no span, nor anything below it.
DO_NOT_TRACE: Final = StartOptions(trace=False)
AS_USUAL: Final = StartOptions()

#: What a `start_options` callable may return instead of a `StartOptions`.
_SHORT: Final[Mapping[type, Callable[[Any], StartOptions]]] = {
    type(None): lambda nothing: AS_USUAL,
    bool: lambda trace: AS_USUAL if trace else DO_NOT_TRACE,
    str: lambda name: StartOptions(name=name),
    SpanKind: lambda kind: StartOptions(kind=kind),
}


def start_options(value: object) -> StartOptions:
    """What a `start_options` callable returned, as a `StartOptions`; `TypeError` for what means nothing."""
    if isinstance(value, StartOptions):
        return value
    if isinstance(value, Sampler):
        return StartOptions(sampler=value)
    try:
        return _SHORT[type(value)](value)
    except KeyError:
        raise TypeError(f"start_options returned {value!r}") from None


def kind_tag(kind: object) -> str:
    """OpenTracing's `span.kind` of a kind in either spelling."""
    return kind.name.lower() if isinstance(kind, SpanKind) else str(kind)


Excluded: TypeAlias = Callable[[Environ], bool]


def excluded(patterns: object) -> Excluded | None:
    """The `exclude` option as a question to ask of an environ; None if nothing is excluded."""
    if callable(patterns):
        return partial(attempt, "exclude", patterns)
    names = words("exclude", patterns)
    exact = frozenset(name for name in names if not name.endswith("*"))
    prefixes = tuple(name[:-1] for name in names if name.endswith("*"))

    def matches(environ: Environ) -> bool:
        try:
            path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            return path in exact or (prefixes != () and path.startswith(prefixes))
        except (TypeError, AttributeError):  # an environ with something else for a path
            return False

    return matches if names else None


def trust_of(trust: Trust, public_endpoint: bool | Callable[[Environ], bool]) -> Trust:
    """`trust` and `public_endpoint` as one: a fixed word, or a callable for each request."""
    if not callable(trust):
        choice("trust", trust, TRUST)
    if not callable(public_endpoint):
        return "link" if public_endpoint else trust
    public = public_endpoint

    def ask(environ: Environ) -> str:
        if public(environ):
            return "link"
        return trust(environ) if callable(trust) else trust

    return ask


def on_corrupt(value: object) -> bool:
    """Whether a request with a broken header starts a trace."""
    return ON_CORRUPT[choice("on_corrupt", value, tuple(ON_CORRUPT))]


def choice(option: str, value: object, allowed: tuple[str, ...]) -> str:
    """`value`, if it is one of the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        raise ConfigurationError(option, value, f"one of {', '.join(allowed)}")
    return value


def words(option: str, value: object) -> tuple[str, ...]:
    """An iterable of strings; a single string is a mistake, not a list of letters."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigurationError(option, value, "a list of names")
    names = tuple(value)
    for name in names:
        if not isinstance(name, str):
            raise ConfigurationError(option, name, "a name")
    return names


def function(option: str, value: Any) -> Any:
    """A callable, or None."""
    if value is not None and not callable(value):
        raise ConfigurationError(option, value, "a callable")
    return value


@dataclass(frozen=True, slots=True)
class Rules:
    """All options of one middleware, checked and ready for use; each is described at the middleware."""

    name: OperationName
    tags: Tags
    convention: Convention
    headers: HeaderTags | None
    capture_query: bool
    redact: frozenset[str]
    excluded: Excluded | None
    start_options: Callable[[Environ], Any] | None
    request_hook: Callable[..., Any] | None
    response_hook: Callable[..., Any] | None
    response_header: Callable[..., list[tuple[str, str]]] | None
    wants_route: bool
    watches: bool
