"""Runs the examples of docs/wsgi.md unchanged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import flask
import opentracing
import pytest
from asgiref.testing import ApplicationCommunicator
from opentelemetry import trace
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

import ot_bridge
from ot_bridge import TracingMiddleware
from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.propagation import Propagator
from tests.wsgi.collector import Collector
from tests.wsgi.conftest import Spans, hello
from tests.wsgi.servers import Running, gunicorn

PAGE = Path(__file__).parents[2] / "docs" / "wsgi.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
FILES = {block.split("\n")[0].strip("# "): block for block in BLOCKS if block.startswith("# ")}
OPTIONS = [block for block in BLOCKS if block not in FILES.values()]


@pytest.fixture
def _global_tracer(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opentracing, "tracer", tracer)
    monkeypatch.setattr(ot_bridge, "install", lambda name: tracer)


@pytest.mark.usefixtures("_global_tracer")
@pytest.mark.parametrize("block", OPTIONS, ids=lambda block: block.strip().split("\n")[-1][:60])
def test_example_traces_a_request(spans: Spans, block: str) -> None:
    made: list[Any] = []

    def remembering(*args: Any, **options: Any) -> TracingMiddleware:
        made.append(TracingMiddleware(*args, **options))
        return made[-1]  # type: ignore[no-any-return]

    names = {"app": hello, "ProxyFix": ProxyFix, "ALWAYS_ON": ALWAYS_ON}
    exec(compile(block, PAGE, "exec"), names | {"TracingMiddleware": remembering})
    app = made[-1] if made else TracingMiddleware(hello)
    assert Client(app).get("/api/1").data == b"hello"
    assert spans.names() != []


@pytest.mark.usefixtures("_global_tracer")
def test_recipe_for_flask_works(spans: Spans) -> None:
    names: dict[str, Any] = {"flask": flask, "TracingMiddleware": TracingMiddleware}
    exec(FILES["flask"], names)
    names["app"].add_url_rule("/items/<int:number>", view_func=lambda number: "item", endpoint="item")
    assert names["app"].test_client().get("/items/7").data == b"item"
    assert spans.names() == ["GET /items/<int:number>"]


@pytest.mark.usefixtures("_global_tracer")
def test_recipe_for_django_works(spans: Spans) -> None:
    from tests.wsgi import django_site

    django_site.application()
    names: dict[str, Any] = {}
    exec(FILES["wsgi.py"], names)
    assert Client(names["application"]).get("/items/7/").data == b"item 7"
    assert "GET items/<int:number>/" in spans.names()


async def test_recipe_for_asgi_works(
    provider: TracerProvider, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer = create_tracer(provider)
    textmap = get_global_textmap()

    def install(name: str, propagators: list[str]) -> Tracer:
        monkeypatch.setattr(opentracing, "tracer", tracer)
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
        set_global_textmap(Propagator(propagators))
        return tracer

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with opentracing.global_tracer().start_active_span("inner") as inner:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            user = inner.span.get_baggage_item("user") or ""
            await send({"type": "http.response.body", "body": user.encode()})

    monkeypatch.setattr(ot_bridge, "install", install)
    names: dict[str, Any] = {"app": app}
    try:
        exec(FILES["asgi.py"], names)
        headers = [(b"uber-trace-id", b"abc:def:0:1"), (b"uberctx-user", b"ann")]
        made = {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""}
        client: Any = ApplicationCommunicator(  # type: ignore[no-untyped-call]
            names["app"], made | {"http_version": "1.1", "scheme": "http"}
        )
        await client.send_input({"type": "http.request"})
        assert (await client.receive_output())["status"] == 200
        assert (await client.receive_output())["body"] == b"ann"
        await client.wait()
    finally:
        set_global_textmap(textmap)
    (server,) = (span for span in spans.all() if span.kind is SpanKind.SERVER)
    parent = spans.named("inner").parent
    assert parent is not None
    assert parent.span_id == server.context.span_id
    assert server.parent is not None
    assert (server.context.trace_id, server.parent.span_id) == (0xABC, 0xDEF)


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_recipe_for_gunicorn_works(tmp_path: Path, preload: list[str]) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(FILES["gunicorn.conf.py"])
    options = ["-c", str(tmp_path / "gunicorn.conf.py"), "--workers=2", *preload]
    command = gunicorn(*options, app="tests.wsgi.conftest:hello")
    with Collector() as collector:
        given = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        with Running(command, tmp_path / "log", **given) as server:
            for _ in range(5):
                assert server.get("/")[1] == b"hello"
        found = [span.name for span in collector.spans]
    assert found == ["ServeHTTP"] * 5, server.errors
