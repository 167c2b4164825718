"""Old encodings are recognised, and right text is left alone."""

from __future__ import annotations

import csv
import subprocess
import unicodedata
from importlib import resources

import pytest

from gateway.dossiers.legacy_text import Trap, from_tcvn3, from_vni, trap_of
from gateway.dossiers.statuses import PROFILES

WORDS = [
    "Đang xử lý",
    "Chờ bổ sung",
    "Yêu cầu thực hiện nghĩa vụ tài chính",
    "UBND huyện Khánh Sơn",
    "Dừng tính chờ thực hiện nghĩa vụ tài chính",
    "Cấp đổi giấy chứng nhận quyền sử dụng đất",
]


@pytest.mark.parametrize(
    "text", [*WORDS, "", "portal", "Sở Tư pháp (QĐ số 12/2024/QĐ-UBND)", "TP. Nha Trang - Khánh Hòa"]
)
def test_right_text_is_left_alone(text: str) -> None:
    assert trap_of(text) is None


@pytest.mark.parametrize("word", sorted({word for profile in PROFILES.values() for word in profile}))
def test_no_status_word_of_the_profiles_is_suspected(word: str) -> None:
    assert trap_of(word) is None


@pytest.mark.parametrize("text", WORDS)
def test_tcvn3_as_iconv_writes_it(text: str) -> None:
    lower = text.lower()
    octets = subprocess.run(
        ["iconv", "-f", "UTF-8", "-t", "TCVN5712-1"], input=lower.encode(), capture_output=True, check=True
    ).stdout
    shown = octets.decode("latin-1")
    assert from_tcvn3(shown) == lower
    assert trap_of(shown) == (Trap.TCVN3, lower)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ("Ñang xöû lyù", "Đang xử lý"),
        ("Chôø boå sung", "Chờ bổ sung"),
        ("Traû keát quaû", "Trả kết quả"),
        ("huyeän Khaùnh Sôn", "huyện Khánh Sơn"),
        ("nghóa vuï taøi chính", "nghĩa vụ tài chính"),
    ],
)
def test_vni(shown: str, text: str) -> None:
    assert from_vni(shown) == text
    assert trap_of(shown) == (Trap.VNI, text)


@pytest.mark.parametrize("text", WORDS)
def test_utf8_read_as_latin1(text: str) -> None:
    assert trap_of(text.encode().decode("latin-1")) == (Trap.DOUBLE_UTF8, text)


@pytest.mark.parametrize("text", ["?ang x? lý", "Ch? b? sung", "Tr? k?t qu?"])
def test_replaced_letters(text: str) -> None:
    found = trap_of(text)
    assert found is not None
    assert found[0] is Trap.REPLACED


@pytest.mark.parametrize("text", WORDS)
def test_nfd(text: str) -> None:
    assert trap_of(unicodedata.normalize("NFD", text)) == (Trap.NFD, text)


def test_place_names_are_not_suspected() -> None:
    """Every name in the table of area codes is Vietnamese."""
    text = resources.files("gateway.dossiers").joinpath("data/area_codes.csv").read_text(encoding="utf-8")
    for row in csv.reader(text.splitlines()):
        for cell in row:
            assert trap_of(cell) is None, cell
