"""An SMSC that stands still now and then: a backup, a garbage collection, a fail-over of its database."""

from __future__ import annotations

from simulator.behaviours.base import Submission


class Stalls:
    """In every ``every_s`` seconds, counted from the first submit, the last ``lasting_s`` answer nothing; then all at once."""

    def __init__(self, every_s: float, lasting_s: float) -> None:
        self._every_s = every_s
        self._lasting_s = lasting_s
        self._began_at: float | None = None

    def disturb(self, submission: Submission) -> None:
        if self._began_at is None:
            self._began_at = submission.at
        left_s = self._every_s - (submission.at - self._began_at) % self._every_s
        if left_s <= self._lasting_s:
            submission.delay_s += left_s
