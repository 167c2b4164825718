"""The life of one query as a person reads it, and as a program does. Telephone numbers are masked unless asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from gateway.clock import VIETNAM
from gateway.log import mask_number
from gateway.model import ChargeState
from gateway.smpp.constants import status_name
from gateway.store.mo_story import MoStory, StoryPart, StoryReply

#: What each state of the ledger means to somebody who does not know the program.
MEANING = {
    ChargeState.PENDING: "nothing is decided yet",
    ChargeState.DECIDED: "the reply with the decision has not been answered by the operator yet",
    ChargeState.SENT: "the operator took the reply and tells the outcome later",
    ChargeState.CHARGED: "the citizen paid",
    ChargeState.NOT_CHARGED: "the citizen did not pay",
    ChargeState.REFUNDED: "the citizen got the money back, or is to get it back",
    ChargeState.INSUFFICIENT_BALANCE: "the citizen could not pay",
    ChargeState.UNKNOWN: "the operator has not told the outcome",
}


def as_text(story: MoStory, *, full: bool) -> Iterator[str]:
    """Lines, in the order in which things happened."""
    number = story.source_addr if full else mask_number(story.source_addr)
    yield f"Query {story.id}"
    yield f"  {at_text(story.received_at)}  received: {number} to {story.destination_addr}, by {story.bind} ({story.route})"
    repeated = f", sent {story.repeats} more time(s) by the SMSC" if story.repeats else ""
    many = f", in {story.pdus} deliver_sm" if story.pdus > 1 else ""
    yield f"      deliver_sm: SMSC id {story.smsc_message_id or '(none)'}, data_coding 0x{story.data_coding:02X}{many}{repeated}"
    yield f"      octets: {story.octets.hex(' ') or '(none)'}"
    yield f"      text: {story.text or '(could not be read)'}"
    yield f"      read as: {story.result} {story.code or ''}".rstrip() + f", service {story.service or '(none)'}"
    if story.reason:
        yield f"      not answered: {story.reason}"
    if story.replied_at is not None:
        took = f" in {story.lookup_ms} ms" if story.lookup_ms is not None else ""
        where = f"found in {story.found_in}" if story.found_in else "nothing found"
        if story.lookup_ms is None:
            where = "nothing was looked up"
        yield f"  {at_text(story.replied_at)}  looked up: {where}{took}; answer {story.reply_kind}"
    if story.webhook is not None:
        state, attempts, error = story.webhook
        yield f"      to the other service's webhook: {state} after {attempts} attempt(s){f', last: {error}' if error else ''}"
    for reply in story.replies:
        yield from _reply(reply, full)
    if story.charge is not None:
        yield f"  Charge: {story.charge.amount_vnd:,} VND, profile {story.charge.profile}"
        for line in story.journal:
            decision = f", decision {line.decision.value}" if line.decision else ""
            money = f", {line.amount_vnd:+,} VND" if line.amount_vnd else ""
            before = line.from_state.value if line.from_state else "(new)"
            yield f"  {at_text(line.at)}  {before} -> {line.to_state.value}{decision}{money}  [{line.reason}]"
        raw = f"; read from {story.charge.outcome_raw}" if story.charge.outcome_raw else ""
        yield f"  Outcome: {story.charge.state.value}: {MEANING[story.charge.state]}{raw}"


def _reply(reply: StoryReply, full: bool) -> Iterator[str]:
    to = reply.destination_addr if full else mask_number(reply.destination_addr)
    yield f"  {at_text(reply.created_at)}  {reply.kind} {reply.id}: {reply.source_addr} to {to} by {reply.route}"
    yield f"      text: {reply.text}"
    decision = f", decision {reply.decision}" if reply.decision else ""
    link = f", names the query by {reply.link}" if reply.link else ""
    yield f"      template {reply.template}, {reply.coding}{decision}{link}, attempts {reply.attempts}"
    for part in reply.parts:
        yield from part_lines(part)
    why = f" ({reply.reason})" if reply.reason else ""
    yield f"  {at_text(reply.state_at)}  {reply.kind} {reply.id} is {reply.state}{why}"


def part_lines(part: StoryPart) -> Iterator[str]:
    """What became of one submit_sm: its answer and its receipt."""
    if part.answered_at is not None and part.command_status is not None:
        name = status_name(part.command_status)
        identity = f", id {part.smsc_message_id}" if part.smsc_message_id else ""
        yield f"  {at_text(part.answered_at)}  part {part.part} submit_sm_resp on {part.bind}: {name}{identity}"
    elif part.answered_at is not None:
        yield f"  {at_text(part.answered_at)}  part {part.part} on {part.bind or '(no bind)'}: {part.reason or part.state}"
    if part.final_at is not None:
        error = f" err:{part.receipt_error}" if part.receipt_error else ""
        yield f"  {at_text(part.final_at)}  part {part.part} receipt: {part.receipt_stat}{error}"


def as_dict(story: MoStory, *, full: bool) -> dict[str, Any]:
    """For JSON; the names are those of the store."""
    plain: dict[str, Any] = as_plain(story)
    if not full:
        plain["source_addr"] = mask_number(story.source_addr)
        for reply in plain["replies"]:
            reply["destination_addr"] = mask_number(reply["destination_addr"])
    return plain


def as_plain(value: Any) -> Any:
    """Values of the store as JSON has them."""
    if hasattr(type(value), "__dataclass_fields__"):
        return {name: as_plain(getattr(value, name)) for name in type(value).__dataclass_fields__}
    if isinstance(value, dict):
        return {name: as_plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [as_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(VIETNAM).isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value


def at_text(moment: datetime) -> str:
    """A moment to the millisecond, on Vietnam's clocks."""
    return f"{moment.astimezone(VIETNAM):%Y-%m-%d %H:%M:%S.%f}"[:-3]
