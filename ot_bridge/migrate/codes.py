"""The codes that `check` prints and `rewrite` writes into marks. A code never changes its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: code -> a description of its references.
CODES: Final[Mapping[str, str]] = {
    "OTB101": "the tracer comes from opentracing",
    "OTB102": "a span is started",
    "OTB103": "a tag is set",
    "OTB104": "a log is written",
    "OTB105": "the span is finished or renamed",
    "OTB106": "a context is injected or extracted",
    "OTB107": "the active span, a scope or a span's context is used",
    "OTB108": "a constant for tags, logs or formats",
    "OTB109": "a type in an annotation",
    "OTB201": "span.kind is set after the start",
    "OTB202": "sampling.priority is set",
    "OTB203": "the value of the error tag is not True or False",
    "OTB204": "baggage belongs to the context in OpenTelemetry, not to the span",
    "OTB205": "a reference: the parent is the first CHILD_OF",
    "OTB206": "OpenTelemetry never raises this exception",
    "OTB207": "MockTracer in a test",
    "OTB208": "a scope manager",
    "OTB209": "a test reads events or a status",
    "OTB301": "only the name tells what the receiver is",
    "OTB302": "the span goes where it cannot be followed",
    "OTB303": "a scope is used without with",
    "OTB304": "the parent is of unknown type",
    "OTB305": "the content of tags or of a log is unknown",
    "OTB306": "a format that OpenTelemetry does not have",
    "OTB307": "a subclass of an OpenTracing class",
    "OTB308": "a private member, or a member of an implementation",
    "OTB309": "a span's tracer",
    "OTB310": "the module is patched or tested",
    "OTB311": "the module is imported by its name in a string",
    "OTB312": "a star import: the imported names are not visible",
    "OTB401": "a tracer is set up or closed",
    "OTB402": "a tracer's sampler, reporter, codec or metrics",
    "OTB403": "the global tracer is set or read",
    "OTB404": "a package that traces a framework",
    "OTB405": "a package that traces a client library",
    "OTB501": "does not work with the declared or installed packages",
    "OTB502": "pins a version that blocks an upgrade",
    "OTB503": "no longer needed on ot_bridge",
}

CATEGORIES: Final[Mapping[str, str]] = {
    "1": "works unchanged on ot_bridge; rewritten",
    "2": "works, differently: docs/differences.md has the row",
    "3": "a person decides",
    "4": "set-up: install() or OpenTelemetry's package",
    "5": "dependency",
}


def needs_a_person(code: str) -> bool:
    """Whether a person must change something: codes 3xx and 4xx, and dependencies that fail or block."""
    return code[3] in "34" or code in ("OTB501", "OTB502")


#: code -> the heading in docs/differences.md that describes it.
_HEADINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("OTB201", "OTB202", "OTB203", "OTB204", "OTB205"), "from-every-opentracing-tracer"),
    "OTB206": "from-every-opentracing-tracer",
    "OTB207": "from-mocktracer",
    "OTB208": "with-a-scope-manager-of-the-programs-own",
    "OTB209": "from-every-opentracing-tracer",
}


def described(code: str) -> str:
    """The description of a code, with its place in docs/differences.md if it works differently."""
    heading = _HEADINGS.get(code)
    return CODES[code] if heading is None else f"{CODES[code]} (docs/differences.md#{heading})"
