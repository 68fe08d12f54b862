"""`ot_bridge/cli/xray_gateway` does what it says, from its interfaces to the requests that X-Ray gets."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from werkzeug.test import Client

import ot_bridge
from ot_bridge.cli.gateway import greeter_pb2 as pb
from ot_bridge.cli.gateway import greeter_pb2_grpc as rpc
from ot_bridge.cli.xray_gateway import recipe
from tests.xray.conftest import FakeXRay, error

#: What any global share takes, and none but a share of 1; X-Ray's ids, as a load balancer sends them.
TAKEN, LEFT = ({"X-Amzn-Trace-Id": f"Root=1-6b032bcf-{digits}"} for digits in ("0" * 23 + "1", "f" * 24))
HELLO, STREAM = "/v1/hello/ann", "/v1/hello/ann/stream"
HELLO_SPANS = ["/greeter.v1.Greeter/SayHello"] * 2 + ["ServeHTTP", "compose greeting"]


def web(path: str, headers: Any) -> Callable[[Client, grpc.Channel], object]:
    def send(client: Client, channel: grpc.Channel) -> object:
        return client.get(path, headers=headers, buffered=True).status_code == 200

    return send


def greet_all(client: Client, channel: grpc.Channel) -> object:
    return rpc.GreeterStub(channel).GreetAll(iter([pb.HelloRequest(name="ann")]), timeout=5).number == 1


def check_health(client: Client, channel: grpc.Channel) -> object:
    check: Any = channel.unary_unary(recipe.HEALTH_CHECK)
    return check(b"", timeout=5) == b"\x08\x01"


# what is sent -> the spans with a global share of 0.5, and without a global configuration
WAYS: dict[str, tuple[Callable[[Client, grpc.Channel], object], list[str], list[str]]] = {
    "health": (web("/healthz", TAKEN), [], []),
    "health below /api": (web("/api/healthz", TAKEN), ["ServeHTTP"], ["ServeHTTP"]),
    "health by gRPC": (check_health, [], []),
    "api": (web(f"/api{HELLO}", LEFT), HELLO_SPANS, HELLO_SPANS),
    "taken by the share": (web(HELLO, TAKEN), HELLO_SPANS, []),
    "left by the share": (web(HELLO, LEFT), [], []),
    "no span for the method": (web(f"/api{STREAM}", LEFT), ["ServeHTTP"], ["ServeHTTP"]),
    "a method's own sampler": (greet_all, ["/greeter.v1.Greeter/GreetAll"], ["/greeter.v1.Greeter/GreetAll"]),
}


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    ot_bridge.uninstall()


@pytest.mark.parametrize("share", [0.5, None], ids=["global share", "nothing global"])
@pytest.mark.parametrize("way", WAYS)
def test_each_entry_point_of_the_gateway_has_the_spans_that_the_recipe_describes(
    way: str, share: float | None
) -> None:
    memory = InMemorySpanExporter()
    ot_bridge.install(
        "gateway",
        exporters=[SimpleSpanProcessor(memory)],
        sampler=recipe.global_sampler(share),
        propagators="xray",
    )
    send, *expected = WAYS[way]
    server, port = recipe.serve()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert send(Client(recipe.make_app(channel)), channel)
    server.stop(None).wait()
    assert sorted(span.name for span in memory.get_finished_spans()) == expected[share is None]


@pytest.mark.parametrize(
    ("refused", "share", "gateways"),
    [(False, ["0.01"], 2), (True, ["0.01"], 2), (False, [], 2), (False, ["1"], 4)],
    ids=["delivered", "refused", "nothing global", "all"],
)
def test_the_program_flushes_before_it_ends_and_its_exit_status_shows_the_result(
    monkeypatch: pytest.MonkeyPatch, refused: bool, share: list[str], gateways: int
) -> None:
    def two_requests(host: str, port: int, app: Any, **options: Any) -> None:
        assert (host, port, options) == ("127.0.0.1", 8080, {"threaded": True})
        for path in (f"/api{HELLO}", HELLO):
            Client(app).get(path, buffered=True, headers=LEFT)

    monkeypatch.setattr("werkzeug.serving.run_simple", two_requests)
    monkeypatch.setattr("sys.argv", ["recipe", *share])
    monkeypatch.delenv("AWS_XRAY_DAEMON_ADDRESS", raising=False)
    with FakeXRay() as xray:
        environment = {"AWS_ENDPOINT_URL_XRAY": xray.url, "AWS_REGION": "eu-west-1"}
        environment |= {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        xray.responses = [error(400, "InvalidRequestException")] * refused
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(recipe.__file__), run_name="__main__")
        assert ended.value.code == int(refused)
        (request,) = xray.requests
        xray.shutdown()
    assert len(request.documents) == 2 * gateways
    assert [each["name"] for each in request.documents if "type" not in each] == ["gateway"] * gateways


def test_the_page_on_x_ray_quotes_the_recipe() -> None:
    program = Path(str(recipe.__file__))
    page = (Path(__file__).parents[2] / "docs" / "xray.md").read_text().partition("## Recipe")[2]
    (quoted,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    lines = [line for line in quoted.splitlines() if line]
    assert len(lines) > 5
    assert [line for line in lines if line not in program.read_text().splitlines()] == []
