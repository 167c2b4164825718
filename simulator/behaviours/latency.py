"""How long the SMSC thinks before it answers."""

from __future__ import annotations

import random

from simulator.behaviours.base import Submission
from simulator.values import Delay


class Latency:
    """Adds a drawn delay to every answer. Answers may overtake each other, as SMPP allows."""

    def __init__(self, delay: Delay, rng: random.Random) -> None:
        self._delay = delay
        self._rng = rng

    def disturb(self, submission: Submission) -> None:
        submission.delay_s += self._delay.draw(self._rng)
