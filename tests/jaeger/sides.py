"""The real jaeger-client and ours, side by side: one program for both, with comparable results."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jaeger_client as theirs
import jaeger_client.codecs
import jaeger_client.config
import jaeger_client.reporter
import jaeger_client.sampler
import jaeger_client.span_context
import jaeger_client.throttler
import jaeger_client.utils

import ot_bridge.jaeger_client as ours


class Side(NamedTuple):
    """One package, and a tracer of it that keeps its spans."""

    package: ModuleType | Any

    def tracer(self, sampler: Any = None, **options: Any) -> tuple[Any, Any]:
        """A tracer (of everything unless sampler says otherwise) and its reporter."""
        reporter = self.package.reporter.InMemoryReporter()
        sampler = self.package.ConstSampler(True) if sampler is None else sampler
        # With a given address, the real one opens no sockets to look it up, which it would leave open.
        options["tags"] = {"ip": "127.0.0.1", **options.get("tags", {})}
        return self.package.Tracer("service", reporter, sampler, **options), reporter


REAL, OURS = Side(theirs), Side(ours)


def value(tag: Any) -> Any:
    """A tag's value with its type."""
    return {0: tag.vStr, 1: tag.vDouble, 2: tag.vBool, 3: tag.vLong}[int(tag.vType)]


def tags_of(span: Any) -> dict[str, Any]:
    return {tag.key: value(tag) for tag in span.tags}


def logs_of(span: Any) -> list[dict[str, Any]]:
    return [{field.key: value(field) for field in log.fields} for log in span.logs]


def both(program: Callable[[Side], Any]) -> Any:
    """Runs the program on both sides, checks that the results are equal, and returns them."""
    expected, got = program(REAL), program(OURS)
    assert got == expected
    return got
