"""Coding, parts and their forms on the wire (conformance rows C9 and C13)."""

from __future__ import annotations

import itertools

import pytest
import smpplib.gsm
from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.constants import TlvTag
from gateway.smpp.gsm7 import EXTENSION_CHARACTERS, is_gsm7, septets
from gateway.smpp.segmentation import (
    HEADER_OCTETS,
    Coding,
    DefaultAlphabet,
    LongMessageForm,
    choose_coding,
    count_parts,
    decode_text,
    encode_text,
    part_units,
    segment,
    split,
)
from gateway.smpp.tlv import Tlv

FORMS: list[LongMessageForm] = ["udh8", "udh16", "sar", "payload"]
gsm7_characters = st.sampled_from("ab 0{€\\\n@à")
long_gsm7 = st.lists(gsm7_characters, max_size=700).map("".join)
any_text = st.text(alphabet=st.sampled_from("aạ😀𝄞\u0301 "), max_size=300) | st.text(max_size=200)


def units(text: str) -> int:
    return len(text.encode("utf-16-be", "surrogatepass")) // 2


class TestCounting:
    @pytest.mark.parametrize(
        ("length", "parts"), [(0, 1), (1, 1), (160, 1), (161, 2), (306, 2), (307, 3), (459, 3), (460, 4), (1530, 10)]
    )
    def test_gsm7(self, length: int, parts: int) -> None:
        assert count_parts("a" * length, "gsm7") == parts

    @pytest.mark.parametrize(("length", "parts"), [(0, 1), (70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4)])
    def test_ucs2(self, length: int, parts: int) -> None:
        assert count_parts("ạ" * length, "ucs2") == parts

    def test_a_16_bit_reference_takes_one_more_octet(self) -> None:
        assert (part_units("gsm7", 6), part_units("ucs2", 6)) == (153, 67)
        assert (part_units("gsm7", 7), part_units("ucs2", 7)) == (152, 66)
        assert count_parts("a" * 306, "gsm7", "udh16") == 3
        assert count_parts("ạ" * 134, "ucs2", "udh16") == 3

    def test_extension_characters_count_twice(self) -> None:
        assert count_parts("€" * 80, "gsm7") == 1
        assert count_parts("€" * 80 + "a", "gsm7") == 2

    def test_an_escape_sequence_at_the_border_wastes_a_septet(self) -> None:
        # 306 septets, but the € would be broken at septet 153: three parts, not two
        text = "a" * 152 + "€" + "a" * 152
        assert septets(text) == 306
        assert [septets(part) for part in split(text, "gsm7")] == [152, 153, 1]

    def test_a_surrogate_pair_at_the_border_wastes_a_unit(self) -> None:
        text = "ạ" * 66 + "😀" + "ạ" * 66
        assert [units(part) for part in split(text, "ucs2")] == [66, 67, 1]

    def test_a_text_that_gsm7_lacks_is_refused(self) -> None:
        with pytest.raises(ValueError, match="GSM 7-bit"):
            split("ạ", "gsm7")


@given(long_gsm7, st.sampled_from(FORMS))
def test_c9_gsm7_parts_fit_and_join(text: str, form: LongMessageForm) -> None:
    parts = split(text, "gsm7", header_octets=HEADER_OCTETS[form])
    assert "".join(parts) == text
    limit = 160 if len(parts) == 1 else part_units("gsm7", HEADER_OCTETS[form])
    assert all(septets(part) <= limit for part in parts)
    assert len(parts) == count_parts(text, "gsm7", form)
    # No part is shorter than it must be
    assert all(septets(part) + septets(following[0]) > limit for part, following in itertools.pairwise(parts))


@given(any_text, st.sampled_from(FORMS))
def test_c9_ucs2_parts_fit_and_join(text: str, form: LongMessageForm) -> None:
    parts = split(text, "ucs2", header_octets=HEADER_OCTETS[form])
    assert "".join(parts) == text
    limit = 70 if len(parts) == 1 else part_units("ucs2", HEADER_OCTETS[form])
    assert all(units(part) <= limit for part in parts)
    for part in parts:  # each part can be encoded alone: no half of a pair
        part.encode("utf-16-be")


@given(any_text)
def test_choose_coding(text: str) -> None:
    assert choose_coding(text) == ("gsm7" if is_gsm7(text) else "ucs2")


class TestSegments:
    def test_one_part_has_no_header_in_any_form(self) -> None:
        for form in FORMS:
            assert segment("Mot cua {1}", "gsm7", form=form, reference=7) == [(b"Mot cua \x1b(1\x1b)", 0, 0, ())]

    def test_c9_udh8(self) -> None:
        first, second = segment("a" * 153 + "b", "ucs2", form="udh8", reference=0x1FF)[:2]
        assert first.short_message[:6] == b"\x05\x00\x03\xff\x03\x01"  # reference modulo 256
        assert second.short_message[:6] == b"\x05\x00\x03\xff\x03\x02"
        assert (first.esm_class_bits, first.data_coding, first.tlvs) == (0x40, 8, ())
        assert len(first.short_message) == 140

    def test_c9_udh16(self) -> None:
        segments = segment("a" * 161, "gsm7", form="udh16", reference=0x1ABCD)
        assert [part.short_message[:7] for part in segments] == [
            b"\x06\x08\x04\xab\xcd\x02\x01",
            b"\x06\x08\x04\xab\xcd\x02\x02",
        ]
        assert [len(part.short_message) for part in segments] == [7 + 152, 7 + 9]
        assert {part.esm_class_bits for part in segments} == {0x40}

    def test_c9_sar(self) -> None:
        segments = segment("a" * 160 + "€", "gsm7", form="sar", reference=0x10102)
        assert segments[1].short_message == b"a" * 7 + b"\x1be"
        assert segments[1].esm_class_bits == 0
        assert segments[1].tlvs == (
            Tlv(TlvTag.SAR_MSG_REF_NUM, b"\x01\x02"),
            Tlv(TlvTag.SAR_TOTAL_SEGMENTS, b"\x02"),
            Tlv(TlvTag.SAR_SEGMENT_SEQNUM, b"\x02"),
        )

    def test_c9_payload(self) -> None:
        (only,) = segment("ạ" * 500, "ucs2", form="payload", reference=1)
        assert only == (b"", 8, 0, (Tlv(TlvTag.MESSAGE_PAYLOAD, "ạ".encode("utf-16-be") * 500),))

    @pytest.mark.parametrize("parts", [2, 3, 10, 255])
    @pytest.mark.parametrize("form", FORMS[:3])
    def test_c9_number_of_parts(self, form: LongMessageForm, parts: int) -> None:
        room = part_units("gsm7", HEADER_OCTETS[form])
        segments = segment("a" * (room * parts), "gsm7", form=form, reference=1)
        assert len(segments) == parts
        assert all(len(part.short_message) <= 160 for part in segments)

    @pytest.mark.parametrize("form", FORMS)
    def test_more_than_255_parts_are_refused(self, form: LongMessageForm) -> None:
        with pytest.raises(ValueError, match="256 parts"):
            segment("a" * (153 * 255 + 1), "gsm7", form="udh8", reference=1)


class TestEncoding:
    def test_default_alphabets(self) -> None:
        assert encode_text("[é€]", "gsm7") == (0, b"\x1b<\x05\x1be\x1b>")
        assert encode_text("[é€]", "gsm7", default_alphabet="latin1") == (0, b"[\xe9?]")
        assert encode_text("[é€Δ]", "gsm7", default_alphabet="ascii") == (0, b"[e??]")

    def test_ucs2(self) -> None:
        assert encode_text("ạ😀", "ucs2") == (8, b"\x1e\xa1\xd8\x3d\xde\x00")

    @pytest.mark.parametrize("alphabet", ["gsm7", "ascii", "latin1"])
    def test_a_character_that_gsm7_lacks_is_refused(self, alphabet: DefaultAlphabet) -> None:
        with pytest.raises(ValueError, match="GSM 7-bit"):
            encode_text("ạ", "gsm7", default_alphabet=alphabet)

    @given(long_gsm7, st.sampled_from(["gsm7", "ascii", "latin1"]))
    def test_round_trip(self, text: str, alphabet: DefaultAlphabet) -> None:
        data_coding, octets = encode_text(text, "gsm7", default_alphabet=alphabet)
        decoded = decode_text(octets, data_coding, default_alphabet=alphabet)
        lost = {"gsm7": "", "ascii": "€à", "latin1": "€"}[alphabet]
        assert decoded is not None
        assert len(decoded) == len(text)
        assert all(a == b or a in lost for a, b in zip(text, decoded, strict=True))

    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
    def test_round_trip_ucs2(self, text: str) -> None:
        data_coding, octets = encode_text(text, "ucs2")
        if not text.startswith(("\ufeff", "\ufffe")):
            assert decode_text(octets, data_coding) == text


class TestDecoding:
    @pytest.mark.parametrize(
        ("octets", "data_coding", "alphabet", "text"),
        [
            (b"MCKH_\x1b<", 0x00, "ascii", "MCKH_\x1b<"),
            (b"MCKH\x11\x1b<", 0x00, "gsm7", "MCKH_["),
            (b"MCKH\xe9", 0x00, "latin1", "MCKHé"),
            (b"MCKH\xe9", 0x00, "gsm7", None),
            (b"MCKH\xe9", 0x00, "ascii", None),
            (b"MCKH@", 0x01, "gsm7", "MCKH@"),
            (b"MCKH\xe9", 0x01, "latin1", None),
            (b"MCKH", 0x02, "gsm7", None),
            (b"MCKH\xe9", 0x03, "gsm7", "MCKHé"),
            (b"MCKH", 0x04, "gsm7", None),
            (b"\x00M\x1e\xa1", 0x08, "gsm7", "Mạ"),
            (b"\xd8\x3d\xde\x00", 0x08, "gsm7", "😀"),
            (b"\x00M\x1e", 0x08, "gsm7", None),  # an odd number of octets
            (b"\xd8\x3d\x00M", 0x08, "gsm7", None),  # half of a pair
            (b"\xfe\xff\x00M", 0x08, "gsm7", "M"),
            (b"\xff\xfeM\x00", 0x08, "gsm7", "M"),  # the mark says little endian
            (b"M\x00", 0x08, "gsm7", "䴀"),  # no mark: nothing is guessed
            (b"MCKH", 0x0E, "gsm7", None),
            (b"@A", 0x10, "gsm7", "¡A"),  # class 0: shown at once
            (b"@A", 0x11, "ascii", "@A"),
            (b"MCKH", 0x14, "gsm7", None),  # 8-bit, class 0
            (b"\x00M", 0x18, "gsm7", "M"),  # UCS-2, class 0
            (b"MCKH", 0x1C, "gsm7", None),  # reserved alphabet
            (b"MCKH", 0x20, "gsm7", None),  # compressed
            (b"MCKH", 0x40, "gsm7", "MCKH"),  # deleted by itself
            (b"MCKH", 0x80, "gsm7", None),  # reserved group
            (b"MCKH", 0xC0, "gsm7", "MCKH"),  # message waiting, discard
            (b"MCKH", 0xD8, "gsm7", "MCKH"),  # message waiting, store
            (b"\x00M", 0xE0, "gsm7", "M"),
            (b"\x1bA@", 0xF0, "gsm7", "A¡"),  # flash
            (b"MCKH", 0xF1, "gsm7", "MCKH"),
            (b"MCKH", 0xF4, "gsm7", None),  # 8-bit
            (b"", 0x00, "gsm7", ""),
            (b"", 0x08, "gsm7", ""),
        ],
    )
    def test_c13_codings(self, octets: bytes, data_coding: int, alphabet: DefaultAlphabet, text: str | None) -> None:
        assert decode_text(octets, data_coding, default_alphabet=alphabet) == text

    @given(st.binary(), st.integers(0, 255), st.sampled_from(["gsm7", "ascii", "latin1"]))
    def test_decoding_never_raises(self, octets: bytes, data_coding: int, alphabet: DefaultAlphabet) -> None:
        text = decode_text(octets, data_coding, default_alphabet=alphabet)
        assert text is None or isinstance(text, str)


def test_every_extension_character_survives_every_cut() -> None:
    for character in sorted(EXTENSION_CHARACTERS):
        for offset in range(148, 156):
            coding: Coding = "gsm7"
            text = "a" * offset + character * 10
            joined = "".join(
                decode_text(part.short_message[6:], 0) or "" for part in segment(text, coding, form="udh8", reference=1)
            )
            assert joined == text


@given(st.text(alphabet="abc 0à", max_size=1500) | st.text(alphabet="ạbđ", max_size=700))
def test_c9_smpplib_cuts_the_same_parts(text: str) -> None:
    """Where no character takes two units; it breaks those that do."""
    theirs, coding, esm_class = smpplib.gsm.make_parts(text)
    ours = segment(text, choose_coding(text), form="udh8", reference=theirs[0][3] if len(theirs) > 1 else 0)
    assert [part.short_message for part in ours] == theirs
    assert {(part.data_coding, part.esm_class_bits) for part in ours} == {(coding, esm_class)}
