"""The outbox in monthly partitions (PostgreSQL; SQLite has one table): docs/decisions/0009-monthly-partitions.md.

A message's id carries the month in which it was created: YYYYMM × 10^9 + a counter, in UTC. So the table can be divided by its
primary key, a month is one range of ids, and a month that has ended is dropped as a file is. Ids stay below 2^53.

    message_before     ids of before the partitions (up to 10^9), as they were
    message_p202611    November 2026
    message_default    what has no partition yet: nothing, as long as the months are prepared ahead

Everything works with rows in message_default, only slower; :func:`prepare_txn` gives them their own partitions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import MessageState

#: No country sends as many messages in a month.
IDS_A_MONTH = 10**9
BEFORE, DEFAULT = "message_before", "message_default"
#: Months that are prepared beyond the current one: two, so that a job that fails for four weeks does no harm.
MONTHS_AHEAD = 2
#: How long preparing waits for a lock. Others wait behind it, so it is short; it is tried again.
LOCK_TIMEOUT_MS = 1000

_NAME = re.compile(r"message_(?:before|default|p(\d{6}))")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month in UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, at: datetime) -> Month:
        at = at.astimezone(UTC)
        return cls(at.year, at.month)

    @classmethod
    def of_id(cls, message_id: int) -> Month | None:
        """The month of a message; None when its id is of before the partitions."""
        year, month = divmod(message_id // IDS_A_MONTH, 100)
        return cls(year, month) if year and 1 <= month <= 12 else None

    def next(self, months: int = 1) -> Month:
        year, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return Month(year, month + 1)

    @property
    def number(self) -> int:
        """202611"""
        return self.year * 100 + self.month

    @property
    def first_id(self) -> int:
        return self.number * IDS_A_MONTH

    @property
    def end_id(self) -> int:
        """The first id after it."""
        return self.first_id + IDS_A_MONTH

    @property
    def starts_at(self) -> datetime:
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def partition(self) -> str:
        return f"message_p{self.number:06d}"


def first_id(at: datetime) -> int:
    """The first id of the month of ``at``."""
    return Month.of(at).first_id


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """alembic's ``include_name``: a partition is a part of table message, not a table that the schema lacks."""
    return kind != "table" or name is None or _NAME.fullmatch(name) is None


def months_txn(conn: Connection) -> list[Month]:
    """The months that have a partition, oldest first. None on SQLite."""
    if conn.dialect.name != "postgresql":
        return []
    names = conn.exec_driver_sql(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'message'::regclass"
    )
    found = [match[1] for name in names.scalars() if (match := _NAME.fullmatch(name)) is not None and match[1]]
    return sorted(Month(*divmod(int(digits), 100)) for digits in found)


def strays_txn(conn: Connection) -> list[Month]:
    """The months of which rows lie in message_default: the daily job was not run, or a clock is wrong."""
    if conn.dialect.name != "postgresql":
        return []
    found: list[Month] = []
    after = -1
    while True:  # one step on the primary key for each month
        query = sa.text(f"SELECT min(id) FROM {DEFAULT} WHERE id > :after")
        number = conn.execute(query, {"after": after}).scalar()
        month = None if number is None else Month.of_id(number)
        if month is None:
            return found
        found.append(month)
        after = month.end_id - 1


def prepare_txn(conn: Connection, now: datetime, ahead: int = MONTHS_AHEAD) -> list[Month]:
    """Give the current month, the next ones, and months with rows in message_default their partitions. Returns those made.

    Several nodes may do it at once: one waits for the other. Raises when a lock is not to be had in
    :data:`LOCK_TIMEOUT_MS`, because somebody reads or writes for that long; nothing has changed then.
    """
    if conn.dialect.name != "postgresql":
        return []
    wanted = {Month.of(now).next(step) for step in range(ahead + 1)} | set(strays_txn(conn))
    if not wanted - set(months_txn(conn)):
        return []
    conn.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    conn.exec_driver_sql(f"LOCK TABLE {DEFAULT} IN ACCESS EXCLUSIVE MODE")
    # Looked up again: another node may have held the lock, and nothing comes into message_default any more.
    missing = sorted((wanted | set(strays_txn(conn))) - set(months_txn(conn)))
    for month in missing:
        _create(conn, month)
    conn.exec_driver_sql("SET LOCAL lock_timeout = DEFAULT")
    return missing


def _create(conn: Connection, month: Month) -> None:
    # CREATE TABLE … PARTITION OF would lock the whole outbox; ATTACH only locks message_default.
    name, first, end = month.partition, month.first_id, month.end_id
    conn.exec_driver_sql(f"CREATE TABLE {name} (LIKE {DEFAULT} INCLUDING ALL)")
    conn.exec_driver_sql(
        f"WITH strays AS (DELETE FROM {DEFAULT} WHERE id >= {first} AND id < {end} RETURNING *) "
        f"INSERT INTO {name} SELECT * FROM strays"
    )
    conn.exec_driver_sql(f"ALTER TABLE message ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})")


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of table message that lies wholly before some time."""

    name: str
    end_id: int


def old_partitions_txn(conn: Connection, before: datetime) -> list[Partition]:
    """The partitions in which everything was created before the month of ``before``, by name. None on SQLite."""
    if conn.dialect.name != "postgresql":
        return []
    this = Month.of(before)
    found = [Partition(month.partition, month.end_id) for month in months_txn(conn) if month < this]
    newest = sa.text(f"SELECT max(created_at) FROM {BEFORE}")
    if conn.dialect.has_table(conn, BEFORE) and ((at := conn.execute(newest).scalar()) is None or at < before):
        found.append(Partition(BEFORE, 0))
    return sorted(found, key=lambda part: part.name)


def is_over_txn(conn: Connection, name: str, before: datetime) -> bool:
    """Whether all messages of a partition have ended, and did so before this time. Reads the partition."""
    ended = ", ".join(f"'{state.value}'" for state in MessageState if state.final)
    query = sa.text(f"SELECT NOT EXISTS (SELECT 1 FROM {name} WHERE state NOT IN ({ended}) OR state_at >= :before)")
    return bool(conn.execute(query, {"before": before}).scalar())


def drop_txn(conn: Connection, name: str, before: datetime) -> bool:
    """Drop a partition, unless it has come to hold something that is not over. Locks the outbox for a moment.

    What has ended stays ended, so it is enough to look before the lock is taken. Raises when the lock is not to be had in
    :data:`LOCK_TIMEOUT_MS`.
    """
    if not is_over_txn(conn, name, before):
        return False
    conn.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    conn.exec_driver_sql(f"DROP TABLE {name}")
    conn.exec_driver_sql("SET LOCAL lock_timeout = DEFAULT")
    return True
