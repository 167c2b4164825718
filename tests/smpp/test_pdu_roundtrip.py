"""Laws of the codec over all PDUs the standard allows."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pdu_strategies import damaged, pdus, pdus_of

from gateway.smpp.constants import CommandId
from gateway.smpp.errors import SmppError, UnrecoverablePduError
from gateway.smpp.fields import PDU_ROWS, PduRow
from gateway.smpp.pdu import Pdu, UnknownPdu, decode, encode

_UNKNOWN_IDS = st.integers(0, 0xFFFFFFFF).filter(lambda number: number not in set(CommandId))


@pytest.mark.parametrize("row", PDU_ROWS, ids=lambda row: row.command_id.name)
def test_what_is_encoded_is_decoded(row: PduRow) -> None:
    # The law is a function inside, because pytest-twisted wraps a parametrized @given anew for each parameter.
    @given(pdus_of(row))
    def law(pdu: Pdu) -> None:
        frame = encode(pdu)
        assert decode(frame) == pdu
        length, command_id, command_status, sequence_number = struct.unpack(">IIII", frame[:16])
        assert (length, command_id) == (len(frame), row.command_id)
        assert (command_status, sequence_number) == (pdu.command_status, pdu.sequence_number)

    law()


@given(st.builds(UnknownPdu, st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), _UNKNOWN_IDS, st.binary()))
def test_an_unknown_command_keeps_its_octets(pdu: UnknownPdu) -> None:
    decoded = decode(encode(pdu))
    assert decoded == pdu
    assert isinstance(decoded, UnknownPdu)
    assert decoded.tlvs == ()


@given(pdus)
def test_a_pdu_cut_anywhere_is_a_pdu_or_an_smpp_error(pdu: Pdu) -> None:
    frame = encode(pdu)
    for size in range(len(frame)):
        with pytest.raises(UnrecoverablePduError):
            decode(frame[:size])
        if size >= 16:
            _is_a_pdu_or_an_smpp_error(struct.pack(">I", size) + frame[4:size])


@given(pdus, st.data())
def test_flipped_bits_make_a_pdu_or_an_smpp_error(pdu: Pdu, data: st.DataObject) -> None:
    frame = bytearray(encode(pdu))
    for _ in range(data.draw(st.integers(1, 5))):
        frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    _is_a_pdu_or_an_smpp_error(bytes(frame))


@given(st.sampled_from(list(CommandId)), st.integers(0, 0xFFFFFFFF), st.binary(max_size=300))
def test_any_body_makes_a_pdu_or_an_smpp_error(command_id: int, command_status: int, body: bytes) -> None:
    _is_a_pdu_or_an_smpp_error(struct.pack(">IIII", 16 + len(body), command_id, command_status, 1) + body)


@given(st.binary(max_size=64))
def test_any_octets_make_a_pdu_or_an_smpp_error(octets: bytes) -> None:
    _is_a_pdu_or_an_smpp_error(octets)


@given(damaged(pdus.map(encode)))
def test_what_is_decoded_is_encoded_to_the_same_octets(frame: bytes) -> None:
    """Whatever a peer sends and we accept as it is, we can relay as it is."""
    try:
        pdu = decode(frame)
        again = encode(pdu)
    except SmppError:  # over-long strings of responses are accepted, never sent
        return
    lenient = len(frame) == 16 or pdu.command_status  # a missing or unreadable body of a response has defaults
    assert again == frame or (pdu.command_id & 0x80000000 and lenient)


def _is_a_pdu_or_an_smpp_error(octets: bytes) -> None:
    try:
        pdu = decode(octets)
    except SmppError:
        return
    assert isinstance(pdu.sequence_number, int)
    assert isinstance(pdu.tlvs, tuple)
