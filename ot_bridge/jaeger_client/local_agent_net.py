"""`LocalAgentSender`: the addresses of the agent. Unlike jaeger-client's it opens no UDP socket."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode

from ot_bridge.jaeger_client.closing import in_background
from ot_bridge.jaeger_client.reexports import also

_LARGEST_RESPONSE: Final = 1 << 20  # bytes
# Without a proxy, since the agent runs on this machine or near it.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Response(NamedTuple):
    """An agent's response, with the attribute names of Tornado's client. `body` is JSON."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def get(url: str, query: Sequence[tuple[str, Any]], timeout: float) -> Response:
    """Sends a GET request and returns the response. timeout: seconds. Raises OSError."""
    try:
        with _opener.open(f"{url}?{urlencode(query)}", timeout=timeout) as got:
            return Response(got.status, dict(got.headers), got.read(_LARGEST_RESPONSE))
    except HTTPError as error:
        error.close()  # closes the connection, which would stay open as long as the future exists
        raise


def credits_query(service_name: str, client_id: Any, operations: Iterable[str]) -> list[tuple[str, Any]]:
    """The query for a service's credits for debug traces of these operations."""
    return [("service", service_name), ("uuid", client_id), *(("operations", name) for name in operations)]


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class LocalAgentHTTP:
    """Sends requests to an agent's HTTP server. Each returns a future of a `Response`. timeout: seconds."""

    DEFAULT_TIMEOUT = 15

    def __init__(self, host: str, port: int | str) -> None:
        self.agent_http_host = host
        self.agent_http_port = int(port)

    def request_sampling_strategy(self, service_name: str, timeout: float = DEFAULT_TIMEOUT) -> Any:
        return self._request("sampling", [("service", service_name)], timeout)

    def request_throttling_credits(
        self, service_name: str, client_id: int, operations: Sequence[str], timeout: float = DEFAULT_TIMEOUT
    ) -> Any:
        return self._request("credits", credits_query(service_name, client_id, operations), timeout)

    def _request(self, path: str, query: Sequence[tuple[str, Any]], timeout: float) -> Any:
        url = f"{_address(self.agent_http_host, self.agent_http_port)}/{path}"
        return in_background(lambda: get(url, query, timeout))


class LocalAgentSender:
    """The addresses of an agent.

    host: of the agent, collector or all-in-one. sampling_port: of its HTTP server for strategies.
    reporting_port: its UDP port, to which nothing is sent. throttling_port: of its HTTP server for credits.
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
        self.sampling_endpoint = sampling_endpoint or f"{_address(host, self.sampling_port)}/sampling"
        self.credits_endpoint = f"{_address(host, self.throttling_port or self.sampling_port)}/credits"
        self.local_agent_http = LocalAgentHTTP(host, self.sampling_port)
        if self.throttling_port:
            self.throttling_http = LocalAgentHTTP(host, self.throttling_port)
        #: The URL to which spans are sent, unless `OTEL_EXPORTER_OTLP_*` names another.
        self.traces_endpoint = traces_endpoint or f"{_address(host, 4318)}/v1/traces"

    def request_sampling_strategy(self, *args: Any, **kwargs: Any) -> Any:
        """A future of the agent's response with sampling strategies. Arguments: service_name, timeout."""
        return self.local_agent_http.request_sampling_strategy(*args, **kwargs)

    def request_throttling_credits(self, *args: Any, **kwargs: Any) -> Any:
        """A future of the agent's response with credits. Arguments: service_name, client_id, operations."""
        return self.throttling_http.request_throttling_credits(*args, **kwargs)


__getattr__ = also(__name__)
