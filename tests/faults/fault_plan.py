"""What happens in one run, drawn from its seed before anything starts: settings, traffic and strikes with their moments.

The plan of a seed is always the same. The run is not, to the millisecond: real processes and a real machine decide which
statement a SIGKILL meets. That is the point of it; :mod:`tests.simulation` is the place for runs that repeat exactly.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

SQLITE, POSTGRESQL = "sqlite", "postgresql"

#: Faults of the daemon's process, of the links, of the SMSC's answers and receipts, and of the clock: on either store.
COMMON = {
    "kill": 5,  # SIGKILL of the daemon; started again after a while
    "kill_starting": 2,  # SIGKILL, and again while the daemon starts
    "pause": 2,  # SIGSTOP of the daemon, mostly past its lease; both of its clocks leap when it goes on
    "cut": 3,  # the links go down in mid-flow
    "half_open": 2,  # the links stay, nothing is read or answered
    "lost_answers": 2,  # submits accepted, never answered
    "lost_requests": 1,  # submits that never arrive
    "late_answers": 1,  # answers after the gateway has given up waiting
    "held_answers": 1,  # no answer for a while, then all at once
    "congestion": 1,  # ESME_RTHROTTLED
    "queue_full": 1,  # ESME_RMSGQFUL
    "held_receipts": 1,  # no receipt for a while, then all at once
    "lost_receipts": 1,  # receipts that never come
    "unbind": 1,  # the SMSC sends its ESME away
    "refused_binds": 1,  # the links go down, and binds are refused for a while
    "garbage": 1,  # octets that are no PDU
    "clock_leap": 2,  # business time leaps: hours on, hours back, into the night
}
#: Faults of the store.
OF_STORE = {
    SQLITE: {
        "store_locked": 3,  # another process holds the lock
        "disk_full": 3,  # no octet is left where the store is
        "disk_limit": 2,  # no file of the daemon may grow (EFBIG): for machines that let nobody mount a small disk, too
    },
    POSTGRESQL: {
        "store_stopped": 3,  # the server is shut down and started again
        "store_crashed": 2,  # the server and all its processes get SIGKILL
        "backend_killed": 2,  # one of its processes gets SIGKILL: the server throws all out and recovers
        "backend_ended": 2,  # connections are ended by an administrator
        "store_frozen": 2,  # SIGSTOP of the processes that serve the daemon
        "store_locked": 2,  # another connection locks the table
        "disk_full": 2,
        "disk_limit": 1,
    },
}
KINDS = {store: {**COMMON, **found} for store, found in OF_STORE.items()}

#: The daemon's lease and timers, in seconds: short, so that a run is.
LEASE_S = 2.0
RESPONSE_TIMEOUT_S = 2.0
DOUBT_WAIT_S = 1.5


@dataclass(frozen=True)
class Strike:
    """One fault: when it comes, how long it stays, and how many submits it hits where it counts them."""

    at_s: float
    kind: str
    seconds: float = 0.0
    count: int = 0
    how: str = ""


@dataclass(frozen=True)
class Act:
    """Traffic: dossiers whose results are ready, long messages put into the outbox, or a query from a handset."""

    at_s: float
    kind: str  # notices, long, query
    count: int
    parts: int = 1
    copies: int = 1


@dataclass(frozen=True)
class Plan:
    """Everything that the seed decides."""

    seed: int
    store: str
    window: int
    latency_s: float
    receipt_delay_s: tuple[float, float]
    receipts_early: float
    receipts_doubled: float
    accents: str
    long_message: str
    references: bool
    binds: int
    storm_s: float
    traffic: tuple[Act, ...] = field(repr=False)
    strikes: tuple[Strike, ...]

    @property
    def needs_small_disk(self) -> bool:
        return any(strike.kind == "disk_full" for strike in self.strikes)

    def as_dict(self) -> dict[str, Any]:
        """For the file beside the logs."""
        return asdict(self)


def draw_plan(seed: int, store: str | None = None, must: Sequence[str] = ()) -> Plan:
    """The plan of a seed.

    Args:
        store: "sqlite" or "postgresql"; None: the seed decides.
        must: exactly these faults instead of some at random.
    """
    rng = random.Random(f"faults/{seed}")
    drawn = rng.choice((SQLITE, POSTGRESQL))
    store = store or drawn
    storm_s = rng.uniform(2.5, 5.0)
    kinds = KINDS[store]
    number = rng.choice((1, 2, 2, 3, 3, 4))
    chosen = list(must) or rng.choices(list(kinds), list(kinds.values()), k=number)
    strikes = sorted((_strike(rng, kind, storm_s) for kind in chosen), key=lambda strike: strike.at_s)
    window, latency_s = rng.choice((2, 4, 10, 20)), rng.choice((0.005, 0.02, 0.05))
    return Plan(
        seed=seed,
        store=store,
        window=window,
        latency_s=latency_s,
        receipt_delay_s=rng.choice(((0.0, 0.05), (0.05, 0.5), (0.2, 1.5))),
        receipts_early=rng.choice((0.0, 0.2)),
        receipts_doubled=rng.choice((0.0, 0.2)),
        accents=rng.choice(("fold", "keep")),
        long_message=rng.choice(("udh8", "udh16", "sar", "payload")),
        references=rng.random() < 0.8,
        binds=rng.choice((1, 1, 2)),
        storm_s=round(storm_s, 2),
        traffic=tuple(_traffic(rng, storm_s, min(1.0, window / latency_s / 200))),
        strikes=tuple(strikes),
    )


def _strike(rng: random.Random, kind: str, storm_s: float) -> Strike:
    at_s = round(rng.uniform(0.2, storm_s - 0.5), 3)
    seconds, count, how = rng.uniform(0.3, 2.0), 0, ""
    if kind in ("kill", "kill_starting"):
        seconds = rng.choice((0.0, 0.5, 1.5))
    elif kind == "pause":
        seconds = rng.choice((0.5, LEASE_S + 0.3, LEASE_S + 1.5))
    elif kind in ("lost_answers", "lost_requests", "late_answers"):
        count = rng.choice((1, 3, 10))
    elif kind == "store_stopped":
        how = rng.choice(("fast", "immediate"))
    elif kind in ("store_locked", "store_frozen"):
        seconds = rng.choice((0.5, 1.5, 3.0))
    elif kind == "garbage":
        how = rng.choice(("garbage", "garbage-length", "garbage-command", "garbage-body", "alert", "half-pdu"))
    elif kind == "clock_leap":
        how = rng.choice(("hours_on", "hours_back", "into_the_night"))
    elif kind == "disk_full":
        count = rng.choice((0, 4, 16, 64))  # KiB that are left
    return Strike(at_s, kind, round(seconds, 2), count, how)


def _traffic(rng: random.Random, storm_s: float, share: float) -> list[Act]:
    """``share``: of the usual amount, where windows and latency let only few messages a second pass."""
    acts = [
        Act(0.0, "notices", round(share * rng.choice((20, 60, 150)))),
        Act(0.0, "long", rng.randint(3, 10), rng.randint(2, 4)),
    ]
    at_s = 0.0
    while (at_s := at_s + rng.uniform(0.15, 0.6)) < storm_s:
        draw = rng.random()
        if draw < 0.45:
            acts.append(Act(round(at_s, 3), "notices", max(1, round(share * rng.randint(3, 25)))))
        elif draw < 0.6:
            acts.append(Act(round(at_s, 3), "long", rng.randint(1, 6), rng.randint(2, 4)))
        else:
            acts.append(
                Act(round(at_s, 3), "query", rng.randint(1, 4), rng.choice((1, 1, 2)), rng.choice((1, 1, 1, 3)))
            )
    return acts
