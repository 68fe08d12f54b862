"""`Outlet`: a uniform interface to exporters of any kind, ours and others."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.delivery.log import quieten
from ot_bridge.delivery.refusal import Probe
from ot_bridge.errors import log_failure
from ot_bridge.otel import UNTRACED

_log = logging.getLogger("ot_bridge.delivery")
_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


class Outlet:
    """Exports batches, and reports what was lost. No method raises.

    make: makes the exporter, at first use. timeout: seconds that one export may take. Besides OpenTelemetry's
    methods it uses these of an exporter, where there are any: `failed` (the spans lost so far, by reason),
    `refusing` (whether nothing listens at the collector's address), `give_up_at(moment)` (no attempt and no
    pause after this moment of `time.monotonic()`) and `log_rest()` (the exporter logs its losses by itself,
    and all that are left at this call).
    """

    def __init__(self, make: Callable[[], Any], timeout: float) -> None:
        self.made: Any = None
        self._make = make
        self._timeout = timeout
        self.limit = float("inf")  # no export goes on beyond this moment
        self.keeps = False  # whether `shut` leaves the exporter open
        self._shut = False
        self._probe = Probe()

    @property
    def exporter(self) -> Any:
        made = self.made
        if made is None:
            made = self.made = self._make()
            quieten()  # the exporter may have added loggers
        return made

    @property
    def refusing(self) -> bool:
        """Whether nothing listens at the collector's address, according to the exporter, else a probe."""
        refusing = getattr(self.made, "refusing", None)
        return self._probe.refused if refusing is None else bool(refusing)

    def export(self, batch: list[ReadableSpan]) -> Mapping[str, int]:
        """Exports a batch. Returns the numbers of lost spans, by reason."""
        count = len(batch)
        if self._shut:
            return {"shut down": count}
        before, after, good = _NOTHING, _NOTHING, False
        try:
            exporter = self.exporter
            before = dict(getattr(exporter, "failed", _NOTHING))
            if not hasattr(exporter, "refusing"):
                self._probe.look_up(exporter)
            self._allow(exporter)
            good = exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:
            name = "making an exporter" if self.made is None else f"{type(self.made).__name__}.export"
            log_failure(_log, f"{name} raised; its spans are lost")
        after = getattr(self.made, "failed", _NOTHING)
        return _lost(before, after, count, good)

    def _allow(self, exporter: Any) -> None:
        """Passes the exporter the time to give up; once more if `hurry` was called meanwhile."""
        give_up_at = getattr(exporter, "give_up_at", None)
        if give_up_at is not None:
            moment = time.monotonic() + self._timeout
            give_up_at(min(moment, self.limit))
            if self.limit < moment:
                give_up_at(self.limit)

    def hurry(self, moment: float) -> None:
        """Lets no attempt and no pause between attempts go on beyond `moment`. For any thread."""
        self.limit = min(moment, self.limit)
        try:
            getattr(self.made, "give_up_at", _ignore)(self.limit)
        except Exception:
            log_failure(_log, f"{type(self.made).__name__}.give_up_at raised")

    @property
    def logs(self) -> bool:
        """Whether the exporter logs by itself what it has lost."""
        return hasattr(self.made, "log_rest")

    def log_rest(self) -> None:
        """Has such an exporter log the losses that it has not logged yet."""
        try:
            self.made.log_rest()
        except Exception:
            log_failure(_log, f"{type(self.made).__name__}.log_rest raised")

    def flush(self, deadline: float) -> bool:
        """Flushes what the exporter itself keeps. False if it failed."""
        left = int((deadline - time.monotonic()) * 1000)
        if self.made is None or self._shut or left <= 0:
            return True
        try:
            return self.made.force_flush(left) is not False
        except Exception:
            log_failure(_log, f"{type(self.made).__name__}.force_flush raised")
            return False

    def shut(self) -> bool:
        """Shuts the exporter down, once. False if that raised."""
        if self._shut or self.made is None:
            return True
        self._shut = True
        if self.keeps:
            return True
        self.hurry(time.monotonic())
        try:
            kind = inspect.signature(self.made.shutdown).parameters
            self.made.shutdown(**({"timeout_millis": 500} if "timeout_millis" in kind else {}))
        except Exception:
            log_failure(_log, f"{type(self.made).__name__}.shutdown raised")
            return False
        return True


def _ignore(moment: float) -> None:
    pass


def _lost(before: Mapping[str, int], after: Mapping[str, int], count: int, good: bool) -> dict[str, int]:
    """What was lost of a batch of `count` spans: what the exporter counted, else all or nothing."""
    lost: dict[str, int] = {}
    left = count
    for reason, total in dict(after).items():
        number = min(total - before.get(reason, 0), left)
        if number > 0:
            lost[reason] = number
            left -= number
    return lost if good or lost else {"other": count}


@contextmanager
def untraced() -> Iterator[None]:
    """A block in which OpenTelemetry's instrumentations trace nothing, for an exporter's own traffic."""
    token = attach(UNTRACED)
    try:
        yield
    finally:
        detach(token)
