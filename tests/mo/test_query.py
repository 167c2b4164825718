"""Citizens' texts, as they are really typed."""

from __future__ import annotations

import csv
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mo.query import ParsedQuery, parse_query
from gateway.model import QueryResult
from gateway.settings import QueryServiceSettings

MCKH = QueryServiceSettings()
CODE = "0101701234"
NATIONAL = "H32.12-230915-0007"

with (Path(__file__).parents[1] / "data" / "mo_cases.csv").open(encoding="utf-8", newline="") as file:
    CASES = [(row["input_text"], row["expected_result"], row["expected_code"]) for row in csv.DictReader(file)]


def judged(text: str) -> tuple[str, str]:
    parsed = parse_query(text, MCKH)
    return parsed.result.value, parsed.code


@pytest.mark.parametrize(("text", "result", "code"), CASES)
def test_cases_of_the_official_syntax(text: str, result: str, code: str) -> None:
    assert judged(text) == (result, code)
    assert judged(unicodedata.normalize("NFD", text)) == (result, code)


@pytest.mark.parametrize(
    "text",
    [
        # quotes, brackets, punctuation
        '"MCKH 0101701234"',
        "“MCKH 0101701234”",
        "(MCKH) [0101701234]",
        "MCKH <0101701234>",
        "{MCKH_0101701234}",
        "MCKH: 0101701234.",
        "MCKH 0101701234!",
        "mckh?0101701234",
        "MCKH*0101701234#",
        "#MCKH 0101701234",
        "MCKH 0101701234;",
        "MCKH +0101701234",
        "MCKH - 0101701234",
        "MCKH—0101701234",
        "MCKH 0101-701-234",
        "MCKH 0101–701–234",
        # the underscore that the letters print for a blank
        "MCKH_0101701234",
        "mckh_ 0101701234",
        # the keyword in pieces
        "M.C.K.H 0101701234",
        "M. C. K. H. 0101701234",
        "m-c-k-h-0101701234",
        "MC KH 0101701234",
        "M_C_K_H_0101701234",
        # glued
        "MCKH0101701234",
        # what is copied from the receipt or the poster
        "MCKH MS 0101701234",
        "MCKH MS0101701234",
        "MCKH ms. 0101701234",
        "MCKH hs 0101701234",
        "MCKH mã số 0101701234",
        "MCKH Mã số biên nhận: 0101701234",
        "MCKH mã số hồ sơ là: 0101701234",
        "MCKH hồ sơ số 0101701234",
        "MCKH # 0101701234",
        "MCKH 0101701234 gui 8083",
        "MCKH 0101701234 gửi 8083.",
        "MCKH 0101701234, gửi 8083",
        "MCKH 0101701234 gửi tới số 8083",
        "MCKH 0101701234 gửi đến đầu số 8083",
        "MCKH 0101701234gui8083",
        "MCKH 0101701234 goi 8083",
        "MCKH 0101701234 gửi 9029",
        "MCKH 0101701234 gửi",
        "MCKH 0101701234 8083",
        "MCKH 0101701234 -> 8083",
        # white space and what cannot be seen
        "\ufeffMCKH\u00a00101\u200b701234",
        "  MCKH\t0101701234\r\n",
        "MCKH\n0101701234",
        "MCKH\x000101701234\x07",
        "\u202aMCKH\u202c 0101701234",
        "MC\u00adKH 0101701234",
        "MCKH\u30000101701234",
        # other characters for the same thing
        "ｍｃｋｈ＿０１０１７０１２３４",
        "MCKH ٠١٠١٧٠١٢٣٤",
        "MCKH 0️⃣101701234",
        "MCKH O1O17O1234",
        "MCKH o1o17o1234",
        "MCKHO101701234",
        "MCKH 😀 0101701234 🙏",
        "😀 MCKH 0101701234",
    ],
)
def test_a_ten_digit_code_however_it_is_typed(text: str) -> None:
    assert judged(text) == ("OK", CODE)
    assert judged(unicodedata.normalize("NFD", text)) == ("OK", CODE)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("mckh h32.12-230915-0007.", NATIONAL),
        ("MCKH MS: H32.12-230915-0007", NATIONAL),
        ("MCKH MSH32.12-230915-0007", NATIONAL),
        ("MCKH H32.12 - 230915 - 0007 gửi 8083", NATIONAL),
        ("MCKH H32.12-230915-0007 8083", NATIONAL),
        ("MCKH H32.12_230915_0007", NATIONAL),
        ("MCKH H32.12‑230915‒0007", NATIONAL),
        ("MCKHH32-230915-0007", "H32-230915-0007"),
        ("MCKHH32.1.22.333-230915-1234567", "H32.1.22.333-230915-1234567"),
        ("MCKH 000.00.O1.H32-2OO4O1-OOO1", "000.00.01.H32-200401-0001"),
        ("MCKH H32.12-240229-0007", "H32.12-240229-0007"),  # a leap year
    ],
)
def test_national_codes(text: str, code: str) -> None:
    assert judged(text) == ("OK", code)


@pytest.mark.parametrize(
    ("text", "result", "code"),
    [
        ("", "ERR_EMPTY", ""),
        (" \t\r\n", "ERR_EMPTY", ""),
        ("\u200b\ufeff\u00a0", "ERR_EMPTY", ""),
        ('""', "ERR_EMPTY", ""),
        (".", "ERR_KEYWORD", ""),
        # never fuzzy
        ("MKCH 0101701234", "ERR_KEYWORD", ""),
        ("MCK 0101701234", "ERR_KEYWORD", ""),
        ("MCCKH 0101701234", "ERR_KEYWORD", ""),
        ("MCKHH 0101701234", "ERR_KEYWORD", ""),
        ("MCKHX 0101701234", "ERR_KEYWORD", ""),
        ("MCKHABC", "ERR_KEYWORD", ""),
        ("MCKHX1", "ERR_KEYWORD", ""),
        ("MCKHЖ 0101701234", "ERR_KEYWORD", ""),
        ("ЖMCKH 0101701234", "ERR_KEYWORD", ""),
        ("МСКН 0101701234", "ERR_KEYWORD", ""),  # Cyrillic letters
        ("0101701234", "ERR_KEYWORD", ""),
        ("Soạn MCKH 0101701234", "ERR_KEYWORD", ""),
        # no code
        ("MCKH gửi 8083", "ERR_NO_CODE", ""),
        ("MCKH mã số biên nhận", "ERR_NO_CODE", ""),
        ("MCKH xong chưa?", "ERR_NO_CODE", ""),
        ("MCKH OOO", "ERR_NO_CODE", ""),
        ("M C K H", "ERR_NO_CODE", ""),
        ("MCKH_", "ERR_NO_CODE", ""),
        # wrong codes
        ("MCKH 8083", "ERR_CODE_LENGTH", "8083"),
        ("MCKH 01017012345", "ERR_CODE_LENGTH", "01017012345"),
        ("MCKH 0101.701.23", "ERR_CODE_LENGTH", "010170123"),
        ("MCKH 01017012348083", "ERR_CODE_LENGTH", "01017012348083"),
        ("MCKH 0101701234-0101701235", "ERR_CODE_LENGTH", "01017012340101701235"),
        ("MCKH 0l01701234", "ERR_CODE_FORMAT", "0L01701234"),  # l is never taken for 1
        ("MCKH 0I01701234", "ERR_CODE_FORMAT", "0I01701234"),
        ("MCKH 0101701234/2017", "ERR_CODE_FORMAT", "0101701234/2017"),
        ("MCKH 0101701234 xin cảm ơn", "ERR_CODE_FORMAT", "0101701234XINCAMON"),
        ("MCKH 010170123\ufffd", "ERR_CODE_FORMAT", "010170123\ufffd"),  # a character was lost: maybe a digit
        ("MCKH 0101701234\ufffd", "ERR_CODE_FORMAT", "0101701234\ufffd"),
        ("MCKH H32.12-230229-0007", "ERR_CODE_FORMAT", "H32.12-230229-0007"),  # no leap year
        ("MCKH H32.12-230900-0007", "ERR_CODE_FORMAT", "H32.12-230900-0007"),
        ("MCKH H32.12-230915-007", "ERR_CODE_FORMAT", "H32.12-230915-007"),
        ("MCKH H32.12-230915-00071234", "ERR_CODE_FORMAT", "H32.12-230915-00071234"),
        ("MCKH H3.12-230915-0007", "ERR_CODE_FORMAT", "H3.12-230915-0007"),
        ("MCKH H32.12 230915 0007", "ERR_CODE_FORMAT", "H32.122309150007"),
        ("MCKH 00.00.01.H32-200401-0001", "ERR_CODE_FORMAT", "00.00.01.H32-200401-0001"),
    ],
)
def test_errors(text: str, result: str, code: str) -> None:
    assert judged(text) == (result, code)


def test_the_shortcode_is_not_cut_from_a_code_that_contains_it() -> None:
    assert judged("MCKH 010170 8083") == ("OK", "0101708083")


def test_a_wrong_code_is_kept_but_not_without_end() -> None:
    result, code = judged("MCKH 1" + "x" * 1000)
    assert result == "ERR_CODE_FORMAT"
    assert len(code) == 64


def test_another_province_and_its_patterns() -> None:
    service = QueryServiceSettings(
        keyword="HSDB", shortcodes=("8188",), national_code=r"^MS\d{6}-[A-Z]{2}$", digits=(8, 12)
    )
    assert parse_query("hsdb ms123456-ab gửi 8188", service) == ParsedQuery(QueryResult.OK, "MS123456-AB")
    assert parse_query("HSDB MS 12345678", service) == ParsedQuery(QueryResult.OK, "12345678")
    assert parse_query("HSDB 12345678 8188", service) == ParsedQuery(QueryResult.OK, "123456788188")
    assert parse_query("HSDB 123456789 8188", service).result is QueryResult.ERR_CODE_LENGTH
    assert parse_query("MCKH 12345678", service).result is QueryResult.ERR_KEYWORD


@pytest.mark.parametrize(
    "text",
    [
        "M" * 100_000,
        "MCKH " + "O" * 100_000,
        "MCKH 1" + "O" * 100_000 + "x",
        "MCKH " + "9 " * 50_000,
        "MCKH" + " _" * 50_000,
        "MCKH " + "MS " * 30_000,
        "MCKH " + "GUI " * 30_000,
        "MCKH 1" + "." * 100_000 + "1",
        "MCKH 1GUI" + "." * 100_000 + "x",
        "MCKH " + "H32.1" * 30_000,
        "MCKH H32-" + "123456-" * 20_000,
        "M" + " ." * 50_000 + "C",
        "(" * 100_000,
        "\ufdfa" * 20_000,  # one character that compatibility takes apart into eighteen
    ],
)
def test_a_huge_text_takes_time_in_proportion(text: str) -> None:
    started = time.process_time()
    parse_query(text, MCKH)
    assert time.process_time() - started < 2  # about 0.1 s; a quadratic step would take minutes


@given(st.text(alphabet=st.sampled_from("MCKHmckhOo019 .-_#gửi8083H32\u0301😀\ufffd")) | st.text())
def test_never_raises_and_never_lets_a_wrong_code_pass(text: str) -> None:
    for candidate in (text, "MCKH " + text):
        parsed = parse_query(candidate, MCKH)
        if parsed.result is QueryResult.OK:
            assert parsed.code.isascii()
            assert len(parsed.code) == 10 or "-" in parsed.code
            # the code that was found is found again
            assert parse_query(f"MCKH {parsed.code}", MCKH) == parsed
        if parsed.result in (QueryResult.ERR_EMPTY, QueryResult.ERR_KEYWORD, QueryResult.ERR_NO_CODE):
            assert parsed.code == ""


@given(st.from_regex(MCKH.national_code, fullmatch=True) | st.from_regex(r"[0-9]{10}", fullmatch=True))
def test_spelling_does_not_matter(code: str) -> None:
    expected = parse_query(f"MCKH {code}", MCKH)
    for spelled in (f"mckh {code.lower()}", f"MCKH MS: {code}.", f"M C K H  {code} gửi 8083", f"MCKH_{code}"):
        assert parse_query(spelled, MCKH) == expected
