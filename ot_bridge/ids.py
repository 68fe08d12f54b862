"""Random ids, from a generator of this package's own: the one place where any are made.

It is seeded from the system, and anew in a child process, so that a program's `random.seed()` cannot make
two services agree on an id, and no id uses up the program's sequence of random numbers.

An id generator offers fast ids with an attribute `fast_ids`: two functions without arguments that give
what `generate_trace_id` and `generate_span_id` give, where 0 stands for an id that is not used. Tracers of
`ot_bridge.engine` call these in place of the methods.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from opentelemetry.sdk.trace.id_generator import IdGenerator

FastIds: TypeAlias = tuple[Callable[[], int], Callable[[], int]]

_random: Final = random.Random(os.urandom(32))
#: So many random bits, as an int.
bits: Final = _random.getrandbits
#: A float from 0 to 1.
fraction: Final = _random.random
bits_128: Final = partial(bits, 128)
bits_64: Final = partial(bits, 64)

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


class RandomIds(IdGenerator):
    """Trace ids of 128 random bits, span ids of 64.

    says_random: whether trace ids are marked as random (W3C Trace Context, level 2, "Random Trace ID Flag").
    `install()` does not: neighbours that know level 1 alone may refuse the flag, and the trace breaks there.
    """

    fast_ids: FastIds = bits_128, bits_64

    def __init__(self, says_random: bool = True) -> None:
        self._says_random = says_random

    def generate_trace_id(self) -> int:
        return self.fast_ids[0]() or 1

    def generate_span_id(self) -> int:
        return self.fast_ids[1]() or 1

    def is_trace_id_random(self) -> bool:
        return self._says_random


class ShortIds(RandomIds):
    """Trace ids of 64 bits, for traces that neighbours with 64-bit ids (`ot-tracer-*`) have a part in."""

    fast_ids = bits_64, bits_64

    def is_trace_id_random(self) -> bool:
        """False: the flag promises 56 random bits on the right, made by a generator that fills the id."""
        return False
