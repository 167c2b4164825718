"""congestion_state: how near the account is to its limits. SMPP 5.0 §4.8.4.18."""

from __future__ import annotations

from simulator.behaviours.base import Submission
from simulator.behaviours.throttle import TpsLimit

_AT_MAXIMUM = 100  # 1 to 29 low load, to 49 medium, to 79 high, to 89 optimum, to 99 nearing congestion


class Congestion:
    """The larger of the two shares: of the window, and of the licence in the last second."""

    def __init__(self, window: int, limit: TpsLimit | None) -> None:
        self._window = window
        self._limit = limit

    def state(self, submission: Submission) -> int:
        """0 (idle) to 100 (what exceeds it is refused)."""
        if submission.refused_by in ("tps", "window"):
            return _AT_MAXIMUM
        share = submission.open_answers / self._window
        if self._limit is not None:
            share = max(share, self._limit.share(submission.at))
        return min(_AT_MAXIMUM, int(100 * share))
