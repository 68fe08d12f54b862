"""Ids as X-Ray makes them: a trace id begins with the time, the rest is random.

X-Ray takes other ids too; with these its console finds a trace by its time.
"""

from __future__ import annotations

import time

from ot_bridge.ids import RandomIds, bits, bits_64


def _trace_id() -> int:
    return int(time.time()) << 96 | bits(96)


class XRayIdGenerator(RandomIds):
    """Trace ids of 32 bits of Unix time in seconds and 96 random bits; span ids of 64 random bits.

    says_random: whether they are marked as random. W3C Trace Context, level 2, asks for 56 random bits at the
    end, and there are 96.
    """

    fast_ids = _trace_id, bits_64
