"""hypothesis strategies for PDUs, made from the same rows as the codec, and mutations of their octets."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import strategies as st

from gateway.smpp.fields import PDU_ROWS, DistributionList, Field, Kind, PduRow, SmeAddress, UnsuccessSme
from gateway.smpp.pdu import PDU_CLASSES, Pdu, Tlv

CLASS_OF: dict[int, Any] = {pdu_class.command_id: pdu_class for pdu_class in PDU_CLASSES}
ROW_OF = {row.command_id: row for row in PDU_ROWS}

octets = st.integers(0, 0xFF)
words = st.integers(0, 0xFFFFFFFF)
_not_nul = st.characters(min_codepoint=1, max_codepoint=0xFF)
tlvs = st.lists(st.builds(Tlv, st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=4).map(tuple)


def c_octet_strings(max_octets: int) -> st.SearchStrategy[str]:
    """Strings of every length that fits, the longest and the empty one among the likely ones."""
    return st.one_of(
        st.just(""),
        st.text(_not_nul, min_size=max_octets - 1, max_size=max_octets - 1),
        st.text(_not_nul, max_size=max_octets - 1),
    )


_sme_addresses = st.builds(SmeAddress, octets, octets, c_octet_strings(21))
_values: dict[Kind, Any] = {
    Kind.INTEGER: lambda field: octets,
    Kind.C_OCTET_STRING: lambda field: c_octet_strings(field.max_octets),
    Kind.OCTET_STRING: lambda field: st.one_of(st.binary(max_size=255), st.binary(min_size=255, max_size=255)),
    Kind.DEST_ADDRESSES: lambda field: st.lists(
        st.one_of(_sme_addresses, st.builds(DistributionList, c_octet_strings(21))), max_size=4
    ).map(tuple),
    Kind.UNSUCCESS_SMES: lambda field: st.lists(
        st.builds(UnsuccessSme, octets, octets, c_octet_strings(21), words), max_size=4
    ).map(tuple),
}


def field_values(field: Field) -> st.SearchStrategy[Any]:
    return _values[field.kind](field)  # type: ignore[no-any-return]


def pdus_of(row: PduRow) -> st.SearchStrategy[Pdu]:
    """Any PDU of this row that the standard allows."""
    body = [field_values(field) for field in row.fields]
    return st.builds(CLASS_OF[row.command_id], words, words, *body, tlvs)


pdus = st.sampled_from(PDU_ROWS).flatmap(pdus_of)


def with_length(frame: bytes) -> bytes:
    """Make command_length true again after the frame was cut or extended."""
    return struct.pack(">I", len(frame)) + frame[4:]


@st.composite
def damaged(draw: st.DrawFn, frames: st.SearchStrategy[bytes]) -> bytes:
    """A frame with some octets of its body changed, dropped or added; its header stays that of a whole PDU."""
    body = bytearray(draw(frames))
    for _ in range(draw(st.integers(0, 4))):
        if len(body) > 16:
            body[draw(st.integers(16, len(body) - 1))] = draw(octets)
    if draw(st.booleans()):
        del body[draw(st.integers(16, len(body))) :]
    body += draw(st.binary(max_size=8))
    return with_length(bytes(body))
