"""Links that go down."""

from __future__ import annotations

import random
from collections.abc import Iterable

from simulator.behaviours.base import Submission


class Cuts:
    """Cuts the link in place of the answer: the message is accepted and the ESME cannot know it."""

    def __init__(self, probability: float, at: Iterable[int], rng: random.Random) -> None:
        self._probability = probability
        self._at = frozenset(at)
        self._rng = rng

    def disturb(self, submission: Submission) -> None:
        if submission.ordinal in self._at or (self._probability and self._rng.random() < self._probability):
            submission.cut = True
