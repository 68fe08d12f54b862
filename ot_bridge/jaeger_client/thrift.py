"""jaeger-client's helpers that made Thrift's structures, as far as they are values."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from opentracing import ReferenceType

from ot_bridge.jaeger_client.constants import MAX_TRACEBACK_LENGTH
from ot_bridge.jaeger_client.thrift_gen.jaeger import ttypes
from ot_bridge.jaeger_client.thrift_gen.sampling import SamplingManager as sampling_manager

_LOW: Final = (1 << 64) - 1
#: Type of a value, exactly -> type of the tag, and the field that holds the value.
_PLACES: Final[Mapping[type, tuple[int, str]]] = {
    bool: (ttypes.TagType.BOOL, "vBool"),
    int: (ttypes.TagType.LONG, "vLong"),
    float: (ttypes.TagType.DOUBLE, "vDouble"),
}


def id_to_int(big_id: int | None) -> int | None:
    """An id of 64 bits as a signed number."""
    return big_id if big_id is None or big_id <= _LOW >> 1 else big_id - (1 << 64)


def timestamp_micros(ts: float) -> int:
    return int(ts * 1_000_000)


def make_tag(key: Any, value: Any, max_length: int, max_traceback_length: int) -> Any:
    """A tag of the value's type; what is no scalar is text, cut to its length."""
    kind = next((each for each in (bool, int, float) if isinstance(value, each)), None)
    if kind is not None:
        tag_type, field = _PLACES[kind]
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
    """Spans of either client as a batch of values."""
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


def parse_sampling_strategy(response: Any) -> tuple[Any, str | None]:
    """(sampler, None) for an agent's answer, or (None, what is wrong with it)."""
    kinds = sampling_manager.SamplingStrategyType
    if response.strategyType == kinds.PROBABILISTIC:
        return _probabilistic(response.probabilisticSampling)
    if response.strategyType == kinds.RATE_LIMITING:
        return _rate_limiting(response.rateLimitingSampling)
    return None, f"Unsupported sampling strategy type: {response.strategyType}"


def _probabilistic(strategy: Any) -> tuple[Any, str | None]:
    from ot_bridge.jaeger_client.sampler import ProbabilisticSampler

    if strategy is None:
        return None, "probabilisticSampling field is None"
    rate = strategy.samplingRate
    if 0 <= rate <= 1:
        return ProbabilisticSampler(rate), None
    return None, f"Probabilistic sampling rate not in [0, 1] range: {rate}"


def _rate_limiting(strategy: Any) -> tuple[Any, str | None]:
    from ot_bridge.jaeger_client.sampler import RateLimitingSampler

    if strategy is None:
        return None, "rateLimitingSampling field is None"
    rate = strategy.maxTracesPerSecond
    if 0 <= rate < 500:
        return RateLimitingSampler(rate), None
    return None, f"Rate limiting parameter not in [0, 500] range: {rate}"
