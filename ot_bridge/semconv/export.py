"""`SemconvExporter`: exports copies of spans whose attributes have OpenTelemetry's names.

1. It works in the thread that exports. The span that the program and the processors use never changes.
2. A span without old names is passed on unchanged. To find out, the names of its attributes are checked once:
   the engine's spans have the method `mentions` for this, which makes no attributes; other spans' attributes
   are read.
3. A copy has its own attributes. Everything else is read from the original when it is needed. A copy also has
   the original's `for_export` (`ot_bridge.otlp.encode.Offer`), so that encoding it takes no longer.
4. If the translation of a span raises, the span is sent unchanged, counted and logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeAlias

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext

from ot_bridge.errors import log_failure
from ot_bridge.semconv.groups import OptIn, opt_in
from ot_bridge.semconv.translate import Translator

_log = logging.getLogger("ot_bridge.semconv")

Maker: TypeAlias = Callable[[], SpanExporter | None]


class SemconvExporter(SpanExporter):
    """Exports through `exporter`, with OpenTracing's tag names replaced by OpenTelemetry's.

    semconv: the groups, as in `install(semconv=...)`; None: `OTEL_SEMCONV_STABILITY_OPT_IN`. Raises
    ConfigurationError. `install()` wraps the exporters that it adds in this class; a program that makes its
    own processors has to do so itself. All other attributes are those of `exporter`.

    untranslated: the number of spans that were sent with their old names because their translation failed.
    """

    def __init__(self, exporter: SpanExporter, semconv: str | None = None) -> None:
        self.exporter = exporter
        self.untranslated = 0
        self._translator = translator = Translator(opt_in(semconv))
        self._look = (translator.signs, *(("component", "grpc") if translator.rpc else ("", "")))
        for method in ("shutdown", "force_flush"):  # they take the arguments that the exporter's take
            if hasattr(exporter, method):
                setattr(self, method, getattr(exporter, method))

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "exporter"), name)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Exports copies of the spans that have old names, and the other spans unchanged."""
        translator = self._translator
        signs, key, value = self._look
        exported: list[ReadableSpan] = []
        last, offers = object, False  # the last span's type, and whether it is one of the engine's
        for span in spans:
            try:
                if type(span) is not last:
                    last, offers = type(span), hasattr(type(span), "mentions")
                if not offers:
                    span = _as_read(translator, span)
                elif span.mentions(signs, key, value):  # type: ignore[attr-defined]
                    span = _as_offered(translator, span) or _as_read(translator, span)
            except Exception:
                self.untranslated += 1
                log_failure(_log, "a span could not be translated; it is exported under its old names")
            exported.append(span)
        return self.exporter.export(exported)


def _as_offered(translator: Translator, span: Any) -> ReadableSpan | None:
    """The translated copy of an engine's span; None if its properties have to be read."""
    offered = span.for_export()
    if offered is None:
        return None
    attributes = offered[7]  # a dict that the engine has made for this call
    named = translator.translate(attributes, offered[3], offered[6].status_code, offered[2], offered[8])
    return Renamed(span, attributes, offered) if named else span


def _as_read(translator: Translator, span: ReadableSpan) -> ReadableSpan:
    attributes: Any = span.attributes
    if not attributes or (not translator.rpc and translator.signs.isdisjoint(attributes)):
        return span
    copied = dict(attributes)
    named = translator.translate(copied, span.kind, span.status.status_code, span.name, span.events)
    return Renamed(span, copied, None) if named else span


class Renamed(ReadableSpan):
    """A copy of an ended span with other attributes. offered: the result of `for_export`, with these."""

    def __init__(self, span: ReadableSpan, attributes: dict[str, Any], offered: Any) -> None:
        self._original = span
        self._new_attributes = attributes
        self._offered = offered

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_original"), name)

    @property
    def attributes(self) -> Mapping[str, Any]:
        return MappingProxyType(self._new_attributes)

    def get_span_context(self) -> SpanContext | None:
        return self._original.get_span_context()

    def for_export(self) -> Any:
        """See `ot_bridge.otlp.encode.Offer`."""
        return self._offered

    def to_json(self, indent: int | None = 4) -> str:
        """The JSON that the SDK writes for the span, with the attributes of the copy."""
        names = ("name", "context", "parent", "resource", "events", "links", "kind", "status")
        parts = {name: getattr(self, name) for name in (*names, "start_time", "end_time")}
        written: str = ReadableSpan(**parts, attributes=self._new_attributes).to_json(indent)
        return written


for _name in (
    *("name", "context", "kind", "parent", "start_time", "end_time", "status", "events", "links", "resource"),
    *("instrumentation_info", "instrumentation_scope", "dropped_attributes", "dropped_events"),
    "dropped_links",
):
    setattr(Renamed, _name, property(attrgetter(f"_original.{_name}")))


def wrapped(exporter: Any, opted: OptIn) -> Any:
    """Wraps an exporter in a translation of these groups. Wraps the results of a factory of exporters."""
    semconv = ",".join(f"{group}/dup" if dup else group for group, dup in opted.items())
    if callable(getattr(exporter, "export", None)) and not isinstance(exporter, type):
        return SemconvExporter(exporter, semconv)
    return partial(_made, exporter, semconv)


def _made(factory: Maker, semconv: str) -> SpanExporter | None:
    made = factory()
    return None if made is None else SemconvExporter(made, semconv)
