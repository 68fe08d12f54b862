"""Delivers finished spans to exporters: a bounded queue and one thread, which survive forks and exits."""

from ot_bridge.delivery.counts import Counts
from ot_bridge.delivery.exit import in_background
from ot_bridge.delivery.processor import DeliveryProcessor
from ot_bridge.delivery.signals import flush_on_sigterm, flush_on_sigterm_if_enabled

__all__ = ["Counts", "DeliveryProcessor", "flush_on_sigterm", "flush_on_sigterm_if_enabled", "in_background"]
