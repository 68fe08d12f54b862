"""`Config`: makes a tracer of jaeger-client's dictionary and environment variables."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import opentracing
from opentracing import Format

from ot_bridge.errors import bad_variable
from ot_bridge.jaeger_client import sampler as samplers
from ot_bridge.jaeger_client import settings
from ot_bridge.jaeger_client.codecs import B3Codec, Codec, codec_of
from ot_bridge.jaeger_client.exporters import PACKET_SIZED
from ot_bridge.jaeger_client.local_agent_net import LocalAgentSender
from ot_bridge.jaeger_client.metrics.metrics import Metrics, MetricsFactory, factory
from ot_bridge.jaeger_client.process import share
from ot_bridge.jaeger_client.readers import propagators_of
from ot_bridge.jaeger_client.reexports import also
from ot_bridge.jaeger_client.reporter import (
    BaseReporter,
    CompositeReporter,
    LoggingReporter,
    NullReporter,
    Reporter,
)
from ot_bridge.jaeger_client.throttler import RemoteThrottler, Throttler
from ot_bridge.jaeger_client.tracer import Tracer
from ot_bridge.jaeger_client.utils import ErrorReporter
from ot_bridge.propagation import Propagator, parse_propagators

DEFAULT_REPORTING_HOST: Final = "localhost"
DEFAULT_REPORTING_PORT: Final = 6831
DEFAULT_SAMPLING_PORT: Final = 5778
DEFAULT_THROTTLER_PORT: Final = DEFAULT_SAMPLING_PORT
LOCAL_AGENT_DEFAULT_ENABLED: Final = True

logger = logging.getLogger("jaeger_tracing")


def _initial_sampler(param: Any) -> Any:
    """The sampler that decides until a remote sampler has strategies; None for the default one."""
    return None if param is None else samplers.ProbabilisticSampler(float(param))


def _setting(name: str) -> Any:
    """Makes a property of `Config` that returns the value of this row of `settings.ROWS`."""
    return property(lambda config: config._get(name))


def _throttlers(name: str) -> Any:
    """Makes such a property that returns None if no throttler is configured."""
    return property(lambda config: None if config.throttler_group() is None else config._get(name))


class Config:
    """Makes tracers as jaeger-client's `Config` does.

    config: jaeger-client's dictionary; `settings.ROWS` lists all keys and variables. service_name: used if
    the dictionary has none. metrics, metrics_factory: get the counts. validate: whether an unknown key raises
    ValueError. scope_manager: replaces OpenTelemetry's context. Raises ValueError if the service has no name.
    """

    _initialized = False
    _initialized_lock = threading.RLock()

    def __init__(
        self,
        config: dict[str, Any],
        metrics: Metrics | None = None,
        service_name: str | None = None,
        metrics_factory: MetricsFactory | None = None,
        validate: bool = False,
        scope_manager: opentracing.ScopeManager | None = None,
    ) -> None:
        if validate:
            self._validate_config(config)
        self.config = config
        self.scope_manager = scope_manager
        counted = self._get("metrics")
        self._metrics_factory = factory(metrics_factory, metrics) if counted else MetricsFactory()
        named = {"service_name": service_name, **config} if service_name else config
        self._service_name = settings.resolve("service_name", named, os.environ).value
        if not self._service_name:
            raise ValueError("service_name required in the config or param")
        self._error_reporter = ErrorReporter(metrics=Metrics(), logger=logger if self.logging else None)

    def _validate_config(self, config: Mapping[str, Any]) -> None:
        unexpected = [key for key in config if key not in settings.VALID_KEYS]
        if unexpected:
            raise ValueError(f"Unexpected keys found in config:{','.join(unexpected)}")

    def _get(self, name: str) -> Any:
        return settings.value(name, self.config, os.environ)

    #: The value in the dictionary. As in jaeger-client, it has no effect; `JAEGER_DISABLED` has.
    enabled: bool = _setting("enabled")
    logging: bool = _setting("logging")
    reporter_batch_size: int = _setting("reporter_batch_size")
    reporter_queue_size: int = _setting("reporter_queue_size")
    reporter_flush_interval: float = _setting("reporter_flush_interval")
    sampling_refresh_interval: float = _setting("sampling_refresh_interval")
    max_operations: int | None = _setting("max_operations")
    trace_id_header: str = _setting("trace_id_header")
    baggage_header_prefix: str = _setting("baggage_header_prefix")
    debug_id_header: str = _setting("debug_id_header")
    generate_128bit_trace_id: bool = _setting("generate_128bit_trace_id")
    max_tag_value_length: int = _setting("max_tag_value_length")
    max_traceback_length: int = _setting("max_traceback_length")
    local_agent_enabled: bool = _setting("local_agent_enabled")
    local_agent_reporting_host: str = _setting("reporting_host")
    local_agent_reporting_port: int = _setting("reporting_port")
    local_agent_sampling_port: int = _setting("sampling_port")
    throttler_port: int | None = _throttlers("throttler_port")
    throttler_refresh_interval: int | None = _throttlers("throttler_refresh_interval")

    @property
    def service_name(self) -> str:
        return self._service_name  # type: ignore[no-any-return]

    @property
    def metrics(self) -> None:
        """None: deprecated in jaeger-client, too."""

    @property
    def error_reporter(self) -> ErrorReporter:
        return self._error_reporter

    def local_agent_group(self) -> Any:
        return self.config.get("local_agent")

    def throttler_group(self) -> Any:
        return self.config.get("throttler")

    @property
    def tags(self) -> dict[str, Any]:
        return {key: setting.value for key, setting in settings.tags(self.config, os.environ).items()}

    @property
    def sampler(self) -> Any:
        """The configured sampler; None for the remote one. Raises ValueError for an unknown type."""
        given = self.config.get("sampler")
        if isinstance(given, samplers.Sampler):
            return given
        kind = self._get("sampler_type")
        if not kind:
            return None
        if kind not in settings.SAMPLERS:
            raise ValueError(f"Unknown sampler type {kind}")
        return self._with_param(settings.SAMPLERS[kind])

    def _with_param(self, make: Callable[[Any], Any]) -> Any:
        """Makes a sampler with the configured param. A variable that cannot be used is logged and ignored."""
        kind = settings.resolve("sampler_type", self.config, os.environ)
        param = settings.resolve("sampler_param", self.config, os.environ)
        try:
            return make(param.value)
        except (AssertionError, TypeError, ValueError) as error:
            blamed = param if param.source.startswith("JAEGER") else kind
            if blamed.source == "default":  # jaeger-client ignores a param without a type
                return None
            if not blamed.source.startswith("JAEGER"):
                raise
            bad_variable(blamed.source, blamed.value, f"no sampler ({error})", "it counts as unset")
        return make(None) if blamed is param and kind.source == "config" else None

    @property
    def propagation(self) -> dict[str, Codec]:
        """The configured codecs that replace the default ones, by format."""
        setting = settings.resolve("propagation", self.config, os.environ)
        if setting.source in ("config", "default"):
            b3 = setting.value == "b3"
            return {Format.HTTP_HEADERS: B3Codec(self.generate_128bit_trace_id)} if b3 else {}
        jaegers = setting.source.startswith("JAEGER")
        propagator = parse_propagators(propagators_of(setting.value) if jaegers else setting.value)
        text_map = propagator.text_map if isinstance(propagator, Propagator) else propagator
        return {Format.HTTP_HEADERS: codec_of(propagator), Format.TEXT_MAP: codec_of(text_map)}

    @staticmethod
    def initialized() -> bool:
        with Config._initialized_lock:
            return Config._initialized

    def initialize_tracer(self, io_loop: Any = None) -> Tracer | None:
        """Makes a tracer and sets it as `opentracing.tracer`. A second call returns None and does nothing."""
        with Config._initialized_lock:
            if Config._initialized:
                logger.warning("Jaeger tracer already initialized, skipping")
                return None
            Config._initialized = True
        tracer = self.new_tracer(io_loop)
        self._initialize_global_tracer(tracer)
        return tracer

    def new_tracer(self, io_loop: Any = None) -> Tracer:
        """Makes a tracer as configured, without setting it as the global one."""
        channel = self._create_local_agent_channel(io_loop)
        if self._get("disabled"):
            return self.create_tracer(NullReporter(), samplers.ConstSampler(False))
        sampler = self._sampler(channel)
        logger.info("Using sampler %s", sampler or os.environ.get("OTEL_TRACES_SAMPLER"))
        queue, batch = self._reporter_sizes()
        reporter: BaseReporter = Reporter(
            channel=channel,
            queue_capacity=queue,
            batch_size=batch,
            flush_interval=self.reporter_flush_interval,
            metrics_factory=self._metrics_factory,
        )
        if self.logging:
            reporter = CompositeReporter(reporter, LoggingReporter(logger))
        throttler = None
        if self.throttler_group() is not None:
            throttler = RemoteThrottler(
                channel,
                self.service_name,
                refresh_interval=self.throttler_refresh_interval,
                metrics_factory=self._metrics_factory,
            )
        return self.create_tracer(reporter, sampler, throttler)

    def _reporter_sizes(self) -> tuple[int, int]:
        """The sizes of queue and batch. A batch that a variable makes too large gets the queue's size."""
        queue, batch = self.reporter_queue_size, self.reporter_batch_size
        for name, size in (("reporter_queue_size", queue), ("reporter_batch_size", batch)):
            source = settings.resolve(name, self.config, os.environ).source
            if batch > queue and source not in ("config", "default"):
                if queue not in PACKET_SIZED:  # else the queue is made larger
                    problem = f"a batch of {batch} spans is larger than the queue"
                    bad_variable(source, str(size), problem, f"batches of {queue} are sent")
                batch = queue
        return queue, batch

    def _sampler(self, channel: LocalAgentSender) -> Any:
        """The sampler; None if OpenTelemetry's variables name it."""
        if settings.resolve("sampler_type", {}, os.environ).source == "OTEL_TRACES_SAMPLER":
            return None
        sampler = self.sampler
        if sampler is not None:
            return sampler
        sampler = samplers.RemoteControlledSampler(
            channel=channel,
            service_name=self.service_name,
            init_sampler=self._with_param(_initial_sampler),
            sampling_refresh_interval=self.sampling_refresh_interval,
            max_operations=self.max_operations,
            metrics_factory=self._metrics_factory,
        )
        logger.warning("no sampler is configured; %s decides until %s replies", sampler.sampler, sampler.url)
        return sampler

    def create_tracer(self, reporter: Any, sampler: Any, throttler: Throttler | None = None) -> Tracer:
        """Makes a tracer as configured, with this reporter, sampler and throttler."""
        return Tracer(
            service_name=self.service_name,
            reporter=reporter,
            sampler=sampler,
            metrics_factory=self._metrics_factory,
            trace_id_header=self.trace_id_header,
            generate_128bit_trace_id=self.generate_128bit_trace_id,
            baggage_header_prefix=self.baggage_header_prefix,
            debug_id_header=self.debug_id_header,
            tags=self.tags,
            max_tag_value_length=self.max_tag_value_length,
            max_traceback_length=self.max_traceback_length,
            extra_codecs=self.propagation,
            throttler=throttler,
            scope_manager=self.scope_manager,
        )

    def _initialize_global_tracer(self, tracer: Tracer) -> None:
        opentracing.set_global_tracer(tracer)
        share(tracer)
        logger.info("opentracing.tracer initialized to %s[app_name=%s]", tracer, self.service_name)

    def _create_local_agent_channel(self, io_loop: Any) -> LocalAgentSender:
        """Makes the sender with the addresses of the agent, or of the collector that a variable names."""
        collector = settings.resolve("traces_endpoint", {}, os.environ)
        host = settings.resolve("reporting_host", self.config, os.environ)
        return LocalAgentSender(
            host=host.value,
            sampling_port=self.local_agent_sampling_port,
            reporting_port=self.local_agent_reporting_port,
            io_loop=io_loop,
            throttling_port=self.throttler_port,
            sampling_endpoint=self._get("sampling_endpoint"),
            traces_endpoint=collector.value if host.source != "config" else None,
        )


__getattr__ = also(__name__)
