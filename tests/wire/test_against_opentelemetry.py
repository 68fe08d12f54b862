"""opentelemetry-api's W3C propagators and ours, on the same generated headers.

Both agree but where the standard decides otherwise:

* around a traceparent RFC 9110 lets blanks go, and blanks alone (OpenTelemetry: line breaks too, or nothing);
* flags: Trace Context lets only the bits go on that it knows;
* tracestate over a limit is shortened by whole members, as "tracestate Limits" asks, and not dropped;
* level 2 lets a tracestate key begin with a digit;
* a key that is repeated in a tracestate costs no other member (OpenTelemetry: all), so that none is here;
* blanks around members of a list are none of theirs (older APIs keep some, so that none are sent here);
* baggage: "+" is a plus sign, encoded blanks at the ends belong to the value, properties are no part of it.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ot_bridge.propagation import Propagator
from tests.generated import at_length, examples

OURS = Propagator(["tracecontext", "baggage"])

hexdigits = "0123456789abcdef"


def digits(size: int) -> st.SearchStrategy[str]:
    return st.text(hexdigits, min_size=size, max_size=size)


def nearly(size: int) -> st.SearchStrategy[str]:
    """Mostly right, and else wrong in every way."""
    return st.one_of(
        digits(size), digits(size), digits(size), st.just("0" * size), digits(size - 1), digits(size + 1),
        st.text("0aAfFgG.-_ x", min_size=size, max_size=size),
    )  # fmt: skip


traceparents = st.builds(
    "{}-{}-{}-{}{}".format,
    st.sampled_from(["00", "00", "00", "01", "cc", "fe", "ff", "0", "000", "0x", ".0"]),
    nearly(32),
    nearly(16),
    nearly(2),
    st.sampled_from(["", "", "", "-", "-more", ".more", "0"]),
).filter(lambda text: text == text.strip())
keys = st.one_of(
    st.from_regex(r"[a-z][a-z0-9_*/-]{0,6}(@[a-z]{1,3})?", fullmatch=True), st.sampled_from(["A", "", "a.b"])
)
members = st.builds("{}={}".format, keys, st.text("ab!~<> ", max_size=5))
tracestates = st.lists(members, max_size=4, unique_by=lambda text: text.partition("=")[0]).map(",".join)


@examples(150)
@given(traceparent=traceparents, tracestate=st.one_of(st.just(""), tracestates))
def test_opentelemetry_and_we_read_the_same_trace_and_tracestate(traceparent: str, tracestate: str) -> None:
    carrier = {"traceparent": traceparent, "tracestate": tracestate}
    theirs = trace.get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()
    ours = trace.get_current_span(OURS.extract(carrier)).get_span_context()
    assert (ours.trace_id, ours.span_id) == (theirs.trace_id, theirs.span_id)
    assert ours.trace_flags == theirs.trace_flags & 3
    assert list(ours.trace_state.items()) == list(theirs.trace_state.items())


test_opentelemetry_and_we_read_the_same_trace_and_tracestate_at_length = at_length(
    test_opentelemetry_and_we_read_the_same_trace_and_tracestate, 5000
)


names = st.one_of(
    st.from_regex(r"[a-zA-Z0-9!#$&'*.^_|~-]{1,6}", fullmatch=True), st.sampled_from(["", "a b", "ü"])
)
texts = st.one_of(
    st.text("ab!#$&'()*-./:<=>?@[]^_{|}~", max_size=8),
    st.sampled_from(["a%20b", "%C3%A9", "%FF", "a b", 'a"b', "a\\b", "é", "\x01"]),
)
entries = st.builds("{}={}".format, names, texts)


@examples(100)
@given(header=st.lists(entries, max_size=5).map(",".join))
def test_opentelemetry_and_we_read_the_same_baggage(header: str) -> None:
    carrier = {"baggage": header}
    theirs = baggage.get_all(W3CBaggagePropagator().extract(carrier, Context()))
    ours = baggage.get_all(OURS.extract(carrier, Context()))
    assert dict(ours) == dict(theirs)


test_opentelemetry_and_we_read_the_same_baggage_at_length = at_length(
    test_opentelemetry_and_we_read_the_same_baggage, 5000
)


span_contexts = st.builds(
    lambda trace_id, span_id, sampled: trace.SpanContext(trace_id, span_id, True, trace.TraceFlags(sampled)),
    st.integers(1, (1 << 128) - 1),
    st.integers(1, (1 << 64) - 1),
    st.integers(0, 1),
)
plain_texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@examples(60)
@given(span_context=span_contexts, items=st.dictionaries(plain_texts, plain_texts, max_size=4))
def test_opentelemetry_reads_what_we_write(span_context: trace.SpanContext, items: dict[str, str]) -> None:
    context = trace.set_span_in_context(trace.NonRecordingSpan(span_context), Context())
    for key, value in items.items():
        context = baggage.set_baggage(key, value, context)
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    OURS.inject(ours, context)
    TraceContextTextMapPropagator().inject(theirs, context)
    assert ours["traceparent"] == theirs["traceparent"]
    assert dict(baggage.get_all(W3CBaggagePropagator().extract(ours, Context()))) == items
