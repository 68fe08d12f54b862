"""Sizes and times of a processor: arguments come first, then `OTEL_BSP_*`, then the defaults.

Source: OpenTelemetry specification, "Environment Variable Specification", batch span processor. The default
delay is 1 s and not 5 s, so that a worker that is killed loses the spans of one second at most.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Final

from ot_bridge.errors import ConfigurationError, bad_variable

_VARIABLES: Final = {
    "max_queue_size": ("OTEL_BSP_MAX_QUEUE_SIZE", 2048),
    "max_export_batch_size": ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
    "schedule_delay_millis": ("OTEL_BSP_SCHEDULE_DELAY", 1000),
    "export_timeout_millis": ("OTEL_BSP_EXPORT_TIMEOUT", 30000),
}


class Settings:
    """queue, batch: spans. delay, timeout: seconds.

    An argument that is None comes from its variable. Raises ConfigurationError for a bad argument.
    """

    def __init__(
        self,
        max_queue_size: int | None,
        max_export_batch_size: int | None,
        schedule_delay_millis: float | None,
        export_timeout_millis: float | None,
    ) -> None:
        self.queue = queue = int(_number("max_queue_size", max_queue_size))
        batch = int(_number("max_export_batch_size", max_export_batch_size))
        if batch > queue:
            reason = f"a batch is at most as large as the queue ({queue})"
            variable, default = _VARIABLES["max_export_batch_size"]
            if max_export_batch_size is None:
                if batch != default:
                    bad_variable(variable, str(batch), reason, f"{queue} is taken")
            elif max_queue_size is not None:
                raise ConfigurationError("max_export_batch_size", max_export_batch_size, reason)
        self.batch = min(batch, queue)
        self.delay = _number("schedule_delay_millis", schedule_delay_millis) / 1000
        self.timeout = _number("export_timeout_millis", export_timeout_millis) / 1000


def _number(name: str, given: float | None) -> float:
    variable, default = _VARIABLES[name]
    if given is None:
        return positive_variable(variable, int) or default
    number = isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
    if not number or given <= 0 or (name.endswith("_size") and given < 1):
        raise ConfigurationError(name, given, "expected a number above 0")
    return given


def positive_variable(variable: str, read: Callable[[str], float]) -> float | None:
    """The number in a variable. None if it is unset or cannot be used; the latter is logged once."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    try:
        value = read(text)
    except ValueError:
        value = 0
    if value > 0:
        return value
    bad_variable(variable, text, "expected a whole number above 0", "the default is taken")
    return None
