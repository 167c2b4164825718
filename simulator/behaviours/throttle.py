"""The licence: so many submit_sm in any second, over all binds of the account."""

from __future__ import annotations

from collections import deque

from gateway.smpp.constants import CommandStatus
from simulator.behaviours.base import Submission


class TpsLimit:
    """Refuses with ESME_RTHROTTLED what exceeds ``tps`` in any sliding second. Refused ones do not count."""

    name = "tps"
    refuses_at_once = True

    def __init__(self, tps: int) -> None:
        self._times: deque[float] = deque(maxlen=tps)
        self._tps = tps

    def judge(self, submission: Submission) -> int:
        times = self._times
        if len(times) == self._tps and submission.at - times[0] < 1.0:
            return CommandStatus.ESME_RTHROTTLED
        times.append(submission.at)
        return 0

    def share(self, now: float) -> float:
        """How much of the licence the last second has used, 0 to 1."""
        return sum(now - at < 1.0 for at in self._times) / self._tps


class WindowLimit:
    """Refuses with ESME_RTHROTTLED what exceeds the agreed number of unanswered submit_sm of a connection."""

    name = "window"
    refuses_at_once = True

    def __init__(self, window: int) -> None:
        self._window = window

    def judge(self, submission: Submission) -> int:
        return CommandStatus.ESME_RTHROTTLED if submission.open_answers >= self._window else 0
