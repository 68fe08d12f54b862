"""Row "Tracer": every argument of it, and the decisions that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import opentracing
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentracing import (
    Format,
    InvalidCarrierException,
    SpanContextCorruptedException,
    UnsupportedFormatException,
)
from opentracing.ext import tags as ext
from opentracing.scope_managers import ThreadLocalScopeManager

from ot_bridge import bridge
from tests.jaeger.sides import OURS, REAL, Side, both, tags_of

FORMATS = [Format.HTTP_HEADERS, Format.TEXT_MAP, Format.BINARY, "zipkin-span-format"]


def _carrier(format: str) -> Any:
    return bytearray() if format == Format.BINARY else {}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("bits", [64, 128])
@pytest.mark.parametrize("sampled", [True, False])
def test_each_client_reads_what_the_other_writes(format: str, bits: int, sampled: bool) -> None:
    tracers = {
        side: side.tracer(side.package.ConstSampler(sampled), generate_128bit_trace_id=bits == 128)[0]
        for side in (REAL, OURS)
    }
    for writer, reader in ((REAL, OURS), (OURS, REAL)):
        span = tracers[writer].start_span("op", child_of=tracers[writer].start_span("above"))
        span.set_baggage_item("key", "a b/ü")
        carrier = _carrier(format)
        tracers[writer].inject(span.context, format, carrier)
        context = tracers[reader].extract(format, carrier)
        ids = (context.trace_id, context.span_id, context.parent_id, context.flags)
        assert ids == (span.trace_id, span.span_id, span.parent_id, span.flags)
        assert dict(context.baggage) == ({} if format == "zipkin-span-format" else {"key": "a b/ü"})


@pytest.mark.parametrize("format", FORMATS)
def test_both_clients_write_the_same_for_the_same_context(format: str) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        context = side.package.SpanContext(1 << 80 | 5, 6, 7, 3, baggage={"key": "a b/ü", "K2": "x"})
        carrier = _carrier(format)
        tracer.inject(context, format, carrier)
        return carrier

    both(program)


HEADERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "plain": {"uber-trace-id": "a:b:c:1"},
    "upper case": {"Uber-Trace-Id": "A:B:C:1"},
    "padded": {"uber-trace-id": "00000000000000000000000000000001:0000000000000002:0000000000000000:01"},
    "debug": {"uber-trace-id": "1:2:0:3"},
    "other flags": {"uber-trace-id": "1:2:0:9"},
    "percent-encoded": {"uber-trace-id": "1%3a2%3a0%3a1"},
    "debug id": {"jaeger-debug-id": "find%20me"},
    "baggage": {"uber-trace-id": "1:2:0:1", "uberctx-A": "1%202", "UBERCTX-b": "x"},
    "baggage alone": {"uberctx-a": "1"},
    "typed baggage": {"jaeger-baggage": "a=1, b=2, broken"},
    "other headers": {"host": "example.com", "uber-trace-id": "1:2:3:0"},
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("format", [Format.HTTP_HEADERS, Format.TEXT_MAP])
def test_both_clients_read_the_same_from_the_same_headers(headers: Mapping[str, Any], format: str) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        try:
            context = tracer.extract(format, headers)
        except SpanContextCorruptedException:
            return "corrupted"
        if context is None:
            return None
        ids = (context.trace_id or None, context.span_id or None, context.parent_id, context.flags)
        return ids, dict(context.baggage), context.debug_id

    both(program)


BROKEN = ["", "abc", "1:2:3", "1:2:3:4:5", "x:2:3:1", "0:2:3:1", "1:0:3:1", "1:2:-3:1", "::::", "1:2:3:"]


@pytest.mark.parametrize("value", BROKEN)
def test_a_broken_header_is_refused_by_both(value: str) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        with pytest.raises(SpanContextCorruptedException):
            tracer.extract(Format.HTTP_HEADERS, {"uber-trace-id": value})

    both(program)


def test_an_invalid_carrier_is_refused_by_both() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        span = tracer.start_span("op")
        for format in (Format.HTTP_HEADERS, Format.BINARY):
            with pytest.raises(InvalidCarrierException):
                tracer.inject(span.context, format, None)
            with pytest.raises(InvalidCarrierException):
                tracer.extract(format, None)
        for call in (tracer.inject, lambda span, format, carrier: tracer.extract(format, carrier)):
            with pytest.raises(UnsupportedFormatException):
                call(span, "of my own", {})

    both(program)


class Starlette(Mapping[str, str]):
    """Headers that are not a dict, as in a web framework."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = {name.decode(): value.decode() for name, value in raw}

    def __getitem__(self, name: str) -> str:
        return self._raw[name.lower()]

    def __iter__(self) -> Any:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def test_a_carrier_need_not_be_a_dict() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        context = tracer.extract(Format.HTTP_HEADERS, Starlette([(b"uber-trace-id", b"1:2:0:1")]))
        return context.trace_id, context.span_id

    assert both(program) == (1, 2)


def test_the_headers_can_have_other_names() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(
            trace_id_header="X_Trace", baggage_header_prefix="X-Bag-", debug_id_header="X-Debug"
        )
        carrier: dict[str, str] = {}
        context = side.package.SpanContext(1, 2, 3, 1, baggage={"k": "v"})
        tracer.inject(context, Format.HTTP_HEADERS, carrier)
        span = tracer.start_span("op", child_of=tracer.extract(Format.HTTP_HEADERS, {"x-debug": "me"}))
        back = tracer.extract(Format.HTTP_HEADERS, {"X-Trace": "1:2:3:1", "x-bag-k": "v"})
        return carrier, tags_of(span), back.trace_id, dict(back.baggage)

    both(program)


def test_a_span_itself_can_be_injected() -> None:
    tracer, _ = OURS.tracer()
    span = tracer.start_span("op")
    one: dict[str, str] = {}
    two: dict[str, str] = {}
    tracer.inject(span, Format.TEXT_MAP, one)
    tracer.inject(span.context, Format.TEXT_MAP, two)
    assert one == two == {"uber-trace-id": f"{span.trace_id:x}:{span.span_id:x}:0:1"}


def test_injecting_the_span_of_another_tracer_writes_nothing() -> None:
    tracer, _ = OURS.tracer()
    carrier: dict[str, str] = {}
    tracer.inject(opentracing.Tracer().start_span("op").context, Format.TEXT_MAP, carrier)
    assert carrier == {}


class _Shouting:
    """A codec of a program's own, written against jaeger-client."""

    def __init__(self, package: Any) -> None:
        self._package = package

    def inject(self, span_context: Any, carrier: Any) -> None:
        carrier["TRACE"] = "/".join(
            str(each)
            for each in (
                span_context.trace_id,
                span_context.span_id,
                span_context.parent_id,
                span_context.flags,
            )
        )

    def extract(self, carrier: Any) -> Any:
        trace_id, span_id, parent_id, flags = carrier["TRACE"].split("/")
        parent = None if parent_id == "None" else int(parent_id)
        return self._package.SpanContext(int(trace_id), int(span_id), parent, int(flags))


@pytest.mark.parametrize("how", ["extra_codecs", "tracer.codecs"])
def test_a_codec_of_the_programs_own_is_used(how: str) -> None:
    def program(side: Side) -> Any:
        codec = _Shouting(side.package)
        tracer, _ = side.tracer(extra_codecs={"shout": codec} if how == "extra_codecs" else None)
        tracer.codecs["shout"] = codec
        carrier: dict[str, str] = {}
        tracer.inject(side.package.SpanContext(1, 2, None, 1), "shout", carrier)
        span = tracer.start_span("op", child_of=tracer.extract("shout", carrier))
        return carrier, span.trace_id, span.parent_id, span.flags

    both(program)


@pytest.mark.parametrize("flags", [0, 1, 2, 3, 9])
def test_a_child_has_its_parents_flags(flags: int) -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer()
        span = tracer.start_span("op", child_of=side.package.SpanContext(1, 2, 3, flags, {"k": "v"}))
        inner = tracer.start_span("inner", child_of=span)
        inner.finish()
        return (
            span.trace_id,
            span.parent_id,
            inner.flags,
            dict(inner.context.baggage),
            len(reporter.get_spans()),
        )

    both(program)


def test_trace_ids_have_64_bits_unless_128_are_configured() -> None:
    for side in (REAL, OURS):
        short, _ = side.tracer()
        long, _ = side.tracer(generate_128bit_trace_id=True)
        assert all(short.start_span("op").trace_id >> 64 == 0 for _ in range(20))
        assert any(long.start_span("op").trace_id >> 64 for _ in range(20))
        assert (short.max_trace_id_bits, long.max_trace_id_bits) == (64, 128)
        assert short.random_id() >> 64 == 0


@pytest.mark.parametrize("way", ["child_of", "reference", "active"])
def test_one_span_per_rpc_shares_the_clients_ids(way: str) -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer(one_span_per_rpc=True)
        context = side.package.SpanContext(1, 2, 3, 1, {"k": "v"})
        tags = {ext.SPAN_KIND: ext.SPAN_KIND_RPC_SERVER, "error": True}
        if way == "child_of":
            span = tracer.start_span("op", child_of=context, tags=tags)
        elif way == "reference":
            span = tracer.start_span("op", references=opentracing.child_of(context), tags=tags)
        else:
            with tracer.start_active_span("client", child_of=context) as scope:
                span = tracer.start_span("op", tags=tags)
                assert (span.span_id, span.parent_id) == (scope.span.span_id, scope.span.parent_id)
            return None
        inner = tracer.start_span("inner", child_of=span)
        span.finish()
        assert reporter.get_spans() == [span]
        return str(span), inner.parent_id, tags_of(span), dict(span.context.baggage)

    both(program)


@pytest.mark.parametrize("flags", [0, 1, 3])
def test_one_span_per_rpc_keeps_the_decision(flags: int) -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer(one_span_per_rpc=True)
        tags = {ext.SPAN_KIND: ext.SPAN_KIND_RPC_SERVER}
        span = tracer.start_span("op", child_of=side.package.SpanContext(1, 2, None, flags), tags=tags)
        span.finish()
        return str(span), len(reporter.get_spans())

    both(program)


def test_one_span_per_rpc_affects_only_server_spans_with_a_remote_parent() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(one_span_per_rpc=True)
        server = {ext.SPAN_KIND: ext.SPAN_KIND_RPC_SERVER}
        context = side.package.SpanContext(1, 2, 3, 1)
        root = tracer.start_span("root", tags=server)
        ignoring = tracer.start_span("root", tags=server, ignore_active_span=True)
        client = tracer.start_span("client", child_of=context, tags={ext.SPAN_KIND: ext.SPAN_KIND_RPC_CLIENT})
        assert client.span_id != 2
        return root.parent_id, ignoring.parent_id, client.parent_id

    both(program)


PRIORITIES: dict[str, list[Any]] = {
    "one": [1],
    "zero": [0],
    "text": ["1"],
    "nonsense": ["much"],
    "on and off": [1, 0],
    "off and on": [0, 1],
    "twice": [1, 1],
}


@pytest.mark.parametrize("values", PRIORITIES.values(), ids=PRIORITIES)
@pytest.mark.parametrize("sampled", [True, False], ids=["sampled", "unsampled"])
def test_a_sampling_priority_set_later_applies_to_the_span_and_its_children(
    values: list[Any], sampled: bool
) -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer(side.package.ConstSampler(sampled))
        span = tracer.start_span("op", child_of=tracer.start_span("above"))
        ids = span.trace_id, span.span_id, span.parent_id
        for value in values:
            span.set_tag(ext.SAMPLING_PRIORITY, value)
        span.set_tag("after", 1)
        assert (span.trace_id, span.span_id, span.parent_id) == ids
        inner = tracer.start_span("inner", child_of=span)
        carrier: dict[str, str] = {}
        tracer.inject(span, Format.TEXT_MAP, carrier)
        span.finish()
        written = carrier["uber-trace-id"].rpartition(":")[2]
        return span.flags, inner.flags, span.is_debug(), len(reporter.get_spans()), written

    both(program)


@pytest.mark.parametrize("value", [1, 0, "1", "much"])
@pytest.mark.parametrize("sampled", [True, False], ids=["sampled", "unsampled"])
def test_a_sampling_priority_at_the_start_decides(value: Any, sampled: bool) -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer(side.package.ConstSampler(sampled))
        span = tracer.start_span("op", tags={"first": 1, ext.SAMPLING_PRIORITY: value, "last": 2})
        span.finish()
        tags = tags_of(span) if sampled and value != "much" else None
        return span.flags, tags if value else None, len(reporter.get_spans())

    both(program)


def test_a_span_made_to_debug_keeps_its_name_start_references_and_baggage() -> None:
    tracer, reporter = OURS.tracer(OURS.package.ConstSampler(False))
    other = tracer.start_span("other")
    span = tracer.start_span("op", start_time=1e9, references=opentracing.follows_from(other.context))
    span.set_baggage_item("k", "v")
    with tracer.scope_manager.activate(span, True):
        span.set_tag(ext.SAMPLING_PRIORITY, 1)
        inner = tracer.start_span("inner")
    assert (inner.parent_id, inner.flags) == (span.span_id, 3)
    assert (span.get_baggage_item("k"), inner.get_baggage_item("k")) == ("v", "v")
    (reported,) = reporter.get_spans()
    assert (reported.operation_name, reported.start_time) == ("op", 1e9)
    assert reported.references[0].referenced_context is other.context


def test_a_debug_id_starts_a_debug_trace_with_a_tag() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(side.package.ConstSampler(False))
        context = tracer.extract(Format.HTTP_HEADERS, {"jaeger-debug-id": "me", "uberctx-k": "v"})
        span = tracer.start_span("op", child_of=context)
        carrier: dict[str, str] = {}
        tracer.inject(span, Format.HTTP_HEADERS, carrier)
        assert carrier["uber-trace-id"] == f"{span.trace_id:x}:{span.span_id:x}:0:3"
        return span.flags, tags_of(span), span.parent_id, dict(span.context.baggage)

    assert both(program) == (3, {"jaeger-debug-id": "me"}, None, {"k": "v"})


class _Throttler:
    """One written against jaeger-client."""

    def __init__(self, allowed: bool) -> None:
        self.allowed = allowed
        self.operations: list[str] = []
        self.client_id: int | None = None

    def set_client_id(self, client_id: int) -> None:
        self.client_id = client_id

    def is_allowed(self, operation: str) -> bool:
        self.operations.append(operation)
        return self.allowed

    def close(self) -> None:
        pass


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("sampled", [True, False])
def test_the_throttler_can_refuse_debug_spans(allowed: bool, sampled: bool) -> None:
    def program(side: Side) -> Any:
        throttler = _Throttler(allowed)
        tracer, reporter = side.tracer(side.package.ConstSampler(sampled), throttler=throttler)
        debug_context = tracer.extract(Format.HTTP_HEADERS, {"jaeger-debug-id": "me", "uberctx-k": "v"})
        spans = [
            tracer.start_span("id", child_of=debug_context),
            tracer.start_span("start", tags={ext.SAMPLING_PRIORITY: 1}),
            tracer.start_span("later").set_tag(ext.SAMPLING_PRIORITY, 1),
        ]
        for span in spans:
            span.finish()
        assert tracer.tags["client-uuid"] == throttler.client_id is not None
        assert throttler.operations == ["id", "start", "later"]
        return [(span.flags, dict(span.context.baggage)) for span in spans], len(reporter.get_spans())

    both(program)


def test_baggage_without_a_trace_starts_one_that_the_sampler_decides_on() -> None:
    """Here jaeger-client samples nothing, whatever its sampler decides, although no caller has decided."""
    tracer, _ = OURS.tracer()
    span = tracer.start_span("op", child_of=tracer.extract(Format.HTTP_HEADERS, {"jaeger-baggage": "k=v"}))
    assert (span.flags, span.parent_id, dict(span.context.baggage)) == (1, None, {"k": "v"})


def test_the_process_has_the_same_tags_as_in_jaeger_client() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(tags={"region": "eu", "replicas": 3})
        tags = dict(tracer.tags)
        assert tags.pop("jaeger.version")
        return tags

    both(program)


def test_the_tracer_keeps_its_arguments_under_the_same_names() -> None:
    def program(side: Side) -> Any:
        arguments = {"debug_id_header": "x-debug", "max_tag_value_length": 7, "max_traceback_length": 8}
        tracer, reporter = side.tracer(**arguments, generate_128bit_trace_id=True, one_span_per_rpc=True)
        kept = {name: getattr(tracer, name) for name in arguments}
        assert kept == arguments
        assert tracer.reporter is reporter
        return tracer.service_name, tracer.max_trace_id_bits, tracer.one_span_per_rpc, tracer.throttler

    both(program)


def test_the_process_tags_are_resource_attributes() -> None:
    tracer, _ = OURS.tracer(tags={"region": "eu", "replicas": 3, "long": "x" * 2000})
    attributes = tracer.provider.resource.attributes
    assert attributes["service.name"] == "service"
    assert (attributes["region"], attributes["replicas"], attributes["ip"]) == ("eu", 3, "127.0.0.1")
    assert attributes["jaeger.version"].startswith("ot_bridge-")
    assert attributes["hostname"]
    assert len(attributes["long"]) == 1024


def test_the_ip_address_is_looked_up_if_it_is_not_given() -> None:
    tracer, _ = OURS.tracer(tags={"ip": None})
    assert tracer.tags["ip"].count(".") == 3 or tracer.tags["ip"] is None


def test_a_scope_manager_of_the_programs_own_is_used() -> None:
    manager: Any = ThreadLocalScopeManager()
    tracer, _ = OURS.tracer(scope_manager=manager)
    with tracer.start_active_span("op"):
        scope = manager.active
        assert scope.span is tracer.active_span
        assert tracer.start_span("inner").parent_id == scope.span.span_id
    assert tracer.scope_manager is manager


def test_spans_have_no_limits_but_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def numbers() -> tuple[int, ...]:
        tracer, _ = OURS.tracer()
        ended: list[Any] = []
        processor = SpanProcessor()
        processor.on_end = lambda span: ended.append(span)  # type: ignore[method-assign]
        tracer.provider.add_span_processor(processor)
        others = [OURS.package.SpanContext(1, number, None, 1) for number in range(1, 301)]
        span = tracer.start_span("op", references=list(map(opentracing.follows_from, others)))
        for number in range(300):
            span.set_tag(f"tag {number}", number).log_kv({"event": number})
        span.log_kv({f"field {number}": number for number in range(300)})
        fields = len(span.logs[-1].fields)
        span.finish()
        return len(span.tags), len(span.logs), fields, len(ended[0].links)

    assert numbers() == (300, 301, 300, 300)
    for name, limit in (
        ("SPAN_ATTRIBUTE", 10),
        ("SPAN_EVENT", 20),
        ("EVENT_ATTRIBUTE", 30),
        ("SPAN_LINK", 40),
    ):
        monkeypatch.setenv(f"OTEL_{name}_COUNT_LIMIT", str(limit))
    assert numbers() == (10, 20, 30, 40)


def test_several_tracers_live_in_one_process() -> None:
    def program(side: Side) -> Any:
        (one, first), (two, second) = side.tracer(), side.tracer()
        with one.start_active_span("one") as scope:
            two.start_span("two", child_of=scope.span).finish()
        (inner,) = second.get_spans()
        return inner.parent_id == scope.span.span_id, first.get_spans() == [scope.span]

    assert both(program) == (True, True)


def test_the_span_of_another_tracer_that_opentelemetry_code_makes_active_is_the_parent() -> None:
    (one, _), (two, _) = OURS.tracer(), OURS.tracer()
    outer = one.start_span("outer")
    with trace.use_span(outer, end_on_exit=False):
        assert two.start_span("inner").parent_id == outer.span_id
        assert two.start_span("inner", references=[]).parent_id == outer.span_id


def test_tags_that_are_not_a_mapping_are_ignored() -> None:
    tracer, _ = OURS.tracer()
    assert set(tags_of(tracer.start_span("op", tags=7))) == {"sampler.type", "sampler.param"}


def test_an_exception_of_the_reporter_does_not_reach_the_program(caplog: pytest.LogCaptureFixture) -> None:
    class Raising(OURS.package.reporter.BaseReporter):  # type: ignore[name-defined, misc]
        def report_span(self, span: Any) -> None:
            raise RuntimeError("a reporter's own")

    tracer = OURS.package.Tracer("service", Raising(), OURS.package.ConstSampler(True))
    tracer.start_span("op").finish()
    assert "a reporter or span processor raised" in caplog.text


def test_an_exception_of_the_sampler_does_not_reach_the_program() -> None:
    class Raising:
        def is_sampled(self, trace_id: int, operation: str = "") -> Any:
            raise RuntimeError("a sampler's own")

    tracer, _ = OURS.tracer(Raising())
    span = tracer.start_span("op")
    assert not span.is_sampled()


def test_our_tracer_is_an_instance_of_the_bridge_tracer() -> None:
    tracer, _ = OURS.tracer()
    assert isinstance(tracer, bridge.Tracer)
    assert isinstance(tracer.start_span("op"), bridge.Span)
    assert isinstance(tracer.start_span("op").context, bridge.SpanContext)


def test_the_active_span_takes_precedence_over_references_and_the_first_reference_over_others() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        other, third = tracer.start_span("other").context, tracer.start_span("third").context
        references = [opentracing.follows_from(other), opentracing.child_of(third)]
        alone = tracer.start_span("op", references=references)
        with tracer.start_active_span("active") as scope:
            inside = tracer.start_span("op", references=references)
            ignoring = tracer.start_span("op", references=references, ignore_active_span=True)
        found = [
            {other.span_id: "other", third.span_id: "third", scope.span.span_id: "active"}[span.parent_id]
            for span in (alone, inside, ignoring)
        ]
        return found, [reference.type for reference in inside.references]

    assert both(program)[0] == ["other", "active", "other"]


class _Every:
    """A sampler of a program's own."""

    def is_sampled(self, trace_id: int, operation: str = "") -> Any:
        return True, {"my": [1, 2]}


def test_another_sampler_can_be_assigned_to_a_running_tracer() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(side.package.ConstSampler(False))
        found = []
        for sampler in (
            side.package.ConstSampler(True),
            side.package.ProbabilisticSampler(0.0),
            _Every(),
            side.package.ConstSampler(False),
        ):
            tracer.sampler = sampler
            assert tracer.sampler is sampler
            span = tracer.start_span("op")
            inner = tracer.start_span("inner", child_of=span)
            found.append((span.is_sampled(), inner.is_sampled(), tags_of(span)))
        return found

    both(program)


def test_an_assigned_sampler_decides_on_the_roots_of_opentelemetry_code_too() -> None:
    tracer, reporter = OURS.tracer(OURS.package.ConstSampler(False))
    otel = tracer.provider.get_tracer("somebody else")
    otel.start_span("first").end()
    tracer.sampler = OURS.package.ConstSampler(True)
    otel.start_span("second").end()
    tracer.sampler = ALWAYS_OFF
    otel.start_span("third").end()
    tracer.start_span("fourth").finish()
    assert [span.operation_name for span in reporter.get_spans()] == ["second"]


def test_a_sampler_of_opentelemetry_can_be_replaced() -> None:
    tracer, reporter = OURS.tracer(ALWAYS_OFF)
    assert not tracer.start_span("op").is_sampled()
    tracer.sampler = OURS.package.ConstSampler(True)
    assert tracer.start_span("op").is_sampled()
    tracer.sampler = OURS.package.ConstSampler(False)
    debug = tracer.start_span("op", tags={"sampling.priority": 1})
    debug.finish()
    assert (debug.is_debug(), reporter.get_spans()) == (True, [debug])
