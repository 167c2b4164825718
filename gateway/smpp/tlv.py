"""Optional parameters (TLVs): the value as it lies on the wire, and its reading by the rows of ``fields``.

Decoding a PDU never interprets a TLV: an unknown, repeated, empty or odd-sized one is kept as octets, in order.
It is read here, when somebody asks for it, and leniently: a peer's sloppy length costs no message.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from gateway.smpp.constants import TLV_VENDOR_FIRST, TLV_VENDOR_LAST
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.fields import TLV_ROWS, Kind, TlvRow

_new = tuple.__new__  # the named tuple's own constructor costs as much as all the rest of make()
_INTEGER_OCTETS = range(1, 9)  # longer "integers" are somebody's octet string


class Tlv(NamedTuple):
    """One optional parameter as it lies on the wire (SMPP 3.4 §3.2.4.1); its length is that of the value."""

    tag: int
    value: bytes


class WithTlvs(Protocol):
    """Any PDU."""

    @property
    def tlvs(self) -> tuple[Tlv, ...]: ...


class TlvRegistry:
    """The TLVs we know by name: the standard's, and the vendor's that the configuration adds."""

    def __init__(self, vendor_rows: Iterable[TlvRow] = ()) -> None:
        """Add the vendor's rows to the standard's.

        Raises LocalProtocolError if a name or a tag is taken, a tag lies outside 16 bits, or a row's sizes are absurd.
        A vendor's tag outside 0x1400-0x3FFF is allowed: operators do use others.
        """
        self._by_tag: dict[int, TlvRow] = {}
        self._by_name: dict[str, TlvRow] = {}
        for row in (*TLV_ROWS, *vendor_rows):
            self._add(row)

    def _add(self, row: TlvRow) -> None:
        if row.tag in self._by_tag:
            raise LocalProtocolError(f"TLV {row.name}: tag 0x{row.tag:04X} is that of {self._by_tag[row.tag].name}")
        if row.name in self._by_name:
            raise LocalProtocolError(f"TLV {row.name}: the name is that of tag 0x{self._by_name[row.name].tag:04X}")
        if not 0 <= row.tag <= 0xFFFF or not 0 <= row.min_octets <= row.max_octets <= 0xFFFF:
            raise LocalProtocolError(f"TLV {row.name}: tag and sizes must fit in 16 bits, the smaller size first")
        if row.kind not in (Kind.INTEGER, Kind.C_OCTET_STRING, Kind.OCTET_STRING):
            raise LocalProtocolError(f"TLV {row.name}: {row.kind.value} is no type of a TLV")
        self._by_tag[row.tag] = row
        self._by_name[row.name] = row

    def by_name(self, name: str) -> TlvRow | None:
        return self._by_name.get(name)

    def by_tag(self, tag: int) -> TlvRow | None:
        return self._by_tag.get(tag)

    def name(self, tag: int) -> str:
        """Return the name to show for a tag: "user_message_reference", "vendor_0x1401" or "0x0699"."""
        row = self._by_tag.get(tag)
        if row is not None:
            return row.name
        return f"vendor_0x{tag:04X}" if TLV_VENDOR_FIRST <= tag <= TLV_VENDOR_LAST else f"0x{tag:04X}"

    def allowed(self, tag: int, command_id: int) -> bool:
        """Say whether this PDU may carry this TLV; unknown TLVs and the standard's own are let through."""
        row = self._by_tag.get(tag)
        return row is None or row.commands is None or command_id in row.commands

    def make(self, tag: int | str, value: int | str | bytes) -> Tlv:
        """Build a TLV, by tag or by name. An unknown tag takes octets only.

        bytes are the value on the wire, as they are; an int or str is put into the form that the row names (a C-octet
        string gets its NUL). Raises LocalProtocolError if the value does not fit the row.
        """
        row = self._by_name.get(tag) if isinstance(tag, str) else self._by_tag.get(tag)
        if row is None:
            return _make_unknown(tag, value)
        name, wire_tag, kind, smallest, largest, _ = row
        octets: bytes | None = None
        try:
            if isinstance(value, bytes):
                octets = value
            elif isinstance(value, int):
                if kind is Kind.INTEGER:
                    octets = value.to_bytes(largest)  # big endian
            elif kind is Kind.OCTET_STRING:
                octets = value.encode("latin-1")
            elif kind is Kind.C_OCTET_STRING and "\0" not in value:
                octets = value.encode("latin-1") + b"\0"
        except (UnicodeEncodeError, OverflowError):
            octets = None
        if octets is None:  # the message names the type only: the value may be somebody's number
            what = f"a {type(value).__name__} that does not fit its type {kind.value}"
            raise LocalProtocolError(f"TLV {name}: {what} of {largest} octets")
        if not smallest <= len(octets) <= largest:
            raise LocalProtocolError(f"TLV {name}: {len(octets)} octets, allowed are {smallest} to {largest}")
        return _new(Tlv, (wire_tag, octets))

    def value(self, tlv: Tlv) -> int | str | bytes:
        """Read a TLV by its row; one that is unknown, or that its type does not fit, stays octets."""
        row = self._by_tag.get(tlv.tag)
        if row is None:
            return tlv.value
        if row.kind is Kind.INTEGER and len(tlv.value) in _INTEGER_OCTETS:
            return int.from_bytes(tlv.value, "big")
        if row.kind is Kind.C_OCTET_STRING:
            return _text(tlv.value)
        return tlv.value


def _make_unknown(tag: int | str, value: int | str | bytes) -> Tlv:
    if isinstance(tag, str):
        raise LocalProtocolError(f"TLV {tag}: not a name of the standard, nor one of the configuration")
    if not isinstance(value, bytes):
        raise LocalProtocolError(f"TLV 0x{tag:04X}: unknown, so its value must be octets")
    return Tlv(tag, value)


def _text(octets: bytes) -> str:
    """Read a C-octet string; some SMSCs leave the NUL out."""
    return octets.split(b"\0", 1)[0].decode("latin-1")


STANDARD_TLVS = TlvRegistry()


def make_tlv(tag: int | str, value: int | str | bytes, registry: TlvRegistry = STANDARD_TLVS) -> Tlv:
    """Build a TLV by its row: see TlvRegistry.make."""
    return registry.make(tag, value)


def tlv(pdu: WithTlvs, tag: int) -> bytes | None:
    """Return the octets of the first TLV of this tag, None if there is none."""
    for found, value in pdu.tlvs:
        if found == tag:
            return value
    return None


def tlv_int(pdu: WithTlvs, tag: int) -> int | None:
    """Return the first TLV of this tag as an unsigned integer.

    None if there is none, or if it holds no octet or more than eight. Its size is otherwise not checked:
    some peers send a two-octet zero as one octet.
    """
    return octets_int(tlv(pdu, tag))


def tlv_str(pdu: WithTlvs, tag: int) -> str | None:
    """Return the first TLV of this tag as text up to its NUL, or to its end where the NUL is missing."""
    return octets_str(tlv(pdu, tag))


def tlv_values(pdu: WithTlvs) -> dict[int, bytes]:
    """Return the octets of the first TLV of each tag: for who asks for several of them."""
    return dict(reversed(pdu.tlvs))


def octets_int(value: bytes | None) -> int | None:
    """Read the value of a TLV as :func:`tlv_int` does."""
    return None if value is None or len(value) not in _INTEGER_OCTETS else int.from_bytes(value, "big")


def octets_str(value: bytes | None) -> str | None:
    """Read the value of a TLV as :func:`tlv_str` does."""
    return None if value is None else _text(value)
