"""Joins the behaviours that an account's settings ask for. What is not asked for costs nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simulator.behaviours.addresses import Addresses
from simulator.behaviours.base import Disturbance, Gate, Submission
from simulator.behaviours.congestion import Congestion
from simulator.behaviours.cuts import Cuts
from simulator.behaviours.directives import Directives
from simulator.behaviours.drops import Drops
from simulator.behaviours.faults import Faults
from simulator.behaviours.latency import Latency
from simulator.behaviours.stalls import Stalls
from simulator.behaviours.statuses import Statuses
from simulator.behaviours.throttle import TpsLimit, WindowLimit
from simulator.behaviours.times import Times
from simulator.settings import AccountSettings


@dataclass(frozen=True, slots=True)
class Chain:
    gates: tuple[Gate, ...]
    disturbances: tuple[Disturbance, ...]
    faults: Faults  # the first gate and the last disturbance, asked only while one is on
    all_gates: tuple[Gate, ...]
    congestion: Congestion | None

    def run(self, submission: Submission) -> None:
        """Ask every disturbance, then the gates in order until one refuses. An ignored request reaches no gate."""
        self.disturb(submission)
        if not submission.ignored:
            self.judge(submission)

    def disturb(self, submission: Submission) -> None:
        """Ask every disturbance."""
        for disturbance in self.disturbances:
            disturbance.disturb(submission)
        if self.faults.any:
            self.faults.disturb(submission)

    def judge(self, submission: Submission) -> None:
        """Ask the gates in order until one refuses."""
        for gate in self.all_gates if self.faults.any else self.gates:
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
    limit = TpsLimit(settings.tps) if settings.tps is not None else None
    wanted = settings.directives
    directives = (
        Directives(wanted.text, wanted.number_prefix, settings.default_alphabet)
        if wanted.text or wanted.number_prefix
        else None
    )
    congestion = Congestion(settings.window, limit) if settings.congestion_state else None
    gates = (*_gates(settings, limit, directives, rng_for), *last)
    disturbances = tuple(_disturbances(settings, directives, rng_for))
    return Chain(gates, disturbances, faults, (faults, *gates), congestion)


def _gates(
    settings: AccountSettings,
    limit: TpsLimit | None,
    directives: Directives | None,
    rng_for: Callable[[str], random.Random],
) -> Iterator[Gate]:
    yield WindowLimit(settings.window)
    if limit is not None:
        yield limit
    yield Addresses(settings.source_addrs)
    yield Times()
    if directives is not None:
        yield directives
    if settings.statuses.rules or settings.statuses.weights:
        yield Statuses(settings.statuses, rng_for("statuses"))


def _disturbances(
    settings: AccountSettings, directives: Directives | None, rng_for: Callable[[str], random.Random]
) -> Iterator[Disturbance]:
    if not settings.latency.none:
        yield Latency(settings.latency, rng_for("latency"))
    wanted = settings.disturbances
    if wanted.drop_answers or wanted.drop_requests:
        yield Drops(wanted.drop_answers, wanted.drop_requests, rng_for("drops"))
    if wanted.cut or wanted.cut_at:
        yield Cuts(wanted.cut, wanted.cut_at, rng_for("cuts"))
    if wanted.stall is not None:
        yield Stalls(wanted.stall.every_s, wanted.stall.lasting_s)
    if directives is not None:
        yield directives  # after what the settings say, which it overrides for its message
