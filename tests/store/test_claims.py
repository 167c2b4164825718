"""Claims, on both databases: order, limits, expiry, and several nodes at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from inline_db import InlineDatabase
from messages import NOW, outcome
from outbox_driver import NODE, Outbox

from gateway.db import make_engine
from gateway.model import ChargeDecision, MessageKind, MessageState, PartState
from gateway.store import claims
from gateway.store.schema import message


def test_claim_is_by_priority_then_by_age(inline_db: InlineDatabase) -> None:
    box = Outbox(inline_db)
    notices = box.add("1", "2", "3")
    replies = box.add("4", "5", priority=0, kind=MessageKind.MO_REPLY)
    assert [item.id for item in box.claim(3).messages] == [*replies, notices[0]]
    assert [item.id for item in box.claim(3).messages] == notices[1:]
    assert box.claim(3).messages == ()


def test_claimed_message_has_all_that_the_sender_needs(inline_db: InlineDatabase) -> None:
    box = Outbox(inline_db)
    expires_at = NOW + timedelta(minutes=5)
    box.add(
        "1",
        kind=MessageKind.MO_REPLY,
        text="Hồ sơ của ông/bà",
        coding="ucs2",
        priority=0,
        expires_at=expires_at,
        mo_id=77,
        charge_decision=ChargeDecision.REFUND,
        charge_link="mo-1",
        source_addr="8083",
    )
    (item,) = box.claim().messages
    assert (item.kind, item.text, item.coding, item.parts) == (MessageKind.MO_REPLY, "Hồ sơ của ông/bà", "ucs2", 1)
    assert (item.source_addr, item.destination_addr, item.route) == ("8083", "84905123456", "viettel")
    assert (item.attempts, item.possible_duplicate, item.parts_done) == (1, False, ())
    assert (item.mo_id, item.charge_decision, item.charge_link) == (77, ChargeDecision.REFUND, "mo-1")
    assert (item.expires_at, item.priority) == (expires_at, 0)
    seen = box.see(item.id)
    assert (seen.state, seen.node, seen.attempts) == ("sending", NODE, 1)


def test_claim_leaves_other_routes_states_and_times(inline_db: InlineDatabase) -> None:
    box = Outbox(inline_db)
    box.add("1", route="vinaphone")
    box.add("2", state=MessageState.HELD)
    box.add("3", not_before=NOW + timedelta(seconds=1))
    assert box.claim().messages == ()
    assert box.claim(0, route="vinaphone").messages == ()
    box.later(seconds=1)
    assert len(box.claim().messages) == 1


def test_limit_counts_parts_of_whole_messages(inline_db: InlineDatabase) -> None:
    box = Outbox(inline_db)
    first, second, third = box.add("1", "2", "3", parts=3)
    assert [item.id for item in box.claim(7).messages] == [first, second]
    assert [item.id for item in box.claim(1).messages] == [third], "a message longer than the window still leaves"


def test_expired_messages_end_at_the_claim(inline_db: InlineDatabase) -> None:
    box = Outbox(inline_db)
    late, good = box.add("1", expires_at=NOW) + box.add("2", expires_at=NOW + timedelta(seconds=1))
    claim = box.claim()
    assert (claim.expired, [item.id for item in claim.messages]) == ((late,), [good])
    assert (box.state(late), box.see(late).reason, box.see(late).node) == ("expired", "validity", None)


def test_parts_that_the_smsc_has_are_never_claimed_again(inline_db: InlineDatabase) -> None:
    box = Outbox(inline_db)
    (number,) = box.sent("1", parts=3)
    box.record(outcome(number, PartState.ACCEPTED, 2), outcome(number, PartState.PENDING, 1, reason="throttled"))
    assert (box.state(number), box.see(number).reason) == ("queued", "throttled")
    (item,) = box.claim().messages
    assert (item.parts_done, item.attempts) == ((2,), 1), "what never left is no attempt"
    box.record(outcome(number, PartState.PENDING, 1, reason="status:ESME_RSYSERR", command_status=8))
    assert box.see(number).attempts == 1


def test_strays_are_given_back_and_nothing_else(inline_db: InlineDatabase) -> None:
    box = Outbox(inline_db)
    stray, known = box.sent("1", "2")
    (other,) = box.add("3")
    box.claim(node="node-2/b")
    box.later(seconds=10)
    (fresh,) = box.sent("4")
    before = box.now - timedelta(seconds=5)
    assert inline_db.do(claims.release_strays_txn, NODE, [known], before, box.now) == 1
    assert [box.state(number) for number in (stray, known, other, fresh)] == ["queued", "sending", "sending", "sending"]


def test_claim_uses_the_partial_index(sqlite_store_url: str) -> None:
    """A backlog of a million must not slow the claim: no scan, no sort of the table."""
    engine = make_engine(sqlite_store_url)
    seen: list[tuple[str, Any]] = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def remember(_conn: Any, _cursor: Any, text: str, values: Any, _context: Any, _many: bool) -> None:
        seen.append((text, values))

    with engine.begin() as connection:
        claims.claim_txn(connection, route="viettel", node=NODE, limit_parts=5, now=NOW, business_now=NOW)
        text, values = seen[-1]
        steps = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
    engine.dispose()
    assert any("USING INDEX ix_message_claim (route=?)" in step for step in steps), steps
    assert not any(step.startswith("SCAN message") for step in steps), steps


def test_two_nodes_never_claim_the_same_message(postgres_store_url: str) -> None:
    """SKIP LOCKED: claims of two nodes in open transactions do not wait for each other and do not overlap."""
    db = InlineDatabase(postgres_store_url)
    Outbox(db).add(*[str(n) for n in range(10)])
    engine = make_engine(postgres_store_url, readers=2)
    times = {"now": NOW, "business_now": NOW}
    with engine.begin() as one, engine.begin() as two:
        first = claims.claim_txn(one, route="viettel", node="node-1/a", limit_parts=4, **times)
        second = claims.claim_txn(two, route="viettel", node="node-2/b", limit_parts=4, **times)
    assert len(first.messages) == 4
    assert len(second.messages) == 4
    assert not {item.id for item in first.messages} & {item.id for item in second.messages}
    engine.dispose()
    db.close()


def test_many_nodes_share_a_queue_without_overlap(postgres_store_url: str) -> None:
    db = InlineDatabase(postgres_store_url)
    ids = Outbox(db).add(*[str(n) for n in range(300)])
    engine = make_engine(postgres_store_url, readers=4)
    taken: dict[str, list[int]] = {}

    def work(node: str) -> None:
        mine: list[int] = []
        while True:
            with engine.begin() as connection:
                claim = claims.claim_txn(
                    connection, route="viettel", node=node, limit_parts=7, now=NOW, business_now=NOW
                )
            if not claim.messages:
                break
            mine += [item.id for item in claim.messages]
        taken[node] = mine

    threads = [threading.Thread(target=work, args=(f"node-{n}/x",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = sorted(number for mine in taken.values() for number in mine)
    assert everything == sorted(set(everything))
    # SKIP LOCKED may leave rows that another claim held at the moment: the next claim takes them
    rest = Outbox(db).claim(1000).messages
    assert sorted([*everything, *[item.id for item in rest]]) == ids
    with engine.connect() as connection:
        for node, mine in taken.items():
            query = sa.select(sa.func.count()).where(message.c.node == node)
            assert connection.execute(query).scalar_one() == len(mine)
    engine.dispose()
    db.close()
