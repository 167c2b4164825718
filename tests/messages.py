"""Values for the tests of the outbox and the sender."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.model import MessageKind, MessageState, NewMessage

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
