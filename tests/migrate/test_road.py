"""The road of docs/migration.md, walked from its first step to its last by one program for each framework.

Each program traces a request by its framework's own OpenTracing package on jaeger-client, and has spans of
its own inside. At every step it runs as a process and exports its spans; the spans of its own are equal at
all of them, and the request's span is above them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from ot_bridge.cli.main import main

HERE: Final = Path(__file__).parent / "road"
OWN: Final = ("look-up", "find", "GET Price", "fetch")

_CONFIG: Final = (
    'tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="shop").initialize_tracer()'
)
INSTALL: Final = {
    "from jaeger_client import Config": "import ot_bridge",
    _CONFIG: 'tracer = ot_bridge.install("shop")',
}
#: What a person writes in place of `install()`, in the last step.
SDK: Final = {
    "import ot_bridge\n": (
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor\n"
    ),
    'tracer = ot_bridge.install("shop")': (
        "provider = TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))\n"
        "trace.set_tracer_provider(provider)"
    ),
    "tracer.close()": "provider.shutdown()",
}
_ENDS: Final = {
    "    closed = provider.shutdown()\n    while not closed.done():\n        time.sleep(0.01)\n": (
        "    provider.shutdown()\n"
    )
}
_WSGI: Final = "from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware\n"


#: What a person changes in the last step, besides the set-up.
BY_HAND: Final[Mapping[str, Mapping[str, str]]] = {
    "flask": {
        **_ENDS,
        "from flask_opentracing import FlaskTracing\n": _WSGI,
        "tracing = FlaskTracing(tracer, True, app)\n": "",
        "Client(app)": "Client(OpenTelemetryMiddleware(app))",
    },
    "bottle": {
        **_ENDS,
        "from bottle_opentracing import BottleTracing\n": _WSGI,
        "tracing = BottleTracing(tracer, True, app)\n": "",
        "Client(app)": "Client(OpenTelemetryMiddleware(app))",
    },
    "django": {
        **_ENDS,
        "from django_opentracing import DjangoTracing, OpenTracingMiddleware\n": _WSGI,
        "class Middleware(OpenTracingMiddleware):\n    async_mode = False\n": "",
        '        MIDDLEWARE=[f"{__name__}.Middleware"],\n': "",
        "        OPENTRACING_TRACE_ALL=True,\n": "",
        "        OPENTRACING_TRACING=DjangoTracing(tracer),\n": "",
        "Client(app)": "Client(OpenTelemetryMiddleware(app))",
    },
    "tornado": {
        "    closed = provider.shutdown()\n": "    provider.shutdown()\n",
        "    while not closed.done():\n        await asyncio.sleep(0.01)\n": "",
    },
    "grpc": {
        **_ENDS,
        "import opentracing\n": "",
        'opentracing.tracer.start_active_span("look-up", child_of=context.get_active_span())': (
            'trace.get_tracer(__name__).start_as_current_span("look-up")'
        ),
        "from grpc_opentracing import open_tracing_client_interceptor, open_tracing_server_interceptor\n": "",
        "from grpc_opentracing.grpcext import intercept_channel, intercept_server\n": (
            "from opentelemetry.instrumentation.grpc import client_interceptor, server_interceptor\n"
            "from opentelemetry.instrumentation.grpc.grpcext import intercept_channel\n"
        ),
        "intercept_server(grpc.server(ThreadPoolExecutor(2)), open_tracing_server_interceptor(tracer))": (
            "grpc.server(ThreadPoolExecutor(2), interceptors=[server_interceptor()])"
        ),
        "intercept_channel(channel, open_tracing_client_interceptor(tracer))": (
            "intercept_channel(channel, client_interceptor())"
        ),
    },
}

_GONE: Final = """\
import runpy, sys
for name in ("ot_bridge", "opentracing", "jaeger_client"):
    sys.modules[name] = None
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def _variables(exporter: str) -> dict[str, str]:
    return {
        "OTEL_TRACES_EXPORTER": exporter,
        "PYTHONWARNINGS": "ignore",
        "OTEL_PROPAGATORS": "tracecontext,baggage",
    }


def _run(*command: str) -> str:
    """What a process prints that runs to its end."""
    variables = {**os.environ, **_variables("console")}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=300, env=variables, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"200|pear", done.stderr), done.stderr
    return done.stdout


def _compare(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the command in this process; the program runs in two of its own, as it does from a shell."""
    with monkeypatch.context() as changed:
        for name, value in _variables("otlp").items():
            changed.setenv(name, value)
        options = ("--timeout", "240", "--ignore", "peer.port")
        assert main(["compare", *options, "--", sys.executable, str(program)]) == 0


def _spans(printed: str) -> list[dict[str, Any]]:
    decoder, found, rest = json.JSONDecoder(), [], printed.strip()
    while rest:
        span, end = decoder.raw_decode(rest)
        found.append(span)
        rest = rest[end:].lstrip()
    return found


def _own(printed: str) -> list[dict[str, Any]]:
    """The program's own spans; whether each stands below another one, and all are one trace."""
    spans = _spans(printed)
    ids = {span["context"]["span_id"] for span in spans}
    assert len({span["context"]["trace_id"] for span in spans}) == 1
    assert len(spans) >= 2
    return [
        {
            "name": span["name"],
            "kind": span["kind"],
            "below": span["parent_id"] in ids,
            # Only jaeger-client says in a tag which sampler decided.
            "attributes": {k: v for k, v in span["attributes"].items() if not k.startswith("sampler.")},
            "events": [(event["name"], event["attributes"]) for event in span["events"]],
            "status": span["status"],
        }
        for span in sorted(spans, key=lambda span: span["name"])
        if span["name"] in OWN
    ]


def _changed(path: Path, changes: Mapping[str, str]) -> None:
    text = path.read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)


@pytest.mark.soak
@pytest.mark.timeout(300)  # eight processes one after the other
@pytest.mark.parametrize("name", BY_HAND)
def test_a_program_goes_through_all_migration_steps_and_exports_equal_spans(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "shop.py"
    original = (HERE / f"{name}_shop.py").read_text()
    program.write_text(original)

    # Check says that the set-up needs a person, and touches nothing.
    assert main(["check", str(tmp_path)]) == 1
    assert "OTB401" in capfd.readouterr().out
    assert program.read_text() == original

    # Compare finds no difference but those that are documented.
    capfd.readouterr()
    _compare(program, monkeypatch)
    assert re.search(r"200|pear", capfd.readouterr().err)

    # Run: without a change. Without `ot-bridge run` in front of it, it is on jaeger-client again.
    before = _own(_run("-m", "ot_bridge", "run", "--", sys.executable, str(program)))
    assert before
    _run(str(program))

    # Install: two lines. Taking them back is the way back.
    _changed(program, INSTALL)
    installed = program.read_text()
    assert _own(_run(str(program))) == before

    # Rewrite, what mixes both APIs in one trace; a second time changes nothing.
    status = main(["rewrite", "--write", str(tmp_path)])
    rewritten = program.read_text()
    assert rewritten != installed
    assert status == (0 if name == "tornado" else 1) or "# ot-bridge: OTB4" in rewritten
    assert _own(_run(str(program))) == before
    main(["rewrite", "--write", str(tmp_path)])
    assert program.read_text() == rewritten

    # Remove the bridge: by hand, what the marks say.
    program.write_text(re.sub(r"^ *# ot-bridge: .*\n", "", rewritten, flags=re.MULTILINE))
    _changed(program, {**SDK, **BY_HAND[name]})
    assert main(["check", str(tmp_path)]) == 0
    assert _own(_run("-c", _GONE, str(program))) == before
