"""A number that was ported: the operator's answer is learned, the message goes on to the next operator."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase
from mt_rig import Rig, operator_settings

from gateway.model import MessageKind
from gateway.smpp.constants import CommandStatus
from gateway.store.portability import ported_routes_txn
from gateway.store.schema import message

NOT_OURS = 0x0410
NUMBER = "84905123456"


@pytest.fixture
def db(store_url: str) -> Any:
    database = InlineDatabase(store_url)
    yield database
    database.close()


def a_rig(db: InlineDatabase, *others: str) -> Rig:
    rig = Rig(db, operator_settings({"status_actions": {NOT_OURS: "ported"}}))
    rig.link._others = others
    return rig.start()


def route_of(rig: Rig, number: int) -> tuple[str, str, str]:
    def row_txn(conn: sa.Connection) -> tuple[str, str, str]:
        row = conn.execute(sa.select(message).where(message.c.id == number)).one()
        return row.route, row.state, row.reason

    return rig.db.do(row_txn)


def learned(rig: Rig) -> dict[str, str]:
    return rig.db.do(ported_routes_txn, [NUMBER])


def test_the_message_goes_on_and_the_number_is_remembered(db: InlineDatabase) -> None:
    rig = a_rig(db, "vinaphone", "mobifone")
    (number,) = rig.add("1", parts=1)
    rig.esme.answer(NOT_OURS)
    rig.turn()
    assert route_of(rig, number) == ("vinaphone", "queued", "moved:vinaphone")
    assert learned(rig) == {NUMBER: "vinaphone"}


def test_a_reply_never_leaves_its_operator(db: InlineDatabase) -> None:
    rig = a_rig(db, "vinaphone")
    (number,) = rig.add("1", kind=MessageKind.MO_REPLY, mo_id=1)
    rig.esme.answer(NOT_OURS)
    rig.turn()
    assert route_of(rig, number)[:2] == ("viettel", "rejected")
    assert learned(rig) == {}


def test_with_one_operator_the_number_is_nobodys(db: InlineDatabase) -> None:
    rig = a_rig(db)
    (number,) = rig.add("1")
    rig.esme.answer(NOT_OURS)
    rig.turn()
    assert route_of(rig, number) == ("viettel", "rejected", "status:0x00000410")


def test_when_every_operator_has_been_asked_it_ends(db: InlineDatabase) -> None:
    rig = a_rig(db, "vinaphone")
    (number,) = rig.add("1")

    def back_again(conn: sa.Connection) -> None:
        conn.execute(sa.update(message).where(message.c.id == number).values(route="viettel"))

    rig.esme.answer(NOT_OURS)
    rig.turn()
    assert route_of(rig, number)[0] == "vinaphone"
    rig.db.do(back_again)  # as if vinaphone had passed it on in its turn
    rig.lane.wake()
    rig.turn(1.0)
    rig.esme.answer(NOT_OURS)
    rig.turn()
    assert route_of(rig, number)[:2] == ("viettel", "rejected")


def test_other_statuses_teach_nothing(db: InlineDatabase) -> None:
    rig = a_rig(db, "vinaphone")
    (number,) = rig.add("1")
    rig.esme.answer(CommandStatus.ESME_RINVDSTADR)
    rig.turn()
    assert route_of(rig, number)[:2] == ("viettel", "rejected")
    assert learned(rig) == {}
