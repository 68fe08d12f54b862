"""K8: variables that have no effect, because they are unknown or because another one overrules them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import opentelemetry.environment_variables
import opentelemetry.sdk.environment_variables

from ot_bridge.cli.checkup.model import LOOK, WRONG, Finding, is_secret, variable
from ot_bridge.jaeger_client.settings import KEYS, ROWS, unread

_OURS: Final = frozenset(
    {
        *("OT_BRIDGE_FLUSH_ON_SIGTERM", "OT_BRIDGE_QUIET", "OT_BRIDGE_REDIRECT", "OT_BRIDGE_SITE"),
        *("OT_BRIDGE_UDP", "OT_BRIDGE_SAMPLE"),
    }
)
#: Variables that other packages of OpenTelemetry or ot_bridge read, and that no list of OpenTelemetry has.
_MORE: Final = frozenset(
    {
        *("OTEL_CONFIG_FILE", "OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_PYTHON_ID_GENERATOR"),
        *("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",),
        *("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "OTEL_PYTHON_TRACER_PROVIDER"),
    }
)
#: Variables of other packages: instrumentations name their variables themselves.
_FREE: Final = re.compile(r"OTEL_(PYTHON|INSTRUMENTATION|OPERATOR|NODE|RESOURCE|AUTO)_")
#: Variables that Kubernetes and Docker set for a service of that name.
_SERVICE_LINK: Final = re.compile(r"_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP)|_PORT$|_ENV_|_NAME$")
_LINK_VALUE: Final = re.compile(r"(tcp|udp)://")
_PREFIXES: Final = ("OTEL_", "JAEGER_", "OT_BRIDGE_")
_FAR: Final = 3  # a name at this distance is not a typing error


@cache
def _jaeger() -> frozenset[str]:
    return frozenset({"JAEGER_TAGS", *(name for row in ROWS.values() for name in row.jaeger)})


@cache
def _known() -> frozenset[str]:
    modules = (opentelemetry.environment_variables, opentelemetry.sdk.environment_variables)
    listed = {name for module in modules for name in vars(module) if name.startswith("OTEL_")}
    ours = {name for row in ROWS.values() for name in row.otel}
    return frozenset(listed | ours | _OURS | _MORE | _jaeger())


def findings() -> Iterator[Finding]:
    """The findings about the names of the variables that are set."""
    given = sorted(name for name in os.environ if name.startswith(_PREFIXES) and os.environ[name].strip())
    jaeger = [name for name in given if name in _jaeger() and not _is_link(name)]
    for name in given:
        if name not in _known() and not _is_link(name):
            yield from _unknown(name)
    if jaeger:
        names = ", ".join(jaeger)
        yield Finding(
            LOOK,
            "variable",
            f"{names}: read by jaeger-client's names (ot_bridge.jaeger_client) only, and not by install()",
            "ot-bridge config --otel    prints OpenTelemetry's variables for them",
        )
    yield from _overruled()


def keys(config: Mapping[str, Any], file: str) -> Iterator[Finding]:
    """The findings about the keys in a file that jaeger-client's `Config` would ignore."""
    for key in unread(config):
        near = nearest(key, KEYS)
        question = f". Did you mean {near}?" if near else ""
        yield Finding(LOOK, "file", f"{file}: {key} has no effect: Config has no such key{question}")


def _is_link(name: str) -> bool:
    return bool(_SERVICE_LINK.search(name)) and bool(
        _LINK_VALUE.match(os.environ[name]) or name not in _known()
    )


def _unknown(name: str) -> Iterator[Finding]:
    near = nearest(name, _known())
    if near:
        value = "…" if is_secret(near) else variable(name)
        yield Finding(
            WRONG,
            "variable",
            f"{name} has no effect: it is not known. Did you mean {near}?",
            f"{near}={value}",
        )
    elif not _FREE.match(name):
        yield Finding(LOOK, "variable", f"{name} is not read by anything here", f"unset {name}")


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is at most two typing errors away, or ""."""
    distance, found = min(((typing_errors(name, each), each) for each in known), default=(_FAR, ""))
    return found if distance < _FAR else ""


def typing_errors(one: str, other: str) -> int:
    """Insertions, deletions, and replacements; a transposition counts as one (Damerau, restricted)."""
    if abs(len(one) - len(other)) >= _FAR:
        return _FAR
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, char in enumerate(one, 1):
        line = [i]
        for j, match in enumerate(other, 1):
            cost = min(last[j] + 1, line[j - 1] + 1, last[j - 1] + (char != match))
            if before and j > 1 and char == other[j - 2] and one[i - 2] == match:
                cost = min(cost, before[j - 2] + 1)
            line.append(cost)
        before, last = last, line
    return last[-1]


def _overruled() -> Iterator[Finding]:
    for name in sorted(os.environ):
        general = name.replace("OTLP_TRACES_", "OTLP_")
        both = name != general and os.environ[name].strip() and os.environ.get(general, "").strip()
        if both and os.environ[name] != os.environ[general]:
            yield Finding(
                LOOK, "variable", f"{name} overrules {general}, which is set as well", f"unset {general}"
            )
