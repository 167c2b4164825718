"""Housekeeping on a virtual clock and both stores: every message ends, in its time and with a reason (invariant 7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from inline_db import InlineDatabase
from messages import outcome, receipt
from mt_rig import WallClock, operator_settings
from outbox_driver import NODE, Outbox
from structlog.testing import capture_logs
from twisted.internet.task import Clock

from gateway.clock import VIETNAM
from gateway.jobs import housekeeping
from gateway.jobs.housekeeping import Housekeeping
from gateway.model import MessageKind, MessageState, PartState
from gateway.mt.hooks import ReplyHooks
from gateway.settings import GatewaySettings
from gateway.store import nodes, outbox

ACCEPTED, UNKNOWN = PartState.ACCEPTED, PartState.UNKNOWN


class FakeSending:
    """A sender that knows what it has in hand, and hears when it is woken."""

    def __init__(self) -> None:
        self.hooks = ReplyHooks()
        self.in_hand: frozenset[int] = frozenset()
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


class House:
    """Housekeeping, the outbox and the time."""

    def __init__(self, db: InlineDatabase, **settings: Any) -> None:
        self.reactor = Clock()
        self.clock = WallClock(self.reactor)
        self.box = Outbox(db)
        self.db = db
        self.sending = FakeSending()
        values = {"operators": {"viettel": operator_settings()}, **settings}
        self.settings = GatewaySettings.model_validate(values)
        self.keeper = Housekeeping(self.reactor, self.clock, db, self.settings, NODE, self.sending)
        db.do(nodes.register_node_txn, "node-1", "a", self.box.now, self.box.now + timedelta(days=30))
        self.keeper.start()

    def pass_time(self, step: float = 5.0, **duration: float) -> None:
        end = self.reactor.seconds() + timedelta(**duration).total_seconds()
        while self.reactor.seconds() < end:
            self.reactor.advance(min(step, end - self.reactor.seconds()))
        self.box.now = self.clock.now()

    def sent(self, *codes: str, **changes: Any) -> list[int]:
        return self.box.sent(*codes, **changes)


@pytest.fixture
def house(inline_db: InlineDatabase) -> House:
    return House(inline_db)


def test_held_messages_go_in_their_time_and_wake_the_sender(house: House) -> None:
    (number,) = house.box.add("1", state=MessageState.HELD, not_before=house.box.now + timedelta(minutes=10))
    house.pass_time(minutes=9, seconds=50)
    assert (house.box.state(number), house.sending.woken) == ("held", 0)
    house.pass_time(seconds=12, step=1.0)
    assert (house.box.state(number), house.sending.woken) == ("queued", 1)


def test_business_time_decides_what_is_due(house: House) -> None:
    (number,) = house.box.add("1", state=MessageState.HELD, not_before=house.box.now + timedelta(hours=7))
    house.clock.business_offset = timedelta(hours=7)
    house.pass_time(seconds=2, step=1.0)
    assert house.box.state(number) == "queued"


def test_a_large_step_is_repeated_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "LIMIT", 3)
    ids = house.box.add(*[str(n) for n in range(8)], state=MessageState.HELD)
    house.pass_time(seconds=1.5, step=0.5)
    assert [house.box.state(number) for number in ids] == ["queued"] * 8


def test_pending_messages_expire(house: House) -> None:
    (number,) = house.box.add("1", expires_at=house.box.now + timedelta(minutes=1))
    house.pass_time(seconds=70)
    assert (house.box.state(number), house.box.see(number).reason) == ("expired", "validity")


def test_a_dead_node_s_messages_come_into_doubt_and_are_sent_once_more(house: House) -> None:
    (number,) = house.box.add("1")
    house.box.claim(node="node-2/b")
    house.db.do(nodes.register_node_txn, "node-2", "b", house.box.now, house.box.now + timedelta(seconds=20))
    house.pass_time(seconds=18)
    assert house.box.state(number) == "sending"
    house.pass_time(seconds=12)
    assert (house.box.state(number), house.box.see(number).reason) == ("unknown", "lease_lapsed")
    house.pass_time(minutes=16)
    assert (house.box.state(number), house.box.see(number).possible_duplicate) == ("queued", True)


def test_holding_instead_of_sending_again(inline_db: InlineDatabase) -> None:
    house = House(inline_db, doubt={"notices": "hold"})
    (number,) = house.sent("1")
    house.box.record(outcome(number, UNKNOWN, reason="no_answer"))
    house.pass_time(hours=1, step=60)
    assert house.box.state(number) == "unknown"
    house.pass_time(days=3, step=3600)
    assert (house.box.state(number), house.box.see(number).reason) == ("undelivered", "in_doubt")


def test_a_reply_in_doubt_waits_for_its_receipt_and_ends(house: House) -> None:
    (number,) = house.sent("1", mo_id=4, priority=0)
    house.box.record(outcome(number, UNKNOWN, reason="no_answer"))
    house.pass_time(days=2, step=3600)
    assert house.box.state(number) == "unknown"
    house.pass_time(days=1, hours=2, step=3600)
    assert (house.box.state(number), house.box.see(number).reason) == ("undelivered", "in_doubt")


def test_accepted_without_a_receipt_ends(house: House) -> None:
    (number,) = house.sent("1")
    house.box.record(outcome(number, ACCEPTED))
    house.pass_time(days=3, hours=2, step=3600)
    assert (house.box.state(number), house.box.see(number).reason) == ("expired", "no_receipt")


def test_waiting_receipts_are_tried_again_and_told_to_the_ledger(house: House) -> None:
    told: list[int] = []
    heard: list[object] = []

    def receipt_txn(conn: Any, settled: Any, now: Any) -> tuple[object, ...]:
        told.extend(part.message_id for part in settled)
        return ("settled",)

    house.sending.hooks = ReplyHooks(receipt_txn=receipt_txn, committed=heard.extend)
    (number,) = house.sent("1", mo_id=8, priority=0)
    house.box.receive(receipt("Z1"))
    house.box.record(outcome(number, UNKNOWN, reason="link_lost"))
    house.pass_time(seconds=5, step=1.0)
    assert house.box.state(number) == "delivered"
    assert (told, heard) == ([number], ["settled"])


def test_receipts_for_nothing_become_orphans_and_are_purged(house: House) -> None:
    house.box.receive(receipt("none"))
    with capture_logs() as logs:
        house.pass_time(days=1, minutes=5, step=600)
    assert house.box.waiting() == [("none", "orphan")]
    assert [entry["count"] for entry in logs if entry["event"] == "receipt_orphaned"] == [1]
    house.pass_time(days=30, step=6 * 3600)
    assert house.box.waiting() == []


def test_claims_that_nobody_knows_of_are_released(house: House) -> None:
    stray, known = house.sent("1", "2")
    house.sending.in_hand = frozenset({known})
    house.pass_time(seconds=20)
    assert house.box.state(stray) == "sending"
    house.pass_time(seconds=30)
    assert [house.box.state(stray), house.box.state(known)] == ["queued", "sending"]


def test_a_store_that_is_away_only_delays(house: House) -> None:
    (number,) = house.box.add("1", state=MessageState.HELD)
    house.db.broken = True
    with capture_logs() as logs:
        house.pass_time(seconds=3, step=1.0)
    assert {entry["event"] for entry in logs} == {"housekeeping_failed"}
    assert {entry["log_level"] for entry in logs} == {"warning"}
    house.db.broken = False
    house.pass_time(seconds=2, step=1.0)
    assert house.box.state(number) == "queued"


def test_a_fault_in_one_step_does_not_stop_it_or_the_others(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    real = outbox.promote_held_txn

    def broken(*args: Any) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(outbox, "promote_held_txn", broken)
    held, stale = house.box.add("1", state=MessageState.HELD) + house.box.add("2", expires_at=house.box.now)
    with capture_logs() as logs:
        house.pass_time(seconds=6, step=1.0)
    assert any("ZeroDivisionError" in entry.get("failure", "") for entry in logs)
    assert house.box.state(stale) == "expired"
    monkeypatch.setattr(outbox, "promote_held_txn", real)
    house.pass_time(seconds=2, step=1.0)
    assert house.box.state(held) == "queued"


def test_stop_waits_for_what_is_under_way(house: House) -> None:
    house.db.hold()
    house.pass_time(seconds=1.5, step=0.5)
    stopped = house.keeper.stop()
    assert not stopped.called
    house.db.release()
    assert stopped.called
    assert house.reactor.getDelayedCalls() == []


def test_the_backlog_has_an_age(house: House) -> None:
    started = house.box.now
    house.box.add("1", "2")
    house.pass_time(seconds=60)
    house.box.add("3")
    house.box.add("4", state=MessageState.HELD, route="vinaphone", not_before=house.box.now + timedelta(1))
    found = house.db.do(outbox.backlog_txn)
    assert [(item.route, item.state.value, item.messages) for item in found] == [
        ("viettel", "queued", 3),
        ("vinaphone", "held", 1),
    ]
    assert found[0].since == started


def test_every_message_ends(house: House) -> None:
    """Whatever state a message is left in, time alone brings it to an end."""
    later = house.box.now + timedelta(days=2)
    ids = house.sent("1", "2", "3", "4", expires_at=later)
    house.box.record(
        outcome(ids[0], ACCEPTED), outcome(ids[1], UNKNOWN, reason="x"), outcome(ids[2], PartState.PENDING, reason="y")
    )
    ids += house.box.add("5", expires_at=later) + house.box.add("6", state=MessageState.HELD, expires_at=later)
    house.db.do(nodes.leave_node_txn, "node-1", "a")
    house.pass_time(days=10, step=3600)
    seen = [house.box.see(number) for number in ids]
    assert all(MessageState(item.state).final and item.reason for item in seen), seen


def test_what_could_not_leave_by_day_waits_for_the_morning(house: House) -> None:
    """The operator was away all evening: at 23:00 nobody is woken. Replies leave all the same."""
    at_eleven = house.box.now.astimezone(VIETNAM).replace(hour=23, minute=0, second=0, microsecond=0)
    morning = (at_eleven + timedelta(days=1)).replace(hour=7)
    late = house.box.add("1", not_before=at_eleven - timedelta(hours=4))
    retried = house.box.add("2", state=MessageState.HELD, not_before=at_eleven + timedelta(minutes=1))
    kept = [*late, *retried]
    reply = house.box.add("3", kind=MessageKind.MO_REPLY, mo_id=1, priority=0)
    house.clock.business_offset = at_eleven - house.box.now
    house.reactor.advance(0)
    house.pass_time(minutes=2, step=1.0)
    assert [(house.box.see(number).state, house.box.see(number).reason) for number in kept] == [("held", "night")] * 2
    assert {house.box.see(number).not_before for number in kept} == {morning}
    assert house.box.state(reply[0]) == "queued"
    house.clock.business_offset = morning - house.box.now
    house.pass_time(seconds=3, step=1.0)
    assert [house.box.state(number) for number in kept] == ["queued"] * 2


def test_doubts_are_not_resolved_by_sending_at_night(house: House) -> None:
    (number,) = house.sent("1")
    house.box.record(outcome(number, UNKNOWN))
    at_nine = house.box.now.astimezone(VIETNAM).replace(hour=21, minute=0, second=0, microsecond=0)
    house.clock.business_offset = at_nine - house.box.now
    house.pass_time(minutes=30)
    assert house.box.state(number) == "unknown"
    house.clock.business_offset += timedelta(hours=10)
    house.pass_time(seconds=10)
    assert (house.box.state(number), house.box.see(number).possible_duplicate) == ("queued", True)
