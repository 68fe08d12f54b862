"""The context of an exporter's own traffic: empty, and instrumentations are told in it to look away."""

from __future__ import annotations

from typing import Final

from opentelemetry.context import Context

from ot_bridge.otel import SUPPRESS_KEYS

UNTRACED: Final = Context(dict.fromkeys(SUPPRESS_KEYS, True))
