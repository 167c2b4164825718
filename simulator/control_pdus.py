"""PDUs for people: what a frame from the ring says, field by field."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from gateway.smpp.constants import (
    EsmClass,
    Npi,
    TlvTag,
    Ton,
    command_name,
    status_description,
    status_name,
)
from gateway.smpp.errors import RemoteProtocolError
from gateway.smpp.fields import Kind
from gateway.smpp.pdu import Pdu, decode, tlv
from gateway.smpp.text import DefaultAlphabet, decode_text, parse_concatenation, user_data
from gateway.smpp.tlv import Tlv, TlvRegistry
from simulator.pdu_ring import PduEntry

_header = struct.Struct(">IIII").unpack_from
_HEADER_FIELDS = ("sequence_number", "command_status")
_REGISTRY = TlvRegistry()
_PREVIEW = 160  # characters of a text in the list
_RECEIPT_BIT = 0x04  # 5.2.12: SMSC delivery receipt
_CODINGS = {0: "default alphabet", 1: "ASCII", 2: "octets", 3: "Latin-1", 4: "octets", 8: "UCS-2"}
_REGISTERED = {0: "no receipt", 1: "receipt wanted", 2: "receipt wanted on failure", 3: "receipt wanted on success"}

Alphabet = Callable[[str], DefaultAlphabet]  # of an account, by its name


def summary(entry: PduEntry, alphabet: Alphabet) -> dict[str, Any]:
    """One line of the list. ``direction``: "in" is what the ESME sent."""
    pdu, fault = _decoded(entry)
    values: dict[str, Any] = {
        "n": entry.n,
        "at": round(entry.at, 4),
        "direction": "out" if entry.sent else "in",
        "account": entry.wire.account,
        "system_id": entry.wire.system_id,
        "peer": entry.wire.peer,
        "octets": len(entry.octets),
        "command": None,
        "status": None,
        "status_name": None,
        "sequence_number": None,
        "source": getattr(pdu, "source_addr", None),
        "destination": getattr(pdu, "destination_addr", None),
        "message_id": getattr(pdu, "message_id", None),
        "text": None,
        "part": None,
        "receipt": False,
        "fault": fault,
    }
    if entry.framed:
        _, command_id, status, number = _header(entry.octets)
        values.update(
            command=command_name(command_id), status=status, status_name=status_name(status), sequence_number=number
        )
    if pdu is not None:
        values.update(_message(pdu, alphabet(entry.wire.account), _PREVIEW))
    return values


def detail(entry: PduEntry, alphabet: Alphabet) -> dict[str, Any]:
    """Everything about one PDU: its fields, its TLVs, its octets."""
    pdu, _ = _decoded(entry)
    values = summary(entry, alphabet)
    values["mode"] = entry.wire.mode
    values["hex"] = entry.octets.hex()
    values["fields"] = list(_fields(entry, pdu)) if entry.framed else []
    values["tlvs"] = [_tlv(one) for one in getattr(pdu, "tlvs", ())]
    if pdu is not None:
        values.update(_message(pdu, alphabet(entry.wire.account), None))
    return values


def matches(values: dict[str, Any], words: str) -> bool:
    """Whether every word occurs somewhere in a summary, whatever its case."""
    haystack = "\n".join(str(value) for value in values.values() if value is not None).lower()
    return all(word in haystack for word in words.lower().split())


def _decoded(entry: PduEntry) -> tuple[Pdu | None, str | None]:
    if not entry.framed:
        return None, "these octets are no PDU"
    try:
        return decode(entry.octets), None
    except RemoteProtocolError as error:
        return None, str(error)


def _message(pdu: Any, alphabet: DefaultAlphabet, limit: int | None) -> dict[str, Any]:
    """Text, part of a long message, whether it is a receipt; nothing where the PDU is no message."""
    if not hasattr(pdu, "esm_class"):
        return {}
    text, part = "", None
    if getattr(pdu, "short_message", b"") != b"" or tlv(pdu, TlvTag.MESSAGE_PAYLOAD) is not None:
        place = parse_concatenation(pdu)
        octets = place.octets if place is not None else user_data(pdu)
        decoded = decode_text(octets, pdu.data_coding, default_alphabet=alphabet)
        text = octets.hex(" ") if decoded is None else decoded
        part = None if place is None else [place.reference, place.total, place.part]
    shortened = text if limit is None or len(text) <= limit else text[: limit - 1] + "…"
    return {"text": shortened, "part": part, "receipt": bool(pdu.esm_class & _RECEIPT_BIT)}


def _fields(entry: PduEntry, pdu: Pdu | None) -> Iterator[dict[str, Any]]:
    length, command_id, status, number = _header(entry.octets)
    yield _field("command_length", length)
    yield _field("command_id", f"0x{command_id:08X}", command_name(command_id))
    yield _field("command_status", f"0x{status:08X}", _status(status))
    yield _field("sequence_number", number)
    if pdu is None:
        return
    for name in pdu._fields:
        if name in _HEADER_FIELDS or name == "tlvs":
            continue
        value = getattr(pdu, name)
        if isinstance(value, bytes):
            yield _field(name, value.hex(" "), f"{len(value)} octets")
        elif isinstance(value, tuple):
            yield _field(name, ", ".join(str(item) for item in value))
        else:
            yield _field(name, value, _meaning(name, value))


def _field(name: str, value: str | int, meaning: str = "") -> dict[str, Any]:
    return {"name": name, "value": value, "meaning": meaning}


def _status(status: int) -> str:
    description = status_description(status)
    return f"{status_name(status)}: {description}" if status and description else status_name(status)


def _meaning(name: str, value: Any) -> str:
    if not isinstance(value, int):
        return ""
    if name.endswith("_ton"):
        return _enum_word(Ton, value)
    if name.endswith("_npi"):
        return _enum_word(Npi, value)
    if name == "interface_version":
        return f"{value >> 4}.{value & 15}"
    if name == "data_coding":
        return _CODINGS.get(value, f"0x{value:02X}")
    if name == "registered_delivery":
        return _REGISTERED[value & 3] + (", intermediate too" if value & 0x10 else "")
    if name == "esm_class":
        return _esm_class(value)
    return ""


def _enum_word(enum: Any, value: int) -> str:
    try:
        return str(enum(value).name).lower().replace("_", " ")
    except ValueError:
        return "reserved"


def _esm_class(value: int) -> str:
    words = []
    if value & _RECEIPT_BIT:
        words.append("delivery receipt")
    if value & 0x20:
        words.append("intermediate notification")
    if value & int(EsmClass.UDHI):
        words.append("user data header")
    return ", ".join(words)


def _tlv(one: Tlv) -> dict[str, Any]:
    row = _REGISTRY.by_tag(one.tag)
    text = ""
    if row is not None and row.kind is Kind.INTEGER and 1 <= len(one.value) <= 8:
        text = str(int.from_bytes(one.value, "big"))
    elif row is not None and row.kind is Kind.C_OCTET_STRING:
        text = one.value.split(b"\0")[0].decode("latin-1")
    elif row is None and one.value.rstrip(b"\0").isascii() and one.value.rstrip(b"\0").decode("ascii").isprintable():
        text = one.value.rstrip(b"\0").decode("ascii")
    return {"tag": one.tag, "name": _REGISTRY.name(one.tag), "hex": one.value.hex(), "value": text}
