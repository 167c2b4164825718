"""The sending half as one: started, shared between nodes, woken, drained. Real clients and SMSC on loopback at the end."""

from __future__ import annotations

import random
from typing import Any

import pytest
from fake_esme import FakeEsme
from inline_db import InlineDatabase
from mt_rig import WallClock, operator_settings
from outbox_driver import Outbox
from twisted.internet.task import Clock

from gateway.mt import operator
from gateway.mt.hooks import ReplyHooks
from gateway.mt.lease import NodeLease
from gateway.mt.service import MtService
from gateway.settings import GatewaySettings


class Daemon:
    """The service of one node with fake clients."""

    def __init__(self, db: InlineDatabase, reactor: Clock, name: str, licence: int = 10) -> None:
        self.reactor = reactor
        self.clock = WallClock(reactor)
        settings = GatewaySettings.model_validate(
            {
                "node": name,
                "operators": {
                    "viettel": operator_settings({"window": 50}, carriers=["Viettel"], licence_parts_per_s=licence),
                    "vinaphone": operator_settings({"window": 50, "name": "v1"}, default=True),
                },
            }
        )
        lease = NodeLease(reactor, self.clock, db, name, "i" + name, settings.lease_s, lambda _reason: None)
        self.service = MtService(
            reactor,
            self.clock,
            db,
            settings,
            lease,
            ReplyHooks(),
            lambda *_: None,
            lambda _bind: lambda: None,  # type: ignore[arg-type, return-value]
            random.Random(1),
        )
        self.clients: dict[str, FakeEsme] = {
            client.name: client
            for link in self.service.links.values()
            for client in link._settings
            if isinstance(client, FakeEsme)
        }

    def up(self) -> None:
        for client in self.clients.values():
            client.up()

    def answer(self) -> None:
        for client in self.clients.values():
            client.answer()


@pytest.fixture
def fake_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator.OperatorLink.__init__, "__defaults__", (FakeEsme, ()))


@pytest.fixture
def db(sqlite_store_url: str) -> Any:
    database = InlineDatabase(sqlite_store_url)
    yield database
    database.close()


def pump(reactor: Clock, seconds: float, *daemons: Daemon) -> None:
    for _ in range(int(seconds * 100)):
        reactor.advance(0.01)
        reactor.advance(0)
        for daemon in daemons:
            daemon.answer()


@pytest.mark.usefixtures("fake_clients")
def test_each_operator_has_its_lane(db: InlineDatabase) -> None:
    reactor, box = Clock(), Outbox(db)
    daemon = Daemon(db, reactor, "node-1")
    daemon.service.start()
    daemon.up()
    ids = box.add("1") + box.add("2", route="vinaphone")
    daemon.service.wake()
    reactor.pump([0, 0, 0])
    assert [len(client.sent) for client in daemon.clients.values()] == [1, 1]
    assert daemon.service.in_hand == set(ids)
    assert [(status.route, status.bind, status.bound) for status in daemon.service.status()] == [
        ("viettel", "b1", True),
        ("vinaphone", "v1", True),
    ]


@pytest.mark.usefixtures("fake_clients")
def test_drain_in_order(db: InlineDatabase) -> None:
    reactor, box = Clock(), Outbox(db)
    daemon = Daemon(db, reactor, "node-1")
    daemon.service.start()
    daemon.up()
    ids = box.add("1", "2")
    daemon.service.wake()
    reactor.pump([0, 0, 0])
    drained = daemon.service.drain(15.0)
    reactor.pump([0, 0, 0])
    assert not drained.called
    assert not any(client.stopped for client in daemon.clients.values()), "answers come before unbind"
    daemon.answer()
    reactor.pump([0, 0, 0])
    assert drained.called
    assert all(client.stopped for client in daemon.clients.values())
    assert [box.state(number) for number in ids] == ["accepted", "accepted"]
    nodes = db.do(lambda conn: conn.exec_driver_sql("SELECT count(*) FROM node").scalar_one())
    assert nodes == 0
    assert reactor.getDelayedCalls() == []


@pytest.mark.usefixtures("fake_clients")
def test_nodes_share_a_licence(db: InlineDatabase) -> None:
    """Invariant 6 over all nodes, also while a node joins and leaves."""
    reactor, box = Clock(), Outbox(db)
    box.add(*[str(n) for n in range(700)])
    one, two = Daemon(db, reactor, "node-1", 11), Daemon(db, reactor, "node-2", 11)
    one.service.start()
    one.up()
    pump(reactor, 5, one)
    two.service.start()
    two.up()
    pump(reactor, 25, one, two)
    one.service.drain(5.0)
    pump(reactor, 30, one, two)
    moments = sorted(moment for daemon in (one, two) for moment, _ in daemon.clients["b1"].sent)
    for index, moment in enumerate(moments):
        inside = sum(1 for other in moments[max(0, index - 30) : index + 1] if other > moment - 1.0)
        assert inside <= 11, f"{inside} parts in the second before {moment}"
    shared = [sum(1 for moment, _ in daemon.clients["b1"].sent if 20 <= moment < 30) for daemon in (one, two)]
    assert shared[0] == pytest.approx(60, abs=2), "six of eleven"
    assert shared[1] == pytest.approx(50, abs=2), "five of eleven"
    alone = sum(1 for moment, _ in two.clients["b1"].sent if 45 <= moment < 55)
    assert alone == pytest.approx(110, abs=2)
    ids = [pdu.short_message for daemon in (one, two) for _, pdu in daemon.clients["b1"].sent]
    assert len(ids) == len(set(ids)), "no message leaves twice"


@pytest.mark.usefixtures("fake_clients")
def test_a_node_that_stood_still_sends_nothing_of_what_was_taken_over(db: InlineDatabase) -> None:
    """As SIGSTOP does it: no turn of the reactor for a minute, then all that was due at once. The renewal may be answered
    before the sender has its turn; it must not find its lease held and go on with what it had in hand."""
    reactor, box = Clock(), Outbox(db)
    box.add(*[str(n) for n in range(60)])
    daemon = Daemon(db, reactor, "node-1", 20)
    daemon.service.start()
    daemon.up()
    pump(reactor, 1.0, daemon)
    client = daemon.clients["b1"]
    in_hand = [number for number in daemon.service.in_hand if box.state(number) == "sending"]
    assert in_hand, "claimed, and waiting for the licence"
    before = len(client.sent)

    # Meanwhile another node makes them unknown, and has them settled.
    expire = "UPDATE node SET alive_until = started_at WHERE name = 'node-1'"
    db.do(lambda conn: conn.exec_driver_sql(expire))
    assert box.lapse() == len(in_hand)
    numbers = ", ".join(map(str, in_hand))
    settled = f"UPDATE message SET state = 'delivered', node = NULL WHERE id IN ({numbers})"
    db.do(lambda conn: conn.exec_driver_sql(settled))
    rest = f"UPDATE message SET state = 'cancelled' WHERE state = 'queued' AND id NOT IN ({numbers})"
    db.do(lambda conn: conn.exec_driver_sql(rest))
    reactor.advance(60.0)
    pump(reactor, 10.0, daemon)
    assert len(client.sent) == before
    assert {box.state(number) for number in in_hand} == {"delivered"}

    more = box.add("60", "61")
    daemon.service.wake()
    pump(reactor, 1.0, daemon)
    assert [box.state(number) for number in more] == ["accepted", "accepted"]
