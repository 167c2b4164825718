"""The machines on which the gateway runs: its process, its clock, and who starts it again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest import mock

from sim_reactor import Life
from sim_store import SimDatabase, SimSourceDatabase
from twisted.internet.defer import Deferred

from gateway.app.gateway import Gateway
from gateway.dossiers.source import Source
from gateway.jobs import retention
from gateway.mo import receiver
from gateway.settings import GatewaySettings
from gateway.store import jobs, lease_clock, nodes
from gateway.templates.registry import Registry

if TYPE_CHECKING:
    from sim_world import World

#: Paces of housekeeping that differ from the daemon's: what ends messages comes sooner, what idles comes less often.
PACE = {
    "promote_held": 2.5,
    "expire_pending": 8.0,
    "rematch_receipts": 6.0,
    "resend_doubtful": 6.0,
    "close_doubtful": 9.0,
    "close_unreceipted": 9.0,
    "orphan_receipts": 9.0,
}
#: The sender's look at its queue when nobody wakes it; 0.2 s in the daemon.
LANE_POLL_S = 3.0
#: The receiver's look at the ledger; 1 s in the daemon.
UPKEEP_S = 4.0


class SimGateway(Gateway):
    """The gateway, with agencies' databases on virtual time. Nothing else differs from the daemon."""

    def __init__(self, world: World, life: Life, clock: NodeClock, settings: GatewaySettings) -> None:
        self._world, self._life = world, life
        rng = random.Random(f"{world.plan.seed}/{life.name}/{world.lives}")
        super().__init__(life, settings, clock, rng, db=SimDatabase(life, world.disk))
        for lane in self.mt.lanes.values():
            lane._poll_interval_s = LANE_POLL_S
        self.housekeeping.steps = tuple(
            replace(step, every_s=PACE.get(step.name, step.every_s)) for step in self.housekeeping.steps
        )

    def _make_registry(self) -> Registry:
        return _texts()

    def _make_sources(self) -> list[Source]:
        servers = {agency.name: agency.server for agency in self._world.agencies}
        return [
            Source(self._life, name, source, lambda *_, name=name: SimSourceDatabase(self._life, servers[name]))
            for name, source in self._settings.sources.items()
        ]


@cache
def _texts() -> Registry:
    """The shipped texts, read once in a process: nobody changes them."""
    return Registry.load()


class NodeClock:
    """The clock of one machine, which may be wrong."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.error = timedelta(0)

    def now(self) -> datetime:
        return self._world.system() + self.error

    def business_now(self) -> datetime:
        return self._world.business() + self.error


class Node:
    """One machine: the process on it is started again whenever it ends."""

    def __init__(self, world: World, name: str, settings: GatewaySettings) -> None:
        self.world, self.name, self.settings = world, name, settings
        self.clock = NodeClock(world)
        self.life: Life | None = None
        self.gateway: SimGateway | None = None
        self.up = False  # started to the end, and not dead since
        self.stopping = False

    def start(self) -> None:
        world = self.world
        world.lives += 1
        life = self.life = Life(world.reactor, world.network, self.name, world.set_actor)
        world.history.add("weather", "process_starts", node=self.name)
        world.set_actor(self.name)
        gateway = self.gateway = SimGateway(world, life, self.clock, self.settings)
        world.graveyard.append(gateway)  # freed at the end: a finaliser at a random moment would not be repeatable
        started = Deferred.fromCoroutine(gateway.start(lambda reason: self._ended(life, "gave_up")))
        started.addCallbacks(
            lambda _: self._started(life),
            lambda failure: self._ended(life, f"not_started: {failure.getErrorMessage()}"),
        )

    def _started(self, life: Life) -> None:
        self.up = self.up or life is self.life

    def _ended(self, life: Life, why: str) -> None:
        if life is self.life and not life.dead:
            self.world.history.add("weather", "process_ends", node=self.name, why=why)
            self._bury(life, 3.0)

    def kill(self, back_s: float) -> None:
        """SIGKILL, and the service manager brings it back."""
        if self.life is not None and not self.life.dead:
            self.world.crashes += 1
            self.world.wire.in_doubt(self)
            self.world.history.add("weather", "process_killed", node=self.name, back_in_s=round(back_s, 1))
            self._bury(self.life, back_s)

    def restart(self) -> None:
        """An orderly stop and start."""
        life, gateway = self.life, self.gateway
        if life is None or life.dead or gateway is None or self.stopping:
            return
        self.stopping = True
        self.world.restarts += 1
        self.world.history.add("weather", "process_stopped", node=self.name)

        def stopped(result: Any) -> None:
            if hasattr(result, "getTraceback"):
                self.world.history.faults_logged.append(f"stop failed: {result.getTraceback()}")
            if life is self.life and not life.dead:
                self._bury(life, 1.0)

        Deferred.fromCoroutine(gateway.stop()).addBoth(stopped)

    def _bury(self, life: Life, back_s: float) -> None:
        life.kill()
        self.up = self.stopping = False
        self.world.reactor.callLater(back_s, self.start)


@contextmanager
def constants_changed(world: World) -> Iterator[None]:
    """What modules of the gateway have as constants, as the simulation wants it, while it runs.

    Nodes share one PostgreSQL, whose clock judges their leases (gateway.store.lease_clock); this world's store is SQLite, which
    leaves that to the callers' clocks. With several nodes the world's time stands for the database's.
    """

    def lease_now(_conn: object, now: datetime) -> datetime:
        return world.system() if world.plan.nodes > 1 else now

    with ExitStack() as stack:
        for module in (lease_clock, nodes, jobs):
            stack.enter_context(mock.patch.object(module, "lease_now", lease_now))
        if world.plan.past:
            stack.enter_context(mock.patch.object(retention, "START_AFTER_S", 2.0))
            stack.enter_context(mock.patch.object(retention, "LOOK_S", 6.0))
        stack.enter_context(mock.patch.object(receiver, "UPKEEP_INTERVAL_S", UPKEEP_S))
        stack.enter_context(mock.patch.object(receiver, "SWEEP_EVERY", 2))
        yield
