"""What a PDU says of its user data: the octets of the text, and the part's place in a long message.

Source: 3GPP TS 23.040 §9.2.3.24 (user data header); SMPP 3.4 §5.2.12 (UDHI), §5.3.2.22-24 (sar_*), §5.3.2.32
(message_payload).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from gateway.smpp.constants import EsmClass, TlvTag
from gateway.smpp.pdu import DataSm, DeliverSm, SubmitSm
from gateway.smpp.segmentation import MAX_PARTS, DefaultAlphabet, decode_text
from gateway.smpp.tlv import tlv

_IEI_CONCATENATED_8 = 0x00  # 3GPP TS 23.040 §9.2.3.24.1
_IEI_CONCATENATED_16 = 0x08  # §9.2.3.24.8

MessagePdu = DeliverSm | DataSm | SubmitSm


class Concatenation(NamedTuple):
    """What one part says of its place in a long message."""

    reference: int
    total: int  # 2 … 255
    part: int  # 1 … total
    octets: bytes  # user data without its header
    form: Literal["udh8", "udh16", "sar"]


class IncomingPart(NamedTuple):
    """One part of a long message, with what is needed to read it."""

    octets: bytes
    data_coding: int


def user_data(pdu: MessagePdu) -> bytes:
    """The octets of the text: short_message, or message_payload when that is empty, without a user data header.

    A header that is announced but does not fit its octets is taken for text: nothing is lost.
    """
    return _split_header(pdu)[1]


def parse_concatenation(pdu: MessagePdu) -> Concatenation | None:
    """The part's place in a long message, from its user data header or its sar_* TLVs; None for a whole message.

    Numbers that make no sense (part 0, part beyond the total, a total of 1) mean a whole message, as
    3GPP TS 23.040 §9.2.3.24.1 asks.
    """
    header, octets = _split_header(pdu)
    for identifier, value in _elements(header):
        if identifier == _IEI_CONCATENATED_8 and len(value) == 3:
            return _valid(Concatenation(value[0], value[1], value[2], octets, "udh8"))
        if identifier == _IEI_CONCATENATED_16 and len(value) == 4:
            return _valid(Concatenation(value[0] << 8 | value[1], value[2], value[3], octets, "udh16"))
    numbers = [tlv(pdu, tag) for tag in (TlvTag.SAR_MSG_REF_NUM, TlvTag.SAR_TOTAL_SEGMENTS, TlvTag.SAR_SEGMENT_SEQNUM)]
    if not all(numbers):
        return None
    reference, total, part = (int.from_bytes(number or b"", "big") for number in numbers)
    return _valid(Concatenation(reference, total, part, octets, "sar"))


def _valid(concatenation: Concatenation) -> Concatenation | None:
    return (
        concatenation
        if concatenation.total > 1 and 1 <= concatenation.part <= concatenation.total <= MAX_PARTS
        else None
    )


def _split_header(pdu: MessagePdu) -> tuple[bytes, bytes]:
    octets = b"" if isinstance(pdu, DataSm) else pdu.short_message
    octets = octets or tlv(pdu, TlvTag.MESSAGE_PAYLOAD) or b""
    if not pdu.esm_class & EsmClass.UDHI or not octets:
        return b"", octets
    end = 1 + octets[0]
    header = octets[1:end]
    if end > len(octets) or sum(2 + len(value) for _, value in _elements(header)) != len(header):
        return b"", octets
    return header, octets[end:]


def _elements(header: bytes) -> Iterator[tuple[int, bytes]]:
    """Information elements of a user data header; stops where one does not fit."""
    position = 0
    while position + 2 <= len(header):
        end = position + 2 + header[position + 1]
        if end > len(header):
            return
        yield header[position], header[position + 2 : end]
        position = end


def join_text(parts: Sequence[IncomingPart], *, default_alphabet: DefaultAlphabet = "gsm7") -> str | None:
    """The text of parts in order, or None when one of them is no text.

    Neighbours of one data_coding are joined before they are decoded: other senders do cut a surrogate pair in two.
    """
    texts: list[str] = []
    pending = b""
    for index, (octets, data_coding) in enumerate(parts):
        pending += octets
        if index + 1 < len(parts) and parts[index + 1].data_coding == data_coding:
            continue
        text = decode_text(pending, data_coding, default_alphabet=default_alphabet)
        if text is None:
            return None
        texts.append(text)
        pending = b""
    return "".join(texts)
