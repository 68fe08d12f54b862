"""A service that one peer traces, in its own process: `python -m benchmarks.service PEER`.

It reads one command per line from standard input and answers each with one line of JSON. It measures the
processor time of the process, so that every thread counts.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.requests import naive, requests, small_app

LATE = 0.005  # seconds that a thread may oversleep before it counts
_BURST = 10  # requests in a row
QUEUE = 20_000  # spans: a peer must not save work by losing some


class Peer(NamedTuple):
    app: Any  # a WSGI application
    flush: Callable[[], object]


def opentracing_app(tracer: Any) -> Any:
    """Two child spans, with three tags and a log each."""

    def app(environ: Any, start_response: Any) -> Any:
        for name in ("read", "render"):
            with tracer.start_active_span(name) as scope:
                span = scope.span
                span.set_tag("component", "bench")
                span.set_tag("db.statement", "SELECT name FROM users WHERE id = 7")
                span.set_tag("rows", 1)
                span.log_kv({"event": "done"})
        return small_app(environ, start_response)

    return app


def opentelemetry_app(tracer: Any) -> Any:
    """Two child spans, with three attributes and an event each, by OpenTelemetry's API."""

    def app(environ: Any, start_response: Any) -> Any:
        for name in ("read", "render"):
            with tracer.start_as_current_span(name) as span:
                span.set_attribute("component", "bench")
                span.set_attribute("db.statement", "SELECT name FROM users WHERE id = 7")
                span.set_attribute("rows", 1)
                span.add_event("done", {"event": "done"})
        return small_app(environ, start_response)

    return app


def _bare() -> Peer:
    return Peer(small_app, lambda: None)


def _ours() -> Peer:
    import ot_bridge

    tracer = ot_bridge.install("bench")
    return Peer(ot_bridge.TracingMiddleware(opentracing_app(tracer)), tracer.flush)


def _drop_in() -> Peer:
    from ot_bridge.jaeger_client import Config

    tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="bench").initialize_tracer()
    assert tracer is not None
    return Peer(naive(tracer, opentracing_app(tracer)), tracer.flush)


def _jaeger() -> Peer:
    from jaeger_client.config import Config

    settings = {"sampler": {"type": "const", "param": 1}, "reporter_queue_size": QUEUE}
    tracer = Config(settings, service_name="bench").initialize_tracer()
    # No public call waits for its queue; its reporter sends at least once a second.
    return Peer(naive(tracer, opentracing_app(tracer)), lambda: time.sleep(1.2))


def _sdk() -> Peer:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    app = opentelemetry_app(trace.get_tracer("bench"))
    return Peer(OpenTelemetryMiddleware(app), provider.force_flush)


PEERS: Mapping[str, Callable[[], Peer]] = {
    "no tracing": _bare,
    "ot_bridge": _ours,
    "drop-in": _drop_in,
    "jaeger-client": _jaeger,
    "OpenTelemetry SDK": _sdk,
}


def _paced(run: Callable[[int], None], rate: float, seconds: float) -> int:
    """Runs requests in bursts, `rate` per second, so that no queue overflows. Returns their number."""
    done, begun = 0, time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        if done <= passed * rate:
            run(_BURST)
            done += _BURST
        else:
            time.sleep(_BURST / rate / 2)
    return done


def cost(peer: Peer, rate: float, seconds: float) -> dict[str, float]:
    """Returns the processor time per request in microseconds, until the last span is sent."""
    run = requests(peer.app)
    before = time.process_time_ns()
    done = _paced(run, rate, seconds)
    peer.flush()
    return {"cost": (time.process_time_ns() - before) / done / 1000}


def stalls(peer: Peer, rate: float, seconds: float) -> dict[str, float]:
    """Returns how often per second a thread wakes late from 1 ms of sleep, and the longest garbage collection
    in ms.
    """
    late, pauses, begun, over = 0, [0.0], [0.0], threading.Event()

    def sleeper() -> None:
        nonlocal late
        while not over.is_set():
            before = time.perf_counter()
            time.sleep(0.001)
            late += time.perf_counter() - before > 0.001 + LATE

    def collected(phase: str, info: Any) -> None:
        if phase == "start":
            begun[0] = time.perf_counter()
        else:
            pauses.append((time.perf_counter() - begun[0]) * 1000)

    thread = threading.Thread(target=sleeper)
    gc.callbacks.append(collected)
    thread.start()
    _paced(requests(peer.app), rate, seconds)
    over.set()
    thread.join()
    gc.callbacks.remove(collected)
    peer.flush()
    return {"late": late / seconds, "pause": max(pauses)}


def main() -> None:
    peer = PEERS[sys.argv[1]]()
    cost(peer, 1000, 0.2)  # first runs take many times as long
    answers = {"cost": cost, "stalls": stalls}
    print("{}", flush=True)
    for line in sys.stdin:
        word, rate, seconds = line.split()
        print(json.dumps(answers[word](peer, float(rate), float(seconds))), flush=True)


if __name__ == "__main__":
    main()
