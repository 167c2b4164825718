"""Vietnamese to the GSM 7-bit alphabet."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.folding import fold
from gateway.smpp.gsm7 import is_gsm7

VIETNAMESE = "aàảãáạăằẳẵắặâầẩẫấậbcdđeèẻẽéẹêềểễếệghiìỉĩíịklmnoòỏõóọôồổỗốộơờởỡớợpqrstuùủũúụưừửữứựvxyỳỷỹýỵ"
PLAIN = "aaaaaaaaaaaaaaaaaabcddeeeeeeeeeeeeghiiiiiiklmnoooooooooooooooooopqrstuuuuuuuuuuuuvxyyyyyy"


def test_every_vietnamese_letter() -> None:
    assert fold(VIETNAMESE) == PLAIN
    assert fold(VIETNAMESE.upper()) == PLAIN.upper()
    assert fold(unicodedata.normalize("NFD", VIETNAMESE)) == PLAIN


def test_letters_with_the_marks_of_windows_1258() -> None:
    # Vietnamese Windows writes ê and a combining tone mark: neither NFC nor NFD
    assert fold("bi\u00ea\u0301n nh\u00e2\u0323n, \u01a1\u0309") == "bien nhan, o"


def test_everything_or_nothing() -> None:
    # à è é ì ò ù are in the alphabet and still lose their marks
    assert fold("à è é ì ò ù Ä ñ ß Ø å") == "a e e i o u A n ss O a"


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("“Trả kết quả” – ‘xong’…", "\"Tra ket qua\" - 'xong'..."),
        ("UBND\u00a0TP\u2009Nha\u3000Trang", "UBND TP Nha Trang"),
        ("\ufeffMCKH\u200b 01\u202a01\u202c", "MCKH 0101"),
        ("ＭＣＫＨ ０１", "MCKH 01"),
        ("dòng một\r\ndòng hai\u2028ba\tbốn\x00\x07", "dong mot\ndong hai\nba bon"),
        ("Ðống Ða", "Dong Da"),
        ("50.000₫ ½ ≤ 2 № 5 • ™ `x´", "50.000d 1/2 <= 2 No 5 . TM 'x'"),
        ("😀 漢 Ж", "? ? ?"),
        ("€ {x} [y] ~ ^ | \\ @ £", "€ {x} [y] ~ ^ | \\ @ £"),
        ("", ""),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text())
def test_laws(text: str) -> None:
    folded = fold(text)
    assert is_gsm7(folded)
    assert fold(folded) == folded
    assert not any(unicodedata.decomposition(character) or character in "đĐØøÆæß" for character in folded)
    assert fold(unicodedata.normalize("NFC", text)) == fold(unicodedata.normalize("NFD", text)) == folded
