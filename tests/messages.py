"""Values for the tests of the outbox and the sender."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.model import IncomingReceipt, MessageKind, MessageState, NewMessage, PartState, SubmitOutcome

#: A working day, ten in the morning in Vietnam.
NOW = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)


def new_message(receipt_code: str, **changes: Any) -> NewMessage:
    """A held notice of one part to operator "viettel"; name what is to differ."""
    values: dict[str, Any] = {
        "source": "qn",
        "receipt_code": receipt_code,
        "kind": MessageKind.RESULT_READY,
        "occasion": "1",
        "state": MessageState.HELD,
        "reason": "",
        "template_id": "result_ready",
        "template_version": "rollout_2017",
        "text": f"Ho so {receipt_code} da co ket qua",
        "coding": "gsm7",
        "parts": 1,
        "source_addr": "MotcuaSMS",
        "destination_addr": "84905123456",
        "route": "viettel",
        "priority": 5,
        "not_before": NOW,
        "expires_at": None,
    }
    return NewMessage(**{**values, **changes})


def outcome(message_id: int, state: PartState, part: int = 1, **changes: Any) -> SubmitOutcome:
    """An outcome on bind "viettel-1"; an accepted one with the id "s<message>-<part>"."""
    values: dict[str, Any] = {"message_id": message_id, "part": part, "bind": "viettel-1", "state": state, "at": NOW}
    if state is PartState.ACCEPTED:
        values |= {"smsc_message_id": f"S{message_id}-{part}", "command_status": 0}
    return SubmitOutcome(**{**values, **changes})


def receipt(smsc_message_id: str, state: PartState | None = PartState.DELIVERED, **changes: Any) -> IncomingReceipt:
    """A receipt of operator "viettel" for 84905123456 that names its message's id as given."""
    stats = {
        PartState.DELIVERED: "DELIVRD",
        PartState.UNDELIVERED: "UNDELIV",
        PartState.EXPIRED: "EXPIRED",
        None: "ENROUTE",
    }
    values: dict[str, Any] = {
        "route": "viettel",
        "bind": "viettel-1",
        "smsc_message_id": smsc_message_id,
        "id_keys": (smsc_message_id,) if smsc_message_id else (),
        "state": state,
        "stat": stats.get(state, "REJECTD"),
        "error": "000",
        "destination_addr": "84905123456",
        "user_message_reference": None,
        "done_at": NOW,
        "received_at": NOW,
    }
    return IncomingReceipt(**{**values, **changes})
