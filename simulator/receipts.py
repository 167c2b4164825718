"""Delivery receipts as this SMSC writes them. SMPP 3.4 §4.6.1, §5.2.12 (esm_class), §5.3.2.31-37, Appendix B (text)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from gateway.smpp.constants import EsmClass, MessageStateCode, TlvTag
from gateway.smpp.pdu import DataSm, DeliverSm, Tlv, tlv
from gateway.smpp.receipt_text import STATES_BY_WORD, format_receipt_text
from simulator.behaviours.message_ids import MessageIds
from simulator.messages import Accepted, Accepting
from simulator.settings import ReceiptSettings

# Plain numbers: looking up an enum's member costs more than encoding it.
_RECEIPTED_MESSAGE_ID = int(TlvTag.RECEIPTED_MESSAGE_ID)
_MESSAGE_STATE = int(TlvTag.MESSAGE_STATE)
_NETWORK_ERROR_CODE = int(TlvTag.NETWORK_ERROR_CODE)
_USER_MESSAGE_REFERENCE = int(TlvTag.USER_MESSAGE_REFERENCE)
_STATES = {word: bytes([state]) for word, state in STATES_BY_WORD.items()}
_UNKNOWN_STATE = bytes([MessageStateCode.UNKNOWN])
_DELIVERY_RECEIPT = int(EsmClass.DELIVERY_RECEIPT)
_INTERMEDIATE = int(EsmClass.INTERMEDIATE_NOTIFICATION)
_UDHI = int(EsmClass.UDHI)
_ONE_OCTET_CODINGS = frozenset({0, 1, 3})  # default alphabet, IA5, Latin-1
_GSM_NETWORK = 3  # 5.3.2.31 network_error_code, first octet
_QUOTED_OCTETS = 20  # Appendix B: the first 20 characters of the message


class ReceiptWriter:
    """Builds receipt PDUs by an account's settings."""

    def __init__(self, settings: ReceiptSettings, ids: MessageIds) -> None:
        self._settings = settings
        self._ids = ids
        self._zone = timezone(timedelta(hours=settings.utc_offset_hours))

    def receipted_id(self, accepted: Accepted) -> str:
        """The message id as the receipt writes it."""
        return self._ids.in_receipt(accepted.message_id, self._settings.id_form)

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
        text = format_receipt_text(
            self.receipted_id(accepted),
            word,
            datetime.fromtimestamp(accepted.at, self._zone),
            datetime.fromtimestamp(now, self._zone),
            error=error,
            delivered=1 if stat == "DELIVRD" else 0,
            seconds=settings.time_format == "seconds",
            text=_quoted(accepted.pdu),
        )
        return text.encode("latin-1", "replace")

    def _filled(self, template: str, accepted: Accepted, stat: str, word: str, error: str, now: float) -> str:
        form = "%y%m%d%H%M%S" if self._settings.time_format == "seconds" else "%y%m%d%H%M"
        return template.format(
            id=self.receipted_id(accepted),
            sub="001",
            dlvrd="001" if stat == "DELIVRD" else "000",
            submit=datetime.fromtimestamp(accepted.at, self._zone).strftime(form),
            done=datetime.fromtimestamp(now, self._zone).strftime(form),
            stat=word,
            err=error,
            text=_quoted(accepted.pdu),
        )

    def _tlvs(self, accepted: Accepted, stat: str, error: str) -> tuple[Tlv, ...]:
        tlvs = [
            Tlv(_RECEIPTED_MESSAGE_ID, self.receipted_id(accepted).encode("latin-1") + b"\0"),
            Tlv(_MESSAGE_STATE, _STATES.get(stat, _UNKNOWN_STATE)),
        ]
        if error.isdigit() and int(error):
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
    beginning = pdu.short_message[:_QUOTED_OCTETS]
    return beginning.decode("latin-1") if beginning.isascii() and b"\0" not in beginning else ""
