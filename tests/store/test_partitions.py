"""Monthly partitions on PostgreSQL: prepared ahead, safe without, dropped as a whole; ids whatever the clocks say."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase
from messages import NOW, new_message, outcome, receipt
from outbox_driver import Outbox
from retention_kit import add_dossier, rows, take, take_all

from gateway.model import MessageState, PartState
from gateway.store import outbox, partitions
from gateway.store.partitions import Month
from gateway.store.receipts import user_message_reference

DAY = timedelta(days=1)
MARCH = Month(2026, 3)


@pytest.fixture
def db(postgres_store_url: str) -> Iterator[InlineDatabase]:
    database = InlineDatabase(postgres_store_url)
    yield database
    database.close()


def count(db: InlineDatabase, table: str) -> int:
    return int(db.do(lambda conn: conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()))


def add(
    db: InlineDatabase, at: datetime, *codes: str, state: MessageState = MessageState.DELIVERED
) -> list[int | None]:
    return db.do(outbox.insert_messages_txn, [new_message(code, state=state) for code in codes], at)


def test_months() -> None:
    assert Month.of(datetime(2026, 1, 31, 23, 59, tzinfo=UTC)) == Month(2026, 1)
    assert Month.of(datetime.fromisoformat("2026-02-01T06:59:59+07:00")) == Month(2026, 1)
    assert (Month(2026, 12).next(), Month(2026, 11).next(2), Month(2026, 1).next(-1)) == (
        Month(2027, 1),
        Month(2027, 1),
        Month(2025, 12),
    )
    assert (MARCH.first_id, MARCH.end_id, MARCH.partition) == (202603 * 10**9, 202604 * 10**9, "message_p202603")
    assert Month.of_id(MARCH.first_id) == Month.of_id(MARCH.end_id - 1) == MARCH
    assert Month.of_id(12_345_678) is None
    assert Month(9999, 12).end_id < 2**53


def test_the_reference_of_a_part_fits_its_field_whatever_the_id() -> None:
    ids = [MARCH.first_id + number for number in range(4096)]
    references = {user_message_reference(number, part) for number in ids for part in (1, 15)}
    assert len(references) == 2 * 4096  # as many as with small ids
    assert max(references) < 2**16


def test_ids_carry_the_month_and_are_never_given_twice(db: InlineDatabase) -> None:
    """Neither at a month's change nor when a clock jumps, forth and back, on two nodes."""
    times = [NOW, NOW + 31 * DAY, NOW, NOW - 400 * DAY, NOW + 3650 * DAY, NOW]
    ids = [number for turn, at in enumerate(times) for number in add(db, at, f"{turn}-a", f"{turn}-b")]
    assert len(set(ids)) == len(ids) == 12
    months = [Month.of_id(number) for number in ids if number is not None]
    assert months == [Month.of(at) for at in times for _ in range(2)]
    march = [number for number in ids if number is not None and Month.of_id(number) == MARCH]
    assert march == sorted(march)


def test_without_a_partition_everything_works(db: InlineDatabase) -> None:
    box = Outbox(db)
    [number] = box.sent("1")
    assert count(db, "message_default") == 1
    box.record(outcome(number, PartState.ACCEPTED))
    db.do(partitions.prepare_txn, NOW)  # moves it while its receipt is on the way
    assert (count(db, "message_default"), count(db, MARCH.partition)) == (0, 1)
    assert box.receive(receipt(f"S{number}-1")).matched == 1
    assert box.state(number) == "delivered"


def test_preparing_is_done_once_and_ahead(db: InlineDatabase) -> None:
    made = db.do(partitions.prepare_txn, NOW)
    assert made == [MARCH, MARCH.next(), MARCH.next(2)]
    assert db.do(partitions.prepare_txn, NOW) == []
    assert db.do(partitions.prepare_txn, NOW + 31 * DAY) == [MARCH.next(3)]
    assert db.do(partitions.strays_txn) == []
    add(db, NOW + 93 * DAY, "1")
    assert count(db, "message_default") == 0
    query = "SELECT count(*) FROM pg_indexes WHERE tablename = %s"
    indexes = [
        db.do(lambda conn, name=name: conn.exec_driver_sql(query, (name,)).scalar())
        for name in ("message", MARCH.partition)
    ]
    assert indexes[0] == indexes[1]


def test_two_nodes_prepare_at_once(db: InlineDatabase) -> None:
    made: list[list[Month]] = []
    failed: list[BaseException] = []

    def prepare() -> None:
        try:
            with db.engine.begin() as conn:
                made.append(partitions.prepare_txn(conn, NOW))
        except sa.exc.SQLAlchemyError as error:
            failed.append(error)

    threads = [threading.Thread(target=prepare) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(months) for months in made) == [0, 3] or len(failed) == 1
    assert set(db.do(partitions.months_txn)) >= {MARCH, MARCH.next(), MARCH.next(2)}


def test_a_lock_that_is_held_is_not_waited_for_long(db: InlineDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT_MS", 50)
    engine = sa.create_engine(db.engine.url)
    with engine.connect() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM message")
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            db.do(partitions.prepare_txn, NOW)
        reader.rollback()
    engine.dispose()
    assert len(db.do(partitions.prepare_txn, NOW)) == 3


def test_a_month_that_is_over_is_dropped_as_a_whole(db: InlineDatabase) -> None:
    db.do(partitions.prepare_txn, NOW)
    box = Outbox(db)
    ended = box.sent("1", "2")
    box.record(*[outcome(number, PartState.REJECTED, reason="x") for number in ended])
    add_dossier(db, "2", "result_ready", NOW)
    april = add(db, NOW + 31 * DAY, "3")
    assert "purge_months" not in take_all(db, datetime(2027, 4, 30, tzinfo=UTC))  # 400 days before: still in March
    changed = take_all(db, datetime(2027, 5, 10, tzinfo=UTC))
    assert changed["purge_months"] == 2
    assert "purge_messages" not in changed
    assert MARCH not in db.do(partitions.months_txn)
    assert rows(db, "message", "id") == [(number,) for number in april]
    assert rows(db, "message_part", "message_id") == []
    assert rows(db, "message_key", "receipt_code") == [("2",), ("3",)]


def test_a_month_with_an_open_message_stays_and_gives_up_the_others(db: InlineDatabase) -> None:
    db.do(partitions.prepare_txn, NOW)
    ended = add(db, NOW, "1", "2")
    [open_] = add(db, NOW, "3", state=MessageState.QUEUED)
    later = datetime(2027, 6, 1, tzinfo=UTC)
    assert take(db, "purge_months", later) == (0, 1)
    assert take(db, "purge_messages", later) == (2, 1)
    assert rows(db, "message", "id") == [(open_,)]
    assert open_ not in ended
    assert MARCH in db.do(partitions.months_txn)


def test_nothing_new_is_dropped_because_a_clock_was_wrong(db: InlineDatabase) -> None:
    """A node whose clock was two years behind wrote into a month that is over; it ends today."""
    box = Outbox(db)
    [number] = add(db, NOW - 730 * DAY, "1", state=MessageState.QUEUED)
    box.now = NOW
    assert [item.id for item in box.claim().messages] == [number]
    box.record(outcome(number or 0, PartState.REJECTED, reason="x"))
    take_all(db, NOW)
    assert rows(db, "message", "id") == [(number,)]


def test_what_was_there_before_the_partitions_is_dropped_when_it_is_old(db: InlineDatabase) -> None:
    def as_before(conn: sa.Connection) -> None:
        end = 190001 * 10**9
        conn.exec_driver_sql(f"CREATE TABLE message_before PARTITION OF message FOR VALUES FROM (MINVALUE) TO ({end})")

    db.do(as_before)
    add(db, NOW, "1", "2")
    db.do(lambda conn: conn.exec_driver_sql(f"UPDATE message SET id = id - {MARCH.first_id}"))
    db.do(lambda conn: conn.exec_driver_sql(f"UPDATE message_key SET message_id = message_id - {MARCH.first_id}"))
    assert count(db, "message_before") == 2
    assert take(db, "purge_months", NOW + 399 * DAY) == (0, 1)
    assert take(db, "purge_months", NOW + 401 * DAY)[0] == 2
    assert rows(db, "message", "id") == rows(db, "message_key", "receipt_code") == []
    assert not db.do(lambda conn: sa.inspect(conn).has_table("message_before"))


def test_statements_that_name_their_messages_touch_their_months_only(db: InlineDatabase) -> None:
    db.do(partitions.prepare_txn, NOW)
    [number] = add(db, NOW, "1")
    query = f"EXPLAIN UPDATE message SET reason = 'x' WHERE id = ANY(ARRAY[{number}]::bigint[])"
    plan = "\n".join(db.do(lambda conn: list(conn.exec_driver_sql(query).scalars())))
    assert MARCH.partition in plan
    assert MARCH.next().partition not in plan
