"""Throttlers limit the number of debug traces of a process, by credits from an agent's `/credits`."""

from __future__ import annotations

import logging
import threading
from typing import Any, Final, cast

from ot_bridge.jaeger_client.constants import DEFAULT_THROTTLER_REFRESH_INTERVAL
from ot_bridge.jaeger_client.local_agent_net import credits_query, get
from ot_bridge.jaeger_client.metrics.metrics import MetricsFactory, ThrottlerMetrics
from ot_bridge.jaeger_client.reexports import also
from ot_bridge.sampling.polling import Polling

MINIMUM_CREDITS: Final = 1.0
_TIMEOUT: Final = 15.0

logger = logging.getLogger("jaeger_tracing")


class Throttler:
    """Base class. `is_allowed` returns whether another debug span may start."""

    def set_client_id(self, client_id: int) -> None:
        """The tracer calls this once."""

    def is_allowed(self, operation: str) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        """Does nothing: there are no resources to release."""


class RemoteThrottler(Polling, Throttler):
    """Gets credits from the agent of `channel` every `refresh_interval` seconds; a debug span costs one.

    Other keywords of jaeger-client: metrics_factory; logger and error_reporter are ignored.
    """

    def __init__(self, channel: Any, service_name: str, **kwargs: Any) -> None:
        self.channel = channel
        self.service_name = service_name
        self.client_id: int | None = None
        self.refresh_interval = kwargs.get("refresh_interval") or DEFAULT_THROTTLER_REFRESH_INTERVAL
        self.metrics = ThrottlerMetrics(kwargs.get("metrics_factory") or MetricsFactory())
        self.credits: dict[str, float] = {}
        self.lock = threading.RLock()
        self._poll("ot_bridge-throttler", self.refresh_interval, first=self.refresh_interval)

    def is_allowed(self, operation: str) -> bool:
        if self._waits:
            self._in_this_process()
        with self.lock:
            balance = self.credits.setdefault(operation, 0.0)
            allowed = balance >= MINIMUM_CREDITS
            if allowed:
                self.credits[operation] = balance - MINIMUM_CREDITS
        if not allowed:
            self.metrics.throttled_debug_spans(1)
        return allowed

    def set_client_id(self, client_id: int) -> None:
        with self.lock:
            if self.client_id is None:
                self.client_id = client_id

    def refresh(self) -> bool:
        """Gets credits now, if an operation has asked for any. False if that failed. Never raises."""
        with self.lock:
            operations = list(self.credits)
        if not operations:
            return True
        query = credits_query(self.service_name, self.client_id, operations)
        try:
            balances = get(self.channel.credits_endpoint, query, _TIMEOUT).json()["balances"]
            earned = [(str(each["operation"]), float(each["balance"])) for each in balances]
        except Exception as error:
            logger.debug("no throttling credits from %s: %r", self.channel.credits_endpoint, error)
            self.metrics.throttler_update_failure(1)
            return False
        with self.lock:
            for operation, balance in earned:
                self.credits[operation] = self.credits.get(operation, 0.0) + balance
        self.metrics.throttler_update_success(1)
        return True

    def _start(self) -> None:
        # Reentrant, since a signal handler may start a span. New, since a fork may have copied a held one.
        self.lock = threading.RLock()
        super()._start()


def is_allowed(throttler: Any, operation: str) -> bool:
    """Whether `operation` may be a debug span. True without a throttler."""
    return throttler is None or bool(cast(Throttler, throttler).is_allowed(operation))


__getattr__ = also(__name__)
