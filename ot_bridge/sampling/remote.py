"""The Jaeger remote sampler: it gets sampling strategies from a server, in the background.

It polls `GET {endpoint}?service={name}` (a Jaeger agent or collector, or an OpenTelemetry Collector with
`jaegerremotesampling`) and applies each response. While there is no usable response it keeps the last
strategy, and before the first one it samples by `initial`. Each sampler has one daemon thread per process.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from ot_bridge.errors import ConfigurationError
from ot_bridge.sampling.jaeger import (
    DEFAULT_LOWER_BOUND,
    DEFAULT_MAX_OPERATIONS,
    DEFAULT_PROBABILITY,
    AdaptiveSampler,
    JaegerSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
    Tags,
    checked_rate,
    sampling_rate,
)
from ot_bridge.sampling.polling import Polling

DEFAULT_ENDPOINT = "http://localhost:5778/sampling"
DEFAULT_POLLING_INTERVAL = 60.0
REQUEST_TIMEOUT = 10.0
_LARGEST_RESPONSE = 4 << 20  # bytes
_MOST_TRACES_PER_SECOND = 500  # jaeger-client refuses this and more

_log = logging.getLogger("ot_bridge.sampling")


def _ask(url: str) -> Any:
    """The JSON of the server's response. Ignores proxies, as jaeger-client does: the server is near."""
    import urllib.request  # takes 10 ms to load, and is needed only by programs with such a server
    from urllib.error import HTTPError

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=REQUEST_TIMEOUT) as response:
            return json.loads(response.read(_LARGEST_RESPONSE))
    except HTTPError as error:
        error.close()  # closes the connection, which would stay open until the garbage collection
        raise


class JaegerRemoteSampler(Polling, JaegerSampler):
    """Samples by the strategies of a Jaeger server.

    endpoint: URL of the strategies; the default path is `/sampling`, the default scheme http.
    polling_interval: seconds. initial: decides until the server has responded (default: one trace in a
    thousand). max_operations: see `AdaptiveSampler`. Raises ConfigurationError for an endpoint or an interval
    that cannot be used.
    """

    def __init__(
        self,
        service_name: str,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        polling_interval: float = DEFAULT_POLLING_INTERVAL,
        initial: JaegerSampler | None = None,
        max_operations: int = DEFAULT_MAX_OPERATIONS,
    ) -> None:
        self.service_name = service_name
        self.url = f"{strategies_url(endpoint)}?{urlencode({'service': service_name})}"
        self.sampler = initial or ProbabilisticSampler(DEFAULT_PROBABILITY)
        self._max_operations = max_operations
        self._failing = False
        self._poll("ot-bridge-remote-sampler", polling_interval)

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        if self._waits:
            self._in_this_process()
        return self.sampler.is_sampled(trace_id, operation)

    def refresh(self) -> bool:
        """Polls the server now. Returns whether the response could be applied. Never raises."""
        try:
            self.sampler = _next_sampler(self.sampler, _ask(self.url), self._max_operations)
        except Exception as error:
            _log.log(
                logging.DEBUG if self._failing else logging.WARNING,
                "no sampling strategy from %s: %r; sampling goes on by %s",
                self.url,
                error,
                self.sampler,
            )
            self._failing = True
            return False
        _log.debug("sampling by %s, as received from %s", self.sampler, self.url)
        self._failing = False
        return True

    def __str__(self) -> str:
        return f"JaegerRemoteSampler({self.url}, {self.sampler})"


def strategies_url(endpoint: str) -> str:
    """The URL of the strategies, for an endpoint that may lack scheme and path. Raises ConfigurationError."""
    url = endpoint if "://" in endpoint else f"http://{endpoint}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ConfigurationError(
            "endpoint", endpoint, "expected http(s)://host:port or http(s)://host:port/path"
        )
    return url if parts.path.strip("/") else f"{url.rstrip('/')}/sampling"


def _next_sampler(current: JaegerSampler, response: Mapping[str, Any], max_operations: int) -> JaegerSampler:
    """The sampler for this response: `current`, updated, if it is of the right type, else a new one."""
    if operations := response.get("operationSampling"):
        if not isinstance(current, AdaptiveSampler):
            return AdaptiveSampler(operations, max_operations)
        current.update(operations)
        return current
    following = _STRATEGIES[_strategy_type(response)](current, response)
    return current if following == current else following


def _strategy_type(response: Mapping[str, Any]) -> str:
    # Servers that omit default values from their JSON omit this one for probabilities.
    default = "RATE_LIMITING" if "rateLimitingSampling" in response else "PROBABILISTIC"
    found = response.get("strategyType", default if response else None)
    return found if isinstance(found, str) else ("PROBABILISTIC", "RATE_LIMITING")[found]


def _probabilistic(current: JaegerSampler, response: Mapping[str, Any]) -> JaegerSampler:
    return ProbabilisticSampler(sampling_rate(response))


def _rate_limiting(current: JaegerSampler, response: Mapping[str, Any]) -> JaegerSampler:
    limits = response.get("rateLimitingSampling") or {}
    limit = checked_rate(limits.get("maxTracesPerSecond", DEFAULT_LOWER_BOUND))
    if limit >= _MOST_TRACES_PER_SECOND:
        raise ConfigurationError("maxTracesPerSecond", limit, f"expected less than {_MOST_TRACES_PER_SECOND}")
    if not isinstance(current, RateLimitingSampler):
        return RateLimitingSampler(limit)
    current.update(limit)
    return current


_STRATEGIES = {"PROBABILISTIC": _probabilistic, "RATE_LIMITING": _rate_limiting}
