"""This node's lease: kept alive in the store, and asked before anything leaves.

The lease counts on the reactor's clock, from the moment before a renewal was asked for: neither a slow store nor a jump of
the wall clock makes this node believe that it holds what others think lapsed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from gateway.clock import Clock
from gateway.db import Database
from gateway.errors import StaleStateError
from gateway.smpp.ports import DelayedCall, ReactorTime
from gateway.store import nodes

log = structlog.get_logger()

#: Renewals in one lease: two may fail before it runs out.
RENEWALS = 4
#: After an unclean end of the earlier life, or beside other nodes, the licence may be in use still, in seconds.
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

    def held(self, now: float) -> bool:
        """Whether this node may send what it has claimed."""
        return now < self._held_until

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call this when the live nodes have changed, or the lease is held again."""
        self._listeners.append(listener)

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
        if self.live_nodes > 1:
            # The others go on with their larger shares until their next renewal tells them of this node.
            wait_s = self._lease_s / RENEWALS + LICENCE_WINDOW_S
            self.quiet_until = max(self.quiet_until, self._reactor.seconds() + wait_s)
        self._schedule()
        self._tell()
        return registered

    def stop(self) -> Deferred[None]:
        """End this life in order. Call it when nothing is in hand any more."""
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._held_until = float("-inf")
        return self._db.run("leave_node", nodes.leave_node_txn, self._name, self._incarnation)

    def _schedule(self) -> None:
        if not self._stopped:
            self._call = self._reactor.callLater(self._lease_s / RENEWALS, self._tick)

    def _tick(self) -> None:
        self._schedule()
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
        was_held = self.held(asked_at)
        self._held_until = asked_at + self._lease_s
        if result.lapsed or not was_held:
            log.warning("lease_had_lapsed", node=self._name)
        live = (max(1, result.live_nodes), result.rank)
        if live != (self.live_nodes, self.rank):
            self.live_nodes, self.rank = live
            log.info("live_nodes", count=self.live_nodes, rank=self.rank)
            self._tell()
        elif not was_held:
            self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


class NoLease:
    """A lease that is always held, for tools and tests that have the store to themselves."""

    live_nodes = 1
    rank = 0
    quiet_until = float("-inf")

    def __init__(self, node: str = "node-1/0") -> None:
        self.node = node

    def held(self, now: float) -> bool:
        return True

    def on_change(self, listener: Callable[[], None]) -> None:
        return None

    def stop(self) -> Deferred[None]:
        return succeed(None)
