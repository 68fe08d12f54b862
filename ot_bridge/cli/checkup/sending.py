"""K13: sends one span with each exporter and reports the result."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from ot_bridge import choices
from ot_bridge.cli.checkup import effective, file
from ot_bridge.cli.checkup.model import LOOK, WELL, WRONG, Finding, LogLines, source, variable
from ot_bridge.cli.checkup.reasons import address_of, reason
from ot_bridge.declared import FILE
from ot_bridge.engine import TracerProvider
from ot_bridge.errors import ConfigurationError
from ot_bridge.exporters import exporter_factory, exporters_in_environment, protocol
from ot_bridge.provider import disabled
from ot_bridge.registered import global_provider
from ot_bridge.variables import text

_SECONDS: Final = 3.0  # for all exporters together
_SPAN: Final = "ot-bridge doctor"
_OTLP: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def unsent() -> Iterator[Finding]:
    """K9: the reasons why nothing would be sent even with a working network."""
    other = global_provider()
    if other is not None:
        kind = f"{type(other).__module__}.{type(other).__qualname__}"
        yield Finding(
            LOOK,
            "provider",
            f"another provider is global ({kind}): install() takes it, with its sampler and exporters",
            "call ot_bridge.install() first, or configure that one",
        )
    if disabled():
        yield _nothing("OTEL_SDK_DISABLED is true", "unset OTEL_SDK_DISABLED")
    if text("OTEL_CONFIG_FILE"):
        return
    if not exporters_in_environment():
        yield _nothing(f"OTEL_TRACES_EXPORTER={text('OTEL_TRACES_EXPORTER')}", "OTEL_TRACES_EXPORTER=otlp")
    sampler = text("OTEL_TRACES_SAMPLER").lower()
    none = sampler.endswith("always_off") or (
        sampler.endswith("ratio") and _zero(text("OTEL_TRACES_SAMPLER_ARG"))
    )
    if none:
        yield _nothing(
            f"OTEL_TRACES_SAMPLER={sampler} samples no trace that begins here",
            "OTEL_TRACES_SAMPLER=parentbased_always_on",
        )


def _zero(argument: str) -> bool:
    try:
        return float(argument) == 0.0
    except ValueError:
        return False


def _nothing(why: str, mend: str) -> Finding:
    return Finding(WRONG, "exporter", f"nothing will be sent, and this is why: {why}", mend)


class _Kept(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def span(service_name: str | None) -> ReadableSpan:
    """A sampled span with the resource that the program would have."""
    provider = TracerProvider(
        sampler=ALWAYS_ON, resource=choices.resource(service_name, {}), shutdown_on_exit=False
    )
    kept = _Kept()
    provider.add_span_processor(kept)
    provider.get_tracer("ot_bridge").start_span(_SPAN).end()
    return kept.spans[0]


def send(log: LogLines, service_name: str | None = None) -> Iterator[Finding]:
    """Sends one span with each exporter. Returns the findings."""
    if text("OTEL_CONFIG_FILE"):
        yield from _by_file(log)
        return
    names = exporters_in_environment()
    yield from _proxies(names)
    for name in names:
        if name == "console":
            yield Finding(WELL, name, "spans are printed to standard output")
            continue
        log.take()
        yield _by(name, span(service_name), log, _SECONDS / len(names))


def _by(name: str, sent: ReadableSpan, log: LogLines, seconds: float) -> Finding:
    grpc = name == "otlp" and protocol() == "grpc"
    try:
        make = exporter_factory(name, **({"timeout": seconds} if name == "otlp" else {}))
        exporter = None if make is None else make()
    except Exception as error:  # OpenTelemetry's exporters raise for a variable that they cannot read
        why_not = f"{error.option}: {error.reason}" if isinstance(error, ConfigurationError) else str(error)
        return Finding(WRONG, name, f"the exporter cannot be made: {why_not}")
    if exporter is None:
        return Finding(WRONG, name, "there is no exporter: " + "; ".join(line for _, line in log.take()))
    begin = time.monotonic()
    good = _export(exporter, sent, seconds)
    took = (time.monotonic() - begin) * 1000
    logged = [line for _, line in log.take()]
    url = _url(exporter, grpc)
    if good:
        assert sent.context
        note = f"; it says: {logged[-1]}" if logged else ""
        trace = f"{sent.context.trace_id:032x}"
        return Finding(
            LOOK if logged else WELL, name, f"delivered to {url} in {took:.0f} ms, trace {trace}{note}"
        )
    why = reason(address_of(url, grpc) if name == "otlp" else None, " ".join(logged))
    return Finding(WRONG, name, f"1 span not delivered: {why.text.rstrip('.')}.", why.mend)


def _export(exporter: Any, sent: ReadableSpan, seconds: float) -> bool:
    """Exports the span. Returns whether it was delivered in time. Never raises."""
    results: list[object] = []

    def export() -> None:
        try:
            results.append(exporter.export([sent]))
        except Exception as error:
            results.append(error)

    getattr(exporter, "give_up_at", lambda moment: None)(time.monotonic() + seconds)
    worker = threading.Thread(target=export, daemon=True)
    worker.start()
    worker.join(seconds + 0.5)
    with suppress(Exception):
        exporter.shutdown()
    return results[:1] == [SpanExportResult.SUCCESS]


def _url(exporter: Any, grpc: bool) -> str:
    if grpc:
        who = source(*_OTLP)
        return variable(who) if who != "default" else "http://localhost:4317"
    return str(
        getattr(exporter, "target", "") or getattr(exporter, "_endpoint", "") or type(exporter).__name__
    )


def _proxies(names: Sequence[str]) -> Iterator[Finding]:
    """K5: the proxy that spans would go through."""
    if "otlp" not in names or protocol() == "grpc":
        return
    address = address_of(effective.target(), False)
    if address is None:
        return
    proxies = getproxies()
    proxy = proxies.get("https" if address.secure else "http") or proxies.get("all")
    if proxy and not proxy_bypass(address.authority):
        where = address_of(proxy, False)
        by = where.authority if where else "that is set"
        yield Finding(
            LOOK,
            "proxy",
            f"spans for {address.authority} go through the proxy {by}",
            f"NO_PROXY={address.host}",
        )


def _by_file(log: LogLines) -> Iterator[Finding]:
    """Sends a span with the provider that the SDK has made from the file, and flushes it."""
    provider = file.provider_of(text(FILE)).provider
    if provider is None:
        return  # `file` reports the reason
    sampler = getattr(provider, "sampler", ALWAYS_ON)
    if not sampler.should_sample(
        None, 1, _SPAN
    ).decision.is_sampled():  # trace id 1: any ratio above 0 samples it
        text_ = f"its sampler ({sampler.get_description()}) samples no trace that begins here"
        yield _nothing(text_, "tracer_provider.sampler: {parent_based: {root: {always_on: }}}")
        return
    log.take()
    provider.sampler = ALWAYS_ON  # type: ignore[attr-defined]  # for tracers that are made after this
    flush = getattr(provider, "force_flush", None)
    with _output_as_messages():
        provider.get_tracer("ot_bridge").start_span(_SPAN).end()
        good = flush is None or flush(int(_SECONDS * 1000))
    logged = "; ".join(line for _, line in log.take())
    if good and not logged:
        yield Finding(WELL, "file", "its processors accepted a span and report that it is flushed")
    else:
        yield Finding(WRONG, "file", f"1 span not delivered: {logged or 'the flush did not end in time'}")


@contextmanager
def _output_as_messages() -> Iterator[None]:
    """Sends the output of a console exporter to standard error. Standard output is for the report."""
    try:
        sys.stdout.flush()
        output = sys.stdout.fileno()
        kept = os.dup(output)
    except (OSError, AttributeError):  # the stream has no file
        yield
        return
    os.dup2(2, output)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, output)
        os.close(kept)
