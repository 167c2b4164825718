"""What becomes of an accepted message: its final state and when it is reached."""

from __future__ import annotations

import random
import re
from collections import OrderedDict
from dataclasses import dataclass

from simulator.behaviours.base import Submission
from simulator.behaviours.weights import WeightedChoice
from simulator.settings import ReceiptSettings

_REMEMBERED = 4096  # long messages under way at a time; the parts of one come close together


@dataclass(frozen=True, slots=True)
class Fate:
    state: str  # "DELIVRD", …
    error: str  # "000"
    delay_s: float  # acceptance to final state


class Fates:
    """By the first rule for the destination, else by weights. The parts of a long message share their final state."""

    def __init__(self, settings: ReceiptSettings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self._rules = [(re.compile(rule.destination), rule) for rule in settings.rules]
        self._choice = WeightedChoice(settings.weights, rng)
        self._shared: OrderedDict[tuple[str, str, int], tuple[str, str]] = OrderedDict()

    def draw(self, submission: Submission) -> Fate:
        """The fate of this part. A part that overtook the others may reach its state before them."""
        state, error = self._state(submission)
        return Fate(state, error, self._settings.delay.draw(self._rng))

    def _state(self, submission: Submission) -> tuple[str, str]:
        concatenation = submission.concatenation
        if concatenation is None or concatenation.total < 2:
            return self._draw_state(submission.pdu.destination_addr)
        key = (submission.pdu.source_addr, submission.pdu.destination_addr, concatenation.reference)
        known = self._shared.get(key)
        if known is None or concatenation.part == 1:
            known = self._shared[key] = self._draw_state(submission.pdu.destination_addr)
            if len(self._shared) > _REMEMBERED:
                self._shared.popitem(last=False)
        return known

    def _draw_state(self, destination_addr: str) -> tuple[str, str]:
        for pattern, rule in self._rules:
            if pattern.search(destination_addr):
                return rule.state, rule.error
        state = self._choice.draw()
        return state, self._settings.errors.get(state, "000")
