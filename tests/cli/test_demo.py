"""`ot-bridge demo`, as people and scripts call it, and its spans on their way through a real collector."""

from __future__ import annotations

import functools
import json
import re
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import opentracing
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from werkzeug.wrappers import Response

from ot_bridge.bridge import create_tracer
from ot_bridge.cli import viewing
from ot_bridge.cli.demo import play
from ot_bridge.cli.receiving import receiving
from ot_bridge.cli.serving import get, serving
from ot_bridge.provider import build_provider
from ot_bridge.view.store import Store
from tests.receiver import HttpReceiver

COMMAND = [sys.executable, "-m", "ot_bridge.cli"]
rotel = pytest.importorskip("rotel", reason="rotel has wheels for Linux and macOS only")


@functools.cache
def plain() -> subprocess.CompletedProcess[str]:
    """What the demo prints; all that it prints is the same in each run, but for times and ids."""
    return demo()


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, "demo", *arguments], capture_output=True, text=True, timeout=50)


def test_the_demo_shows_five_complete_traces() -> None:
    done = plain()
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "5 of 5 traces are whole"
    assert done.stdout.count("component=grpc-gateway") == 4
    assert done.stdout.count("continues the caller's") == 3
    assert "5b8aa5a2d2c872e8321cf37308d69df2" in done.stdout


#: The trace ids of the callers.
SENT = (
    "5b8aa5a2d2c872e8321cf37308d69df2",
    "463ac35c9f6413ad48485a3953bb6124",
    "0af7651916cd43dd8448eb211c80319c",
)


def _skeleton(text: str) -> list[str]:
    """Trees without what differs from run to run: durations, bars, and ids of traces that begin here."""
    text = re.sub(r"\b\d+(\.\d+)? (ns|us|ms|s)\b", "TIME", text)
    text = re.sub(rf"^(?!{'|'.join(SENT)})[0-9a-f]{{32}} ", "ID ", text, flags=re.M)
    return [" ".join(re.sub(r"  +#+", " ", line).split()) for line in text.splitlines()]


def test_the_demo_names_its_service_and_leaves_no_tracer() -> None:
    outcomes, _ = play()
    assert len(outcomes) == 5
    assert {span.resource.attributes["service.name"] for each in outcomes for span in each.spans} == {"demo"}
    users = {span.attributes.get("user") for each in outcomes for span in each.spans if span.attributes}
    assert users == {None, "ann"}
    assert not opentracing.is_global_tracer_registered()


def test_what_serves_the_commands_ends_with_its_block() -> None:
    with serving(Response(status=204)) as port:
        assert get(port, "/", {}) == 204
    with pytest.raises(ConnectionError):
        get(port, "/", {})
    with viewing.viewer(Store(), port=0) as address:
        assert get(address.port, "/", {}) == 200
    with pytest.raises(ConnectionError):
        get(address.port, "/", {})
    with receiving() as received:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", received.udp_port))


def test_the_readme_shows_what_the_demo_draws() -> None:
    readme = (Path(__file__).parent.parent.parent / "README.md").read_text("utf-8")
    documented = re.search(r"```text\n(.*?)```", readme, re.S)
    assert documented is not None
    assert _skeleton(documented[1]) == _skeleton(plain().stdout)


def test_the_demo_prints_the_same_as_json() -> None:
    done = demo("--json")
    outcomes: list[dict[str, Any]] = json.loads(done.stdout)
    assert [outcome["whole"] for outcome in outcomes] == [True] * 5
    first = {span["name"]: span for span in outcomes[0]["spans"]}
    gateway, inner = first["ServeHTTP"], first["compose greeting"]
    assert gateway["parent_id"] == "0x051581bf3cb55c13"
    assert gateway["attributes"]["component"] == "grpc-gateway"
    assert gateway["kind"] == "SpanKind.SERVER"
    assert inner["attributes"] == {"user": "ann"}
    for outcome in outcomes:
        spans = [span["context"]["trace_id"] for span in outcome["spans"]]
        assert len(set(spans)) == 1
        assert len(spans) == (3 if "broken" in outcome["sender"] else 4)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def collector(target: HttpReceiver) -> Iterator[str]:
    """A rotel that forwards to `target`; yields its URL."""
    port, unused = _free_port(), _free_port()
    agent = Path(sysconfig.get_path("platlib"), "rotel", "rotel-agent")
    command = [str(agent), "start", "--otlp-http-endpoint", f"127.0.0.1:{port}"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{unused}", "--batch-timeout", "50ms"]
    command += [
        "--otlp-exporter-protocol",
        "http",
        "--otlp-exporter-endpoint",
        target.endpoint.removesuffix("/v1/traces"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() == 127:
                pytest.skip("rotel's wheel for this Python needs a shared library that is not here")
            assert process.poll() is None, "rotel did not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def test_the_demos_spans_reach_a_real_collector() -> None:
    with HttpReceiver() as receiver, collector(receiver) as url:
        done = demo("--otlp", url)
        assert done.returncode == 0, done.stdout + done.stderr
        names = [span.name for span in receiver.wait(19)]
    assert len(names) == 19
    assert names.count("ServeHTTP") == 4
    assert names.count("compose greeting") == 5


def test_an_unreachable_collector_is_reported_and_sets_the_exit_status() -> None:
    url = f"http://127.0.0.1:{_free_port()}"
    done = demo("--otlp", url)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"ot-bridge demo: {url} did not take the spans"
    assert "Traceback" not in done.stderr


def _everything(receiver: HttpReceiver) -> list[Any]:
    """Each span with its resource and scope, as text that does not depend on how spans were batched."""
    found = []
    for request in receiver.requests:
        for resource in request.resource_spans:
            attributes = sorted(str(each) for each in resource.resource.attributes)
            for scope in resource.scope_spans:
                found += [
                    (span.start_time_unix_nano, attributes, str(scope.scope), str(span))
                    for span in scope.spans
                ]
    return sorted(found)


def test_kind_status_events_links_resource_and_scope_arrive_unchanged() -> None:
    with HttpReceiver() as direct, HttpReceiver() as behind, collector(behind) as url:
        endpoints = [direct.endpoint, f"{url}/v1/traces"]
        provider = build_provider(
            "shop",
            exporters=[OTLPSpanExporter(endpoint=each) for each in endpoints],
            attributes={"team": "fruit"},
        )
        tracer = create_tracer(provider, propagators="jaeger")
        for kind in ("client", "server", "producer", "consumer", "other"):
            other = tracer.start_span("elsewhere")
            span = tracer.start_span(
                "work", references=[opentracing.follows_from(other.context)], tags={"span.kind": kind}
            )
            span.set_tag("error", kind == "client").log_kv({"event": "half", "done": 0.5, "of": [1, 2]})
            span.log_kv({"event": "error", "error.object": ValueError("no")})
            span.finish()
            other.finish()
        assert tracer.flush(10)
        direct.wait(10)
        behind.wait(10)
        provider.shutdown()
    assert len(direct.spans) == 10
    assert _everything(behind) == _everything(direct)


def test_an_unknown_command_gets_a_list_of_the_commands() -> None:
    done = subprocess.run([*COMMAND, "dmeo"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "demo" in done.stderr
