"""`LocalAgentSender`: where the agent is. jaeger-client's held sockets; ours is an address."""

from __future__ import annotations

from typing import Any


class LocalAgentSender:
    """host: of agent, collector or all-in-one. sampling_port: of its HTTP server for strategies.

    reporting_port: of UDP, where nothing goes any more. throttling_port: of its HTTP server for credits.
    """

    def __init__(
        self,
        host: str,
        sampling_port: int | str,
        reporting_port: int | str = 6831,
        io_loop: Any = None,
        throttling_port: int | str | None = None,
        *,
        sampling_endpoint: str | None = None,
        traces_endpoint: str | None = None,
    ) -> None:
        self.host = host
        self.sampling_port = int(sampling_port)
        self.reporting_port = int(reporting_port)
        self.throttling_port = None if throttling_port is None else int(throttling_port)
        self.io_loop = io_loop
        netloc = f"[{host}]" if ":" in host else host
        self.sampling_endpoint = sampling_endpoint or f"http://{netloc}:{self.sampling_port}/sampling"
        self.credits_endpoint = f"http://{netloc}:{self.throttling_port or self.sampling_port}/credits"
        #: Where spans go, unless `OTEL_EXPORTER_OTLP_*` says otherwise.
        self.traces_endpoint = traces_endpoint or f"http://{netloc}:4318/v1/traces"
