"""jaeger-client's metrics of its own work, and the classes by which a program receives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Tags: TypeAlias = Mapping[str, str] | None
Count: TypeAlias = Callable[[Any], Any]


class MetricsFactory:
    """Makes functions that do nothing. A subclass makes real counters, timers and gauges."""

    def _noop(self, *args: Any) -> None:
        pass

    def create_counter(self, name: str, tags: Any = None) -> Count:
        """Makes a function that adds a number to a counter."""
        return self._noop

    def create_timer(self, name: str, tags: Any = None) -> Count:
        """Makes a function that records a duration in microseconds."""
        return self._noop

    def create_gauge(self, name: str, tags: Any = None) -> Count:
        """Makes a function that records the present value."""
        return self._noop


class Metrics:
    """Up to three functions of (key, value); timings are in milliseconds. `MetricsFactory` supersedes it."""

    def __init__(self, count: Any = None, gauge: Any = None, timing: Any = None) -> None:
        self._count = count if callable(count) else None
        self._gauge = gauge if callable(gauge) else None
        self._timing = timing if callable(timing) else None

    @property
    def counts(self) -> bool:
        """Whether any count is passed to a function of the program."""
        overridden = type(self) is not Metrics
        return overridden or bool(self._count or self._gauge or self._timing)

    def count(self, key: str, value: Any) -> None:
        if self._count:
            self._count(key, value)

    def gauge(self, key: str, value: Any) -> None:
        if self._gauge:
            self._gauge(key, value)

    def timing(self, key: str, value: Any) -> None:
        if self._timing:
            self._timing(key, value)


class LegacyMetricsFactory(MetricsFactory):
    """Makes counters that call a `Metrics`. Tags become part of the key."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def create_counter(self, name: str, tags: Any = None) -> Count:
        key = self._get_key(name, tags)
        return lambda value: self._metrics.count(key, value)

    def create_timer(self, name: str, tags: Any = None) -> Count:
        key = self._get_key(name, tags)
        return lambda value: self._metrics.timing(key, value / 1000.0)

    def create_gauge(self, name: str, tags: Any = None) -> Count:
        key = self._get_key(name, tags)
        return lambda value: self._metrics.gauge(key, value)

    def _get_key(self, name: str, tags: Tags = None) -> str:
        return "".join([name, *(f".{key}_{value}" for key, value in sorted((tags or {}).items()))])


def factory(metrics_factory: MetricsFactory | None, metrics: Metrics | None) -> MetricsFactory:
    """Returns `metrics_factory`, or a factory that calls `metrics` if the first is None."""
    return metrics_factory or LegacyMetricsFactory(metrics or Metrics())


def silent(made_by: MetricsFactory) -> bool:
    """Whether the counters of this factory do nothing, so that there is no need to call them."""
    if type(made_by) is LegacyMetricsFactory:
        return not made_by._metrics.counts
    return type(made_by) is MetricsFactory


class Counters:
    """The counters of one part of jaeger-client. Each attribute is a function of the number to add."""

    #: Attribute -> (metric, tags).
    table: Mapping[str, tuple[str, Tags]]

    def __init__(self, metrics_factory: MetricsFactory) -> None:
        for attribute, (name, tags) in self.table.items():
            count = (
                metrics_factory.create_counter(name=name, tags=dict(tags))
                if tags
                else metrics_factory.create_counter(name=name)
            )
            setattr(self, attribute, count)

    def __getattr__(self, name: str) -> Count:
        raise AttributeError(name)


class TracerMetrics(Counters):
    table = {
        "traces_started_sampled": ("jaeger:traces", {"state": "started", "sampled": "y"}),
        "traces_started_not_sampled": ("jaeger:traces", {"state": "started", "sampled": "n"}),
        "traces_joined_sampled": ("jaeger:traces", {"state": "joined", "sampled": "y"}),
        "traces_joined_not_sampled": ("jaeger:traces", {"state": "joined", "sampled": "n"}),
        "spans_started_sampled": ("jaeger:started_spans", {"sampled": "y"}),
        "spans_started_not_sampled": ("jaeger:started_spans", {"sampled": "n"}),
        "spans_finished": ("jaeger:finished_spans", None),
    }


class ReporterMetrics(Counters):
    table = {
        "reporter_success": ("jaeger:reporter_spans", {"result": "ok"}),
        "reporter_failure": ("jaeger:reporter_spans", {"result": "err"}),
        "reporter_dropped": ("jaeger:reporter_spans", {"result": "dropped"}),
    }

    def __init__(self, metrics_factory: MetricsFactory) -> None:
        super().__init__(metrics_factory)
        self.reporter_queue_length = metrics_factory.create_gauge(name="jaeger:reporter_queue_length")


class SamplerMetrics(Counters):
    table = {
        "sampler_retrieved": ("jaeger:sampler_queries", {"result": "ok"}),
        "sampler_query_failure": ("jaeger:sampler_queries", {"result": "err"}),
        "sampler_updated": ("jaeger:sampler_updates", {"result": "ok"}),
        "sampler_update_failure": ("jaeger:sampler_updates", {"result": "err"}),
    }


class ThrottlerMetrics(Counters):
    table = {
        "throttled_debug_spans": ("jaeger:throttled_debug_spans", None),
        "throttler_update_success": ("jaeger:throttler_update", {"result": "ok"}),
        "throttler_update_failure": ("jaeger:throttler_update", {"result": "err"}),
    }
