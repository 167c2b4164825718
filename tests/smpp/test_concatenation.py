"""What a PDU says of its user data (conformance row C12)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.constants import TlvTag
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.text import Concatenation, IncomingPart, join_text, parse_concatenation, segment, user_data
from gateway.smpp.tlv import Tlv


def udh(header: bytes, octets: bytes = b"text") -> DeliverSm:
    return DeliverSm(esm_class=0x40, short_message=header + octets)


def sar(reference: bytes, total: bytes, part: bytes) -> DeliverSm:
    tlvs = (
        Tlv(TlvTag.SAR_MSG_REF_NUM, reference),
        Tlv(TlvTag.SAR_TOTAL_SEGMENTS, total),
        Tlv(TlvTag.SAR_SEGMENT_SEQNUM, part),
    )
    return DeliverSm(short_message=b"text", tlvs=tlvs)


class TestUserData:
    def test_short_message(self) -> None:
        assert user_data(DeliverSm(short_message=b"MCKH 1")) == b"MCKH 1"

    def test_message_payload_when_short_message_is_empty(self) -> None:
        payload = (Tlv(TlvTag.MESSAGE_PAYLOAD, b"MCKH 1"),)
        assert user_data(DeliverSm(tlvs=payload)) == b"MCKH 1"
        assert user_data(DataSm(tlvs=payload)) == b"MCKH 1"
        assert user_data(DeliverSm(short_message=b"MCKH 2", tlvs=payload)) == b"MCKH 2"

    def test_nothing(self) -> None:
        assert user_data(DeliverSm()) == b""
        assert user_data(DeliverSm(esm_class=0x40)) == b""
        assert user_data(DataSm()) == b""

    def test_the_header_is_removed(self) -> None:
        assert user_data(udh(b"\x05\x00\x03\x01\x02\x01")) == b"text"
        assert (
            user_data(DataSm(esm_class=0x43, tlvs=(Tlv(TlvTag.MESSAGE_PAYLOAD, b"\x03\x24\x01\x01text"),))) == b"text"
        )
        assert user_data(udh(b"\x00")) == b"text"

    @pytest.mark.parametrize(
        "octets", [b"\x05\x00\x03\x01", b"\xff\x00", b"\x05\x00\x04\x01\x02\x01text", b"\x01\x00text"]
    )
    def test_a_header_that_does_not_fit_is_text(self, octets: bytes) -> None:
        assert user_data(udh(octets, b"")) == octets

    def test_octets_that_look_like_a_header_without_the_bit_are_text(self) -> None:
        pdu = DeliverSm(short_message=b"\x05\x00\x03\x01\x02\x01text")
        assert user_data(pdu) == pdu.short_message
        assert parse_concatenation(pdu) is None


class TestConcatenation:
    def test_c12_udh8(self) -> None:
        pdu = udh(b"\x05\x00\x03\xfe\x03\x02")
        assert parse_concatenation(pdu) == Concatenation(0xFE, 3, 2, b"text", "udh8")

    def test_c12_udh16(self) -> None:
        pdu = udh(b"\x06\x08\x04\x12\x34\x03\x02")
        assert parse_concatenation(pdu) == Concatenation(0x1234, 3, 2, b"text", "udh16")

    def test_c12_among_other_elements(self) -> None:
        # a port address (0x05) and a national shift table (0x24) round it
        pdu = udh(b"\x0e\x05\x04\x0b\x84\x23\xf0\x00\x03\x07\x02\x01\x24\x01\x01")
        assert parse_concatenation(pdu) == Concatenation(7, 2, 1, b"text", "udh8")

    def test_c12_sar(self) -> None:
        assert parse_concatenation(sar(b"\x12\x34", b"\x02", b"\x01")) == Concatenation(0x1234, 2, 1, b"text", "sar")

    @pytest.mark.parametrize(
        "pdu",
        [
            DeliverSm(short_message=b"text"),
            udh(b"\x05\x00\x03\x01\x02\x00"),  # part 0
            udh(b"\x05\x00\x03\x01\x02\x03"),  # part beyond the total
            udh(b"\x05\x00\x03\x01\x00\x00"),  # total 0
            udh(b"\x05\x00\x03\x01\x01\x01"),  # one part is a whole message
            udh(b"\x04\x00\x02\x01\x02"),  # too short an element
            udh(b"\x04\x05\x02\x01\x02"),  # another element only
            sar(b"\x00\x01", b"\x02", b"\x00"),
            sar(b"\x00\x01", b"\x02", b""),
            DeliverSm(short_message=b"text", tlvs=(Tlv(TlvTag.SAR_MSG_REF_NUM, b"\0\1"),)),
        ],
    )
    def test_a_whole_message(self, pdu: DeliverSm) -> None:
        assert parse_concatenation(pdu) is None

    def test_a_part_of_unreasonable_numbers_in_tlvs(self) -> None:
        assert parse_concatenation(sar(b"\x00\x01", b"\x01\x00", b"\x01")) is None  # total 256

    @given(st.binary(max_size=40), st.integers(0, 255))
    def test_never_raises(self, octets: bytes, esm_class: int) -> None:
        pdu = DeliverSm(esm_class=esm_class, short_message=octets)
        concatenation = parse_concatenation(pdu)
        if concatenation is not None:
            assert 1 <= concatenation.part <= concatenation.total <= 255
            assert concatenation.octets == user_data(pdu)
        assert octets.endswith(user_data(pdu))


class TestJoinText:
    def test_a_surrogate_pair_cut_in_two(self) -> None:
        octets = "a😀b".encode("utf-16-be")
        assert join_text([IncomingPart(octets[:4], 8), IncomingPart(octets[4:], 8)]) == "a😀b"

    def test_an_escape_sequence_cut_in_two(self) -> None:
        assert join_text([IncomingPart(b"a\x1b", 0), IncomingPart(b"eb", 0)]) == "a€b"

    def test_parts_of_different_codings(self) -> None:
        parts = [IncomingPart(b"MCKH ", 0), IncomingPart("ạ".encode("utf-16-be"), 8), IncomingPart(b"\x11", 0)]
        assert join_text(parts) == "MCKH ạ_"
        assert join_text(parts, default_alphabet="ascii") == "MCKH ạ\x11"

    def test_a_part_that_is_no_text(self) -> None:
        assert join_text([IncomingPart(b"MCKH ", 0), IncomingPart(b"01", 4)]) is None

    def test_nothing(self) -> None:
        assert join_text([]) == ""

    @given(st.text(alphabet="aạ😀", max_size=400), st.integers(0, 70_000), st.sampled_from(["udh8", "udh16", "sar"]))
    def test_what_segment_cuts_is_joined_again(self, text: str, reference: int, form: str) -> None:
        segments = segment(text, "ucs2", form=form, reference=reference)  # type: ignore[arg-type]
        parts = []
        for number, part in enumerate(segments, start=1):
            pdu = DeliverSm(esm_class=part.esm_class_bits, short_message=part.short_message, tlvs=part.tlvs)
            concatenation = parse_concatenation(pdu)
            if len(segments) > 1:
                assert concatenation is not None
                assert (concatenation.total, concatenation.part) == (len(segments), number)
                assert concatenation.reference == reference % (256 if form == "udh8" else 65_536)
            parts.append(IncomingPart(user_data(pdu), part.data_coding))
        assert join_text(parts) == text
