"""Tornado 6: handlers of every kind, 200 requests at a time, and several on one connection.

OpenTracing's own Tornado scope manager cannot be imported on Tornado 6; ours needs no other.
"""

from __future__ import annotations

import asyncio
import http.client
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any

import pytest
from opentracing import Format, tags
from tornado import gen, httpserver, netutil, web
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from tests.bridge.spans import parents
from tests.conftest import Recorded

REQUESTS = 200


class Traced(web.RequestHandler):
    """Opens a scope when a request comes in, and closes it when all is done, as instrumentations do."""

    def initialize(self, otel: Recorded) -> None:
        self.tracer = otel.tracer

    def active(self) -> Any:
        return self.tracer.active_span

    def prepare(self) -> None:
        assert self.active() is None
        self.number = self.get_argument("number")
        self.scope = self.tracer.start_active_span(
            f"server {self.number}",
            child_of=self.tracer.extract(Format.HTTP_HEADERS, self.request.headers),
            tags={tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER},
        )

    def on_finish(self) -> None:
        assert self.active() is self.scope.span
        self.scope.close()
        assert self.active() is None


class Native(Traced):
    async def get(self) -> None:
        await asyncio.sleep(random.random() / 100)
        with self.tracer.start_active_span(f"work {self.number}") as work:
            await asyncio.sleep(random.random() / 100)
            assert self.active() is work.span
        assert self.active() is self.scope.span
        self.write(str(self.active().get_baggage_item("number")))


class Decorated(Traced):
    @gen.coroutine
    def get(self) -> Generator[Any, Any, None]:
        yield gen.sleep(random.random() / 100)
        with self.tracer.start_active_span(f"work {self.number}") as work:
            yield gen.sleep(random.random() / 100)
            assert self.active() is work.span
        assert self.active() is self.scope.span
        self.write(str(self.active().get_baggage_item("number")))


class Plain(Traced):
    def get(self) -> None:
        self.tracer.start_active_span(f"work {self.number}").close()
        self.write(str(self.active().get_baggage_item("number")))


HANDLERS = {"native": Native, "decorated": Decorated, "plain": Plain}


@pytest.fixture(params=HANDLERS)
async def port(otel: Recorded, request: pytest.FixtureRequest) -> AsyncIterator[int]:
    handler = HANDLERS[request.param]
    (socket,) = netutil.bind_sockets(0, "127.0.0.1")
    server = httpserver.HTTPServer(web.Application([("/", handler, {"otel": otel})]))
    server.add_sockets([socket])
    yield socket.getsockname()[1]
    server.stop()
    await server.close_all_connections()


async def _request(otel: Recorded, number: int, fetch: Callable[[dict[str, str]], Awaitable[str]]) -> None:
    with otel.tracer.start_active_span(f"client {number}", ignore_active_span=True) as scope:
        scope.span.set_baggage_item("number", str(number))
        headers: dict[str, str] = {}
        otel.tracer.inject(scope.span.context, Format.HTTP_HEADERS, headers)
        assert await fetch(headers) == str(number)
        assert otel.tracer.active_span is scope.span


def _expected(requests: int) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for number in range(requests):
        found |= {
            f"client {number}": None,
            f"server {number}": f"client {number}",
            f"work {number}": f"server {number}",
        }
    return found


async def test_S8_none_of_200_concurrent_tornado_requests_sees_the_span_of_another(
    otel: Recorded, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    client = AsyncHTTPClient(force_instance=True, max_clients=REQUESTS)

    def fetching(number: int) -> Callable[[dict[str, str]], Awaitable[str]]:
        async def fetch(headers: dict[str, str]) -> str:
            url = f"http://127.0.0.1:{port}/?number={number}"
            response: HTTPResponse = await client.fetch(url, headers=headers)
            return response.body.decode()

        return fetch

    await asyncio.gather(*(_request(otel, number, fetching(number)) for number in range(REQUESTS)))
    client.close()
    assert parents(otel) == _expected(REQUESTS)
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_S8_no_tornado_request_sees_the_span_of_the_previous_one_on_its_connection(
    otel: Recorded, port: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def fetching(number: int) -> Callable[[dict[str, str]], Awaitable[str]]:
        def fetch(headers: dict[str, str]) -> str:
            connection.request("GET", f"/?number={number}", headers=headers)
            return connection.getresponse().read().decode()

        return lambda headers: asyncio.to_thread(fetch, headers)

    for number in range(5):
        await _request(otel, number, fetching(number))
    connection.close()
    assert parents(otel) == _expected(5)
