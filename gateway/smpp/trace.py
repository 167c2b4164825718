"""PDUs for people: one line for each, with telephone numbers masked.

Pure functions over octets: what is traced may be malformed, so the frame is the truth and its decoding an attempt.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from gateway.smpp.constants import EsmClass, command_name, status_name
from gateway.smpp.errors import LocalProtocolError, RemoteProtocolError
from gateway.smpp.pdu import decode, encode
from gateway.smpp.text import DefaultAlphabet, decode_text, parse_concatenation, user_data
from gateway.smpp.tlv import STANDARD_TLVS, TlvRegistry

_header = struct.Struct(">IIII").unpack_from
#: Fields that hold a telephone number, an account's password, or lists of numbers.
_NUMBERS = frozenset({"source_addr", "destination_addr", "esme_addr"})
_LISTS = frozenset({"dest_address", "unsuccess_sme"})
_HEADER_FIELDS = frozenset({"sequence_number", "command_status"})
_SHOWN_OCTETS = 80
#: A Vietnamese mobile number inside a text, one octet a character or two. Codes of dossiers and ids do not look so.
_IN_TEXT = re.compile(rb"(?<!\d)(?:84|0)[35789]\d{8}(?!\d)")
_IN_UCS2 = re.compile(rb"(?<!\0\d)(?:\x008\x004|\x000)\0[35789](?:\0\d){8}(?!\0\d)")


class Address(NamedTuple):
    """One end of a connection."""

    host: str
    port: int


class Traced(NamedTuple):
    """One PDU that crossed the wire, or octets that are none."""

    at: float  # seconds since 1970
    connection: int  # 1, 2, 3 … of this bind
    sent: bool  # by us
    ours: Address
    theirs: Address
    octets: bytes


def mask(number: str) -> str:
    """84905***456. What has a letter, or fewer than nine digits, is a name or a shortcode and stays."""
    digits = number.removeprefix("+")
    if not digits.isdigit() or len(digits) < 9:
        return number
    return f"{number[:5]}{'*' * (len(number) - 8)}{number[-3:]}"


def masked(frame: bytes) -> bytes:
    """The same PDU, of the same length, without anybody's number. Passwords: see :func:`without_password`.

    What cannot be decoded loses every run of nine digits or more.
    """
    pdu = _decoded(frame)
    if pdu is None:
        return re.sub(rb"\d{9,}", lambda match: mask(match[0].decode()).encode(), frame)
    changed: dict[str, Any] = {name: mask(getattr(pdu, name)) for name in pdu._fields if name in _NUMBERS}
    for name in _LISTS.intersection(pdu._fields):
        entries = getattr(pdu, name)
        changed[name] = tuple(
            entry._replace(destination_addr=mask(entry.destination_addr))
            if hasattr(entry, "destination_addr")
            else entry
            for entry in entries
        )
    text = getattr(pdu, "short_message", b"")
    if text:
        changed["short_message"] = _masked_octets(text)
    tlvs = getattr(pdu, "tlvs", ())
    if tlvs:
        changed["tlvs"] = tuple(one._replace(value=_masked_octets(one.value)) for one in tlvs)
    return _encoded(pdu._replace(**changed), frame) if changed else frame


def without_password(frame: bytes) -> bytes:
    """The same PDU with asterisks for its password; what is no bind and no outbind passes unchanged.

    A bind that cannot be decoded loses its body.
    """
    if len(frame) < 16 or _header(frame)[1] not in (0x1, 0x2, 0x9, 0xB):
        return frame
    pdu = _decoded(frame)
    if pdu is None:
        return frame[:16] + b"*" * (len(frame) - 16)
    return _encoded(pdu._replace(password="*" * len(pdu.password)), frame)


def line(traced: Traced, *, alphabet: DefaultAlphabet = "gsm7", tlvs: TlvRegistry = STANDARD_TLVS) -> str:
    """One PDU without its time: ``#1 > submit_sm seq=7 source_addr=5/0/MotcuaSMS … "text"``.

    Only what differs from zero and empty is shown. ``>`` is ours, ``<`` the operator's. The frame is shown as it is: mask it
    before.
    """
    head = f"#{traced.connection} {'>' if traced.sent else '<'}"
    frame = traced.octets
    if len(frame) < 16:
        return f"{head} no PDU: {frame.hex(' ')}"
    length, command_id, status, number = _header(frame)
    words = [head, command_name(command_id), f"seq={number}"]
    if status or command_id & 0x80000000:
        words.append(status_name(status))
    try:
        pdu = decode(frame)
    except RemoteProtocolError as error:
        return _printable(" ".join([*words, f"length={length} malformed: {error}:", _hex(frame[16:])]))
    return _printable(" ".join([*words, *_fields(pdu), *_text(pdu, alphabet), *_tlvs(pdu, tlvs)]))


def _decoded(frame: bytes) -> Any:
    try:
        return decode(frame)
    except RemoteProtocolError:
        return None


def _encoded(pdu: Any, frame: bytes) -> bytes:
    """The changed PDU where it fills the very same octets; else nothing but its header is safe to show."""
    try:
        found = encode(pdu)
    except LocalProtocolError:
        found = b""
    return found if len(found) == len(frame) else frame[:16] + b"*" * (len(frame) - 16)


def _masked_octets(octets: bytes) -> bytes:
    octets = _IN_TEXT.sub(lambda match: mask(match[0].decode()).encode(), octets)
    return _IN_UCS2.sub(lambda match: mask(match[0].decode("utf-16-be")).encode("utf-16-be"), octets)


def _fields(pdu: Any) -> Iterator[str]:
    """Fields in wire order; type and plan of a number stand before it."""
    plans: list[str] = []
    for name in pdu._fields:
        value = getattr(pdu, name)
        if name in _HEADER_FIELDS or name in ("tlvs", "short_message"):
            continue
        if name.endswith(("_ton", "_npi")):
            plans.append(str(value))
        elif name in _NUMBERS or name == "address_range":
            shown = "/".join([*plans, str(value)])
            plans = []
            if shown.strip("/0"):
                yield f"{name}={shown}"
        elif name == "interface_version":
            yield f"{name}=0x{value:02X}"
        elif name == "esm_class" and value:
            yield f"esm_class=0x{value:02X}{_esm_words(value)}"
        elif isinstance(value, tuple) and value:
            yield f"{name}=[{', '.join('/'.join(map(str, entry)) for entry in value)}]"
        elif value:
            yield f"{name}={value}"


def _esm_words(value: int) -> str:
    words = [
        word for bit, word in ((0x04, "receipt"), (0x20, "intermediate"), (int(EsmClass.UDHI), "udh")) if value & bit
    ]
    return f"({','.join(words)})" if words else ""


def _text(pdu: Any, alphabet: DefaultAlphabet) -> Iterator[str]:
    if not hasattr(pdu, "esm_class"):
        octets = getattr(pdu, "short_message", b"")
        if octets:
            yield f"short_message={_hex(octets)}"
        return
    part = parse_concatenation(pdu)
    if part is not None:
        yield f"part={part.part}/{part.total} reference={part.reference}"
    octets = part.octets if part is not None else user_data(pdu)
    if not octets:
        return
    text = decode_text(octets, pdu.data_coding, default_alphabet=alphabet)
    yield f"octets={_hex(octets)}" if text is None else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _printable(text: str) -> str:
    """A peer's control characters must not forge lines, nor paint the terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def _tlvs(pdu: Any, registry: TlvRegistry) -> Iterator[str]:
    for one in getattr(pdu, "tlvs", ()):
        value = registry.value(one)
        if isinstance(value, str):
            value = _quoted(value)
        yield f"{registry.name(one.tag)}={_hex(value) if isinstance(value, bytes) else value}"


def _hex(octets: bytes) -> str:
    shown = octets[:_SHOWN_OCTETS].hex()
    return f"0x{shown}{'…' if len(octets) > _SHOWN_OCTETS else ''}"
