"""Charging as the rest of the gateway sees it: one object that knows every operator's profile.

A profile says where an operator wants the decision and the link to the MO (:meth:`Charging.decorate`), where it puts the
MO's id (:meth:`Charging.mo_id_of`), and how its answers read (:mod:`gateway.mo.charging.outcomes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar

import structlog
from sqlalchemy.engine import Connection

from gateway.mo.charging.decisions import decide, told
from gateway.mo.charging.fields import from_octets, to_octets
from gateway.mo.charging.outcomes import (
    Settled,
    Verdict,
    judge_receipt,
    judge_response,
    judge_unsent,
    settle_txn,
)
from gateway.mo.charging.tariff import price_vnd
from gateway.model import (
    ChargeDecision,
    ChargeState,
    ClaimedMessage,
    MessageState,
    PartState,
    ReplyKind,
    SettledPart,
    SubmitOutcome,
)
from gateway.settings import BindSettings, ChargingProfile, ChargingSettings, OperatorSettings, TlvField
from gateway.smpp.constants import TlvTag
from gateway.smpp.pdu import DataSm, DeliverSm, SubmitSm, Tlv, tlv
from gateway.store.ledger import (
    Charge,
    charge_txn,
    charges_of_messages_txn,
    lapse_charges_txn,
    open_replies_txn,
    stale_sent_txn,
)

log = structlog.get_logger()

#: The reply ended without a submit_sm_resp that the ledger saw. EXPIRED, REJECTED and CANCELLED before a submit: it never left.
_ENDED_UNSEEN = (MessageState.EXPIRED, MessageState.REJECTED, MessageState.CANCELLED, MessageState.UNKNOWN)
#: Some SMSCs fill the field with zeros where they have no id.
_NO_ID = frozenset("0")
#: Where the MO's id is when the profile does not say.
_MO_ID = TlvField(tag=TlvTag.RECEIPTED_MESSAGE_ID, type="cstring")

Told = TypeVar("Told", SubmitOutcome, SettledPart)


class Charging:
    """The charging rules of all operators."""

    def __init__(self, settings: ChargingSettings, operators: Mapping[str, OperatorSettings]) -> None:
        self._settings = settings
        self._names = {route: operator.charging for route, operator in operators.items()}
        self._default = ChargingProfile()

    # -- before the MO is recorded ------------------------------------------------------------------------------

    def profile_name(self, route: str) -> str:
        """The name of an operator's profile."""
        return self._names.get(route, "none")

    def profile(self, route: str) -> ChargingProfile:
        """An operator's profile; one that writes nothing and believes ESME_ROK when it has none."""
        return self._settings.profiles.get(self.profile_name(route), self._default)

    def mo_id_of(self, route: str, pdu: DeliverSm | DataSm) -> str:
        """The SMSC's id of an MO as text, "" when it gives none."""
        field = self.profile(route).mo_id_tlv or _MO_ID
        octets = tlv(pdu, field.tag)
        given = "" if octets is None else from_octets(field, octets).strip().replace("\0", "")
        return "" if set(given) <= _NO_ID else given

    def price_vnd(self, shortcode: str, on: date) -> int | None:
        """The tariff's price of one MO, see :func:`gateway.mo.charging.tariff.price_vnd`."""
        return price_vnd(self._settings.tariff, shortcode, on)

    # -- with the reply -----------------------------------------------------------------------------------------

    def decide(self, route: str, kind: ReplyKind, *, late: bool) -> ChargeDecision:
        """The decision that goes out with a reply, see :func:`gateway.mo.charging.decisions.decide`."""
        return decide(kind, self._settings.decisions, self.profile(route), late=late)

    def decorate(self, message: ClaimedMessage, bind: BindSettings, pdu: SubmitSm) -> SubmitSm:
        """Write decision and link into a reply's submit_sm; a notice passes unchanged."""
        if message.charge_decision is None:
            return pdu
        profile = self.profile(message.route)
        value = profile.decision_values.get(message.charge_decision, "")
        if profile.decision_service_type:
            pdu = pdu._replace(service_type=value)
        if profile.decision_tlv is not None:
            pdu = _with_tlv(pdu, profile.decision_tlv, value)
        if profile.link_tlv is not None:
            try:
                pdu = _with_tlv(pdu, profile.link_tlv, message.charge_link or "") if message.charge_link else pdu
            except ValueError as error:
                # The SMSC's own id does not fit the field that its operator names: it goes without, and is told.
                log.warning("charge_link_not_written", bind=bind.name, mo=message.mo_id, reason=str(error))
        return pdu

    # -- after the reply ----------------------------------------------------------------------------------------

    def outcome_txn(self, conn: Connection, outcomes: Sequence[SubmitOutcome], now: datetime) -> tuple[Settled, ...]:
        """Settle what submit_sm_resp tell of replies. Runs inside the transaction that records the outcomes.

        Outcomes of notices are skipped, and so is whatever a row's state does not allow: it never raises for a repetition.
        """
        told_now = [outcome for outcome in outcomes if outcome.state is not PartState.PENDING]
        charges = charges_of_messages_txn(conn, [outcome.message_id for outcome in told_now])

        def judge(charge: Charge, decision: ChargeDecision, outcome: SubmitOutcome) -> Verdict | None:
            profile = self.profile(charge.route)
            return judge_response(profile, decision, outcome.state, outcome.command_status, outcome.tlvs)

        return _settle(conn, told_now, charges, judge, now)

    def receipt_txn(self, conn: Connection, receipts: Sequence[SettledPart], now: datetime) -> tuple[Settled, ...]:
        """Settle what final receipts tell of replies; receipts of notices are skipped.

        A receipt that only confirms an outcome changes nothing.
        """
        receipts = [receipt for receipt in receipts if receipt.mo_id is not None]
        charges = charges_of_messages_txn(conn, [receipt.message_id for receipt in receipts])

        def judge(charge: Charge, decision: ChargeDecision, receipt: SettledPart) -> Verdict | None:
            return judge_receipt(self.profile(charge.route), decision, receipt.state, receipt.error)

        return _settle(conn, receipts, charges, judge, now)

    def upkeep_txn(
        self, conn: Connection, now: datetime, *, late_at: datetime, sent_before: datetime
    ) -> tuple[Settled, ...]:
        """What time brings: late replies lose their charge, replies that ended unseen are settled, SENT grows old.

        Args:
            late_at: replies still in the outbox whose deadline lies at or before this lose their charge.
            sent_before: SENT since before this: the operator never told, UNKNOWN.
        """
        late = {name: told(ChargeDecision.NO_CHARGE, profile) for name, profile in self._settings.profiles.items()}
        lapse_charges_txn(conn, now, late_at, late)
        ended = [
            (
                reply.charge,
                Verdict(ChargeState.UNKNOWN, "no_answer")
                if reply.message_state is MessageState.UNKNOWN
                else judge_unsent(self.profile(reply.charge.route), f"reply_{reply.message_state.value}"),
            )
            for reply in open_replies_txn(conn, (ChargeState.DECIDED,), _ENDED_UNSEEN)
        ]
        settled = settle_txn(conn, ended, now)
        for mo_id in stale_sent_txn(conn, sent_before):
            charge = charge_txn(conn, mo_id, for_update=True)
            if charge is not None and charge.state is ChargeState.SENT:
                settled += settle_txn(conn, [(charge, Verdict(ChargeState.UNKNOWN, "outcome_not_told"))], now)
        return tuple(settled)


def log_settled(told: Sequence[object]) -> None:
    """One ``charge_settled`` event for each :class:`Settled` that a ``_txn`` returned; call it after the commit."""
    for change in told:
        if isinstance(change, Settled):
            log.info(
                "charge_settled",
                mo=change.mo_id,
                was=change.from_state.value,
                state=change.charge.state.value,
                amount_vnd=change.charge.amount_vnd,
                reason=change.charge.reason,
            )


def _settle(
    conn: Connection,
    told_now: Sequence[Told],
    charges: dict[int, Charge],
    judge: Callable[[Charge, ChargeDecision, Told], Verdict | None],
    now: datetime,
) -> tuple[Settled, ...]:
    """Settle what was told of replies, all at once; what is told twice of one reply in a second round, and so on."""
    settled: list[Settled] = []
    rest: Sequence[Told] = told_now
    while rest:
        judged: dict[int, tuple[Charge, Verdict | None]] = {}
        later: list[Told] = []
        for told_one in rest:
            charge = charges.get(told_one.message_id)
            if charge is None or charge.decision is None:
                continue
            if told_one.message_id in judged:
                later.append(told_one)
            else:
                judged[told_one.message_id] = charge, judge(charge, charge.decision, told_one)
        changes = settle_txn(conn, list(judged.values()), now)
        after = {change.mo_id: change.charge for change in changes}
        charges |= {number: after.get(charge.mo_id, charge) for number, (charge, _) in judged.items()}
        settled += changes
        rest = later
    return tuple(settled)


def _with_tlv(pdu: SubmitSm, field: TlvField, value: str) -> SubmitSm:
    others = tuple(item for item in pdu.tlvs if item.tag != field.tag)
    return pdu._replace(tlvs=(*others, Tlv(field.tag, to_octets(field, value))))
