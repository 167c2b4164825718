"""One query in a store, from its deliver_sm to the outcome of its charge."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from gateway.model import (
    ChargeDecision,
    ChargeState,
    IncomingMo,
    MessageKind,
    MessageState,
    NewMessage,
    QueryResult,
    ReplyKind,
)
from gateway.store.answers import ReplyTo, reply_mos_txn
from gateway.store.inbox import Admission, record_mo_txn
from gateway.store.ledger import move_txn
from gateway.store.schema import message_part


def a_story(conn: Connection, route: str, at: datetime) -> int:
    """The query's number; a second passes between MO, reply, answer and receipt."""
    second = timedelta(seconds=1)
    mo = IncomingMo(route, "v1", "84905123456", "8083", "MCKH 0101701234", b"MCKH 0101701234", 0, "m-77", at, "key")
    recorded = record_mo_txn(
        conn,
        Admission(
            mo=mo,
            earlier_key="earlier",
            repeat_since=at,
            service="mckh",
            result=QueryResult.OK,
            code="0101701234",
            ignore_reason="",
            profile="tlv",
            amount_vnd=1000,
            link="m-77",
            lapses_at=at + 5 * second,
            day_start=at,
            hour_start=at,
        ),
    )
    reply = NewMessage(
        source="mo",
        receipt_code=str(recorded.mo_id),
        kind=MessageKind.MO_REPLY,
        occasion="",
        state=MessageState.QUEUED,
        reason="",
        template_id="mo_reply_status",
        template_version="rollout_2017",
        text="Ho so cua quy Ong/Ba (0101701234) ...",
        coding="gsm7",
        parts=1,
        source_addr="8083",
        destination_addr="84905123456",
        route=route,
        priority=0,
        not_before=at,
        expires_at=None,
        mo_id=recorded.mo_id,
        charge_decision=ChargeDecision.CHARGE,
        charge_link="m-77",
    )
    answer = ReplyTo(
        recorded.mo_id,
        reply,
        kind=ReplyKind.STATUS,
        decision=ChargeDecision.CHARGE,
        reason="mo_reply_status",
        found_in="khanh-son",
        lookup_ms=12,
    )
    reply_mos_txn(conn, [answer], at + second)
    conn.execute(
        message_part.insert().values(
            message_id=1,
            part=1,
            state="delivered",
            bind="v1",
            route=route,
            smsc_message_id="s-1",
            command_status=0,
            answered_at=at + 2 * second,
            final_at=at + 3 * second,
            receipt_stat="DELIVRD",
            receipt_error="000",
        )
    )
    move_txn(conn, recorded.mo_id, ChargeState.CHARGED, at + 2 * second, reason="response:ESME_ROK", outcome_raw="0x0")
    return recorded.mo_id
