"""Long MOs in the store: parts in any order, repeated, missing, of several senders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from inbox_kit import NOW, admission, count
from inline_db import InlineDatabase
from sqlalchemy.engine import Connection

from gateway.model import MoState, QueryResult
from gateway.store.inbox import Admission, RecordedMo
from gateway.store.ledger import charge_txn
from gateway.store.mo_parts import MoPart, record_part_txn, sweep_parts_txn
from gateway.store.schema import charge, charge_journal, mo, mo_part

TIMEOUT_S = 300.0


def part(number: int, text: str, *, total: int = 3, at: datetime = NOW, sender: str = "84905123456") -> MoPart:
    return MoPart("viettel", "viettel-1", sender, "8083", 7, total, number, text.encode(), 0, "", at)


def join(parts: Sequence[MoPart]) -> Admission:
    text = "".join(item.octets.decode() for item in parts)
    return admission(max(item.received_at for item in parts), source_addr=parts[0].source_addr, content=text)


def join_incomplete(parts: Sequence[MoPart]) -> Admission:
    return replace(join(parts), result=QueryResult.ERR_CODE_FORMAT)


def receive(database: InlineDatabase, *parts: MoPart) -> list[RecordedMo | None]:
    return [database.do(record_part_txn, item, TIMEOUT_S, join).recorded for item in parts]


def test_parts_out_of_order_make_one_mo(inline_db: InlineDatabase) -> None:
    waiting, also_waiting, whole = receive(inline_db, part(3, "234"), part(1, "MCKH "), part(2, "0101701"))
    assert waiting is None
    assert also_waiting is None
    assert whole is not None
    assert whole.mo.text == "MCKH 0101701234"
    assert count(inline_db, mo) == 1


def test_parts_of_two_senders_are_not_mixed(inline_db: InlineDatabase) -> None:
    other = "84905000001"
    results = receive(
        inline_db,
        part(1, "MCKH ", total=2),
        part(1, "MCKH 1", total=2, sender=other),
        part(2, "0101701234", total=2),
        part(2, "111111111", total=2, sender=other),
    )
    assert [item.mo.text for item in results if item] == ["MCKH 0101701234", "MCKH 1111111111"]


def test_a_repeated_part_changes_nothing_before_or_after_the_joining(inline_db: InlineDatabase) -> None:
    first, second = part(1, "MCKH ", total=2), part(2, "0101701234", total=2)
    assert inline_db.do(record_part_txn, first, TIMEOUT_S, join).repeated is False
    assert inline_db.do(record_part_txn, first, TIMEOUT_S, join).repeated is True
    assert inline_db.do(record_part_txn, second, TIMEOUT_S, join).recorded is not None
    for again in (second, first, second):
        late = replace(again, received_at=NOW + timedelta(seconds=100))
        result = inline_db.do(record_part_txn, late, TIMEOUT_S, join)
        assert (result.repeated, result.recorded) == (True, None)
    assert count(inline_db, mo) == 1
    assert inline_db.do(sweep_parts_txn, NOW + timedelta(days=1), TIMEOUT_S, join, join_incomplete) == []
    assert count(inline_db, mo_part) == 0


def test_a_reference_number_that_comes_round_again_begins_a_new_mo(inline_db: InlineDatabase) -> None:
    receive(inline_db, part(1, "MCKH ", total=2), part(2, "0101701234", total=2))
    soon, later = NOW + timedelta(seconds=100), NOW + timedelta(seconds=1000)
    results = receive(inline_db, part(1, "MCKH 9", total=2, at=soon), part(2, "999999999", total=2, at=soon))
    assert [item.mo.text for item in results if item] == ["MCKH 9999999999"]
    results = receive(inline_db, part(1, "MCKH 9", total=2, at=later), part(2, "999999999", total=2, at=later))
    assert [item.fresh for item in results if item] == [True]
    assert count(inline_db, mo) == 3


def test_a_missing_part_times_out_visibly(inline_db: InlineDatabase) -> None:
    receive(inline_db, part(1, "MCKH "), part(3, "234"))
    early, late = NOW + timedelta(seconds=299), NOW + timedelta(seconds=301)
    assert inline_db.do(sweep_parts_txn, early, TIMEOUT_S, join, join_incomplete) == []
    [given_up] = inline_db.do(sweep_parts_txn, late, TIMEOUT_S, join, join_incomplete)
    assert (given_up.result, given_up.mo.text, given_up.state) == (
        QueryResult.ERR_CODE_FORMAT,
        "MCKH 234",
        MoState.RECEIVED,
    )
    assert inline_db.do(sweep_parts_txn, late, TIMEOUT_S, join, join_incomplete) == []
    assert inline_db.do(charge_txn, given_up.mo_id) is not None


def test_a_set_that_two_nodes_completed_at_once_is_joined_by_the_sweep(inline_db: InlineDatabase) -> None:
    def both(conn: Connection) -> None:
        for item in (part(1, "MCKH ", total=2), part(2, "0101701234", total=2)):
            record_part_txn(conn, item, TIMEOUT_S, join)
        # as if each node had seen only its own part when it committed
        conn.execute(mo_part.update().values(mo_id=None))
        for table in (charge_journal, charge, mo):
            conn.execute(table.delete())

    inline_db.do(both)
    [joined] = inline_db.do(sweep_parts_txn, NOW + timedelta(seconds=1), TIMEOUT_S, join, join_incomplete)
    assert joined.mo.text == "MCKH 0101701234"
    assert joined.result is QueryResult.OK


def test_parts_that_cannot_be_joined_are_not_acknowledged(inline_db: InlineDatabase) -> None:
    def broken(parts: Sequence[MoPart]) -> Admission:
        raise RuntimeError("a fault of ours")

    receive(inline_db, part(1, "MCKH ", total=2))
    with pytest.raises(RuntimeError):
        inline_db.do(record_part_txn, part(2, "0101701234", total=2), TIMEOUT_S, broken)
    assert count(inline_db, mo_part) == 1
    [whole] = receive(inline_db, part(2, "0101701234", total=2))
    assert whole is not None
