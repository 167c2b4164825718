"""Text to octets and back, and a long text cut into the parts that one submit_sm each carries.

Two codings exist for us: "gsm7" (the bind's default alphabet, data_coding 0) and "ucs2" (UTF-16, big endian,
data_coding 8). A part holds 140 octets on the air: 160 septets or 70 UTF-16 units, less what the user data header
takes when the text is long (3GPP TS 23.040 §9.2.3.24.1; SMPP 3.4 §5.2.22 for the sar_* TLVs).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from gateway.smpp.constants import DataCoding, EsmClass, TlvTag
from gateway.smpp.folding import REPLACEMENT, fold
from gateway.smpp.gsm7 import EXTENSION_CHARACTERS, decode_gsm7, encode_gsm7, is_gsm7, septets
from gateway.smpp.tlv import Tlv

Coding = Literal["gsm7", "ucs2"]
DefaultAlphabet = Literal["gsm7", "ascii", "latin1"]
LongMessageForm = Literal["udh8", "udh16", "sar", "payload"]

PART_OCTETS = 140
#: One octet tells the parts of a message, whatever the form.
MAX_PARTS = 255

# UDHL, IEI, IEDL, reference (one or two octets), total, part
_UDH8_OCTETS = 6
_UDH16_OCTETS = 7

#: Octets of the header that each part of a long message loses. The SMSC turns sar_* and message_payload into a header
#: of its own, so these forms leave the room of the usual one.
HEADER_OCTETS: dict[LongMessageForm, int] = {
    "udh8": _UDH8_OCTETS,
    "udh16": _UDH16_OCTETS,
    "sar": _UDH8_OCTETS,
    "payload": _UDH8_OCTETS,
}


class Segment(NamedTuple):
    """One part of a text, as the fields of a submit_sm or deliver_sm."""

    short_message: bytes
    data_coding: int
    esm_class_bits: int  # to be added to esm_class: 0x40 when a user data header leads the octets
    tlvs: tuple[Tlv, ...]


def choose_coding(text: str) -> Coding:
    """ "gsm7" when the alphabet holds every character, else "ucs2"."""
    return "gsm7" if is_gsm7(text) else "ucs2"


def part_units(coding: Coding, header_octets: int = 0) -> int:
    """Septets or UTF-16 units in one part: 160/70 alone, 153/67 with a header of 6 octets, 152/66 with one of 7."""
    room = PART_OCTETS - header_octets
    return room * 8 // 7 if coding == "gsm7" else room // 2


def split(text: str, coding: Coding, *, header_octets: int = _UDH8_OCTETS) -> list[str]:
    """The parts of a text. Joined they are the text again; an escape sequence or a surrogate pair is never broken.

    Args:
        header_octets: what the user data header takes of each part when there is more than one.

    Raises:
        ValueError: coding "gsm7" and a character is not in the alphabet.
    """
    length = septets(text) if coding == "gsm7" else len(text.encode("utf-16-be", "surrogatepass")) // 2
    if length <= part_units(coding):
        return [text]
    limit = part_units(coding, header_octets)
    if length == len(text):  # no character takes two units: the usual case
        return [text[start : start + limit] for start in range(0, length, limit)]
    parts: list[str] = []
    start = used = 0
    for index, character in enumerate(text):
        width = _width(character, coding)
        if used + width > limit:
            parts.append(text[start:index])
            start, used = index, 0
        used += width
    parts.append(text[start:])
    return parts


def _width(character: str, coding: Coding) -> int:
    if coding == "gsm7":
        return 2 if character in EXTENSION_CHARACTERS else 1
    return 2 if ord(character) > 0xFFFF else 1


def count_parts(text: str, coding: Coding, form: LongMessageForm = "udh8") -> int:
    """How many parts the text takes; each costs a message. An empty text takes one."""
    return len(split(text, coding, header_octets=HEADER_OCTETS[form]))


def encode_text(text: str, coding: Coding, *, default_alphabet: DefaultAlphabet = "gsm7") -> tuple[int, bytes]:
    """data_coding and the octets of a text.

    An SMSC whose default alphabet is ASCII or Latin-1 cannot take every character of GSM 7-bit: one that it lacks is
    folded, or becomes "?" (the euro sign, a Greek letter).

    Raises:
        ValueError: coding "gsm7" and a character is not in the alphabet; a lone surrogate.
    """
    if coding == "ucs2":
        return DataCoding.UCS2, text.encode("utf-16-be")
    if default_alphabet == "gsm7":
        return DataCoding.DEFAULT_ALPHABET, encode_gsm7(text)
    if not is_gsm7(text):
        raise ValueError("the text has a character that is not in the GSM 7-bit alphabet")
    codec = {"ascii": "ascii", "latin1": "latin-1"}[default_alphabet]
    return DataCoding.DEFAULT_ALPHABET, "".join(_fit(character, codec) for character in text).encode(codec)


def _fit(character: str, codec: str) -> str:
    """The character, or one octet's worth of likeness: the number of characters stays, so the parts stay as counted."""
    for candidate in (character, fold(character)[:1]):
        try:
            candidate.encode(codec)
        except UnicodeEncodeError:
            continue
        return candidate
    return REPLACEMENT


def decode_text(octets: bytes, data_coding: int, *, default_alphabet: DefaultAlphabet = "gsm7") -> str | None:
    """The text of user data (header removed), or None when it is no text: binary, compressed, or broken.

    Nothing is guessed: octets that do not fit the declared coding are undecodable, and the caller keeps them as they
    are. GSM text with a national language table in its header is read with the default table: letters of queries are
    the same in all of them. A byte order mark is an explicit sign and is followed.

    Source: SMPP 3.4 §5.2.19; coding groups of 3GPP TS 23.038 §4.
    """
    codec = _codec(data_coding, default_alphabet)
    if codec is None:
        return None
    if codec == "gsm7":
        return decode_gsm7(octets)
    if codec == "utf-16-be" and octets[:2] in (b"\xfe\xff", b"\xff\xfe"):
        codec = "utf-16"
    try:
        return octets.decode(codec)
    except UnicodeDecodeError:
        return None


_SMPP_CODECS: dict[int, str] = {
    DataCoding.IA5: "ascii",
    DataCoding.LATIN_1: "latin-1",
    DataCoding.CYRILLIC: "iso8859-5",
    DataCoding.HEBREW: "iso8859-8",
    DataCoding.UCS2: "utf-16-be",
}


def _codec(data_coding: int, default_alphabet: DefaultAlphabet) -> str | None:
    default = {"gsm7": "gsm7", "ascii": "ascii", "latin1": "latin-1"}[default_alphabet]
    if data_coding == 0:
        return default
    if data_coding < 0x10:
        return _SMPP_CODECS.get(data_coding)
    # From here on the octet has the meaning that GSM gives it: general groups (message class, automatic deletion) …
    if data_coding < 0x80:
        compressed = data_coding & 0x20
        alphabet = (data_coding >> 2) & 0x03  # 0 default, 1 8-bit, 2 UCS-2, 3 reserved
        return None if compressed else {0: default, 2: "utf-16-be"}.get(alphabet)
    # … message waiting (discard, store, store in UCS-2), and data coding with message class (0xF0: flash and others)
    return {0xC0: default, 0xD0: default, 0xE0: "utf-16-be", 0xF0: None if data_coding & 0x04 else default}.get(
        data_coding & 0xF0
    )


def segment(
    text: str, coding: Coding, *, form: LongMessageForm, reference: int, default_alphabet: DefaultAlphabet = "gsm7"
) -> list[Segment]:
    """The parts of a text in the form that the SMSC understands. A text of one part has no header and no TLV.

    Args:
        form: "udh8" and "udh16" lead each part with a user data header of an 8-bit or 16-bit reference; "sar" names
            the parts in TLVs; "payload" sends the whole text in one message_payload TLV and lets the SMSC cut it.
        reference: the message's number among those to one handset; taken modulo what the form holds.

    Raises:
        ValueError: more than 255 parts; a character that the coding lacks.
    """
    parts = split(text, coding, header_octets=HEADER_OCTETS[form])
    if len(parts) == 1:
        data_coding, octets = encode_text(text, coding, default_alphabet=default_alphabet)
        return [Segment(octets, data_coding, 0, ())]
    if len(parts) > MAX_PARTS:
        raise ValueError(f"the text takes {len(parts)} parts; {MAX_PARTS} is the most that a message can have")
    if form == "payload":
        data_coding, octets = encode_text(text, coding, default_alphabet=default_alphabet)
        return [Segment(b"", data_coding, 0, (Tlv(TlvTag.MESSAGE_PAYLOAD, octets),))]
    return [
        _segment(encode_text(part, coding, default_alphabet=default_alphabet), form, reference, len(parts), number)
        for number, part in enumerate(parts, start=1)
    ]


def _segment(encoded: tuple[int, bytes], form: LongMessageForm, reference: int, total: int, part: int) -> Segment:
    data_coding, octets = encoded
    if form == "sar":
        tlvs = (
            Tlv(TlvTag.SAR_MSG_REF_NUM, (reference & 0xFFFF).to_bytes(2, "big")),
            Tlv(TlvTag.SAR_TOTAL_SEGMENTS, bytes([total])),
            Tlv(TlvTag.SAR_SEGMENT_SEQNUM, bytes([part])),
        )
        return Segment(octets, data_coding, 0, tlvs)
    if form == "udh16":
        header = bytes([6, 0x08, 4, reference >> 8 & 0xFF, reference & 0xFF, total, part])
    else:
        header = bytes([5, 0x00, 3, reference & 0xFF, total, part])
    return Segment(header + octets, data_coding, EsmClass.UDHI, ())
