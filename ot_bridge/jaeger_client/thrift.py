"""jaeger-client's helpers that make Thrift's structures, as plain values."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from opentracing import ReferenceType

from ot_bridge.jaeger_client.constants import MAX_TRACEBACK_LENGTH
from ot_bridge.jaeger_client.thrift_gen import jaeger, sampling
from ot_bridge.sampling import ProbabilisticSampler, RateLimitingSampler

ttypes: Final = jaeger.ttypes
sampling_manager: Final = sampling.SamplingManager

_LOW: Final = (1 << 64) - 1
#: Class of a value -> type of its tag, and the field that holds it; bool is a subclass of int.
_PLACES: Final[Mapping[type, tuple[int, str]]] = {
    bool: (ttypes.TagType.BOOL, "vBool"),
    int: (ttypes.TagType.LONG, "vLong"),
    float: (ttypes.TagType.DOUBLE, "vDouble"),
}


def id_to_int(big_id: int | None) -> int | None:
    """Converts an unsigned id of 64 bits to a signed number. None stays None."""
    return big_id if big_id is None or big_id <= _LOW >> 1 else big_id - (1 << 64)


def timestamp_micros(ts: float) -> int:
    return int(ts * 1_000_000)


def make_tag(key: Any, value: Any, max_length: int, max_traceback_length: int) -> Any:
    """A tag with this value. A value that is no scalar becomes a text, cut to the maximum length."""
    for kind, (tag_type, field) in _PLACES.items():
        if isinstance(value, kind):
            return ttypes.Tag(key=_text(key), vType=tag_type, **{field: value})
    if isinstance(value, TracebackType):
        text = "".join(traceback.format_tb(value))[:max_traceback_length]
    else:
        text = _text(value)[:max_length]
    return ttypes.Tag(key=_text(key), vType=ttypes.TagType.STRING, vStr=text)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:
        return str(error)


def make_tags(tags: Mapping[Any, Any] | None, max_length: int, max_traceback_length: int) -> list[Any]:
    return [make_tag(key, value, max_length, max_traceback_length) for key, value in (tags or {}).items()]


def make_log(timestamp: float, fields: Any, max_length: int, max_traceback_length: int) -> Any:
    return ttypes.Log(timestamp_micros(timestamp), make_tags(fields, max_length, max_traceback_length))


def make_process(service_name: str, tags: Any, max_length: int) -> Any:
    return ttypes.Process(service_name, make_tags(tags, max_length, MAX_TRACEBACK_LENGTH))


def make_ref_type(span_ref_type: Any) -> int:
    follows = span_ref_type == ReferenceType.FOLLOWS_FROM
    return int(ttypes.SpanRefType.FOLLOWS_FROM if follows else ttypes.SpanRefType.CHILD_OF)


def make_references(references: Any) -> list[Any] | None:
    if not references:
        return None
    return [
        ttypes.SpanRef(
            make_ref_type(each.type),
            *_halves(each.referenced_context.trace_id),
            id_to_int(each.referenced_context.span_id),
        )
        for each in references
    ]


def _halves(trace_id: int) -> tuple[int | None, int | None]:
    return id_to_int(trace_id & _LOW), id_to_int((trace_id >> 64) & _LOW)


def make_jaeger_batch(spans: Any, process: Any) -> Any:
    """A `Batch` of spans of this package or of jaeger-client."""
    return ttypes.Batch(process, [_span(each) for each in spans])


def _span(span: Any) -> Any:
    low, high = _halves(span.trace_id)
    return ttypes.Span(
        low,
        high,
        id_to_int(span.span_id),
        id_to_int(span.parent_id) or 0,
        span.operation_name,
        make_references(span.references),
        span.context.flags,
        timestamp_micros(span.start_time),
        timestamp_micros(span.end_time - span.start_time),
        span.tags,
        span.logs,
    )


#: Type -> the fields that hold the rate, the sampler, the end of the range, whether it belongs to the range.
_STRATEGIES: Final[Mapping[int, tuple[str, str, Any, int, bool]]] = {
    0: ("probabilisticSampling", "samplingRate", ProbabilisticSampler, 1, True),
    1: ("rateLimitingSampling", "maxTracesPerSecond", RateLimitingSampler, 500, False),
}
_NAMES: Final = ("Probabilistic sampling rate", "Rate limiting parameter")


def parse_sampling_strategy(response: Any) -> tuple[Any, str | None]:
    """(sampler, None) for an agent's response, or (None, error text)."""
    kind = response.strategyType
    if kind not in _STRATEGIES:
        return None, f"Unsupported sampling strategy type: {kind}"
    field, name, make, end, included = _STRATEGIES[kind]
    strategy = getattr(response, field)
    if strategy is None:
        return None, f"{field} field is None"
    rate = getattr(strategy, name)
    if 0 <= rate < end or (included and rate == end):
        return make(rate), None
    return None, f"{_NAMES[kind]} not in [0, {end}] range: {rate}"
