"""No tag or log of a program loses a span: batches of ten arrive completely at a real OTLP receiver."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
from collections import UserDict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentracing import follows_from

from ot_bridge.bridge import Span, Tracer, create_tracer
from tests.generated import at_length, short
from tests.receiver import GrpcReceiver, HttpReceiver, Receiver, attributes

BATCH = 10


class Raises:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __hash__ = __bool__ = __len__ = __iter__ = __str__  # type: ignore[assignment]


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        return "Unprintable()"


class Returns:
    def __str__(self) -> Any:
        return 5


class Own(str):
    """A subclass of str whose methods raise."""

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no bytes")

    __len__ = isascii = __getitem__ = encode


class Number(enum.IntEnum):
    ONE = 1


class RaisingMap(UserDict[str, Any]):
    def keys(self) -> Any:
        raise RuntimeError("no keys")


class RaisingError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def _nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def _endless() -> list[Any]:
    own: list[Any] = []
    own.append(own)
    return own


VALUES: dict[str, Any] = {
    "none": None,
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"\xff"),
    "memoryview": memoryview(b"x"),
    "surrogate": "\ud800",
    "surrogates": ["\ud800", "\udfff"],
    "nul": "\x00",
    "astral": "\U0001f600" * 100,
    "nan": math.nan,
    "nans": [math.nan, math.inf, -math.inf],
    "huge int": 2**200,
    "huge negative int": -(2**63) - 1,
    "very huge int": 10**5000,
    "huge ints": [2**200, 1],
    "bool among ints": [True, 1],
    "nones": [None, None],
    "nested": {"a": [{"b": (1, {2})}]},
    "very nested": _nested(100_000),
    "endless": _endless(),
    "unprintable": Raises(),
    "unprintables": [Raises()],
    "unprintable in dict": {"a": Raises()},
    "text that is none": Returns(),
    "string of its own": Own("x"),
    "strings of its own": [Own("x")],
    "enum": Number.ONE,
    "decimal": decimal.Decimal("1.5"),
    "date": datetime.datetime(2026, 1, 1),
    "generator": (number for number in range(3)),
    "function": len,
    "class": int,
    "exception": RaisingError("x"),
    "1 MB text": "x" * 2**20,
    "1 MB of two-byte text": "ä" * 2**19,
    "256 kB of bytes": b"\xff" * 2**18,
    "a list of 100,000": ["x"] * 100_000,
    "1 MB texts": ["x" * 2**20],
    "many long texts": ["x" * 2**10] * 2**10,
    "complex": 1j,
}

KEYS: dict[str, Any] = {
    "int": 7,
    "none": None,
    "bytes": b"\xff",
    "empty": "",
    "surrogate": "\ud800",
    "unprintable": Unprintable(),
    "string of its own": Own("x"),
    "1 MB": "k" * 2**20,
    "tuple": (1, 2),
}


def _said(span: Span, key: Any, value: Any) -> None:
    """Records the value in every possible way."""
    span.set_tag(key, value).log_kv({key: value}).log_kv({"event": value, key: value})
    span.log_kv({"event": "error", "error.object": value, "message": value, "stack": value})
    span.log_kv({"event": "error", "error.kind": value, key: value})
    span.log_kv(value).log_event(value, value).log(event=value, payload=value, timestamp=value)
    for tag in "error", "span.kind", "sampling.priority":
        span.set_tag(tag, value)
    span.set_operation_name(value).set_baggage_item(key, value).set_operation_name("hostile")


def _hostile(key: Any, value: Any) -> Callable[[Tracer], None]:
    def hostile(tracer: Tracer) -> None:
        first = tracer.start_span("first", tags={"sampling.priority": 1})
        span = tracer.start_span(
            value,
            child_of=first,
            references=[follows_from(first.context)],
            tags={key: value},
            start_time=value,
        )
        _said(span, key, value)
        span.fail(RaisingError(value))
        span.finish(value)

    return hostile


def _many(tracer: Tracer) -> None:
    span = tracer.start_span("hostile", tags={f"initial {number}": "x" for number in range(2_000)})
    for number in range(2_000):
        span.set_tag(f"tag {number}", number).log_kv({"event": number})
    span.log_kv({number: number for number in range(2_000)}).finish()


CASES: dict[str, Callable[[Tracer], None]] = {
    **{f"value: {name}": _hostile("key", value) for name, value in VALUES.items()},
    **{f"key: {name}": _hostile(key, 1) for name, key in KEYS.items()},
    "mapping that raises": lambda tracer: (
        tracer.start_span("hostile", tags=RaisingMap(a=1)).log_kv(RaisingMap(a=1)).finish()
    ),
    "2,000 tags and logs": _many,
}


@pytest.fixture(scope="module", params=[HttpReceiver, GrpcReceiver], ids=["http", "grpc"])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    with request.param() as receiver:
        yield receiver


@pytest.fixture
def tracer(receiver: Receiver, provider_class: type[TracerProvider]) -> Iterator[Tracer]:
    receiver.requests.clear()
    exporter: Any
    if isinstance(receiver, HttpReceiver):
        exporter = HttpExporter(receiver.endpoint)
    else:
        exporter = GrpcExporter(endpoint=receiver.endpoint, insecure=True)
    provider = provider_class(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=60_000))
    tracer = create_tracer(provider)
    yield tracer
    assert tracer.close().result(20)


def _exported(tracer: Tracer, receiver: Receiver, hostile: Callable[[Tracer], None]) -> list[Any]:
    """Returns the one batch that results from a hostile span between nine harmless ones."""
    for number in range(BATCH - 1):
        if number == 4:
            hostile(tracer)
        tracer.start_span(f"harmless {number}", tags={"number": number}).finish()
    assert tracer.flush()
    assert len(receiver.requests) == 1
    return receiver.spans


@pytest.mark.parametrize("name", CASES)
def test_a_batch_with_a_hostile_span_arrives_completely(
    tracer: Tracer, receiver: Receiver, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(
        "ERROR", "opentelemetry.attributes"
    )  # the SDK logs a warning for each value over its limits
    spans = _exported(tracer, receiver, CASES[name])
    assert len(spans) == BATCH
    assert sum(span.name == "hostile" for span in spans) == 1
    assert [attributes(span) for span in spans if span.name != "hostile"] == [
        {"number": number} for number in range(BATCH - 1)
    ]
    assert caplog.records == []


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.just(Unprintable()),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
    ),
    max_leaves=8,
)


@short
@given(key=st.text(st.characters()) | st.integers(), value=ANYTHING)
def test_a_batch_with_generated_names_and_values_arrives_completely(
    tracer: Tracer, receiver: Receiver, key: Any, value: Any
) -> None:
    receiver.requests.clear()
    assert len(_exported(tracer, receiver, _hostile(key, value))) == BATCH


test_a_batch_with_generated_names_and_values_arrives_completely_at_length = at_length(
    test_a_batch_with_generated_names_and_values_arrives_completely, 200
)
