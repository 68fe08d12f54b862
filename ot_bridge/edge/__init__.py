"""What WSGI and gRPC share: trust in callers, start options, exclusion, active spans, isolation of errors.

Nothing here depends on WSGI or gRPC, so that another protocol (ASGI, a message queue) can use it alone.
"""

from ot_bridge.edge.activity import InSteps, Step, activity, untraced_span
from ot_bridge.edge.callers import ON_CORRUPT, TRUST, BrokenHeader, Callers
from ot_bridge.edge.exclusion import Exclusion
from ot_bridge.edge.isolation import attempt, failed
from ot_bridge.edge.options import as_function, as_names
from ot_bridge.edge.starts import (
    AS_USUAL,
    DO_NOT_TRACE,
    StartOptions,
    kind_tag,
    options_for,
    sampler_argument,
)

__all__ = [
    "AS_USUAL",
    "DO_NOT_TRACE",
    "ON_CORRUPT",
    "TRUST",
    "BrokenHeader",
    "Callers",
    "Exclusion",
    "InSteps",
    "StartOptions",
    "Step",
    "activity",
    "as_function",
    "as_names",
    "attempt",
    "failed",
    "kind_tag",
    "options_for",
    "sampler_argument",
    "untraced_span",
]
