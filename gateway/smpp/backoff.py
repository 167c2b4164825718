"""How long an ESME waits between two attempts to bind."""

from __future__ import annotations

import random


class Backoff:
    """Waits that double from ``min_s`` up to ``max_s``, each drawn from the upper half of its range.

    The jitter keeps many binds from coming back in step. A bind that held at least as long as the wait that would
    follow its loss was a good one, and the next wait is short again; a link that flaps is none.
    """

    def __init__(self, min_s: float, max_s: float, rng: random.Random) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._rng = rng
        self._failures = 0

    @property
    def longest_s(self) -> float:
        """The upper end of the present range, in seconds."""
        return float(min(self._max_s, self._min_s * 2 ** min(self._failures, 30)))  # 30 keeps the power small

    def held(self, seconds: float) -> None:
        """A bind was up for so long."""
        if seconds >= self.longest_s:
            self._failures = 0

    def next_wait_s(self) -> float:
        """The wait after one more failure or loss."""
        self._failures += 1
        return self._draw(self.longest_s)

    def slow_wait_s(self) -> float:
        """The wait after a refusal that no retry mends: the longest at once."""
        return self._draw(self._max_s)

    def _draw(self, longest_s: float) -> float:
        return self._rng.uniform(max(self._min_s, longest_s / 2), longest_s)
