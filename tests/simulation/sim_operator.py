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
from gateway.smpp.pdu import DeliverSm, Pdu, SubmitSm, encode, make_response
from gateway.smpp.pdu import tlv as tlv_of
from gateway.smpp.receipt import format_receipt_text
from gateway.smpp.server import SmscFactory, SmscSession, SmscSettings
from gateway.smpp.text import decode_text, parse_concatenation
from gateway.smpp.tlv import make_tlv

#: Answers that mean: not now.
TEMPORARY = (int(CommandStatus.ESME_RTHROTTLED), int(CommandStatus.ESME_RMSGQFUL), int(CommandStatus.ESME_RSYSERR))
RECEIPT_TRY_AGAIN_S = 4.0
#: The part number of a submit_sm that carries a long text whole, in message_payload.
ALL_PARTS = 0
#: How a receipt may say that a message failed.
FAILED_STATS = ("UNDELIV", "UNDELIV", "EXPIRED", "REJECTD")


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
    part: int  # ALL_PARTS: message_payload
    parts: int
    reference: int | None  # user_message_reference
    service_type: str
    status: int
    message_id: str
    answer: str  # "sent", "late", "dropped"


@dataclass(slots=True)
class Outgoing:
    """A deliver_sm that must reach the gateway."""

    kind: str  # "mo", "receipt"; "intermediate" and "orphan" are receipts that need leave no trace of their own
    pdu: DeliverSm
    key: str  # the id that it names
    given: str  # the same as submit_sm_resp gave it
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
    answer_twice: float = 0.0
    answer_astray: float = 0.0  # besides the answer, one to a sequence_number that nobody used
    throttle: float = 0.0
    full: float = 0.0  # ESME_RMSGQFUL
    busy: float = 0.0  # ESME_RSYSERR
    refuse: float = 0.0
    congested: float = 0.0  # share of answers with congestion_state
    receipt_s: tuple[float, float] = (0.05, 3.0)
    receipt_early: float = 0.1
    receipt_lost: float = 0.0
    receipt_twice: float = 0.05
    intermediate: float = 0.05  # a receipt "ENROUTE" before the final one
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
        ids: str,
        home: Callable[[str], str],
    ) -> None:
        """``ids``: one of sim_plan.ID_STYLES. ``home``: number → the operator that serves it."""
        self.name, self.habits = name, Habits()
        self._id_style, self._home = ids, home
        self._reactor, self._rng, self._business, self._history = reactor, rng, business, history
        self._system = system
        session = SessionSettings(
            window=window, response_timeout_s=5.0, enquire_link_interval_s=40.0, incoming_window=500
        )
        self.factory = SmscFactory(reactor, self, SmscSettings(session=session))
        self.submits: list[Submit] = []
        self.outgoing: list[Outgoing] = []
        self.posted = 0
        self.told: dict[str, float] = {}  # message id → when its final receipt was first acknowledged
        self.refused: set[str] = set()  # message ids whose receipt says REJECTD
        self.binds = 0
        self.on_acknowledged: Callable[[Operator, Outgoing, int], None] = lambda *_: None
        self._bound: list[SmscSession] = []
        self._ids = rng.randrange(10**6)
        self._orphans = 0

    # -- handsets -----------------------------------------------------------------------------------------------

    def text(self, number: str, text: str, serial: int, *, in_parts: bool = False) -> list[Outgoing]:
        """A citizen's handset sends to 8083; a long text in two parts, each with an id of its own, by any bind."""
        octets, middle = text.encode("ascii"), len(text) // 2
        if in_parts:
            header = bytes((5, 0, 3, serial & 0xFF, 2))
            pieces = [(header + b"\x01" + octets[:middle], 0x40), (header + b"\x02" + octets[middle:], 0x40)]
        else:
            pieces = [(octets, 0)]
        return [
            self._post("mo", _mo(number, piece, esm_class, f"MO{serial}.{part}"), f"MO{serial}.{part}")
            for part, (piece, esm_class) in enumerate(pieces, 1)
        ]

    def orphan(self, number: str) -> None:
        """A receipt for a message that nobody sent."""
        self._orphans += 1
        key = f"nobody{self._orphans}"
        self._post("orphan", self._receipt(number, "MotcuaSMS", key, self._rng.choice(("DELIVRD", "UNDELIV"))), key)

    def unbind_all(self) -> None:
        """The operator closes its sessions in order, as for maintenance."""
        for session in list(self._bound):
            session.unbind()

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
        status = self._status(request)
        self._ids += 1
        response_id, receipt_id = ("", "") if status else self._message_ids()
        delay_s = rng.uniform(*habits.latency_s)
        answer = "sent"
        if rng.random() < habits.drop_answer:
            answer = "dropped"
        elif rng.random() < habits.late_answer:
            answer, delay_s = "late", rng.uniform(4.0, 9.0)
        self._note(session, request, status, response_id, answer)
        if not status:
            self._deliver(request, response_id, receipt_id, delay_s)
        if answer == "dropped":
            session.forget(request)
        else:
            self._reactor.callLater(delay_s, self._answer, session, request, status, response_id)

    def _status(self, request: SubmitSm) -> int:
        habits, draw = self.habits, self._rng.random
        if draw() < habits.throttle:
            return int(CommandStatus.ESME_RTHROTTLED)
        if draw() < habits.full:
            return int(CommandStatus.ESME_RMSGQFUL)
        if draw() < habits.busy:
            return int(CommandStatus.ESME_RSYSERR)
        if draw() < habits.refuse or self._home(request.destination_addr) != self.name:
            return int(CommandStatus.ESME_RINVDSTADR)
        return 0

    def _message_ids(self) -> tuple[str, str]:
        """As submit_sm_resp gives it, and as the receipt names it."""
        number, style = self._ids, self._id_style
        if style == "text":
            return (f"{self.name[:2]}{number:08X}",) * 2
        forms = {"decimal": ("d", "d"), "response_hex": ("X", "d"), "receipt_hex": ("d", "X")}[style]
        return format(number, forms[0]), format(number, forms[1])

    def _answer(self, session: SmscSession, request: SubmitSm, status: int, message_id: str) -> None:
        if session.closed:
            return
        habits, rng = self.habits, self._rng
        response = make_response(request, status, message_id=message_id)
        if rng.random() < habits.congested:
            response = response._replace(tlvs=(make_tlv(TlvTag.CONGESTION_STATE, rng.choice((20, 85, 95, 99))),))
        session.reply(response, request)
        if rng.random() < habits.answer_twice:
            self._reactor.callLater(rng.uniform(0.0, 0.5), self._say, session, response)
        if rng.random() < habits.answer_astray:
            self._say(session, response._replace(sequence_number=0x7000_0000 + rng.randrange(10**6)))

    def _say(self, session: SmscSession, response: Pdu) -> None:
        """An answer that nobody asked for."""
        if not session.closed:
            session.write_raw(encode(response))

    def _note(self, session: SmscSession, pdu: SubmitSm, status: int, message_id: str, answer: str) -> None:
        place = parse_concatenation(pdu)
        whole = tlv_of(pdu, TlvTag.MESSAGE_PAYLOAD)
        octets = whole if whole is not None else place.octets if place else pdu.short_message
        reference = tlv_of(pdu, TlvTag.USER_MESSAGE_REFERENCE)
        submit = Submit(
            at=self._reactor.seconds(),
            business=self._business(),
            operator=self.name,
            bind=session.peer,
            destination=pdu.destination_addr,
            source=pdu.source_addr,
            text=decode_text(octets, pdu.data_coding) or octets.hex(),
            part=ALL_PARTS if whole is not None else place.part if place else 1,
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

    def _deliver(self, pdu: SubmitSm, response_id: str, receipt_id: str, answer_s: float) -> None:
        habits, rng = self.habits, self._rng
        stat = rng.choice(FAILED_STATS) if rng.random() < habits.undelivered else "DELIVRD"
        if rng.random() < habits.receipt_lost:
            return
        if stat == "REJECTD":
            self.refused.add(response_id)
        early = rng.random() < habits.receipt_early
        delay_s = answer_s * 0.5 if early else answer_s + rng.uniform(*habits.receipt_s)
        receipt = self._receipt(pdu.destination_addr, pdu.source_addr, receipt_id, stat)
        reference = tlv_of(pdu, TlvTag.USER_MESSAGE_REFERENCE)
        if reference is not None and rng.random() < 0.5:
            receipt = receipt._replace(tlvs=(make_tlv(TlvTag.USER_MESSAGE_REFERENCE, reference),))
        later = self._reactor.callLater
        if rng.random() < habits.intermediate:
            under_way = self._receipt(pdu.destination_addr, pdu.source_addr, receipt_id, "ENROUTE")
            later(delay_s * rng.random(), self._post, "intermediate", under_way, receipt_id, response_id)
        for _ in range(2 if rng.random() < habits.receipt_twice else 1):
            later(delay_s, self._post, "receipt", receipt, receipt_id, response_id)
            delay_s += rng.uniform(0.0, 2.0)

    def _receipt(self, handset: str, sender: str, message_id: str, stat: str) -> DeliverSm:
        now = self._system()
        text = format_receipt_text(message_id, stat, now, now + timedelta(seconds=1), error="000")
        return DeliverSm(
            source_addr_ton=1, source_addr_npi=1, source_addr=handset, destination_addr=sender, esm_class=0x04,
            short_message=text.encode("ascii"),
        )  # fmt: skip

    def _post(self, kind: str, pdu: DeliverSm, key: str, given: str = "") -> Outgoing:
        self.posted += 1
        outgoing = Outgoing(kind, pdu, key, given or key, self.posted)
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
        if status == 0 and token.kind == "receipt":
            self.told.setdefault(token.given, self._reactor.seconds())
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


def _mo(number: str, octets: bytes, esm_class: int, mo_id: str) -> DeliverSm:
    return DeliverSm(
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr=number,
        destination_addr="8083",
        esm_class=esm_class,
        short_message=octets,
        tlvs=(make_tlv(TlvTag.RECEIPTED_MESSAGE_ID, mo_id),),
    )
