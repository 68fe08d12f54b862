"""Ids in X-Ray's form: a trace id begins with the time, and the rest is random.

X-Ray accepts other ids too, but its console finds a trace by the time in its id.
"""

from __future__ import annotations

import time

from ot_bridge.ids import RandomIds, bits, bits_64


def _trace_id() -> int:
    return int(time.time()) << 96 | bits(96)


class XRayIdGenerator(RandomIds):
    """Trace ids of 32 bits of Unix time in seconds and 96 random bits; span ids of 64 random bits.

    says_random: whether trace ids are marked as random. W3C Trace Context, level 2, requires 56 random bits
    at the end for that; these ids have 96.
    """

    fast_ids = _trace_id, bits_64
