"""Delivery receipts as this SMSC writes them. SMPP 3.4 §4.6.1, §5.2.12 (esm_class), §5.3.2.31-37, Appendix B (text)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from gateway.smpp.codec import write_tlvs
from gateway.smpp.constants import EsmClass, MessageStateCode, TlvTag
from gateway.smpp.pdu import DataSm, DeliverSm, Tlv, tlv
from gateway.smpp.receipt_text import STATES_BY_WORD
from simulator.behaviours.message_ids import MessageIds
from simulator.messages import Accepted, Accepting
from simulator.settings import ReceiptSettings

# Plain numbers: looking up an enum's member costs more than encoding it.
_RECEIPTED_MESSAGE_ID = int(TlvTag.RECEIPTED_MESSAGE_ID)
_MESSAGE_STATE = int(TlvTag.MESSAGE_STATE)
_NETWORK_ERROR_CODE = int(TlvTag.NETWORK_ERROR_CODE)
_USER_MESSAGE_REFERENCE = int(TlvTag.USER_MESSAGE_REFERENCE)
_STATES = {word: Tlv(_MESSAGE_STATE, bytes([state])) for word, state in STATES_BY_WORD.items()}
_UNKNOWN_STATE = Tlv(_MESSAGE_STATE, bytes([MessageStateCode.UNKNOWN]))
_DELIVERY_RECEIPT = int(EsmClass.DELIVERY_RECEIPT)
_INTERMEDIATE = int(EsmClass.INTERMEDIATE_NOTIFICATION)
_UDHI = int(EsmClass.UDHI)
_MOST_OCTETS = 254  # 5.2.21 sm_length
_DATES_KEPT = 1000
_ONE_OCTET_CODINGS = frozenset({0, 1, 3})  # default alphabet, IA5, Latin-1
_GSM_NETWORK = 3  # 5.3.2.31 network_error_code, first octet
_QUOTED_OCTETS = 20  # Appendix B: the first 20 characters of the message


class ReceiptWriter:
    """Builds receipt PDUs by an account's settings."""

    def __init__(self, settings: ReceiptSettings, ids: MessageIds) -> None:
        self._settings = settings
        self._ids = ids
        self._zone = timezone(timedelta(hours=settings.utc_offset_hours))
        self._offset_s = settings.utc_offset_hours * 3600
        seconds = settings.time_format == "seconds"
        self._date_form = "%y%m%d%H%M%S" if seconds else "%y%m%d%H%M"
        self._date_step_s = 1 if seconds else 60
        self._dates: dict[int, str] = {}
        self._as_octets = settings.form != "tlv" and settings.pdu == "deliver_sm"

    def receipted_id(self, accepted: Accepted) -> str:
        """The message id as the receipt writes it."""
        return self._ids.in_receipt(accepted.message_id, self._settings.id_form)

    def octets(self, accepted: Accepted, stat: str, error: str, now: float) -> tuple[bytes, bytes] | None:
        """The same as :meth:`build` for the most usual settings, as octets after the header: without TLVs, and the TLVs.

        None: the settings want something else, or it is too long; then :meth:`build` is asked.
        """
        if not self._as_octets:
            return None
        text = self._text(accepted, stat, error, now)
        if len(text) > _MOST_OCTETS:
            return None
        pdu = accepted.pdu
        body = b"\0%c%c%b\0%c%c%b\0%c\0\0\0\0\0\0\0\0%c%b" % (  # 4.6.1: service_type, source, destination, esm_class …
            pdu.dest_addr_ton,
            pdu.dest_addr_npi,
            pdu.destination_addr.encode("latin-1"),
            pdu.source_addr_ton,
            pdu.source_addr_npi,
            pdu.source_addr.encode("latin-1"),
            self._esm_class(stat),
            len(text),
            text,
        )
        return body, b"" if self._settings.form == "text" else write_tlvs(self._tlvs(accepted, stat, error))

    def build(self, accepted: Accepted, stat: str, error: str, now: float) -> DeliverSm | DataSm:
        """The receipt. ``stat`` "ENROUTE" makes an intermediate notification."""
        settings = self._settings
        text = b"" if settings.form == "tlv" else self._text(accepted, stat, error, now)
        tlvs = () if settings.form == "text" else self._tlvs(accepted, stat, error)
        if settings.pdu == "data_sm":
            return self._data_sm(accepted, stat, text, tlvs)
        return self._deliver_sm(accepted, stat, text, tlvs)

    def build_before_34(self, accepted: Accepted, stat: str, error: str, now: float) -> DeliverSm | None:
        """For an ESME bound as 3.3, which knows neither TLVs nor data_sm; None where the usual one will do."""
        if self._settings.form != "tlv" and self._settings.pdu == "deliver_sm":
            return None
        return self._deliver_sm(accepted, stat, self._text(accepted, stat, error, now), ())

    def _text(self, accepted: Accepted, stat: str, error: str, now: float) -> bytes:
        settings = self._settings
        word = settings.stat_words.get(stat, stat)
        if settings.text_template is not None:
            return self._filled(settings.text_template, accepted, stat, word, error, now).encode("latin-1", "replace")
        return (
            f"id:{self.receipted_id(accepted)} sub:001 dlvrd:{'001' if stat == 'DELIVRD' else '000'} "
            f"submit date:{self._date(accepted.at)} done date:{self._date(now)} "
            f"stat:{word} err:{error} text:{_quoted(accepted.pdu)}"
        ).encode("latin-1", "replace")

    def _date(self, at: float) -> str:
        """A time as the text has it. Most receipts share theirs with the one before."""
        step = int((at + self._offset_s) // self._date_step_s)
        date = self._dates.get(step)
        if date is None:
            if len(self._dates) >= _DATES_KEPT:
                self._dates.clear()
            date = self._dates[step] = datetime.fromtimestamp(at, self._zone).strftime(self._date_form)
        return date

    def _filled(self, template: str, accepted: Accepted, stat: str, word: str, error: str, now: float) -> str:
        return template.format(
            id=self.receipted_id(accepted),
            sub="001",
            dlvrd="001" if stat == "DELIVRD" else "000",
            submit=self._date(accepted.at),
            done=self._date(now),
            stat=word,
            err=error,
            text=_quoted(accepted.pdu),
        )

    def _tlvs(self, accepted: Accepted, stat: str, error: str) -> tuple[Tlv, ...]:
        tlvs = [
            Tlv(_RECEIPTED_MESSAGE_ID, self.receipted_id(accepted).encode("latin-1") + b"\0"),
            _STATES.get(stat, _UNKNOWN_STATE),
        ]
        if error != "000" and error.isdigit() and int(error):
            tlvs.append(Tlv(_NETWORK_ERROR_CODE, bytes([_GSM_NETWORK]) + int(error).to_bytes(2, "big")))
        reference = tlv(accepted.pdu, _USER_MESSAGE_REFERENCE) if accepted.pdu.tlvs else None
        if reference is not None:
            tlvs.append(Tlv(_USER_MESSAGE_REFERENCE, reference))
        return tuple(tlvs)

    def _esm_class(self, stat: str) -> int:
        if not self._settings.esm_class_bit:
            return 0
        return _INTERMEDIATE if stat == "ENROUTE" else _DELIVERY_RECEIPT

    def _deliver_sm(self, accepted: Accepted, stat: str, text: bytes, tlvs: tuple[Tlv, ...]) -> DeliverSm:
        pdu = accepted.pdu
        return DeliverSm(
            source_addr_ton=pdu.dest_addr_ton,
            source_addr_npi=pdu.dest_addr_npi,
            source_addr=pdu.destination_addr,
            dest_addr_ton=pdu.source_addr_ton,
            dest_addr_npi=pdu.source_addr_npi,
            destination_addr=pdu.source_addr,
            esm_class=self._esm_class(stat),
            short_message=text,
            tlvs=tlvs,
        )

    def _data_sm(self, accepted: Accepted, stat: str, text: bytes, tlvs: tuple[Tlv, ...]) -> DataSm:
        pdu = accepted.pdu
        return DataSm(
            source_addr_ton=pdu.dest_addr_ton,
            source_addr_npi=pdu.dest_addr_npi,
            source_addr=pdu.destination_addr,
            dest_addr_ton=pdu.source_addr_ton,
            dest_addr_npi=pdu.source_addr_npi,
            destination_addr=pdu.source_addr,
            esm_class=self._esm_class(stat),
            tlvs=(Tlv(TlvTag.MESSAGE_PAYLOAD, text), *tlvs) if text else tlvs,
        )


def _quoted(pdu: Accepting) -> str:
    """The beginning of the message, where it is plain ASCII; SMSCs leave out the others."""
    if isinstance(pdu, DataSm) or pdu.data_coding not in _ONE_OCTET_CODINGS or pdu.esm_class & _UDHI:
        return ""
    beginning: bytes = pdu.short_message[:_QUOTED_OCTETS]
    return beginning.decode("latin-1") if beginning.isascii() and b"\0" not in beginning else ""
