"""Handsets as the page shows them: what they sent and received, in one conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.inbox import InboxMessage
from simulator.mo import Mo
from simulator.phones import international

if TYPE_CHECKING:
    from simulator.simulator import Simulator


def handset_list(simulator: Simulator, limit: int) -> dict[str, Any]:
    """The handsets with the newest messages, newest first."""
    handsets: dict[str, dict[str, Any]] = {}
    for number, at, parts in simulator.world.inbox.newest(limit):
        handsets[number] = {"number": number, "last_at": round(at, 4), "received_parts": parts, "sent": 0}
    for number in simulator.mos.newest_phones(limit):
        mos = simulator.mos.of(number)
        one = handsets.setdefault(number, {"number": number, "last_at": 0.0, "received_parts": 0, "sent": 0})
        one["last_at"] = max(one["last_at"], round(mos[-1].at, 4))
        one["sent"] = len(mos)
    newest = sorted(handsets.values(), key=lambda one: one["last_at"], reverse=True)
    return {"handsets": newest[:limit]}


def conversation(simulator: Simulator, number: str, limit: int) -> dict[str, Any]:
    """One handset: its operator, its balance there, its newest messages, oldest first."""
    phone = number if number in simulator.world.inbox else international(number)
    messages = [_received(message) for message in simulator.world.inbox.messages(phone)]
    messages += [_sent(mo) for mo in simulator.mos.of(phone)]
    messages.sort(key=lambda message: message["at"])
    account = simulator.account_of_phone(phone)
    return {
        "number": phone,
        "account": account.name,
        "balance_vnd": account.charging.balance(phone) if account.charging is not None else None,
        "messages": messages[-limit:] if limit else [],
    }


def _received(message: InboxMessage) -> dict[str, Any]:
    return {
        "kind": "received",
        "at": round(message.at, 4),
        "sender": message.sender,
        "text": message.text,
        "parts": message.parts,
        "missing": list(message.missing),
        "copy": message.copy,
        "account": message.account,
        "message_ids": list(message.message_ids),
        "data_coding": message.data_coding,
    }


def _sent(mo: Mo) -> dict[str, Any]:
    answers = [part.answered_at for part in mo.parts if part.answered_at is not None]
    refused = next((part.status for part in mo.parts if part.status), None)
    values = mo.as_dict()
    return {
        "kind": "sent",
        "at": values["at"],
        "id": mo.id,
        "to": mo.request.to,
        "text": mo.request.text,
        "parts": len(mo.parts),
        "copies": mo.request.copies,
        "account": mo.account,
        "state": mo.state,
        "status_name": next((part["status_name"] for part in values["parts"] if part["status"] == refused), None)
        if refused is not None
        else None,
        "answered_after_s": round(max(answers) - mo.at, 4) if answers and mo.settled else None,
    }
