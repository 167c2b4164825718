"""An operator: SMSC, handsets, and a record of its own by which the gateway is judged."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sim_history import History
from sim_reactor import VirtualReactor

from gateway.smpp.connection import SessionSettings
from gateway.smpp.constants import CommandStatus, TlvTag
from gateway.smpp.pdu import DeliverSm, Pdu, SubmitSm, make_response
from gateway.smpp.pdu import tlv as tlv_of
from gateway.smpp.receipt import format_receipt_text
from gateway.smpp.server import SmscFactory, SmscSession, SmscSettings
from gateway.smpp.text import decode_text, parse_concatenation
from gateway.smpp.tlv import make_tlv

TEMPORARY = (int(CommandStatus.ESME_RTHROTTLED), int(CommandStatus.ESME_RMSGQFUL), int(CommandStatus.ESME_RSYSERR))
RECEIPT_TRY_AGAIN_S = 4.0


@dataclass(frozen=True, slots=True)
class Submit:
    """One submit_sm as it arrived."""

    at: float
    business: datetime
    operator: str
    bind: str
    destination: str
    source: str
    text: str
    part: int
    parts: int
    reference: int | None  # user_message_reference
    service_type: str
    status: int
    message_id: str
    answer: str  # "sent", "late", "dropped"


@dataclass(slots=True)
class Outgoing:
    """A deliver_sm that must reach the gateway."""

    kind: str  # "mo", "receipt"
    pdu: DeliverSm
    key: str
    number: int
    answers: list[int] = field(default_factory=list)
    tries: int = 0
    under_way: bool = False


@dataclass(slots=True)
class Habits:
    """How this operator behaves now; the weather changes it."""

    latency_s: tuple[float, float] = (0.005, 0.06)
    drop_answer: float = 0.0
    late_answer: float = 0.0
    throttle: float = 0.0
    refuse: float = 0.0
    busy: float = 0.0
    receipt_s: tuple[float, float] = (0.05, 3.0)
    receipt_early: float = 0.1
    receipt_lost: float = 0.0
    receipt_twice: float = 0.05
    undelivered: float = 0.08
    refuse_binds: int = 0


class Operator:
    """The handler of one SMSC (SmscHandler)."""

    def __init__(
        self,
        reactor: VirtualReactor,
        name: str,
        rng: random.Random,
        business: Callable[[], datetime],
        system: Callable[[], datetime],
        history: History,
        *,
        window: int,
    ) -> None:
        self.name, self.habits = name, Habits()
        self._reactor, self._rng, self._business, self._history = reactor, rng, business, history
        self._system = system
        session = SessionSettings(
            window=window, response_timeout_s=5.0, enquire_link_interval_s=40.0, incoming_window=500
        )
        self.factory = SmscFactory(reactor, self, SmscSettings(session=session))
        self.submits: list[Submit] = []
        self.outgoing: list[Outgoing] = []
        self.sent: dict[str, Outgoing] = {}
        self.binds = 0
        self.on_acknowledged: Callable[[Operator, Outgoing, int], None] = lambda *_: None
        self._bound: list[SmscSession] = []
        self._ids = rng.randrange(10**6)

    # -- handsets -----------------------------------------------------------------------------------------------

    def text(self, number: str, text: str, serial: int) -> Outgoing:
        """A citizen's handset sends to 8083."""
        mo_id = f"MO{serial}"
        pdu = DeliverSm(
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr=number,
            destination_addr="8083",
            short_message=text.encode("ascii"),
            tlvs=(make_tlv(TlvTag.RECEIPTED_MESSAGE_ID, mo_id),),
        )
        return self._post("mo", pdu, mo_id)

    # -- sessions -----------------------------------------------------------------------------------------------

    def on_connect(self, session: SmscSession) -> bool:
        return True

    def on_bind(self, session: SmscSession, bind: Any) -> int:
        if self.habits.refuse_binds:
            self.habits.refuse_binds -= 1
            return int(CommandStatus.ESME_RSYSERR)
        return 0

    def on_bound(self, session: SmscSession) -> None:
        self.binds += 1
        self._bound.append(session)
        self._push()

    def on_lost(self, session: SmscSession, reason: str, unanswered: Sequence[object]) -> None:
        if session in self._bound:
            self._bound.remove(session)
        for token in unanswered:
            assert isinstance(token, Outgoing)
            token.under_way = False
        self._push()

    def on_request(self, session: SmscSession, request: Pdu) -> None:
        if not isinstance(request, SubmitSm):
            session.reply(make_response(request, CommandStatus.ESME_RINVCMDID), request)
            return
        habits, rng = self.habits, self._rng
        status = 0
        if rng.random() < habits.throttle:
            status = int(CommandStatus.ESME_RTHROTTLED)
        elif rng.random() < habits.busy:
            status = int(CommandStatus.ESME_RSYSERR)
        elif rng.random() < habits.refuse:
            status = int(CommandStatus.ESME_RINVDSTADR)
        self._ids += 1
        message_id = "" if status else f"{self.name[:2]}{self._ids:08X}"
        delay_s = rng.uniform(*habits.latency_s)
        answer = "sent"
        if rng.random() < habits.drop_answer:
            answer = "dropped"
        elif rng.random() < habits.late_answer:
            answer, delay_s = "late", rng.uniform(4.0, 9.0)
        self._note(session, request, status, message_id, answer)
        if not status:
            self._deliver(request, message_id, delay_s)
        if answer == "dropped":
            session.forget(request)
        else:
            self._reactor.callLater(delay_s, self._answer, session, request, status, message_id)

    def _answer(self, session: SmscSession, request: SubmitSm, status: int, message_id: str) -> None:
        if not session.closed:
            session.reply(make_response(request, status, message_id=message_id), request)

    def _note(self, session: SmscSession, pdu: SubmitSm, status: int, message_id: str, answer: str) -> None:
        place = parse_concatenation(pdu)
        octets = place.octets if place else pdu.short_message
        reference = tlv_of(pdu, TlvTag.USER_MESSAGE_REFERENCE)
        submit = Submit(
            at=self._reactor.seconds(),
            business=self._business(),
            operator=self.name,
            bind=session.peer,
            destination=pdu.destination_addr,
            source=pdu.source_addr,
            text=decode_text(octets, pdu.data_coding) or octets.hex(),
            part=place.part if place else 1,
            parts=place.total if place else 1,
            reference=int.from_bytes(reference, "big") if reference else None,
            service_type=pdu.service_type,
            status=status,
            message_id=message_id,
            answer=answer,
        )
        self.submits.append(submit)
        self._history.add(
            self.name,
            "submit_sm",
            destination_addr=submit.destination,
            part=f"{submit.part}/{submit.parts}",
            reference=submit.reference,
            status=status,
            smsc_id=message_id,
            answer=answer,
            text=repr(submit.text[:40]),
        )

    # -- receipts -----------------------------------------------------------------------------------------------

    def _deliver(self, pdu: SubmitSm, message_id: str, answer_s: float) -> None:
        habits, rng = self.habits, self._rng
        stat = "UNDELIV" if rng.random() < habits.undelivered else "DELIVRD"
        if rng.random() < habits.receipt_lost:
            return
        early = rng.random() < habits.receipt_early
        delay_s = answer_s * 0.5 if early else answer_s + rng.uniform(*habits.receipt_s)
        now = self._system()
        text = format_receipt_text(message_id, stat, now, now + timedelta(seconds=1), error="000")
        receipt = DeliverSm(
            source_addr_ton=1, source_addr_npi=1, source_addr=pdu.destination_addr, destination_addr=pdu.source_addr,
            esm_class=0x04, short_message=text.encode("ascii"),
        )  # fmt: skip
        reference = tlv_of(pdu, TlvTag.USER_MESSAGE_REFERENCE)
        if reference is not None and rng.random() < 0.5:
            receipt = receipt._replace(tlvs=(make_tlv(TlvTag.USER_MESSAGE_REFERENCE, reference),))
        for _ in range(2 if rng.random() < habits.receipt_twice else 1):
            self._reactor.callLater(delay_s, self._post, "receipt", receipt, message_id)
            delay_s += rng.uniform(0.0, 2.0)

    def _post(self, kind: str, pdu: DeliverSm, key: str) -> Outgoing:
        outgoing = Outgoing(kind, pdu, key, len(self.sent))
        self.sent[f"{kind}/{key}/{outgoing.number}"] = outgoing
        self.outgoing.append(outgoing)
        self._push()
        return outgoing

    def _push(self) -> None:
        """Send what waits, as far as the windows go."""
        for outgoing in self.outgoing:
            if outgoing.under_way:
                continue
            sessions = [session for session in self._bound if session.free_window > 0 and not session.closed]
            if not sessions:
                return
            outgoing.under_way = True
            outgoing.tries += 1
            self._rng.choice(sessions).send(outgoing.pdu, outgoing)

    def on_response(self, session: SmscSession, token: Any, response: Pdu) -> None:
        status = response.command_status
        token.answers.append(status)
        token.under_way = False
        self._history.add(
            self.name, "deliver_sm_resp", kind=token.kind, key_id=token.key, status=status, tries=token.tries
        )
        self.on_acknowledged(self, token, status)
        if status == 0 or status not in (*TEMPORARY, int(CommandStatus.ESME_RX_T_APPN)):
            if token in self.outgoing:
                self.outgoing.remove(token)
            self._push()
        else:
            token.under_way = True
            self._reactor.callLater(RECEIPT_TRY_AGAIN_S, self._free, token)

    def on_expired(self, session: SmscSession, token: Any) -> None:
        self._free(token)

    def _free(self, token: Outgoing) -> None:
        token.under_way = False
        self._push()
