"""When each message should leave. Latencies count from there, so that a slow answer cannot hide the ones that it delays."""

from __future__ import annotations

_NEVER = float("inf")


class Pace:
    """A steady rate from a beginning on, or as fast as it goes.

    Args:
        rate: messages a second; None: as fast as they are taken.
        count: the most messages; None: no such limit.
        duration_s: how long messages are sent, in seconds; None: no such limit.
    """

    def __init__(self, rate: float | None, count: int | None, duration_s: float | None) -> None:
        self.rate = rate
        self.began = 0.0
        self._most = _NEVER if count is None else count
        self._duration_s = _NEVER if duration_s is None else duration_s
        if rate is not None and duration_s is not None:
            self._most = min(self._most, max(1, round(rate * duration_s)))

    def begin(self, now: float) -> None:
        """The first message is due now."""
        self.began = now

    def due(self, now: float) -> float:
        """How many messages should have left by now, all in all."""
        passed_s = now - self.began
        if self.rate is None:
            return self._most if passed_s < self._duration_s else 0
        return min(self._most, int(passed_s * self.rate) + 1)

    def over(self, sent: int, now: float) -> bool:
        """Nothing is left to send."""
        return sent >= self._most or (self.rate is None and now - self.began >= self._duration_s)

    def intended_at(self, index: int, now: float) -> float:
        """When message ``index`` (from 0) should leave; without a rate, now."""
        return now if self.rate is None else self.began + index / self.rate
