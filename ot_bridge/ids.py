"""Random trace and span ids. No other module of this package makes random numbers.

The generator is seeded from the operating system, and again in each forked child. A program that calls
`random.seed()` therefore cannot give two services the same ids, and making ids does not advance the program's
own random sequence.

An id generator may have an attribute `fast_ids`: two functions without arguments that return what
`generate_trace_id` and `generate_span_id` return, or 0 for "try the method". The tracers of
`ot_bridge.engine` call these instead of the methods.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from opentelemetry.sdk.trace.id_generator import IdGenerator

FastIds: TypeAlias = tuple[Callable[[], int], Callable[[], int]]

_random: Final = random.Random(os.urandom(32))
_process = os.getpid()


def _bits_of_this_process(count: int) -> int:
    """`bits` for a server that forks without running Python's hooks."""
    global _process
    if os.getpid() != _process:
        _process = os.getpid()
        _random.seed(os.urandom(32))
    return _random.getrandbits(count)


#: `bits(n)`: an int of n random bits. uWSGI forks its workers without Python's hooks.
bits: Final = _bits_of_this_process if "uwsgi" in sys.modules else _random.getrandbits
#: `fraction()`: a random float, 0 <= x < 1.
fraction: Final = _random.random
bits_128: Final = partial(bits, 128)
bits_64: Final = partial(bits, 64)

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


class RandomIds(IdGenerator):
    """Trace ids of 128 random bits, span ids of 64.

    says_random: whether trace ids are marked as random (W3C Trace Context, level 2, "Random Trace ID Flag").
    `install()` does not set the mark: a service that supports only level 1 may refuse it and break the trace.
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
    """Trace ids of 64 bits, for traces shared with services that use 64-bit ids (`ot-tracer-*`)."""

    fast_ids = bits_64, bits_64

    def is_trace_id_random(self) -> bool:
        """Returns False: the flag is for generators that fill the id, with 56 random bits at its end."""
        return False
