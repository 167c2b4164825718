"""Nodes and their leases.

A node is one daemon; each of its lives is an incarnation with a name of its own. Messages are claimed by an incarnation
("name/incarnation"), and the incarnation's lease (``node.alive_until``) is the lease on all that it has claimed: one row
to renew, however many messages. When the lease runs out, other nodes make its messages ``unknown``: nobody knows which of
them left. A daemon that starts does so at once with what its own earlier life left behind.

A node whose lease ran out while it lives (a stall, a jump of the clock) must not send what it still has in hand; it
asks :func:`heartbeat_txn` first. Clocks of nodes may differ by less than half of ``lease_s``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from gateway.errors import StaleStateError
from gateway.model import MessageState
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


def node_id(name: str, incarnation: str) -> str:
    """What stands in message.node. Names have no "/" (settings)."""
    return f"{name}/{incarnation}"


def register_node_txn(
    conn: Connection, name: str, incarnation: str, now: datetime, alive_until: datetime
) -> Registered:
    """Begin a life. What the earlier life of this name had claimed becomes unknown at once."""
    earlier = conn.execute(sa.select(node.c.incarnation).where(node.c.name == name)).scalar_one_or_none()
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    values = {"incarnation": incarnation, "started_at": now, "alive_until": alive_until}
    insert = dialect.insert(node).values(name=name, **values)
    conn.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))
    mine = node_id(name, incarnation)
    claimants = [claimant for claimant in _claimants(conn) if claimant.startswith(f"{name}/") and claimant != mine]
    return Registered(_make_unknown(conn, claimants, "restart", now), earlier not in (None, incarnation))


def heartbeat_txn(conn: Connection, name: str, incarnation: str, now: datetime, alive_until: datetime) -> Heartbeat:
    """Renew the lease.

    Raises:
        StaleStateError: another daemon runs under this name. This one must stop.
    """
    before = conn.execute(
        sa.select(node.c.alive_until).where(node.c.name == name, node.c.incarnation == incarnation)
    ).scalar_one_or_none()
    if before is None:
        raise StaleStateError(f"another daemon has taken over the name of node '{name}'. Give each daemon its own name")
    conn.execute(
        sa.update(node)
        .where(node.c.name == name, node.c.incarnation == incarnation)
        .values(alive_until=sa.case((node.c.alive_until < alive_until, alive_until), else_=node.c.alive_until))
    )
    live = sorted(conn.execute(sa.select(node.c.name).where(node.c.alive_until > now)).scalars())
    return Heartbeat(len(live), live.index(name) if name in live else len(live), before <= now)


def leave_node_txn(conn: Connection, name: str, incarnation: str) -> None:
    """End a life in order: nothing of it is in hand any more."""
    conn.execute(sa.delete(node).where(node.c.name == name, node.c.incarnation == incarnation))


def lapse_leases_txn(conn: Connection, now: datetime) -> int:
    """What dead nodes had claimed: sending → unknown, reason "lease_lapsed". Returns how many."""
    live = {
        node_id(name, incarnation)
        for name, incarnation in conn.execute(
            sa.select(node.c.name, node.c.incarnation).where(node.c.alive_until > now)
        )
    }
    return _make_unknown(conn, [claimant for claimant in _claimants(conn) if claimant not in live], "lease_lapsed", now)


def forget_nodes_txn(conn: Connection, before: datetime) -> int:
    """Delete nodes that have been dead since before this time. Returns how many."""
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
