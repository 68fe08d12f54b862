"""K12: the tracing headers of a request, and the formats that read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from ot_bridge.cli.checkup import effective
from ot_bridge.cli.checkup.model import LOOK, WELL, WRONG, Finding
from ot_bridge.cli.decode import claims, parse_headers
from ot_bridge.errors import BadHeader
from ot_bridge.propagation import Propagator
from ot_bridge.wire import FORMATS, Format

#: Known headers that ot_bridge cannot read: the beginning of the name -> the system that uses it.
FOREIGN: Final = {
    "x-datadog-": "Datadog's",
    "sw8": "SkyWalking's",
    "x-cloud-trace-context": "Google Cloud's",
    "sentry-trace": "Sentry's",
    "elastic-apm-traceparent": "Elastic APM's",
    "newrelic": "New Relic's",
    "x-instana-": "Instana's",
}


_NONE: Final = Finding(
    LOOK, "headers", "no tracing header was given: a new trace begins here", "-H 'name: value'"
)


def findings(texts: Sequence[str]) -> list[Finding]:
    """For each tracing header: the format that reads it, why it is refused, or that no format reads it."""
    return [*_each(parse_headers(texts))] or [_NONE]


def _each(headers: Sequence[tuple[str, Any]]) -> Iterator[Finding]:
    names = effective.propagators()
    propagator = effective.textmap()
    read = propagator.formats if isinstance(propagator, Propagator) else ()
    fields = {name.lower() for name in propagator.fields}
    for name, _ in headers:
        owner = next((whose for begin, whose in FOREIGN.items() if name.startswith(begin)), None)
        if owner is not None:
            yield Finding(
                WRONG, "headers", f"{name} came, which is {owner}: no propagator of ours reads it", _W3C
            )
            continue
        formats = [each for each in FORMATS.values() if claims(each, name)]
        ours = next((each for each in formats if each in read or name in fields), None)
        if ours is not None:
            yield _read(name, ours, headers)
        elif formats:
            yield _unread(name, formats[0], names)


_W3C: Final = "have the caller send traceparent (W3C) as well"


def _read(name: str, format: Format, headers: Sequence[tuple[str, Any]]) -> Finding:
    try:
        Propagator([format]).decode(list(headers))
    except BadHeader as error:
        return Finding(
            WRONG,
            "headers",
            f"{error.header} is refused: {error.reason}",
            f"ot-bridge decode '{error.header}: …'",
        )
    return Finding(WELL, "headers", f"{name} is read by {format.name}")


def _unread(name: str, format: Format, names: Sequence[str]) -> Finding:
    return Finding(
        WRONG,
        "headers",
        f"{name} came, and no propagator reads it: the caller's trace ends here.",
        f"OTEL_PROPAGATORS={','.join([*names, format.name])}",
    )
