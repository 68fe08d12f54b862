"""Ids as X-Ray makes them: a trace id begins with the time, the rest is random.

X-Ray takes other ids too; with these its console finds a trace by its time. Made from a generator of this
module's own, seeded by the system, so that a program's `random.seed()` cannot make two services agree.
"""

from __future__ import annotations

import os
import random
import time

from opentelemetry.sdk.trace.id_generator import IdGenerator

_random = random.Random(os.urandom(32))
_bits = _random.getrandbits

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


class XRayIdGenerator(IdGenerator):
    """Trace ids of 32 bits of Unix time in seconds and 96 random bits; span ids of 64 random bits."""

    def generate_trace_id(self) -> int:
        return int(time.time()) << 96 | _bits(96)

    def generate_span_id(self) -> int:
        return _bits(64) or self.generate_span_id()

    def is_trace_id_random(self) -> bool:
        """True: W3C Trace Context Level 2 asks for 56 random bits at the end, and there are 96."""
        return True
