"""What the tests of the inbox share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from inline_db import InlineDatabase
from sqlalchemy.engine import Connection

from gateway.model import ChargeDecision, IncomingMo, MessageKind, MessageState, NewMessage, QueryResult, ReplyKind
from gateway.store.answers import ReplyTo
from gateway.store.inbox import Admission

NOW = datetime(2026, 3, 5, 3, 0, 30, tzinfo=UTC)
DAY = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)
WINDOW_S = 60.0


def admission(
    at: datetime = NOW, *, source_addr: str = "84905123456", content: str = "MCKH 0101701234", ignore_reason: str = ""
) -> Admission:
    window = int(at.timestamp() // WINDOW_S)
    key = f"viettel||{source_addr}|{content}"
    return Admission(
        mo=IncomingMo(
            "viettel", "viettel-1", source_addr, "8083", content, content.encode(), 0, "", at, f"{key}|{window}"
        ),
        earlier_key=f"{key}|{window - 1}",
        repeat_since=at - timedelta(seconds=WINDOW_S),
        service="mckh",
        result=QueryResult.OK if content.startswith("MCKH") else QueryResult.ERR_KEYWORD,
        code="0101701234",
        ignore_reason=ignore_reason,
        profile="viettel",
        amount_vnd=1000,
        link=None,
        lapses_at=at + timedelta(seconds=5),
        day_start=DAY,
        hour_start=at - timedelta(hours=1),
    )


def count(database: InlineDatabase, table: sa.Table) -> int:
    def rows(conn: Connection) -> int:
        return conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()

    return database.do(rows)


def reply_to(mo_id: int) -> NewMessage:
    return NewMessage(
        source="mo",
        receipt_code=str(mo_id),
        kind=MessageKind.MO_REPLY,
        occasion="",
        state=MessageState.QUEUED,
        reason="",
        template_id="mo_reply_status",
        template_version="1",
        text="x",
        coding="gsm7",
        parts=1,
        source_addr="8083",
        destination_addr="84905123456",
        route="viettel",
        priority=0,
        not_before=NOW,
        expires_at=None,
        mo_id=mo_id,
        charge_decision=ChargeDecision.CHARGE,
    )


def answer_to(mo_id: int) -> ReplyTo:
    return ReplyTo(
        mo_id,
        reply_to(mo_id),
        kind=ReplyKind.STATUS,
        decision=ChargeDecision.CHARGE,
        reason="mo_reply_status",
        found_in="khanh-son",
        lookup_ms=12,
    )
