"""The operator's side of charging: reads the decision in a reply, moves the subscriber's balance, answers with a status.

Telephone subscribers pay for an MO to a shortcode; the provider's reply says whether this one is charged, not charged or
given back. The simulator keeps its own books of it, so that a test can compare them with the provider's ledger.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.smpp.pdu import tlv
from simulator.behaviours.base import Submission
from simulator.settings import ChargingSettings, Decision, Outcome, TlvSettings

_KEPT_MO = 200_000  # the oldest are forgotten; bounds memory


@dataclass(slots=True)
class ChargedMo:
    """One MO that may be charged, and what was decided about it."""

    mo_id: str
    phone: str
    shortcode: str
    at: float
    paid_vnd: int = 0
    outcome: Outcome | None = None
    replies: dict[int, Outcome] = field(default_factory=dict)  # concatenation reference of a long reply: its outcome


@dataclass(slots=True)
class ChargeEntry:
    """One line of the operator's books."""

    at: float
    mo_id: str
    phone: str
    shortcode: str
    decision: str  # "" for what was taken when the handset sent
    outcome: Outcome
    amount_vnd: int  # above 0: taken, below 0: given back
    balance_vnd: int
    status: int


class Charging:
    """A gate: a reply whose charge fails is refused with the outcome's status."""

    name = "charging"
    refuses_at_once = False

    def __init__(self, settings: ChargingSettings) -> None:
        self._settings = settings
        self._shortcodes = frozenset(settings.shortcodes)
        self._rules = [(re.compile(rule.destination), rule.outcome) for rule in settings.rules]
        self._balances = dict(settings.balances)
        self._mos: OrderedDict[str, ChargedMo] = OrderedDict()
        self._newest: dict[tuple[str, str], str] = {}  # (handset, shortcode): its newest MO
        self.entries: deque[ChargeEntry] = deque(maxlen=_KEPT_MO)
        self.outcomes: Counter[Outcome] = Counter()  # of all entries, those that were forgotten included

    def balance(self, phone: str) -> int:
        return self._balances.get(phone, self._settings.balance_vnd)

    def set_balance(self, phone: str, balance_vnd: int) -> None:
        self._balances[phone] = balance_vnd

    def balances(self) -> dict[str, int]:
        """The handsets whose balance is not the default one."""
        return dict(self._balances)

    def mo_sent(self, mo_ids: Sequence[str], phone: str, shortcode: str, at: float) -> bool:
        """A handset sent an MO; a long one has an id for each part. False: the operator does not take it (no balance).

        To a shortcode that is not charged, nothing happens.
        """
        if shortcode not in self._shortcodes:
            return True
        mo = ChargedMo(mo_ids[0], phone, shortcode, at)
        self._newest[phone, shortcode] = mo.mo_id
        for mo_id in mo_ids:
            self._mos[mo_id] = mo
        while len(self._mos) > _KEPT_MO:
            _, oldest = self._mos.popitem(last=False)
            if self._newest.get((oldest.phone, oldest.shortcode)) == oldest.mo_id:
                del self._newest[oldest.phone, oldest.shortcode]
        if self._settings.charge_at == "mo":
            mo.outcome = self._take(mo)
            self._book(mo, "", mo.outcome, mo.paid_vnd, at)
            return mo.outcome == "charged"
        return True

    def judge(self, submission: Submission) -> int:
        pdu = submission.pdu
        if pdu.source_addr not in self._shortcodes:
            return 0
        decision = self._decision(submission)
        link = self._read(submission, self._settings.link_tlv) if self._settings.link_tlv is not None else None
        if link is None and self._settings.link_tlv is None:
            link = self._newest.get((pdu.destination_addr, pdu.source_addr))
        mo = self._mos.get(link) if link is not None else None
        if mo is not None and mo.phone != pdu.destination_addr:
            mo = None  # a link to somebody else's MO
        outcome, amount_vnd, booked = self._settle(submission, mo, decision)
        status = self._settings.statuses.get(outcome, 0)
        balance_vnd = self.balance(pdu.destination_addr)
        if booked:
            whose = mo or ChargedMo(link or "", pdu.destination_addr, pdu.source_addr, submission.at)
            self._book(whose, decision, outcome, amount_vnd, submission.at)
        submission.charge = {
            "mo_id": link or "",
            "decision": decision,
            "outcome": outcome,
            "amount_vnd": amount_vnd,
            "balance_vnd": balance_vnd,
        }
        submission.deliver_anyway = self._settings.deliver_refused
        return status

    def _settle(self, submission: Submission, mo: ChargedMo | None, decision: Decision) -> tuple[Outcome, int, bool]:
        """The outcome, what it moved, and whether it is an entry of its own (later parts of a long reply are not)."""
        if mo is None:
            return "no_mo", 0, True
        part = submission.concatenation
        if part is not None and part.reference in mo.replies:
            return mo.replies[part.reference], 0, False
        before_vnd = mo.paid_vnd
        ordered = submission.directive.outcome if submission.directive is not None else None
        if ordered is not None:
            outcome: Outcome = self._play(mo, ordered)
        elif decision == "charge":
            if mo.outcome == "charged" and self._settings.charge_at == "reply":
                outcome = "charged_before"
            else:
                outcome = "charged" if mo.outcome == "charged" else self._take(mo)
        else:
            self._give_back(mo)
            outcome = "refunded" if decision == "refund" else "not_charged"
        if outcome != "charged_before":
            mo.outcome = outcome
        if part is not None:
            mo.replies[part.reference] = outcome
        return outcome, mo.paid_vnd - before_vnd, True

    def _take(self, mo: ChargedMo) -> Outcome:
        forced = next((outcome for pattern, outcome in self._rules if pattern.search(mo.phone)), None)
        if forced is not None and forced != "charged":
            return forced
        price_vnd = self._settings.price_vnd
        balance_vnd = self.balance(mo.phone)
        if balance_vnd < price_vnd and forced is None:
            return "insufficient_balance"
        self._balances[mo.phone] = balance_vnd - price_vnd
        mo.paid_vnd = price_vnd
        return "charged"

    def _play(self, mo: ChargedMo, outcome: Outcome) -> Outcome:
        """An outcome that the message itself orders, whatever the decision and the balance."""
        if outcome == "charged" and not mo.paid_vnd:
            mo.paid_vnd = self._settings.price_vnd
            self._balances[mo.phone] = self.balance(mo.phone) - mo.paid_vnd
        elif outcome in ("refunded", "not_charged"):
            self._give_back(mo)
        return outcome

    def _give_back(self, mo: ChargedMo) -> None:
        if mo.paid_vnd:
            self._balances[mo.phone] = self.balance(mo.phone) + mo.paid_vnd
            mo.paid_vnd = 0

    def _book(self, mo: ChargedMo, decision: str, outcome: Outcome, amount_vnd: int, at: float) -> None:
        status = self._settings.statuses.get(outcome, 0)
        balance_vnd = self.balance(mo.phone)
        self.outcomes[outcome] += 1
        self.entries.append(
            ChargeEntry(at, mo.mo_id, mo.phone, mo.shortcode, decision, outcome, amount_vnd, balance_vnd, status)
        )

    def _decision(self, submission: Submission) -> Decision:
        settings = self._settings
        written: str | None = None
        if settings.decision_tlv is not None:
            written = self._read(submission, settings.decision_tlv)
        if written is None and settings.decision_service_type:
            written = submission.pdu.service_type
        return settings.decision_values.get(written or "", settings.no_decision)

    @staticmethod
    def _read(submission: Submission, field: TlvSettings | None) -> str | None:
        """The TLV's value as text: an integer in decimal, octets as Latin-1 up to the first zero."""
        value = tlv(submission.pdu, field.tag) if field is not None else None
        if value is None or field is None:
            return None
        if field.type == "integer":
            return str(int.from_bytes(value, "big"))
        text = value.decode("latin-1")
        return text.split("\0", 1)[0] if field.type == "cstring" else text


def entry_as_dict(entry: ChargeEntry) -> dict[str, Any]:
    """For the control API and the record."""
    return {name: getattr(entry, name) for name in entry.__slots__}
