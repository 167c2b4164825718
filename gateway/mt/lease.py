"""This node's lease: kept alive in the store, and asked before anything leaves.

The lease counts on the reactor's clock, from the moment before a renewal was asked for: neither a slow store nor a jump of
the wall clock makes this node believe that it holds what others think lapsed.

Nodes share the licence of each system_id evenly. A node that comes takes part only when every other one knows of it and has
taken a smaller share::

    start ──▶ introducing: nothing leaves ── all others have renewed twice ──▶ sharing
                    ▲                                                            │
                    └── the lease had lapsed: what has not left is given back ───┘

Twice, because the first renewal may have been under way, and may have looked before this node was there to be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.clock import Clock
from gateway.db import Database
from gateway.errors import StaleStateError
from gateway.smpp.ports import DelayedCall, ReactorTime
from gateway.store import nodes

log = structlog.get_logger()

#: Renewals in one lease: two may fail before it runs out.
RENEWALS = 4
#: Renewals in one lease while others have yet to learn of this node: it waits for theirs, and asks often.
RENEWALS_INTRODUCING = 20
#: After so many renewals of another node it knows of this one.
RENEWALS_TO_KNOW = 2
#: After an unclean end of the earlier life the licence may be in use still, in seconds.
LICENCE_WINDOW_S = 1.01


class Lease(Protocol):
    """What sending asks of a lease."""

    node: str

    def held(self, now: float) -> bool: ...


class NodeLease:
    """Registers this life of the node, renews its lease, and knows how many nodes share the work.

    Args:
        on_lost: called once with the reason when another daemon has taken this node's name: this one must stop.
    """

    def __init__(
        self,
        reactor: ReactorTime,
        clock: Clock,
        db: Database,
        name: str,
        incarnation: str,
        lease_s: float,
        on_lost: Callable[[str], None],
    ) -> None:
        self.node = nodes.node_id(name, incarnation)
        self.live_nodes = 1
        self.rank = 0  # among them, by name
        #: Nothing may be sent before this (reactor's seconds): somebody else may be using the licence.
        self.quiet_until = float("-inf")
        self._reactor = reactor
        self._clock = clock
        self._db = db
        self._name = name
        self._incarnation = incarnation
        self._lease_s = lease_s
        self._on_lost = on_lost
        self._held_until = float("-inf")
        self._call: DelayedCall | None = None
        self._stopped = False
        self._renewing = False
        self._listeners: list[Callable[[], None]] = []
        self._lapse_listeners: list[Callable[[], None]] = []
        #: Every other live node knows of this one, and takes no more than its share.
        self.sharing = False
        self._others: dict[str, tuple[datetime, int]] = {}  # while introducing: end of lease, renewals seen
        self._known: set[str] = set()  # the others at the last renewal

    def held(self, now: float) -> bool:
        """Whether this node may send what it has claimed."""
        return now < self._held_until

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call this when the live nodes have changed, when ``sharing`` has, or when the lease is held again."""
        self._listeners.append(listener)

    def on_lapse(self, listener: Callable[[], None]) -> None:
        """Call this when the lease had lapsed and is about to be held again: what has not left may be others' now."""
        self._lapse_listeners.append(listener)

    def start(self) -> Deferred[nodes.Registered]:
        """Begin this life: what the earlier one had claimed becomes unknown."""
        asked_at = self._reactor.seconds()
        now = self._clock.now()
        done = self._db.run(
            "register_node",
            nodes.register_node_txn,
            self._name,
            self._incarnation,
            now,
            now + timedelta(seconds=self._lease_s),
        )
        done.addCallback(self._registered, asked_at)
        return done

    def _registered(self, registered: nodes.Registered, asked_at: float) -> Deferred[nodes.Registered]:
        log.info("node_started", node=self._name, in_doubt=registered.doubtful, after_unclean_stop=registered.unclean)
        self._held_until = asked_at + self._lease_s
        if registered.unclean:
            self.quiet_until = self._reactor.seconds() + LICENCE_WINDOW_S
        first = self._renew()
        first.addCallback(lambda _: self._after_first(registered))
        return first

    def _after_first(self, registered: nodes.Registered) -> nodes.Registered:
        self._schedule(self._pause_s)
        self._tell()
        return registered

    def stop(self) -> Deferred[None]:
        """End this life in order. Call it when nothing is in hand any more."""
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._held_until = float("-inf")
        return self._db.run("leave_node", nodes.leave_node_txn, self._name, self._incarnation)

    @property
    def _pause_s(self) -> float:
        return self._lease_s / (RENEWALS if self.sharing else RENEWALS_INTRODUCING)

    def _schedule(self, delay_s: float) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        if not self._stopped:
            self._call = self._reactor.callLater(delay_s, self._tick)

    def _tick(self) -> None:
        self._schedule(self._pause_s)
        if not self._renewing:  # a store that hangs is asked once
            self._renew()

    def _renew(self) -> Deferred[Any]:
        self._renewing = True
        asked_at = self._reactor.seconds()
        now = self._clock.now()
        done: Deferred[Any] = self._db.run(
            "heartbeat",
            nodes.heartbeat_txn,
            self._name,
            self._incarnation,
            now,
            now + timedelta(seconds=self._lease_s),
        )
        done.addBoth(self._renewed, asked_at)
        return done

    def _renewed(self, result: nodes.Heartbeat | Failure, asked_at: float) -> None:
        self._renewing = False
        if self._stopped:
            return
        if isinstance(result, Failure):
            if result.check(StaleStateError):
                self._held_until = float("-inf")
                self._stopped = True
                log.error("node_name_taken", node=self._name)
                self._on_lost(result.getErrorMessage())
            else:
                log.warning("lease_not_renewed", node=self._name, reason=result.getErrorMessage())
            return
        lapsed = result.lapsed or not self.held(self._reactor.seconds())
        if lapsed:
            self._lapsed()
        self._held_until = asked_at + self._lease_s
        newcomers = set(result.others) - self._known
        self._known = set(result.others)
        introduced = not self.sharing and self._introduce(result.others, after_lapse=lapsed)
        if introduced:
            log.info("licence_shared", node=self._name, live_nodes=result.live_nodes)
        live = (max(1, result.live_nodes), result.rank)
        if live != (self.live_nodes, self.rank):
            self.live_nodes, self.rank = live
            log.info("live_nodes", count=self.live_nodes, rank=self.rank)
            self._tell()
        elif lapsed or introduced:
            self._tell()
        if newcomers and self.sharing and self._call is not None:
            self._schedule(self._lease_s / RENEWALS_INTRODUCING)  # they wait for the next renewal, too

    def _lapsed(self) -> None:
        log.warning("lease_had_lapsed", node=self._name)
        self._held_until = float("-inf")
        self.sharing, self._others = False, {}
        self._schedule(self._pause_s)
        for listener in self._lapse_listeners:
            listener()

    def _introduce(self, others: Mapping[str, datetime], *, after_lapse: bool) -> bool:
        """Look whose leases were renewed. True, once: all others know of this node."""
        if after_lapse and others:
            return False  # they are counted from after the renewal that is seen by them
        for claimant, until in others.items():
            before, renewals = self._others.get(claimant, (until, 0))
            self._others[claimant] = (until, renewals + (until != before))
        self.sharing = all(self._others[claimant][1] >= RENEWALS_TO_KNOW for claimant in others)
        return self.sharing

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
