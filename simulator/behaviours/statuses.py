"""Refusals by destination pattern or by weight."""

from __future__ import annotations

import random
import re

from simulator.behaviours.base import Submission
from simulator.behaviours.weights import WeightedChoice
from simulator.settings import StatusSettings


class Statuses:
    """The first rule whose pattern is found in destination_addr decides, else the weights."""

    name = "statuses"
    refuses_at_once = False

    def __init__(self, settings: StatusSettings, rng: random.Random) -> None:
        self._rules = [(re.compile(rule.destination), rule.status) for rule in settings.rules]
        self._choice = WeightedChoice(settings.weights, rng) if settings.weights else None

    def judge(self, submission: Submission) -> int:
        if submission.directive is not None and submission.directive.status is not None:
            return 0  # the message itself has decided, even when it asks for ESME_ROK
        for pattern, status in self._rules:
            if pattern.search(submission.pdu.destination_addr):
                return status
        return self._choice.draw() if self._choice is not None else 0
