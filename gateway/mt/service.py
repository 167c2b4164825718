"""Everything that sends, wired: lease, lanes, binds, receipts. The composition root makes one of these."""

from __future__ import annotations

import random
from typing import Any

import structlog
from twisted.internet.defer import Deferred, DeferredList

from gateway.clock import Clock
from gateway.db import Database
from gateway.mt.hooks import ReplyHooks
from gateway.mt.lane import Lane
from gateway.mt.lease import LICENCE_WINDOW_S, NodeLease
from gateway.mt.operator import Endpoints, LinkStatus, MoSink, OperatorLink, make_binds
from gateway.settings import GatewaySettings
from gateway.smpp.ports import DelayedCall, ReactorTime
from gateway.store.nodes import Registered

log = structlog.get_logger()

#: The part of a drain's time limit that is kept for unbinding, in seconds.
UNBIND_SHARE_S = 2.0


class MtService:
    """The sending half of the daemon.

    Args:
        lease: this node's, not started yet.
        endpoints: where a bind connects to.
        mo_sink: takes queries, see :data:`gateway.mt.operator.MoSink`.
        rng: for the jitter of reconnects.
    """

    def __init__(
        self,
        reactor: ReactorTime,
        clock: Clock,
        db: Database,
        settings: GatewaySettings,
        lease: NodeLease,
        hooks: ReplyHooks,
        mo_sink: MoSink,
        endpoints: Endpoints,
        rng: random.Random,
    ) -> None:
        self.lease = lease
        self.hooks = hooks
        self._reactor = reactor
        self._settings = settings
        self._growth: DelayedCall | None = None
        self.lanes: dict[str, Lane] = {}
        self.links: dict[str, OperatorLink] = {}
        routes = list(settings.operators)
        for at, (route, operator) in enumerate(settings.operators.items()):
            lane = Lane(reactor, clock, db, route, make_binds(operator), lease, hooks)
            self.lanes[route] = lane
            self.links[route] = OperatorLink(
                reactor, clock, operator, lane, mo_sink, endpoints, rng, others=(*routes[at + 1 :], *routes[:at])
            )
        lease.on_change(self._share_licences)
        lease.on_lapse(self._give_back)

    def start(self) -> Deferred[Registered]:
        """Take up the node's lease, then bring the binds up and send. Fires when the lease is held.

        Fails with :class:`gateway.errors.StoreError` when the store cannot be reached.
        """
        return self.lease.start().addCallback(self._begin)

    def _begin(self, registered: Registered) -> Registered:
        for lane in self.lanes.values():
            lane.start()
        for link in self.links.values():
            link.start()
        return registered

    def wake(self, route: str | None = None) -> None:
        """New messages are in the outbox: of one operator, or of whomever."""
        if route is None:
            for lane in self.lanes.values():
                lane.wake()
        elif route in self.lanes:
            self.lanes[route].wake()

    def drain(self, timeout_s: float) -> Deferred[Any]:
        """Stop claiming, wait for answers, commit, unbind, give up the lease. Fires within about ``timeout_s`` + 5 s."""
        answers_s = max(timeout_s - UNBIND_SHARE_S, timeout_s / 2)
        done: Deferred[Any] = DeferredList([lane.drain(answers_s) for lane in self.lanes.values()], consumeErrors=True)
        done.addCallback(lambda _: self._unbind(min(UNBIND_SHARE_S, timeout_s / 2)))
        done.addCallback(lambda _: self._leave())
        return done

    def _unbind(self, timeout_s: float) -> Deferred[Any]:
        return DeferredList([link.stop(timeout_s) for link in self.links.values()], consumeErrors=True)

    def _leave(self) -> Deferred[Any]:
        self._cancel_growth()
        for lane in self.lanes.values():
            lane.stop()
        left = self.lease.stop()
        left.addErrback(lambda failure: log.warning("node_not_left", reason=failure.getErrorMessage()))
        return left

    @property
    def in_hand(self) -> frozenset[int]:
        """Every message that this node has claimed and not settled: what housekeeping must not give back."""
        return frozenset().union(*(lane.in_hand for lane in self.lanes.values()))

    def status(self) -> list[LinkStatus]:
        """Every connection to an operator."""
        return [status for link in self.links.values() for status in link.status()]

    def _share_licences(self) -> None:
        """Every live node gets an equal part of each licence; what does not divide goes to the first by name.

        A smaller part counts at once. A larger one counts a second later: whoever had it may have used it until now. A node that the
        others do not know yet has no part.
        """
        self._set_shares(grow=False)
        self._cancel_growth()
        self._growth = self._reactor.callLater(LICENCE_WINDOW_S, self._set_shares, True)

    def _give_back(self) -> None:
        """The lease had lapsed: another node may have taken over what is in hand here and has not left."""
        for lane in self.lanes.values():
            lane.give_back("lease_lapsed")

    def _cancel_growth(self) -> None:
        if self._growth is not None and self._growth.active():
            self._growth.cancel()

    def _set_shares(self, grow: bool) -> None:
        nodes, rank = self.lease.live_nodes, self.lease.rank
        for route, lane in self.lanes.items():
            whole = self._settings.operators[route].licence_parts_per_s
            share = whole // nodes + (rank < whole % nodes) if self.lease.sharing else 0
            for bind in lane.binds:
                if grow or share < bind.licence.parts_per_s:
                    bind.licence.set_limit(share)
                    bind.recovery.full = float(max(1, share))
                bind.licence.hold_until(self.lease.quiet_until)
            lane.wake()
