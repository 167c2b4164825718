"""Joins the behaviours that an account's settings ask for. What is not asked for costs nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from simulator.behaviours.addresses import Addresses
from simulator.behaviours.base import Disturbance, Gate, Submission
from simulator.behaviours.cuts import Cuts
from simulator.behaviours.drops import Drops
from simulator.behaviours.faults import Faults
from simulator.behaviours.latency import Latency
from simulator.behaviours.statuses import Statuses
from simulator.behaviours.throttle import TpsLimit, WindowLimit
from simulator.settings import AccountSettings


@dataclass(frozen=True, slots=True)
class Chain:
    gates: tuple[Gate, ...]
    disturbances: tuple[Disturbance, ...]

    def run(self, submission: Submission) -> None:
        """Ask every disturbance, then the gates in order until one refuses. An ignored request reaches no gate."""
        for disturbance in self.disturbances:
            disturbance.disturb(submission)
        if submission.ignored:
            return
        for gate in self.gates:
            status = gate.judge(submission)
            if status:
                submission.status = status
                submission.refused_by = gate.name
                if gate.refuses_at_once:
                    submission.delay_s = 0.0
                return


def build_chain(
    settings: AccountSettings, faults: Faults, last: list[Gate], rng_for: Callable[[str], random.Random]
) -> Chain:
    """The chain of an account.

    ``last`` gates have effects (charging), so they see only what all others let pass. ``rng_for`` gives each behaviour a
    generator of its own: what one draws does not shift what another draws.
    """
    gates: list[Gate] = [faults, WindowLimit(settings.window)]
    if settings.tps is not None:
        gates.append(TpsLimit(settings.tps))
    gates.append(Addresses(settings.source_addrs))
    if settings.statuses.rules or settings.statuses.weights:
        gates.append(Statuses(settings.statuses, rng_for("statuses")))
    gates.extend(last)
    disturbances: list[Disturbance] = [faults]
    if not settings.latency.none:
        disturbances.append(Latency(settings.latency, rng_for("latency")))
    wanted = settings.disturbances
    if wanted.drop_answers or wanted.drop_requests:
        disturbances.append(Drops(wanted.drop_answers, wanted.drop_requests, rng_for("drops")))
    if wanted.cut or wanted.cut_at:
        disturbances.append(Cuts(wanted.cut, wanted.cut_at, rng_for("cuts")))
    return Chain(tuple(gates), tuple(disturbances))
