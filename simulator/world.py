"""What all accounts share: time, randomness, books and handsets."""

from __future__ import annotations

import random
from dataclasses import dataclass

from simulator.capture import Captures
from simulator.inbox import Inbox
from simulator.pdu_ring import PduRing
from simulator.record import Record
from simulator.schedule import Schedule
from simulator.settings import SimulatorSettings


@dataclass(frozen=True, slots=True)
class World:
    settings: SimulatorSettings
    seed: int
    schedule: Schedule
    record: Record
    inbox: Inbox
    pdus: PduRing
    captures: Captures

    def rng(self, account: str, concern: str) -> random.Random:
        """A generator of its own for each concern of each account: what one draws does not shift another's."""
        return random.Random(f"{self.seed}/{account}/{concern}")
