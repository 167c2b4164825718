"""Delivery receipts (DLR): what an SMSC says became of a message, read from TLVs and from the receipt's text.

The text's form is only an example in the standard (SMPP 3.4 Appendix B), and every SMSC has its own idea of it: fields in
another order or missing, dates with and without seconds, ids in another base than in submit_sm_resp. So the parser
looks for ``name:value`` pairs wherever they stand, and keeps what it does not know.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Literal, NamedTuple

from gateway.smpp.concatenation import user_data
from gateway.smpp.constants import EsmClass, MessageStateCode, TlvTag
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.receipt_ids import IdBase, id_keys
from gateway.smpp.receipt_text import (
    STAT_WORDS,
    STATES_BY_WORD,
    format_receipt_text,
    parse_date,
    reads_as_receipt,
    text_fields,
)
from gateway.smpp.tlv import octets_int, octets_str, tlv, tlv_values

__all__ = [
    "FINAL_STATES",
    "STATES_BY_WORD",
    "STAT_WORDS",
    "IdBase",
    "Receipt",
    "format_receipt_text",
    "id_keys",
    "is_receipt",
    "is_sme_acknowledgement",
    "parse_receipt",
]

#: States after which no other receipt of the message is to come. ACCEPTED is not among them: the standard means "read by
#: customer service", but SMSCs send ACCEPTD when they take a message over, and DELIVRD later.
FINAL_STATES = frozenset(
    {
        MessageStateCode.DELIVERED,
        MessageStateCode.EXPIRED,
        MessageStateCode.DELETED,
        MessageStateCode.UNDELIVERABLE,
        MessageStateCode.UNKNOWN,
        MessageStateCode.REJECTED,
        MessageStateCode.SKIPPED,
    }
)

ReceiptPdu = DeliverSm | DataSm

# Plain numbers: an operation on the members of an enumeration runs in Python, for each of thousands of receipts a second.
_TYPE_MASK = int(EsmClass.TYPE_MASK)
_INTERMEDIATE = int(EsmClass.INTERMEDIATE_NOTIFICATION)
_RECEIPT = int(EsmClass.DELIVERY_RECEIPT) | _INTERMEDIATE
#: 0x18 (conversation abort) shares the bits of both acknowledgements.
_ACKNOWLEDGEMENT = int(EsmClass.DELIVERY_ACKNOWLEDGEMENT) | int(EsmClass.USER_ACKNOWLEDGEMENT)
_RECEIPTED_MESSAGE_ID = int(TlvTag.RECEIPTED_MESSAGE_ID)
_MESSAGE_STATE = int(TlvTag.MESSAGE_STATE)
_USER_MESSAGE_REFERENCE = int(TlvTag.USER_MESSAGE_REFERENCE)
_NETWORK_ERROR_CODE = int(TlvTag.NETWORK_ERROR_CODE)
_WIDE_ID, _WIDE_STAT = "id:".encode("utf-16-be"), "stat:".encode("utf-16-be")


class Receipt(NamedTuple):
    """A delivery receipt, decoded. Nothing in it was converted but the dates."""

    message_id: str  # as given; "" when the SMSC told none
    stat: str  # as given, in upper case: "DELIVRD"; a word from the TLV's number when there is no text
    state: int | None  # a message_state, None when the word is unknown
    final: bool  # False for intermediate notifications, for ENROUTE, SCHEDULED, ACCEPTD and for unknown words
    error: str  # as given: "000", "0A1"; from network_error_code when there is no text
    submit_date: datetime | None  # aware, in the SMSC's time zone
    done_date: datetime | None
    text: str  # the beginning of the message, as far as the SMSC repeats it
    submitted: int | None  # sub
    delivered: int | None  # dlvrd
    network_type: int | None  # first octet of network_error_code
    network_error_code: int | None
    user_message_reference: int | None
    intermediate: bool
    conflict: bool  # TLVs and text name different messages or states


def is_receipt(pdu: ReceiptPdu, recognise_without_esm_class: bool = False) -> bool:
    """Whether a deliver_sm or data_sm is a receipt of the SMSC (and not a text of a handset).

    The type bits of esm_class say so (a delivery receipt or an intermediate notification). Without them, the two TLVs that
    only an SMSC can write do: receipted_message_id and message_state. A text that merely looks like a receipt could
    be forged by any handset, so it counts only if the bind's setting says that this SMSC forgets the bits.
    Acknowledgements of a handset (SME delivery or user acknowledgement) are no receipts.
    """
    bits = pdu.esm_class & _TYPE_MASK
    if bits & _RECEIPT:
        return not bits & _ACKNOWLEDGEMENT
    if tlv(pdu, _RECEIPTED_MESSAGE_ID) and tlv(pdu, _MESSAGE_STATE):
        return True
    return recognise_without_esm_class and reads_as_receipt(_receipt_text(pdu))


def is_sme_acknowledgement(pdu: ReceiptPdu) -> bool:
    """Whether a handset acknowledges a message of ours (SMPP 3.4 §2.11): neither a receipt nor a query."""
    return bool(pdu.esm_class & _TYPE_MASK & _ACKNOWLEDGEMENT)


def parse_receipt(
    pdu: ReceiptPdu, *, prefer: Literal["tlv", "text"] = "tlv", utc_offset_hours: float = 7.0
) -> Receipt | None:
    """Read a receipt, or None when neither TLVs nor text name a message or a state. Never raises.

    A receipt without an id is still returned: its handset and time may find the message.

    Args:
        prefer: which of the two wins where both are present and disagree.
        utc_offset_hours: the time zone of the dates in the text.
    """
    zone = _zone(utc_offset_hours)
    return _usual_receipt(pdu, zone) or _read_carefully(pdu, prefer, zone)


#: What most SMSCs send, with nothing in it that could be read in two ways.
_USUAL_OCTETS = re.compile(
    rb"id:([0-9A-Za-z-]{1,64}) sub:(\d{3}) dlvrd:(\d{3}) submit date:(\d{10}|\d{12}) done date:(\d{10}|\d{12}) "
    rb"stat:([A-Za-z]{1,20}) err:([0-9A-Za-z]{1,8}) [Tt]ext:([ -~]*)"
)


def _usual_receipt(pdu: ReceiptPdu, zone: timezone) -> Receipt | None:
    """What :func:`_read_carefully` would read, at a third of its cost; None when that must look itself: a text of another form, a
    word that we do not know, TLVs that say something else than the text.
    """
    found = None if isinstance(pdu, DataSm) else _USUAL_OCTETS.fullmatch(pdu.short_message)
    if found is None:
        return None
    message_id, submitted, delivered, submit_date, done_date, word, error, text = found.groups()
    stat = word.decode("ascii").upper()
    state = STATES_BY_WORD.get(stat)
    reference = None
    if pdu.tlvs:
        tlvs = tlv_values(pdu)
        tlv_id, tlv_state = tlvs.get(_RECEIPTED_MESSAGE_ID), octets_int(tlvs.get(_MESSAGE_STATE))
        if (tlv_id is not None and tlv_id.rstrip(b"\0") != message_id) or (
            tlv_state is not None and tlv_state != state
        ):
            return None
        if _NETWORK_ERROR_CODE in tlvs:
            return None
        reference = octets_int(tlvs.get(_USER_MESSAGE_REFERENCE))
    if state is None:
        return None
    intermediate = bool(pdu.esm_class & _TYPE_MASK & _INTERMEDIATE)
    return Receipt(
        message_id.decode("ascii"),
        stat,
        state,
        not intermediate and state in FINAL_STATES,
        error.decode("ascii"),
        parse_date(submit_date.decode("ascii"), zone),
        parse_date(done_date.decode("ascii"), zone),
        text.decode("ascii").strip(" "),
        int(submitted),
        int(delivered),
        None,
        None,
        reference,
        intermediate,
        False,
    )


def _read_carefully(pdu: ReceiptPdu, prefer: Literal["tlv", "text"], zone: timezone) -> Receipt | None:
    fields = text_fields(_receipt_text(pdu))
    tlvs = tlv_values(pdu)
    tlv_id = (octets_str(tlvs.get(_RECEIPTED_MESSAGE_ID)) or "").strip()
    tlv_state = octets_int(tlvs.get(_MESSAGE_STATE))
    text_id = fields.get("id", "")
    text_stat = fields.get("stat", "").upper()
    text_state = STATES_BY_WORD.get(text_stat)
    if tlv_state is None and not (tlv_id or text_id or text_stat):
        return None
    # The preferred one wins, unless only the other names a state that we know.
    by_tlv = tlv_state is not None and (text_state is None or (tlv_state in STAT_WORDS and prefer == "tlv"))
    state = tlv_state if by_tlv else text_state
    stat = _stat_word(tlv_state) if by_tlv and text_state != tlv_state else text_stat
    intermediate = bool(pdu.esm_class & _TYPE_MASK & _INTERMEDIATE)
    network_type, network_error_code = _network_error(tlvs.get(_NETWORK_ERROR_CODE))
    return Receipt(
        message_id=(tlv_id or text_id) if prefer == "tlv" else (text_id or tlv_id),
        stat=stat,
        state=state,
        final=not intermediate and state in FINAL_STATES,
        error=fields.get("err") or ("" if network_error_code is None else str(network_error_code)),
        submit_date=parse_date(fields.get("submit date", ""), zone),
        done_date=parse_date(fields.get("done date", ""), zone),
        text=fields.get("text", ""),
        submitted=_number(fields.get("sub", "")),
        delivered=_number(fields.get("dlvrd", "")),
        network_type=network_type,
        network_error_code=network_error_code,
        user_message_reference=octets_int(tlvs.get(_USER_MESSAGE_REFERENCE)),
        intermediate=intermediate,
        conflict=_different_ids(tlv_id, text_id)
        or (tlv_state is not None and text_state is not None and text_state != tlv_state),
    )


@lru_cache(maxsize=64)
def _zone(utc_offset_hours: float) -> timezone:
    return timezone(timedelta(hours=utc_offset_hours))


def _different_ids(one: str, other: str) -> bool:
    """Whether two ids are of different messages; one written in hex and the other in decimal are not."""
    if one == other or not one or not other:
        return False
    return not set(id_keys(one, "either", "response")) & set(id_keys(other, "either", "receipt"))


def _receipt_text(pdu: ReceiptPdu) -> str:
    """The receipt's text, whatever data_coding says: SMSCs copy that of the message, and its UDHI bit too."""
    octets = (b"" if isinstance(pdu, DataSm) else pdu.short_message) or tlv(pdu, TlvTag.MESSAGE_PAYLOAD) or b""
    if b"\0" in octets:  # as every second octet of UTF-16 is
        lower = octets.lower()
        if _WIDE_ID in lower or _WIDE_STAT in lower:
            return user_data(pdu).decode("utf-16-be", errors="replace")
    # 0x11 is the underscore of GSM 7-bit, which some ids contain; the rest of a receipt is the same in ASCII.
    return octets.decode("latin-1").replace("\x11", "_")


def _network_error(value: bytes | None) -> tuple[int | None, int | None]:
    """SMPP 3.4 §5.3.2.31: network type, then a two-octet code of that network."""
    if value is None or len(value) != 3:
        return None, None
    return value[0], int.from_bytes(value[1:], "big")


def _stat_word(state: int | None) -> str:
    return "" if state is None else STAT_WORDS.get(state, str(state))


def _number(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
