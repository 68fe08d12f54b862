"""`install()`: one call that moves a program that uses OpenTracing to OpenTelemetry.

It makes or takes a provider, registers the global tracers and propagators of both APIs, and flushes at the
exit. Arguments that are not given come from the standard `OTEL_*` variables (OpenTelemetry specification,
"Environment Variable Specification").
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import opentracing
from opentelemetry import trace
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentracing import Format

from ot_bridge import delivery
from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.bridge.create import checked
from ot_bridge.errors import log_failure
from ot_bridge.otel import parts_of
from ot_bridge.propagation import Propagator, parse_propagators
from ot_bridge.propagation.parse import propagators_in_environment
from ot_bridge.provider import NoExporter, build_provider, exporter_names, processors_of
from ot_bridge.registered import Registered, global_provider
from ot_bridge.semconv.groups import decide, opt_in
from ot_bridge.variables import text

if TYPE_CHECKING:
    from ot_bridge.declared import Declared

_log = logging.getLogger("ot_bridge")
_lock = threading.RLock()
_installed: _Installed | None = None


class _Installed:
    """The result of `install()`, which can be undone.

    provider: the provider, if it was made here. made: the processors that were made here, or the provider
    of a file. Exporters and processors that the program has made are shut down with the provider at the
    exit, but not when the installation is undone.
    """

    def __init__(
        self,
        tracer: Tracer,
        arguments: tuple[Any, ...],
        provider: trace.TracerProvider | None,
        made: Sequence[Any],
        registered: Registered | None,
    ) -> None:
        self.tracer = tracer
        self.arguments = arguments
        self.warned = False
        self._made = made
        self._at_the_end = made if provider is None else (provider,)
        self._registered = registered
        if self._at_the_end:
            atexit.register(self.at_exit)

    def at_exit(self) -> None:
        if not self.tracer.closed:
            for each in self._at_the_end:
                _attempt(each, "shutdown")  # within the deadline of ot_bridge.delivery.exit

    def undo(self) -> None:
        atexit.unregister(self.at_exit)
        for each in self._made:
            _attempt(each, "release" if isinstance(each, delivery.DeliveryProcessor) else "shutdown")
        if self._registered is not None:
            self._registered.take_back()


def _attempt(owner: Any, method: str, *arguments: Any) -> Any:
    try:
        return getattr(owner, method)(*arguments)
    except Exception:
        log_failure(_log, f"{type(owner).__name__}.{method} raised")
        return False


def install(
    service_name: str | None = None,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    propagators: Any = None,
    sampler: Sampler | str | None = None,
    exporters: Sequence[str | SpanExporter | SpanProcessor] | None = None,
    scope_manager: opentracing.ScopeManager | None = None,
    set_global: bool = True,
    engine: bool = True,
    trace_id_bits: int | None = None,
    flush_on_sigterm: bool | None = None,
    semconv: str | None = None,
) -> Tracer:
    """Sets tracing up for this process, once, and returns the OpenTracing tracer.

    service_name: if None, `OTEL_SERVICE_NAME`. tracer_provider: a provider of the program, which has its own
    sampler and exporters (exporters given here are added). propagators: names or objects, in order; if None,
    `OTEL_PROPAGATORS`, else `tracecontext,baggage,jaeger` (and `xray` if spans are sent to X-Ray). sampler:
    decides on root spans; spans with a parent follow the parent's decision, except that `always_on` and
    `always_off` also decide against a caller, and that a `ParentBased` is used as it is; if None,
    `OTEL_TRACES_SAMPLER`. exporters: names as in `OTEL_TRACES_EXPORTER` (`otlp`, `console`, `xray`, `none`,
    ...), exporters or span processors; if None, that variable, else OTLP to localhost. scope_manager: an
    OpenTracing scope manager in place of OpenTelemetry's context. set_global: False does not change the
    global tracers, provider and propagator. engine: False uses the SDK's own provider in place of the lean
    one. trace_id_bits: 64 (for services with such short ids) or 128; if None, 64 if `ottrace` is among the
    propagators, else 128. flush_on_sigterm: if True, SIGTERM exports waiting spans, for 2 s at most, before
    it ends the process; if None, `OT_BRIDGE_FLUSH_ON_SIGTERM` (docs/delivery.md).
    semconv: groups of tag names that exporters translate to OpenTelemetry's: `http`, `database` and `rpc`,
    each with `/dup` to keep the old names too, "" for none; if None, `OTEL_SEMCONV_STABILITY_OPT_IN`
    (docs/semconv.md).

    If other code has already made a provider global, that provider is used. Arguments that cannot be applied
    to it are ignored and logged. If `OTEL_CONFIG_FILE` names a file in OpenTelemetry's declarative
    configuration, the file is used, and arguments and other variables are ignored.

    A second call returns the first tracer, and logs once if its arguments differ. Raises ConfigurationError
    for an argument that cannot be used. A variable that cannot be used is logged as an ERROR and counts as
    unset.
    """
    global _installed
    arguments = {
        "service_name": service_name,
        "tracer_provider": tracer_provider,
        "propagators": propagators,
        "sampler": sampler,
        "exporters": exporters,
        "scope_manager": scope_manager,
        "set_global": set_global,
        "engine": engine,
        "trace_id_bits": trace_id_bits,
        "semconv": semconv,
    }
    with _lock:
        if _installed is None:
            _installed = _install(**arguments)
            _obey_sigterm(flush_on_sigterm)
        elif (*arguments.values(),) != _installed.arguments and not _installed.warned:
            _installed.warned = True
            _log.warning("install() was called before, with other arguments: these are ignored")
        return _installed.tracer


def _obey_sigterm(wanted: bool | None) -> None:
    if wanted is None:
        delivery.flush_on_sigterm_if_enabled()
    elif wanted:
        delivery.flush_on_sigterm()


def _install(**arguments: Any) -> _Installed:
    checked(arguments["tracer_provider"], arguments["scope_manager"])
    opt_in(arguments["semconv"])  # raises for a bad argument, even if a configuration file is used
    if isinstance(arguments["exporters"], Iterator):
        arguments["exporters"] = [*arguments["exporters"]]
    others = arguments["tracer_provider"] or (global_provider() if arguments["set_global"] else None)
    file = _file() if others is None else None
    textmap = _textmap(arguments, file)
    made: Sequence[Any]
    if others is not None:
        provider, made = others, _added(others, arguments)
    else:
        provider, made = _provider(arguments, file, textmap)
    tracer = create_tracer(
        provider,
        propagators={
            Format.HTTP_HEADERS: textmap,
            Format.TEXT_MAP: textmap.text_map if isinstance(textmap, Propagator) else textmap,
        },
        scope_manager=arguments["scope_manager"],
    )
    registered = None
    if arguments["set_global"]:
        registered = Registered(tracer, textmap, provider)
    own = provider if others is None else None
    return _Installed(tracer, (*arguments.values(),), own, made, registered)


def _file() -> Declared | None:
    if not text("OTEL_CONFIG_FILE"):
        return None
    from ot_bridge.declared import declared  # here, so that a program without a file does not import it

    return declared()


def _textmap(arguments: dict[str, Any], file: Declared | None) -> TextMapPropagator:
    if file is not None and file.textmap is not None:
        return file.textmap
    if arguments["propagators"]:
        return parse_propagators(arguments["propagators"])
    return propagators_in_environment(f"{_DEFAULT},xray" if _to_xray(arguments["exporters"]) else _DEFAULT)


def _provider(
    arguments: dict[str, Any], file: Declared | None, textmap: Any
) -> tuple[trace.TracerProvider, Sequence[Any]]:
    """The provider that the file describes. Without a file, it is made from arguments and variables.

    Also returns what was made here: the file's provider, or processors.
    """
    if file is not None and file.provider is not None:
        _ignored(arguments, _OF_A_PROVIDER | _OF_A_FILE, "OTEL_CONFIG_FILE says all of this")
        return file.provider, (file.provider,)
    exporters = arguments["exporters"] if file is None else [NoExporter()]
    processors, made = _processors(exporters, arguments["semconv"])
    xray = _to_xray(arguments["exporters"]) or _writes(textmap, "xray")
    provider = build_provider(
        arguments["service_name"],
        sampler=arguments["sampler"],
        exporters=processors,
        engine=arguments["engine"],
        trace_id_bits=arguments["trace_id_bits"],
        usual_ids="short" if _writes(textmap, "ottrace") else "xray" if xray else "",
    )
    decide(arguments["semconv"])
    return provider, made


def _processors(exporters: Any, semconv: str | None) -> tuple[list[SpanProcessor], list[SpanProcessor]]:
    """The processors for these exporters, and those of them that were made here."""
    processors = processors_of(exporters, semconv)
    given = exporters if isinstance(exporters, Iterable) else ()
    return processors, [each for each in processors if not any(each is one for one in given)]


def _added(provider: Any, arguments: dict[str, Any]) -> list[SpanProcessor]:
    """Adds the given exporters to a provider of other code. Returns the processors that were made here."""
    exporters = arguments["exporters"]
    names = _OF_A_PROVIDER
    if not hasattr(provider, "add_span_processor"):
        names |= {"exporters"}
        exporters = None
    if exporters is None:
        names |= {"semconv"}
    kind = f"{type(provider).__module__}.{type(provider).__qualname__}"
    _ignored(
        arguments,
        names,
        f"the spans are made by other code's {kind}; set it up there, or call install() first",
    )
    processors, made = _processors(() if exporters is None else exporters, arguments["semconv"])
    for each in processors:
        provider.add_span_processor(each)
    if exporters is not None:
        decide(arguments["semconv"])
    return made


_OF_A_PROVIDER: Final = frozenset({"service_name", "sampler", "engine", "trace_id_bits"})
_OF_A_FILE: Final = frozenset({"exporters", "propagators", "semconv"})


def _ignored(arguments: dict[str, Any], names: Iterable[str], why: str) -> None:
    """Logs in one line which of these arguments are ignored."""
    given = [name for name in arguments if name in names and arguments[name] not in (None, True)]
    if given:
        _log.warning("install() ignores %s: %s", ", ".join(f"{name}=..." for name in given), why)


def uninstall() -> None:
    """Undoes `install()`, and shuts down the objects that it made. For tests."""
    global _installed
    with _lock:
        if _installed is not None:
            _installed.undo()
            _installed = None
            decide(None)


_DEFAULT: Final = "tracecontext,baggage,jaeger"


def _to_xray(exporters: Any) -> bool:
    return any(name.startswith("xray") for name in exporter_names(exporters))


def _writes(textmap: Any, name: str) -> bool:
    parts = parts_of(textmap)
    return any(name == each.name for part in parts for each in getattr(part, "formats", ()))
