"""A sampler for one span, on the engine, which otherwise does not call stock samplers for each span."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler

from ot_bridge import engine
from ot_bridge.sampling import PerSpanSampler, with_sampler


@pytest.mark.parametrize(
    ("default", "usual"),
    [
        (ALWAYS_ON, True),
        (ALWAYS_OFF, False),
        (ParentBased(ALWAYS_ON), True),
        (ParentBased(ALWAYS_OFF), False),
    ],
    ids=["on", "off", "parent, else on", "parent, else off"],
)
def test_a_per_span_sampler_applies_to_one_span_and_the_default_to_all_others(
    default: Sampler, usual: bool
) -> None:
    provider = engine.TracerProvider(PerSpanSampler(default), shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    assert tracer.start_span("before any choice").is_recording() is usual
    for chosen in (ALWAYS_ON, ALWAYS_OFF):
        expected = chosen is ALWAYS_ON
        assert tracer.start_span("root", with_sampler(chosen)).is_recording() is expected
        with trace.use_span(tracer.start_span("parent"), end_on_exit=True):
            assert tracer.start_span("child", with_sampler(chosen)).is_recording() is expected
            assert tracer.start_span("sibling").is_recording() is usual
