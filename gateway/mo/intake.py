"""From PDUs to what the store records: addresses, text, the key that finds repetitions, price and link. Pure.

**Repetitions.** An SMSC sends a deliver_sm again when our response did not reach it. Where it gives the MO an id, a copy has
the same id, sender and text (ids alone may come round again). Where it gives none, a copy is the same text from the same
number to the same shortcode within ``queries.repeat_window_s``. The key holds the number of the time window, and the store
looks into the window before as well, so the limit is exact although the key is compared for equality.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from gateway.clock import VIETNAM
from gateway.mo.charging.profiles import Charging
from gateway.mo.classify import subscriber_number
from gateway.mo.services import Question, Services
from gateway.model import IncomingMo, QueryResult
from gateway.settings import BindSettings, GatewaySettings, OperatorSettings
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.text import Concatenation, DefaultAlphabet, IncomingPart, join_text, user_data
from gateway.store.inbox import Admission
from gateway.store.mo_parts import MoPart


class Intake:
    """Makes :class:`Admission` and :class:`MoPart` values."""

    def __init__(self, settings: GatewaySettings, services: Services, charging: Charging) -> None:
        self._queries = settings.queries
        self._services = services
        self._charging = charging
        self._alphabets = _alphabets(settings.operators)

    def whole(self, route: str, bind: BindSettings, pdu: DeliverSm | DataSm, now: datetime) -> Admission:
        """An MO that came in one PDU."""
        octets = user_data(pdu)
        smsc_message_id = self._charging.mo_id_of(route, pdu)
        mo = IncomingMo(
            route,
            bind.name,
            _subscriber(pdu),
            pdu.destination_addr,
            "",
            octets,
            pdu.data_coding,
            smsc_message_id,
            now,
            "",
        )
        return self._admit(mo, self._text(bind.name, [IncomingPart(octets, pdu.data_coding)]))

    def part(
        self, route: str, bind: BindSettings, pdu: DeliverSm | DataSm, place: Concatenation, now: datetime
    ) -> MoPart:
        """One part of a long MO."""
        return MoPart(
            route,
            bind.name,
            _subscriber(pdu),
            pdu.destination_addr,
            place.reference,
            place.total,
            place.part,
            place.octets,
            pdu.data_coding,
            self._charging.mo_id_of(route, pdu),
            now,
        )

    def join(self, parts: Sequence[MoPart]) -> Admission:
        """All parts, in order, as one MO. Its reply is due from the last part on."""
        text = self._text(parts[0].bind, [IncomingPart(part.octets, part.data_coding) for part in parts])
        return self._admit(_joined(parts, max(part.received_at for part in parts)), text)

    def join_incomplete(self, parts: Sequence[MoPart]) -> Admission:
        """The parts that came of an MO whose others did not: bad syntax, whatever they say."""
        mo = _joined(parts, min(part.received_at for part in parts))
        text = self._text(parts[0].bind, [IncomingPart(part.octets, part.data_coding) for part in parts])
        asked = self._services.judge(mo.destination_addr, text)
        if asked.result is QueryResult.OK:  # a code may be cut in two: what came of it is no answerable question
            asked = Question(asked.service, QueryResult.ERR_CODE_FORMAT, asked.code, asked.ignore_reason)
        return self._admit(mo, text, asked)

    def _text(self, bind: str, parts: Sequence[IncomingPart]) -> str | None:
        text = join_text(parts, default_alphabet=self._alphabets.get(bind, "gsm7"))
        if text is None:
            text = _printable(b"".join(part.octets for part in parts))
        return None if text is None else _storable(text)

    def _admit(self, mo: IncomingMo, text: str | None, asked: Question | None = None) -> Admission:
        asked = self._services.judge(mo.destination_addr, text) if asked is None else asked
        window_s = self._queries.repeat_id_window_s if mo.smsc_message_id else self._queries.repeat_window_s
        number = int(mo.received_at.timestamp() // window_s)
        key = _key(mo)
        midnight = day_start(mo.received_at)
        price = self._charging.price_vnd(self._services.shortcode(mo.destination_addr), midnight.date())
        deadline_s = asked.service.reply_deadline_s if asked.service else None
        return Admission(
            mo=IncomingMo(
                mo.route,
                mo.bind,
                mo.source_addr,
                mo.destination_addr,
                text or "",
                mo.octets,
                mo.data_coding,
                mo.smsc_message_id,
                mo.received_at,
                f"{key}|{number}",
            ),
            earlier_key=f"{key}|{number - 1}",
            repeat_since=mo.received_at - timedelta(seconds=window_s),
            service=asked.service.name if asked.service else None,
            result=asked.result,
            code=asked.code,
            ignore_reason=asked.ignore_reason,
            profile=self._charging.profile_name(mo.route),
            amount_vnd=price or 0,
            link=mo.smsc_message_id or None,
            lapses_at=None if deadline_s is None else mo.received_at + timedelta(seconds=deadline_s),
            day_start=midnight,
            hour_start=hour_start(mo.received_at),
            burst_start=mo.received_at - timedelta(minutes=1),
        )


def day_start(now: datetime) -> datetime:
    """The last midnight in Vietnam: senders' daily counts begin there."""
    return now.astimezone(VIETNAM).replace(hour=0, minute=0, second=0, microsecond=0)


def hour_start(now: datetime) -> datetime:
    """An hour ago: senders' counts of errors begin there."""
    return now - timedelta(hours=1)


def _alphabets(operators: Mapping[str, OperatorSettings]) -> dict[str, DefaultAlphabet]:
    return {bind.name: bind.default_alphabet for operator in operators.values() for bind in operator.binds}


def _subscriber(pdu: DeliverSm | DataSm) -> str:
    return subscriber_number(pdu.source_addr, pdu.source_addr_ton) or pdu.source_addr


def _joined(parts: Sequence[MoPart], received_at: datetime) -> IncomingMo:
    first = parts[0]
    octets = b"".join(part.octets for part in parts)
    return IncomingMo(
        first.route,
        first.bind,
        first.source_addr,
        first.destination_addr,
        "",
        octets,
        first.data_coding,
        first.smsc_message_id,
        received_at,
        "",
    )


def _key(mo: IncomingMo) -> str:
    """What repetitions have in common; the number of the time window follows it."""
    content = "\n".join((mo.source_addr, mo.destination_addr, str(mo.data_coding))).encode() + b"\n" + mo.octets
    return f"{mo.route}|{mo.smsc_message_id}|{hashlib.sha256(content).hexdigest()[:32]}"


def _printable(octets: bytes) -> str | None:
    """Octets declared as 8-bit data, or wrongly, that are plain ASCII text all the same: they can mean nothing else."""
    text = octets.decode("ascii") if octets.isascii() else ""
    return text if text and all(character.isprintable() or character in "\r\n\t" for character in text) else None


def _storable(text: str) -> str:
    """PostgreSQL's text takes neither NUL nor half a surrogate pair; the octets are kept as they came."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
