"""Lost answers and lost requests, at random."""

from __future__ import annotations

import random

from simulator.behaviours.base import Submission


class Drops:
    """An answer that is lost leaves the ESME in doubt: the message was accepted. A lost request was never seen."""

    def __init__(self, drop_answers: float, drop_requests: float, rng: random.Random) -> None:
        self._drop_answers = drop_answers
        self._drop_requests = drop_requests
        self._rng = rng

    def disturb(self, submission: Submission) -> None:
        if self._drop_requests and self._rng.random() < self._drop_requests:
            submission.ignored = True
        if self._drop_answers and self._rng.random() < self._drop_answers:
            submission.answered = False
