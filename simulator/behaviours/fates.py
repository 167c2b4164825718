"""What becomes of an accepted message: its final state, when it is reached, and by which ways its receipts go."""

from __future__ import annotations

import random
import re
from collections import OrderedDict
from typing import NamedTuple

from simulator.behaviours.base import NEVER, Submission
from simulator.behaviours.directives import Directive
from simulator.behaviours.weights import WeightedChoice
from simulator.settings import ReceiptSettings

_REMEMBERED = 4096  # long messages under way at a time; the parts of one come close together

# The ways of a receipt, as bits: most messages have none, and one comparison tells so.
EARLY = 1  # before the submit_sm_resp
LOST = 2  # never sent
TWICE = 4
INTERMEDIATE = 8  # an ENROUTE first
REORDERED = 16  # behind a later one
AFTER_RECONNECT = 32  # not before the ESME has bound anew

_BY_NAME = {
    "early": EARLY,
    "twice": TWICE,
    "intermediate": INTERMEDIATE,
    "reordered": REORDERED,
    "after-reconnect": AFTER_RECONNECT,
}


class Fate(NamedTuple):
    state: str  # "DELIVRD", …
    error: str  # "000"
    delay_s: float  # acceptance to final state; NEVER: the handset is out of reach until the message expires
    ways: int = 0


class Fates:
    """By the first rule for the destination, else by weights. The parts of a long message share their final state."""

    def __init__(self, settings: ReceiptSettings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self._rules = [(re.compile(rule.destination), rule) for rule in settings.rules]
        self._unreachable = [re.compile(pattern) for pattern in settings.unreachable]
        self._choice = WeightedChoice(settings.weights, rng)
        self._shared: OrderedDict[tuple[str, str, int], tuple[str, str]] = OrderedDict()
        shares = (
            (EARLY, settings.early),
            (LOST, settings.lost),
            (TWICE, settings.doubled),
            (INTERMEDIATE, settings.intermediate),
            (REORDERED, settings.reordered),
            (AFTER_RECONNECT, settings.after_reconnect),
        )
        self._ways = [(way, share) for way, share in shares if share > 0]
        #: Where nothing is drawn, all messages have the same fate.
        self._always: Fate | None = None
        fixed_s, certain = settings.delay.fixed, self._choice.certain
        drawn = self._rules or self._ways or self._unreachable or settings.delay.spike is not None
        if certain is not None and fixed_s is not None and not drawn:
            self._always = Fate(certain, settings.errors.get(certain, "000"), fixed_s)

    def draw(self, submission: Submission) -> Fate:
        """The fate of this part. A part that overtook the others may reach its state before them."""
        if self._always is not None and submission.directive is None:
            return self._always
        state, error = self._state(submission)
        delay_s = self._settings.delay.draw(self._rng)
        ways = 0
        for way, share in self._ways:
            if self._rng.random() < share:
                ways |= way
        if self._unreachable and any(one.search(submission.pdu.destination_addr) for one in self._unreachable):
            delay_s = NEVER
        fate = Fate(state, error, delay_s, ways)
        return fate if submission.directive is None else self._ordered(fate, submission.directive)

    def _ordered(self, fate: Fate, directive: Directive) -> Fate:
        """What the message itself asks for. One that asks for anything of its receipt is spared the accidents."""
        state = directive.state
        error = directive.error or (fate.error if state is None else self._settings.errors.get(state, "000"))
        delay_s = fate.delay_s if directive.delay_s is None else directive.delay_s
        ways = sum(_BY_NAME[name] for name in directive.ways) | (LOST if directive.drop == "receipt" else 0)
        asked = state or directive.error or directive.delay_s is not None or ways
        return Fate(state or fate.state, error, delay_s, ways if asked else fate.ways)

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
