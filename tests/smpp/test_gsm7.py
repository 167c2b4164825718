"""The GSM 7-bit alphabet."""

from __future__ import annotations

import pytest
import smpplib.gsm
from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.gsm7 import EXTENSION_CHARACTERS, decode_gsm7, encode_gsm7, is_gsm7, septets

BASIC = [character for code in range(128) if code != 0x1B and (character := decode_gsm7(bytes([code])))]
ALPHABET = BASIC + sorted(EXTENSION_CHARACTERS)
gsm7_texts = st.text(alphabet=st.sampled_from(ALPHABET))


def test_the_basic_table_has_127_different_characters() -> None:
    assert len(set(BASIC)) == 127


@pytest.mark.parametrize(
    ("code", "character"),
    [
        (0x00, "@"),
        (0x02, "$"),
        (0x09, "Ç"),
        (0x0A, "\n"),
        (0x10, "Δ"),
        (0x11, "_"),
        (0x1F, "É"),
        (0x24, "¤"),
        (0x30, "0"),
        (0x40, "¡"),
        (0x41, "A"),
        (0x5B, "Ä"),
        (0x5F, "§"),
        (0x60, "¿"),
        (0x7A, "z"),
        (0x7F, "à"),
    ],
)
def test_codes_of_the_standard(code: int, character: str) -> None:
    assert encode_gsm7(character) == bytes([code])
    assert decode_gsm7(bytes([code])) == character


@pytest.mark.parametrize(
    ("code", "character"),
    list(zip(b"\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65\x0a", "^{}\\[~]|€\f", strict=True)),
)
def test_extension_characters_take_two_septets(code: int, character: str) -> None:
    assert encode_gsm7(character) == bytes([0x1B, code])
    assert decode_gsm7(bytes([0x1B, code])) == character
    assert septets(character) == 2


@given(gsm7_texts)
def test_encode_and_decode_are_inverse(text: str) -> None:
    assert is_gsm7(text)
    octets = encode_gsm7(text)
    assert decode_gsm7(octets) == text
    assert septets(text) == len(octets)


@pytest.mark.parametrize("character", ["ạ", "đ", "Đ", "\u00a0", "“", "–", "…", "`", "\x1b", "\t", "e\u0301", "😀", "ç"])
def test_characters_outside(character: str) -> None:
    assert not is_gsm7(character)
    with pytest.raises(ValueError, match="GSM 7-bit"):
        encode_gsm7(character)


def test_an_octet_with_the_high_bit_is_no_text() -> None:
    assert decode_gsm7(b"MCKH \xe9") is None


def test_escape_before_an_unknown_code_shows_the_basic_character() -> None:
    assert decode_gsm7(b"\x1bA") == "A"


def test_escape_at_the_end_and_twice_shows_nothing() -> None:
    assert decode_gsm7(b"A\x1b") == "A"
    assert decode_gsm7(b"\x1b\x1b\x65") == "€"


@given(st.binary())
def test_decoding_never_raises(octets: bytes) -> None:
    text = decode_gsm7(octets)
    assert text is None or is_gsm7(text)


@given(st.text(alphabet=st.sampled_from([character for character in ALPHABET if character not in "§\f"])))
def test_smpplib_encodes_the_same(text: str) -> None:
    # Its table has no § (0x5F) and no form feed
    assert encode_gsm7(text) == smpplib.gsm.gsm_encode(text)
