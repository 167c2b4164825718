"""A process that stands still in the middle of a transaction, with locks on what others want: they wait for seconds, not for hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase
from messages import new_message
from sqlalchemy.engine import Connection

from gateway import db as gateway_db
from gateway.db import make_engine
from gateway.model import MessageState
from gateway.store import claims, nodes, outbox
from gateway.store.schema import message, node


def expire(connection: Connection) -> None:
    """Let the stopped node's lease lapse; waits for its row, but not for ever."""
    connection.execute(sa.text("SET LOCAL lock_timeout = '20s'"))
    lapsed = sa.func.clock_timestamp()
    connection.execute(sa.update(node).where(node.c.name == "stopped").values(alive_until=lapsed))


def test_its_transaction_is_ended_and_its_work_taken_over(
    postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_db, "IDLE_IN_TRANSACTION_MS", 500)
    other = InlineDatabase(postgres_store_url, callers_clock=False)
    now = datetime.now(UTC)
    other.do(nodes.register_node_txn, "other", "b", now, now + timedelta(seconds=60))
    stopped = make_engine(postgres_store_url, readers=0)
    with stopped.begin() as connection:
        nodes.register_node_txn(connection, "stopped", "a", now, now + timedelta(seconds=60))
        outbox.insert_messages_txn(connection, [new_message("1", state=MessageState.QUEUED)], now)
        claims.claim_txn(connection, route="viettel", node="stopped/a", limit_parts=10, now=now, business_now=now)

    # It renews its lease and records something, and is stopped before it commits.
    held = stopped.connect()
    nodes.heartbeat_txn(held, "stopped", "a", now, now + timedelta(microseconds=1))
    held.execute(sa.update(message).values(state_at=now))
    assert other.do(nodes.lapse_leases_txn, now) == 0, "a node that is just renewing is passed over"

    # Whoever wants the same rows has them as soon as the server has ended that transaction.
    other.do(expire)
    assert other.do(nodes.lapse_leases_txn, now) == 1
    with pytest.raises(sa.exc.DBAPIError):
        held.execute(sa.text("SELECT 1"))
    held.invalidate()
    held.close()
    stopped.dispose()
    other.close()
