"""What the operator did: from the answer to our reply, or from its receipt, to the ledger.

The rules, in the order in which they are asked:

1. What the profile names has the outcome that the profile says: in submit_sm_resp the value of a TLV, then a
   network_error_code, then the command_status; in a receipt its error code.
2. ESME_ROK: the operator did as told (``outcome_of_ok: by_decision``), or will tell later (``unknown`` → SENT).
3. A refusal: the citizen paid and got no answer, so a charge becomes a refund, claimed with the reconciliation. A refused
   "no charge" stays none; a refused refund leaves the money charged.
4. No answer: UNKNOWN, until a late response or a receipt settles it. Any final receipt but REJECTED shows that the operator
   had taken the reply with its decision, whether or not the handset was reached.
5. A reply that never left (expired in the outbox, or it could not be encoded) is our own failure and not charged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from gateway.mo.charging.fields import from_octets
from gateway.model import ChargeDecision, ChargeState, PartState
from gateway.settings import ChargingProfile
from gateway.smpp.constants import TlvTag, status_name
from gateway.smpp.pdu import Tlv
from gateway.store.ledger import Charge, can_move
from gateway.store.ledger_batch import Move, move_charges_txn

#: SMPP 3.4 §5.3.2.31: the type of network, and two octets of its own error code.
_NETWORK_ERROR_OCTETS = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a ledger row should go, and why."""

    state: ChargeState
    reason: str
    raw: str | None = None  # what the outcome was read from
    decision: ChargeDecision | None = None  # when the decision changes with it


@dataclass(frozen=True, slots=True)
class Settled:
    """A change that was made in the ledger."""

    mo_id: int
    from_state: ChargeState
    charge: Charge


def judge_response(
    profile: ChargingProfile,
    decision: ChargeDecision,
    state: PartState,
    command_status: int | None,
    tlvs: tuple[Tlv, ...] = (),
) -> Verdict | None:
    """The verdict of a submit_sm_resp, or of its absence; None when the reply has not gone yet (it is tried again)."""
    if state is PartState.PENDING:
        return None
    if state is PartState.UNKNOWN:
        return Verdict(ChargeState.UNKNOWN, "no_answer")
    if tlvs and (told := _told_by_tlv(profile, tlvs)) is not None:
        return told
    if command_status is not None and command_status in profile.outcome_statuses:
        outcome = ChargeState(profile.outcome_statuses[command_status])
        return Verdict(outcome, f"response:{status_name(command_status)}", f"0x{command_status:08X}")
    if state is PartState.REJECTED and command_status is None:
        return judge_unsent(profile, "reply_not_sent")
    raw = None if command_status is None else f"0x{command_status:08X}"
    name = "" if command_status is None else f":{status_name(command_status)}"
    if state is PartState.REJECTED:
        return _refused(decision, f"reply_refused{name}", raw)
    if profile.outcome_of_ok == "unknown":
        return Verdict(ChargeState.SENT, f"response{name}", raw)
    return Verdict(by_decision(decision), f"response{name}", raw)


def _told_by_tlv(profile: ChargingProfile, tlvs: tuple[Tlv, ...]) -> Verdict | None:
    for tag, octets in tlvs:
        if profile.outcome_tlv is not None and tag == profile.outcome_tlv.tag:
            value = from_octets(profile.outcome_tlv, octets)
            if value in profile.outcome_tlv_values:
                outcome = ChargeState(profile.outcome_tlv_values[value])
                return Verdict(outcome, f"response_tlv:0x{tag:04X}={value}", value)
        if tag == TlvTag.NETWORK_ERROR_CODE and len(octets) == _NETWORK_ERROR_OCTETS:
            code = str(int.from_bytes(octets[1:], "big"))
            for key in (f"{octets[0]}:{code}", code):
                if key in profile.outcome_network_errors:
                    outcome = ChargeState(profile.outcome_network_errors[key])
                    return Verdict(outcome, f"network_error:{key}", f"0x{octets.hex()}")
    return None


def judge_receipt(profile: ChargingProfile, decision: ChargeDecision, state: PartState, error: str) -> Verdict:
    """The verdict of the final delivery receipt of a reply."""
    if error in profile.outcome_errors:
        return Verdict(ChargeState(profile.outcome_errors[error]), f"receipt_error:{error}", error)
    if state is PartState.REJECTED:
        return _refused(decision, "reply_refused:receipt", error or None)
    return Verdict(by_decision(decision), f"receipt:{state.value}", error or None)


def judge_unsent(profile: ChargingProfile, reason: str) -> Verdict:
    """The verdict of a reply that never left: our own failure."""
    if profile.charged_on == "mo":
        return Verdict(ChargeState.REFUNDED, reason, decision=ChargeDecision.REFUND)
    return Verdict(ChargeState.NOT_CHARGED, reason, decision=ChargeDecision.NO_CHARGE)


def by_decision(decision: ChargeDecision) -> ChargeState:
    """The outcome when the operator does as it is told."""
    return {
        ChargeDecision.CHARGE: ChargeState.CHARGED,
        ChargeDecision.NO_CHARGE: ChargeState.NOT_CHARGED,
        ChargeDecision.REFUND: ChargeState.REFUNDED,
    }[decision]


def settle_txn(conn: Connection, judged: Sequence[tuple[Charge, Verdict | None]], now: datetime) -> list[Settled]:
    """Write verdicts into the ledger, at most one for a row; what changed.

    A verdict that changes nothing is left out: a repeated one, or one that was overtaken by a final outcome.

    Raises:
        StaleStateError: a row, read without a lock, has changed since.
    """
    moves = [
        Move(charge, verdict.state, verdict.reason, verdict.decision, verdict.raw)
        for charge, verdict in judged
        if verdict is not None and can_move(charge.state, verdict.state)
    ]
    moved = move_charges_txn(conn, moves, now)
    return [Settled(after.mo_id, move.before.state, after) for move, after in zip(moves, moved, strict=True)]


def _refused(decision: ChargeDecision, reason: str, raw: str | None) -> Verdict:
    if decision is ChargeDecision.CHARGE:
        return Verdict(ChargeState.REFUNDED, reason, raw, ChargeDecision.REFUND)
    if decision is ChargeDecision.REFUND:
        return Verdict(ChargeState.CHARGED, f"refund_refused: {reason}", raw)
    return Verdict(ChargeState.NOT_CHARGED, reason, raw)
