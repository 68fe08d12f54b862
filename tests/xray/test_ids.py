from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest
from opentelemetry.sdk.trace import TracerProvider

from ot_bridge.xray import XRayIdGenerator

IDS = XRayIdGenerator()


def test_a_trace_id_begins_with_the_time() -> None:
    before = int(time.time())
    trace_id = IDS.generate_trace_id()
    assert before <= trace_id >> 96 <= int(time.time())


def test_the_rest_is_random_in_every_bit() -> None:
    counts: Counter[int] = Counter()
    for _ in range(2000):
        trace_id = IDS.generate_trace_id()
        counts.update(bit for bit in range(96) if trace_id >> bit & 1)
    assert min(counts[bit] for bit in range(96)) > 800
    assert max(counts.values()) < 1200


def test_ids_are_valid_and_differ() -> None:
    spans = {IDS.generate_span_id() for _ in range(1000)}
    assert len(spans) == 1000
    assert all(0 < span_id < 1 << 64 for span_id in spans)
    assert len({IDS.generate_trace_id() for _ in range(1000)}) == 1000


def test_a_program_that_seeds_its_random_numbers_does_not_seed_the_ids() -> None:
    random.seed(1)
    first = IDS.generate_span_id()
    random.seed(1)
    assert IDS.generate_span_id() != first


def test_the_id_has_enough_random_bits_for_the_random_flag_of_w3c() -> None:
    assert IDS.is_trace_id_random() is True


def test_opentelemetrys_provider_accepts_the_id_generator() -> None:
    provider = TracerProvider(id_generator=IDS, shutdown_on_exit=False)
    context = provider.get_tracer("t").start_span("s").get_span_context()
    assert abs((context.trace_id >> 96) - time.time()) < 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_parent_and_children_make_different_ids() -> None:
    def child() -> str:
        reading, writing = os.pipe()
        if not os.fork():
            os.write(writing, f"{IDS.generate_span_id():x}".encode())
            os._exit(0)
        os.wait()
        os.close(writing)
        with os.fdopen(reading) as pipe:
            return pipe.read()

    made = {child(), child(), f"{IDS.generate_span_id():x}"}
    assert len(made) == 3
