"""Messages of earlier months, and a watch over what retention does to them and to the present, while the day goes on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway.model import MessageKind, MessageState, NewMessage
from gateway.store.outbox import insert_messages_txn
from gateway.store.schema import message

if TYPE_CHECKING:
    from sim_store import Disk
    from sim_world import World

#: No agency's name: whose messages these are.
SOURCE = "past"
#: Age in days → how many; see RetentionSettings: anonymised after 90, deleted after 400.
AGES = {500: 12, 200: 12, 10: 8}
_WATCH = (
    "CREATE TABLE judge_touched (id INTEGER, source TEXT, what TEXT)",
    "CREATE TRIGGER judge_deleted AFTER DELETE ON message BEGIN "
    "INSERT INTO judge_touched VALUES (old.id, old.source, 'deleted'); END",
    "CREATE TRIGGER judge_anonymised AFTER UPDATE OF text, destination_addr ON message "
    "WHEN old.text <> new.text OR old.destination_addr <> new.destination_addr BEGIN "
    "INSERT INTO judge_touched VALUES (old.id, old.source, 'anonymised'); END",
)


def fill(disk: Disk, now: datetime) -> None:
    """Put the past into a fresh store, and watch."""
    with disk.engine.begin() as connection:
        for days, count in AGES.items():
            then = now - timedelta(days=days)
            insert_messages_txn(connection, [_delivered(f"{days}-{number}", then) for number in range(count)], then)
        connection.execute(
            sa.update(message).where(message.c.source == SOURCE).values(state=MessageState.DELIVERED.value)
        )
        for statement in _WATCH:
            connection.exec_driver_sql(statement)


def judge(world: World) -> None:
    """Retention touches what is old, and only that; when its run is over, all of that."""
    for row in world.disk.rows("SELECT DISTINCT id, source, what FROM judge_touched"):
        if row.source != SOURCE:
            world.violated("retention keeps what is young", f"message {row.id} of {row.source} was {row.what}")
    left: dict[int, list[str]] = {days: [] for days in AGES}
    for row in world.disk.rows("SELECT receipt_code, text FROM message WHERE source = :past", past=SOURCE):
        left[int(row.receipt_code.partition("-")[0])].append(row.text)
    young = left[10]
    if len(young) != AGES[10] or "" in young:
        world.violated("retention keeps what is young", f"{len(young)} of {AGES[10]} messages of ten days ago are left")
    if len(left[200]) != AGES[200]:
        world.violated(
            "retention keeps what is young", f"{len(left[200])} of {AGES[200]} messages of 200 days are left"
        )
    if world.history.seen["log/retention_done"] and (left[500] or any(left[200])):
        world.violated("retention ends what is old", f"{len(left[500])} messages of 500 days, {left[200]} of 200")


def _delivered(code: str, then: datetime) -> NewMessage:
    return NewMessage(
        source=SOURCE,
        receipt_code=code,
        kind=MessageKind.RESULT_READY,
        occasion="1",
        state=MessageState.QUEUED,
        reason="",
        template_id="result_ready",
        template_version="rollout_2017",
        text=f"Ho so {code} da co ket qua",
        coding="gsm7",
        parts=1,
        source_addr="MotcuaSMS",
        destination_addr="84971234567",
        route="viettel",
        priority=5,
        not_before=then,
        expires_at=None,
    )
