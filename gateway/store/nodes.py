"""Nodes and their leases.

A node is one daemon; each of its lives is an incarnation with a name of its own. Messages are claimed by an incarnation
("name/incarnation"), and the incarnation's lease (``node.alive_until``) is the lease on all that it has claimed: one row
to renew, however many messages. When the lease runs out, other nodes make its messages ``unknown``: nobody knows which of
them left. A daemon that starts does so at once with what its own earlier life left behind.

A node whose lease ran out while it lives (a stall, a store that was away) must not send what it still has in hand; it
asks :func:`heartbeat_txn` first. Whether a lease has lapsed is decided once: a renewal and a takeover lock the node's
row, so either the renewal comes first and there is no takeover, or the renewal learns of it (``Heartbeat.lapsed``).

Leases go by the database's clock (:mod:`gateway.store.lease_clock`); the clocks of the nodes do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.model import MessageState
from gateway.store.lease_clock import lease_now, lease_times
from gateway.store.schema import message, node
from gateway.store.states import state_is


@dataclass(frozen=True, slots=True)
class Registered:
    """What a daemon finds when it starts."""

    doubtful: int  # messages of its earlier life that are now unknown
    unclean: bool  # the earlier life may have sent something a moment ago


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a node learns when it renews its lease."""

    live_nodes: int  # this one included
    rank: int  # how many of them have a name before this one's: shares that do not divide evenly go by it
    lapsed: bool  # the lease had run out before: others may have taken over
    others: Mapping[str, datetime]  # the other live nodes as claimants, and until when their leases run


def node_id(name: str, incarnation: str) -> str:
    """What stands in message.node. Names have no "/" (settings)."""
    return f"{name}/{incarnation}"


def register_node_txn(
    conn: Connection, name: str, incarnation: str, now: datetime, alive_until: datetime
) -> Registered:
    """Begin a life. What the earlier life of this name had claimed becomes unknown at once.

    ``now`` and ``alive_until`` are the caller's; what is stored lasts as long, by the clock of leases.
    """
    moment, until = lease_times(conn, now, alive_until)
    earlier = conn.execute(sa.select(node.c.incarnation).where(node.c.name == name)).scalar_one_or_none()
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    values = {"incarnation": incarnation, "started_at": moment, "alive_until": until}
    insert = dialect.insert(node).values(name=name, **values)
    conn.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))
    mine = node_id(name, incarnation)
    claimants = [claimant for claimant in _claimants(conn) if claimant.startswith(f"{name}/") and claimant != mine]
    return Registered(_make_unknown(conn, claimants, "restart", now), earlier not in (None, incarnation))


def heartbeat_txn(conn: Connection, name: str, incarnation: str, now: datetime, alive_until: datetime) -> Heartbeat:
    """Renew the lease, by as much as ``alive_until`` lies behind the caller's ``now``.

    Raises:
        StaleStateError: another daemon runs under this name. This one must stop.
    """
    mine = sa.and_(node.c.name == name, node.c.incarnation == incarnation)
    before = conn.execute(sa.select(node.c.alive_until).where(mine).with_for_update()).scalar_one_or_none()
    if before is None:
        raise StaleStateError(f"another daemon has taken over the name of node '{name}'. Give each daemon its own name")
    moment, until = lease_times(conn, now, alive_until)  # after the lock: a takeover may have held it
    conn.execute(sa.update(node).where(mine).values(alive_until=max(before, until)))
    live = {
        row.name: (row.incarnation, row.alive_until)
        for row in conn.execute(sa.select(node).where(node.c.alive_until > moment).order_by(node.c.name))
    }
    rank = sum(other < name for other in live)
    others = {node_id(other, life): end for other, (life, end) in live.items() if other != name}
    return Heartbeat(len(live), rank, before <= moment, others)


def leave_node_txn(conn: Connection, name: str, incarnation: str) -> None:
    """End a life in order: nothing of it is in hand any more."""
    conn.execute(sa.delete(node).where(node.c.name == name, node.c.incarnation == incarnation))


def lapse_leases_txn(conn: Connection, now: datetime, mine: str | None = None) -> int:
    """What dead nodes had claimed: sending → unknown, reason "lease_lapsed". Returns how many.

    A node that is renewing its lease at this moment is not dead: its row is passed over. And ``mine``, the claimant that
    asks, is alive: a clock that was set ahead must not take from it what it is sending.
    """
    moment = lease_now(conn, now)
    lapsed = sa.select(node.c.name).where(node.c.alive_until <= moment).with_for_update(skip_locked=True)
    dead = set(conn.execute(lapsed).scalars())
    live = {
        node_id(name, incarnation)
        for name, incarnation in conn.execute(sa.select(node.c.name, node.c.incarnation))
        if name not in dead
    }
    gone = [claimant for claimant in _claimants(conn) if claimant not in live and claimant != mine]
    return _make_unknown(conn, gone, "lease_lapsed", now)


def forget_nodes_txn(conn: Connection, now: datetime, dead_since: datetime) -> int:
    """Delete nodes that have been dead since before ``dead_since``, seen from the caller's ``now``. Returns how many."""
    _, before = lease_times(conn, now, dead_since)
    return conn.execute(sa.delete(node).where(node.c.alive_until < before)).rowcount


def _claimants(conn: Connection) -> list[str]:
    """Who has messages in hand: a walk over the small index of what is being sent."""
    query = sa.select(message.c.node).where(state_is(MessageState.SENDING), message.c.node.is_not(None)).distinct()
    return [str(claimant) for (claimant,) in conn.execute(query)]


def _make_unknown(conn: Connection, claimants: list[str], reason: str, now: datetime) -> int:
    changed = 0
    for claimant in claimants:
        changed += conn.execute(
            sa.update(message)
            .where(state_is(MessageState.SENDING), message.c.node == claimant)
            .values(state=MessageState.UNKNOWN.value, reason=reason, state_at=now)
        ).rowcount
    return changed
