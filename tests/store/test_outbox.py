"""What enters the outbox and what leaves it without being sent, on both databases."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from inline_db import InlineDatabase
from messages import NOW, new_message

from gateway.model import MessageKind, MessageState
from gateway.store import outbox
from gateway.store.schema import message

READY, SUPPLEMENT, APOLOGY = (
    MessageKind.RESULT_READY,
    MessageKind.SUPPLEMENT_NEEDED,
    MessageKind.APOLOGY_DUE_TOMORROW,
)


def states(db: InlineDatabase) -> list[tuple[str, str]]:
    def query(conn: sa.Connection) -> list[tuple[str, str]]:
        return [(row.state, row.reason) for row in conn.execute(sa.select(message).order_by(message.c.id))]

    return db.do(query)


def test_insert_gives_ids_in_order(inline_db: InlineDatabase) -> None:
    ids = inline_db.do(outbox.insert_messages_txn, [new_message(str(n)) for n in range(5)], NOW)
    assert all(ids)
    codes = inline_db.do(lambda conn: {r.id: r.receipt_code for r in conn.execute(sa.select(message))})
    assert [codes[number] for number in ids] == [str(n) for n in range(5)]
    assert inline_db.do(outbox.insert_messages_txn, [], NOW) == []


def test_nothing_is_announced_twice(inline_db: InlineDatabase) -> None:
    first = new_message("1", occasion="1")
    again = new_message("1", occasion="2")
    assert inline_db.do(outbox.insert_messages_txn, [first, first, again], NOW)[1] is None
    ids = inline_db.do(outbox.insert_messages_txn, [first, new_message("2"), again], NOW)
    assert [number is None for number in ids] == [True, False, True]
    assert len(states(inline_db)) == 3


def test_insert_keeps_every_value(inline_db: InlineDatabase) -> None:
    item = new_message("000.00.01.H32-260102-0001", expires_at=NOW + timedelta(days=2), text="Hồ sơ đã có kết quả")
    (number,) = inline_db.do(outbox.insert_messages_txn, [item], NOW)
    row = inline_db.do(lambda conn: conn.execute(sa.select(message).where(message.c.id == number)).one())
    for name in ("source", "receipt_code", "occasion", "text", "coding", "parts", "route", "priority", "expires_at"):
        assert getattr(row, name) == getattr(item, name)
    assert (row.state, row.created_at, row.state_at, row.attempts, row.possible_duplicate) == (
        "held",
        NOW,
        NOW,
        0,
        False,
    )


def test_cancel_takes_only_what_has_not_left(inline_db: InlineDatabase) -> None:
    inline_db.do(
        outbox.insert_messages_txn,
        [
            new_message("1", kind=READY),
            new_message("1", kind=SUPPLEMENT, state=MessageState.QUEUED),
            new_message("1", kind=APOLOGY),
            new_message("1", kind=READY, occasion="2", state=MessageState.SENDING),
            new_message("2", kind=READY),
        ],
        NOW,
    )
    cancelled = inline_db.do(outbox.cancel_notices_txn, "qn", "1", {READY, SUPPLEMENT}, "state_reverted", NOW)
    assert [kind for _, kind in cancelled] == [READY, SUPPLEMENT]
    assert [state for state, _ in states(inline_db)] == ["cancelled", "cancelled", "held", "sending", "held"]
    assert states(inline_db)[0] == ("cancelled", "state_reverted")
    assert inline_db.do(outbox.cancel_notices_txn, "qn", "1", {READY, SUPPLEMENT}, "state_reverted", NOW) == []


def test_held_messages_go_when_due_by_business_time(inline_db: InlineDatabase) -> None:
    items = [new_message(str(n), not_before=NOW + timedelta(seconds=n)) for n in range(4)]
    inline_db.do(outbox.insert_messages_txn, items, NOW)
    assert inline_db.do(outbox.promote_held_txn, NOW - timedelta(seconds=1), NOW, 100) == 0
    assert inline_db.do(outbox.promote_held_txn, NOW + timedelta(seconds=2), NOW, 2) == 2
    assert inline_db.do(outbox.promote_held_txn, NOW + timedelta(seconds=2), NOW, 2) == 1
    assert [state for state, _ in states(inline_db)] == ["queued", "queued", "queued", "held"]


def test_pending_messages_expire(inline_db: InlineDatabase) -> None:
    soon, later = NOW + timedelta(seconds=1), NOW + timedelta(hours=1)
    items = [
        new_message("1", expires_at=soon),
        new_message("2", expires_at=soon, state=MessageState.QUEUED),
        new_message("3", expires_at=later, state=MessageState.QUEUED),
        new_message("4", expires_at=None, state=MessageState.QUEUED),
        new_message("5", expires_at=soon, state=MessageState.SENDING),
    ]
    ids = inline_db.do(outbox.insert_messages_txn, items, NOW)
    assert inline_db.do(outbox.expire_pending_txn, NOW, NOW, 100) == []
    assert inline_db.do(outbox.expire_pending_txn, soon, NOW, 100) == ids[:2]
    assert states(inline_db) == [
        ("expired", "validity"),
        ("expired", "validity"),
        ("queued", ""),
        ("queued", ""),
        ("sending", ""),
    ]
