"""`RateLimiter`: jaeger-client's leaky bucket."""

from __future__ import annotations

import time

from ot_bridge import ids


class RateLimiter:
    """Holds credits up to `max_balance`, and earns `credits_per_second`. It starts with a random balance."""

    def __init__(self, credits_per_second: float, max_balance: float) -> None:
        self.credits_per_second = credits_per_second
        self.max_balance = max_balance
        self.balance = max_balance * ids.fraction()
        self.last_tick = self.timestamp()

    @staticmethod
    def timestamp() -> float:
        return time.time()

    def update(self, credits_per_second: float, max_balance: float) -> None:
        """Changes the rate; the bucket stays full in the same proportion."""
        self._update_balance()
        self.credits_per_second = credits_per_second
        self.balance *= max_balance / self.max_balance
        self.max_balance = max_balance

    def check_credit(self, item_cost: float) -> bool:
        """Takes `item_cost` from the balance; False if there is not enough."""
        self._update_balance()
        if self.balance < item_cost:
            return False
        self.balance -= item_cost
        return True

    def _update_balance(self) -> None:
        now = self.timestamp()
        earned = (now - self.last_tick) * self.credits_per_second
        self.balance = min(self.max_balance, self.balance + earned)
        self.last_tick = now
