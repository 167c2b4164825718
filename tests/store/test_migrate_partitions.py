"""A store in use is carried over to the outbox's keys and monthly partitions (revision 0004), on both databases."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import command
from inline_db import InlineDatabase
from messages import NOW, new_message, outcome, receipt

from gateway.model import MessageState, PartState
from gateway.store import claims, migrate, outbox, outcomes, receipts
from gateway.store.schema import message

STATES = [state.value for state in MessageState]
NODE = "node-1/a"


def go_to(url: str, revision: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        move = command.downgrade if revision == "0003" and migrate.current(url) == "0004" else command.upgrade
        move(migrate._config(connection), revision)
    engine.dispose()


def fill(url: str) -> None:
    """As revision 0003 left a store: a message in each state, their parts, a further id; older ones are purged."""
    engine = sa.create_engine(url)
    tables = sa.MetaData()
    tables.reflect(engine, only=["message", "message_part", "part_key"])
    new = new_message("x")
    with engine.begin() as connection:
        for number, state in enumerate(STATES):
            row = {
                "source": "qn",
                "receipt_code": f"code-{number}",
                "kind": "result_ready",
                "occasion": "1",
                "state": state,
                "reason": f"because-{number}",
                "template_id": new.template_id,
                "template_version": new.template_version,
                "text": f"Hồ sơ {number}",
                "coding": "ucs2",
                "parts": 1,
                "source_addr": "MotcuaSMS",
                "destination_addr": "84905123456",
                "route": "viettel",
                "priority": 5,
                "not_before": NOW.replace(tzinfo=None) if engine.dialect.name == "sqlite" else NOW,
                "created_at": NOW.replace(tzinfo=None) if engine.dialect.name == "sqlite" else NOW,
                "state_at": NOW.replace(tzinfo=None) if engine.dialect.name == "sqlite" else NOW,
                "node": NODE if state == "sending" else None,
                "attempts": 1,
            }
            result = connection.execute(tables.tables["message"].insert().values(row))
            [message_id] = result.inserted_primary_key
            part = {"message_id": message_id, "part": 1, "state": "accepted", "bind": "viettel-1", "route": "viettel"}
            if state in ("accepted", "delivered"):
                keys = {"smsc_message_id": f"S{message_id}-1", "id_key": f"S{message_id}-1"}
                connection.execute(tables.tables["message_part"].insert().values(part | keys))
                key = {"route": "viettel", "id_key": f"again-{message_id}", "message_id": message_id, "part": 1}
                connection.execute(tables.tables["part_key"].insert().values(key))
        last = connection.execute(tables.tables["message"].insert().values(row | {"occasion": "gone"}))
        connection.execute(
            sa.delete(tables.tables["message"]).where(
                tables.tables["message"].c.id == last.inserted_primary_key[0]  # type: ignore[index]
            )
        )
    engine.dispose()


def content(url: str) -> dict[str, list[tuple[Any, ...]]]:
    engine = sa.create_engine(url)
    found = {}
    with engine.connect() as connection:
        for table in ("message", "message_part", "part_key"):
            rows = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
            found[table] = [tuple(row) for row in rows]
    engine.dispose()
    return found


def test_a_store_in_use_is_carried_over(empty_url: str) -> None:
    go_to(empty_url, "0003")
    fill(empty_url)
    before = content(empty_url)
    assert len(before["message"]) == len(STATES)
    assert migrate.upgrade(empty_url) >= "0004"
    assert content(empty_url) == before
    db = InlineDatabase(empty_url)
    try:
        states = dict(enumerate(STATES))
        # every key is known: nothing is announced twice
        again = [new_message(f"code-{number}") for number in states]
        assert db.do(outbox.insert_messages_txn, again, NOW) == [None] * len(states)
        # new messages get new ids, also after those that are purged
        [fresh] = db.do(outbox.insert_messages_txn, [new_message("new", state=MessageState.QUEUED)], NOW)
        assert fresh is not None
        assert fresh > max(row[0] for row in before["message"]) + 1
        # what was queued is claimed, beside what is new, in the order of insertion
        old = next(row[0] for row in before["message"] if "queued" in row)
        claim = db.do(claims.claim_txn, route="viettel", node=NODE, limit_parts=100, now=NOW, business_now=NOW)
        assert [item.id for item in claim.messages] == [old, fresh]
        # outcomes and receipts find their messages, by their first id and by a further one
        recorded = db.do(
            outcomes.record_outcomes_txn,
            NODE,
            [outcome(old, PartState.ACCEPTED), outcome(fresh, PartState.ACCEPTED)],
            NOW,
        )
        assert {change.message_id for change in recorded.changes} == {old, fresh}
        accepted = next(row[0] for row in before["message"] if "accepted" in row)
        arrived = [receipt(f"S{old}-1"), receipt(f"again-{accepted}"), receipt(f"S{fresh}-1")]
        assert db.do(receipts.record_receipts_txn, arrived, NOW).matched == 3
        query = sa.select(message.c.state).where(message.c.id.in_([old, accepted, fresh]))
        assert db.do(lambda conn: list(conn.execute(query).scalars())) == ["delivered"] * 3
    finally:
        db.close()


def test_back_and_forth(empty_url: str) -> None:
    go_to(empty_url, "0003")
    fill(empty_url)
    migrate.upgrade(empty_url)
    db = InlineDatabase(empty_url)
    db.do(outbox.insert_messages_txn, [new_message("new")], NOW)
    db.close()
    before = content(empty_url)
    go_to(empty_url, "0003")
    assert content(empty_url) == before
    migrate.upgrade(empty_url)
    assert content(empty_url) == before
    db = InlineDatabase(empty_url)
    assert db.do(outbox.insert_messages_txn, [new_message("new")], NOW) == [None]
    db.close()
