"""A claimed message as submit_sm PDUs, in the form that a bind wants."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from gateway.model import ClaimedMessage
from gateway.mt.extra_tlvs import extra_tlvs
from gateway.settings import BindSettings
from gateway.smpp.constants import TlvTag
from gateway.smpp.pdu import SubmitSm, Tlv
from gateway.smpp.text import Coding, LongMessageForm, Segment, encode_text, segment
from gateway.store.receipts import user_message_reference

#: SMPP 3.4 §5.2.17: an SMSC delivery receipt is requested whatever the outcome.
RECEIPT_ALWAYS = 1
#: Of one part alone, in octets as submitted: 160 septets unpacked, or 70 UTF-16 units.
_ALONE_OCTETS = {"gsm7": 160, "ucs2": 140}
_USER_MESSAGE_REFERENCE = int(TlvTag.USER_MESSAGE_REFERENCE)
#: SMPP 3.4 §7.1.1.2: the relative time format has two digits of years.
_LONGEST_VALIDITY = timedelta(days=365)


def long_form(bind: BindSettings, message: ClaimedMessage, tlvs_allowed: bool) -> LongMessageForm:
    """The form of a long message on this bind.

    A peer before 3.4 has no TLVs for ``sar`` and ``payload``; and a message of which the SMSC has some parts cannot go on as
    one payload.
    """
    form = bind.long_message
    if form in ("sar", "payload") and not tlvs_allowed:
        return "udh8"
    if form == "payload" and message.parts_done:
        return "udh8"
    return form


def segments_of(message: ClaimedMessage, bind: BindSettings, form: LongMessageForm) -> list[Segment]:
    """The parts of a message: as many as ``message.parts``, or one that carries them all (``payload``).

    The reference is the message's id, so that parts sent after a restart still join those sent before.

    Raises:
        ValueError: the text cannot be written in its coding, or does not have the parts that were counted.
    """
    coding = cast(Coding, message.coding)
    if message.parts == 1:
        data_coding, octets = encode_text(message.text, coding, default_alphabet=bind.default_alphabet)
        if len(octets) <= _ALONE_OCTETS[message.coding]:
            return [Segment(octets, data_coding, 0, ())]
    else:
        candidates: tuple[LongMessageForm, ...] = (form, "udh8")
        for candidate in candidates:
            # Parts are counted for the 8-bit reference; a longer header may take one part more.
            found = segment(
                message.text, coding, form=candidate, reference=message.id, default_alphabet=bind.default_alphabet
            )
            if len(found) == message.parts or candidate == "payload":
                return found
    raise ValueError(f"the text does not fit the {message.parts} parts that were counted")


def make_submit(
    message: ClaimedMessage, part: int, piece: Segment, bind: BindSettings, tlvs_allowed: bool, business_now: datetime
) -> SubmitSm:
    """The submit_sm of one part (SMPP 3.4 §4.4.1). ``part`` is its number, 1 for a payload."""
    alphanumeric = not message.source_addr.isdigit()
    tlvs = piece.tlvs
    if tlvs_allowed:
        if bind.tlvs:
            tlvs = (*tlvs, *extra_tlvs(bind, message, part))
        if bind.send_user_message_reference:
            reference = user_message_reference(message.id, part).to_bytes(2, "big")
            tlvs = (*tlvs, Tlv(_USER_MESSAGE_REFERENCE, reference))
    return SubmitSm(  # by place: twenty names a message take as long as encoding it
        0,
        0,
        bind.service_type,
        bind.source_ton_alphanumeric if alphanumeric else bind.source_ton_shortcode,
        bind.source_npi_alphanumeric if alphanumeric else bind.source_npi_shortcode,
        message.source_addr,
        bind.dest_ton,
        bind.dest_npi,
        message.destination_addr,
        piece.esm_class_bits,
        0,  # protocol_id
        0,  # priority_flag
        "",  # schedule_delivery_time
        _validity(message, business_now) if bind.send_validity_period else "",
        RECEIPT_ALWAYS,
        0,  # replace_if_present_flag
        piece.data_coding,
        0,  # sm_default_msg_id
        piece.short_message,
        tlvs,
    )


def _validity(message: ClaimedMessage, business_now: datetime) -> str:
    """Relative time: YYMMDDhhmmss000R (SMPP 3.4 §7.1.1.2); "" leaves it to the SMSC."""
    if message.expires_at is None:
        return ""
    left = min(max(message.expires_at - business_now, timedelta(minutes=1)), _LONGEST_VALIDITY)
    years, days = divmod(left.days, 365)
    months, days = divmod(days, 30)
    hours, seconds = divmod(left.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    return f"{years:02d}{months:02d}{days:02d}{hours:02d}{minutes:02d}{seconds:02d}000R"
