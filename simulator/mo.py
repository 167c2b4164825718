"""Messages from handsets (MO): cut into parts as a handset does, handed to the ESME as deliver_sm. SMPP 3.4 §4.6.1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import structlog
from twisted.internet.defer import Deferred

from gateway.smpp.constants import DataCoding, TlvTag, status_name
from gateway.smpp.pdu import DeliverSm, Tlv
from gateway.smpp.text import Coding, DefaultAlphabet, LongMessageForm, Segment, choose_coding, segment
from simulator.behaviours.charging import Charging
from simulator.behaviours.message_ids import MessageIds
from simulator.counters import Counters
from simulator.errors import RequestError
from simulator.mailbox import Outgoing
from simulator.phones import on_the_wire
from simulator.settings import AccountSettings
from simulator.world import World

log = structlog.get_logger()

MoState = Literal["kept", "delivered", "refused", "given_up", "not_charged"]
MoCoding = Literal["auto", "gsm7", "ucs2", "ascii", "latin1"]
_ONE_PART = {"ascii": (int(DataCoding.IA5), "ascii"), "latin1": (int(DataCoding.LATIN_1), "latin-1")}
_FLASH = 0x10  # 3GPP TS 23.038 §4: general group with a message class, class 0; + 0x08 for UCS-2
_SHORT_MESSAGE_OCTETS = 254  # 3.4 §4.4.1; more goes into message_payload


@dataclass(frozen=True, slots=True)
class MoRequest:
    """What a handset is told to send."""

    phone: str  # international digits
    to: str
    text: str
    coding: MoCoding = "auto"
    form: LongMessageForm | None = None  # None: as the account's settings say
    copies: int = 1  # 2 and above: the SMSC delivers the same MO again, under the same id
    tlvs: tuple[Tlv, ...] = ()  # raw, beside the SMSC's own
    flash: bool = False  # class 0: shown at once
    octets: bytes | None = None  # in place of the text: one part of exactly these
    data_coding: int | None = None  # in place of what the coding says
    esm_class: int | None = None  # the same; 0x40 when the octets begin with a user data header
    order: tuple[int, ...] = ()  # numbers of the parts in the order they leave; left out: never sent; twice: repeated


@dataclass(slots=True)
class MoPart:
    message_id: str
    status: int | None = None  # the ESME's answer
    attempts: int = 0
    answered_at: float | None = None
    given_up: bool = False
    withheld: bool = False  # never sent, because that was asked for


@dataclass(slots=True)
class Mo:
    """One MO and what became of it."""

    id: int
    account: str
    request: MoRequest
    at: float
    parts: list[MoPart]
    balance_short: bool = False
    _waiters: list[Deferred[Mo]] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        return self.balance_short or all(
            part.status is not None or part.given_up or part.withheld for part in self.parts
        )

    @property
    def state(self) -> MoState:
        """kept: some part has no final answer yet."""
        if self.balance_short:
            return "not_charged"
        if not self.settled:
            return "kept"
        if any(part.given_up for part in self.parts):
            return "given_up"
        return "delivered" if all(part.status == 0 or part.withheld for part in self.parts) else "refused"

    def when_settled(self) -> Deferred[Mo]:
        """Fires with this MO once every part has its final answer. May be cancelled."""
        waiter: Deferred[Mo] = Deferred(self._waiters.remove)
        if self.settled:
            waiter.callback(self)
        else:
            self._waiters.append(waiter)
        return waiter

    def tell(self) -> None:
        """Wake those who wait, if it is settled."""
        if self.settled:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.callback(self)

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        return {
            "id": self.id,
            "account": self.account,
            "from": self.request.phone,
            "to": self.request.to,
            "text": self.request.text,
            "state": self.state,
            "at": round(self.at, 4),
            "parts": [
                {
                    "message_id": part.message_id,
                    "status": part.status,
                    "status_name": None if part.status is None else status_name(part.status),
                    "attempts": part.attempts,
                    "answered_at": None if part.answered_at is None else round(part.answered_at, 4),
                }
                for part in self.parts
            ],
        }


class MoDesk:
    """One account's handsets: builds the deliver_sm of an MO and follows them to their answers."""

    def __init__(
        self,
        name: str,
        settings: AccountSettings,
        world: World,
        ids: MessageIds,
        charging: Charging | None,
        counters: Counters,
        post: Callable[[Outgoing], None],
    ) -> None:
        self._name = name
        self._settings = settings.mo
        self._alphabet: DefaultAlphabet = settings.default_alphabet
        self._world = world
        self._ids = ids
        self._charging = charging
        self._counters = counters
        self._post = post
        self._reference = world.rng(name, "mo_reference").randrange(256)

    def send(self, mo_number: int, request: MoRequest) -> Mo:
        """Post all parts. Raises :class:`RequestError` when the text does not fit what was asked for."""
        self._reference += 1
        try:
            segments = self._segments(request)
        except ValueError as error:
            raise RequestError("text", str(error), "Use another coding or a shorter text") from error
        order = request.order or tuple(range(1, len(segments) + 1))
        if not all(1 <= number <= len(segments) for number in order):
            raise RequestError("order", f"the message has parts 1 to {len(segments)}", "Name only these")
        now = self._world.schedule.now()
        mo = Mo(mo_number, self._name, request, now, [MoPart(self._ids.take().text) for _ in segments])
        self._counters.mo_sent += 1
        if self._charging is not None:
            ids = [part.message_id for part in mo.parts]
            mo.balance_short = not self._charging.mo_sent(ids, request.phone, request.to, now)
        self._world.inbox.touch(request.phone)
        if mo.balance_short:
            self._note(mo, mo.parts[0])
            return mo
        for number, part in enumerate(mo.parts, start=1):
            part.withheld = number not in order
        for _ in range(request.copies):
            for number in order:
                part, piece = mo.parts[number - 1], segments[number - 1]
                pdu = self._deliver_sm(request, part, piece.short_message, piece.data_coding, piece.esm_class_bits)
                pdu = pdu._replace(tlvs=(*pdu.tlvs, *piece.tlvs))
                self._post(Outgoing("mo", pdu, now, self._settled, about=(mo, part)))
        log.info(
            "mo_sent", account=self._name, source_addr=request.phone, destination_addr=request.to, parts=len(mo.parts)
        )
        return mo

    def _segments(self, request: MoRequest) -> list[Segment]:
        """The parts as a handset makes them. Raises ValueError."""
        if request.octets is not None:
            pieces = [_one_part(request.octets, request.data_coding or 0)]
        elif request.coding in _ONE_PART:
            data_coding, codec = _ONE_PART[request.coding]
            pieces = [_one_part(request.text.encode(codec), data_coding)]
        else:
            pieces = segment(
                request.text,
                choose_coding(request.text) if request.coding == "auto" else cast(Coding, request.coding),
                form=request.form or self._settings.long_message,
                reference=self._reference,
                default_alphabet=self._alphabet,
            )
        if request.flash:
            pieces = [one._replace(data_coding=_FLASH | (one.data_coding & 0x08)) for one in pieces]
        if request.data_coding is not None:
            pieces = [one._replace(data_coding=request.data_coding) for one in pieces]
        if request.esm_class is not None:
            pieces = [one._replace(esm_class_bits=request.esm_class) for one in pieces]
        return pieces

    def _deliver_sm(
        self, request: MoRequest, part: MoPart, octets: bytes, data_coding: int, esm_class: int
    ) -> DeliverSm:
        settings = self._settings
        tlvs = request.tlvs
        if settings.id_tlv is not None:
            tlvs = (Tlv(settings.id_tlv, part.message_id.encode("latin-1") + b"\0"), *tlvs)
        return DeliverSm(
            source_addr_ton=settings.source_ton,
            source_addr_npi=settings.source_npi,
            source_addr=on_the_wire(request.phone, settings.number_form),
            dest_addr_ton=settings.dest_ton,
            dest_addr_npi=settings.dest_npi,
            destination_addr=request.to,
            esm_class=esm_class,
            data_coding=data_coding,
            short_message=octets,
            tlvs=tlvs,
        )

    def _settled(self, outgoing: Outgoing, status: int | None) -> None:
        mo, part = outgoing.about
        part.attempts += outgoing.attempts
        if part.status is None and status is not None:
            part.status = status
            part.answered_at = self._world.schedule.now()
        part.given_up = status is None and part.status is None
        self._note(mo, part)
        mo.tell()
        self._world.inbox.touch(mo.request.phone)

    def _note(self, mo: Mo, part: MoPart) -> None:
        self._world.record.add(
            "mo",
            {
                "account": self._name,
                "mo": mo.id,
                "message_id": part.message_id,
                "source": mo.request.phone,
                "destination": mo.request.to,
                "text": mo.request.text,
                "part": mo.parts.index(part) + 1,
                "parts": len(mo.parts),
                "sent_at": round(mo.at, 4),
                "outcome": "not_charged" if mo.balance_short else "given_up" if part.given_up else "answered",
                "status": part.status,
                "attempts": part.attempts,
            },
        )


def _one_part(octets: bytes, data_coding: int) -> Segment:
    if len(octets) <= _SHORT_MESSAGE_OCTETS:
        return Segment(octets, data_coding, 0, ())
    return Segment(b"", data_coding, 0, (Tlv(TlvTag.MESSAGE_PAYLOAD, octets),))
