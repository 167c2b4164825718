"""What a seed decides before anything runs: the size of its world, its day, its weather's temper, its settings."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

PORTS = {"viettel": 2775, "vina": 2776}
#: By how much a node's clock may be wrong at most, in seconds.
CLOCK_ERROR_S = 40.0
#: One seed in so many plays the whole day; the others two or three scenes of it.
WHOLE_DAY_EVERY = 20
#: How operators number messages: in submit_sm_resp, and in the receipt.
ID_STYLES = ("text", "text", "decimal", "response_hex", "receipt_hex")


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch of the day that is played. Times between scenes are leapt over."""

    name: str
    day: int
    begin: str  # in Vietnam
    seconds: float


#: The whole day. The apology's scene begins before 17:30, the evening's before 21:00, and dawn's before 07:00.
DAY = (
    Scene("morning", 0, "08:00:00", 40.0),
    Scene("noon", 0, "11:00:00", 30.0),
    Scene("apology", 0, "17:29:45", 45.0),
    Scene("evening", 0, "20:59:35", 45.0),
    Scene("night", 0, "21:03:00", 40.0),
    Scene("dawn", 1, "06:59:40", 45.0),
    Scene("next_day", 1, "09:00:00", 30.0),
)
#: The share of a scene that is played by seeds that do not play the whole day.
SHORT = 0.65


@dataclass(frozen=True, slots=True)
class OperatorPlan:
    """One operator: the contract, its SMSC, and our binds to it."""

    licence: int
    window: int
    smsc_window: int
    binds: int
    mode: str
    long_message: str
    ids: str  # of ID_STYLES


@dataclass(frozen=True, slots=True)
class Plan:
    """A seed's world."""

    seed: int
    scenes: tuple[Scene, ...]
    stormy: float  # how bad the weather is; 0: fair
    nodes: int
    lease_s: float
    hold_s: int
    accents: str
    references: bool
    ported: float  # share of numbers that have moved to another operator
    late_rows: bool  # agencies' rows become visible some seconds after the time that they carry
    past: bool  # the store holds messages of earlier months, and retention runs by day
    operators: dict[str, OperatorPlan]

    def about(self) -> dict[str, Any]:
        """For the first line of the history."""
        return {
            "seed": self.seed,
            "scenes": ",".join(scene.name for scene in self.scenes),
            "stormy": self.stormy,
            "nodes": self.nodes,
            "lease_s": self.lease_s,
            "hold_s": self.hold_s,
            "accents": self.accents,
            "references": self.references,
            "ported": self.ported,
            "late_rows": self.late_rows,
            "past": self.past,
            **{name: _brief(operator) for name, operator in self.operators.items()},
        }


def _brief(operator: OperatorPlan) -> str:
    return (
        f"licence:{operator.licence},window:{operator.window}/{operator.smsc_window},binds:{operator.binds}x{operator.mode},"
        f"long:{operator.long_message},ids:{operator.ids}"
    )


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    rng = random.Random(f"{seed}/plan")
    return Plan(
        seed=seed,
        scenes=DAY if seed % WHOLE_DAY_EVERY == WHOLE_DAY_EVERY - 1 else _some_scenes(rng),
        stormy=rng.choice((0.0, 0.5, 1.0, 2.0)),
        nodes=rng.choice((1, 1, 1, 1, 2, 2, 3)),
        lease_s=rng.choice((12.0, 16.0)),
        hold_s=rng.choice((0, 0, 8, 15)),
        accents=rng.choice(("fold", "fold", "keep")),
        references=rng.random() < 0.8,
        ported=rng.choice((0.0, 0.0, 0.3)),
        late_rows=rng.random() < 0.3,
        past=rng.random() < 0.25,
        operators={name: _operator(rng) for name in PORTS},
    )


def _some_scenes(rng: random.Random) -> tuple[Scene, ...]:
    chosen = set(rng.sample(DAY, rng.choice((2, 2, 3))))
    names = {scene.name for scene in chosen}
    if names & {"evening", "night"} and not names & {"dawn", "next_day"}:
        chosen.add(rng.choice(DAY[-2:]))  # what is kept for the morning must leave
    return tuple(
        Scene(scene.name, scene.day, scene.begin, round(scene.seconds * SHORT, 1)) for scene in DAY if scene in chosen
    )


def _operator(rng: random.Random) -> OperatorPlan:
    return OperatorPlan(
        licence=rng.choice((4, 7, 12, 30)),
        window=rng.choice((1, 3, 10, 20)),
        smsc_window=rng.choice((1, 5, 50)),
        binds=rng.choice((1, 2)),
        mode=rng.choice(("transceiver", "transceiver", "pair")),
        long_message=rng.choice(("udh8", "udh16", "sar", "payload")),
        ids=rng.choice(ID_STYLES),
    )
