"""Telephone fields as agencies really fill them in."""

from __future__ import annotations

import csv
import time
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dossiers.phone import FLAGS, PhoneVerdict, Reason, judge_phone, operator_of

TODAY = date(2026, 3, 2)
BEFORE_MIGRATION = date(2017, 12, 1)

with (Path(__file__).parents[1] / "data" / "phone_cases.csv").open(encoding="utf-8", newline="") as file:
    CASES = [tuple(row.values())[:5] for row in csv.DictReader(file)]


def ok(raw: str, *flags: str, number: str = "905123456", on: date | None = TODAY) -> None:
    verdict = judge_phone(raw, on)
    assert (verdict.result, verdict.e164, verdict.reason, verdict.flags) == ("OK", f"+84{number}", None, flags)


def rejected(raw: str | None, reason: str, on: date | None = TODAY) -> None:
    assert judge_phone(raw, on) == PhoneVerdict("REJECT", None, reason, (), None)


@pytest.mark.parametrize(("raw", "recorded_at", "e164", "result", "reason_or_flag"), CASES)
def test_cases_of_the_facts(raw: str, recorded_at: str, e164: str, result: str, reason_or_flag: str) -> None:
    verdict = judge_phone(raw, date.fromisoformat(recorded_at))
    assert (verdict.result, verdict.e164 or "") == (result, e164)
    if result == "OK":
        assert verdict.flags == tuple(filter(None, [reason_or_flag]))
    else:
        assert verdict.reason == reason_or_flag


@pytest.mark.parametrize(
    "raw",
    [
        "0905123456.",
        "'0905123456",
        "0905_123_456",
        "0905-123456",
        "09.05.12.34.56",
        "0 9 0 5 1 2 3 4 5 6",
        "0905 12 34 56",
        "0905/123456",
        "0905,123,456",
        "0905*123*456",
        "(+84)905123456",
        "(+84) 905 123 456",
        "+84 0905123456",
        "+84-905-123-456",
        "+84.905.123.456",
        "+ 84 905 123 456",
        "+0905123456",
        "84-905-123-456",
        "84 0905123456",
        "0084 0905123456",
        "tel:+84905123456",
        "905123456",
        "905 123 456",
        "90 512 3456",
        "ĐT0905123456",
        "sdt 0905123456",
        "0905123456con",
        "0905123456(chồng)",
        "Zalo: 0905 123 456",
        "anh Nam, chị Lan: 0905123456",
        "0905123456 0905123456",
        "0905123456/+84905123456",
        "\t0905\u2009123\u202f456\n",
        "٠٩٠٥١٢٣٤٥٦",
        "0905‒123–456",
        "📞 0905123456",
        "a@b1.vn 0905123456",
    ],
)
def test_one_mobile_however_it_is_written(raw: str) -> None:
    ok(raw)


class TestSeveralNumbers:
    @pytest.mark.parametrize(
        "raw",
        [
            "0905123456/0912345678",
            "0905123456 / 0912345678",
            "0905123456, 0912345678",
            "0905123456;0912345678",
            "0905123456 - 0912345678",
            "0905.123.456-0912.345.678",
            "0905 123 456 0912 345 678",
            "0905123456 0912345678",
            "0905123456 (0912345678)",
            "0905123456\n0912345678",
            "0905123456+84912345678",
            "0905123456 hoặc 0912345678",
            "0905123456hoặc0912345678",
            "0905123456v0912345678",
            "0905 123 456 (Nam) 0912 345 678 (Lan)",
        ],
    )
    def test_the_first_mobile_is_taken(self, raw: str) -> None:
        ok(raw, "MULTIPLE_MOBILES")

    @pytest.mark.parametrize(
        "raw",
        [
            "0905123456 - 02583822382",
            "02583822382 - 0905123456",
            "0258.3822382 - 0905.123.456",
            "0258 3822382 0905123456",
            "3822382 / 0905123456",
            "0905123456 máy bàn 3822382",
            "+855 12 345 678 / 0905123456",
            "0905123456/78",
            "1. 0905123456",
            "A Nam (tổ 5) 0905123456",
            "số nhà 12 Trần Phú, 0905123456",
            "0905123456 CMND 225123456",
            "CCCD 056090001234, 0905123456",
        ],
    )
    def test_other_numbers_beside_it(self, raw: str) -> None:
        ok(raw, "EXTRA_TEXT")

    def test_both(self) -> None:
        ok("ĐT 1: 0905123456; ĐT 2: 0912345678", "EXTRA_TEXT", "MULTIPLE_MOBILES")

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            ("0905 123 456 78", "TOO_LONG"),  # which digits are too many?
            ("0905 123 4567", "TOO_LONG"),
            ("09 0512345678", "TOO_LONG"),
            ("09051234560912345678", "TOO_LONG"),
            ("0905 và 123456", "TOO_SHORT"),
            ("02583822382 / 02583822383", "LANDLINE"),
            ("02583822382x123", "LANDLINE"),
            ("02583822382 máy lẻ 123", "LANDLINE"),
            ("02583822382 (1234)", "LANDLINE"),
            ("3822382 - 3822383", "LANDLINE_NO_AREA"),
            ("3822382/83", "LANDLINE_NO_AREA"),  # not 0382238283
            ("CMND 351234567", "MISSING"),  # not 0351234567
        ],
    )
    def test_what_could_be_two_things_is_neither(self, raw: str, reason: str) -> None:
        rejected(raw, reason)

    @pytest.mark.parametrize("raw", ["3822382-83", "3822.382-83", "09/05/2016-58", "B351234567"])
    def test_never_a_mobile_by_chance(self, raw: str) -> None:
        assert judge_phone(raw, TODAY).result == "REJECT"


class TestLetters:
    @pytest.mark.parametrize("raw", ["O905123456", "o9o5123456", "09O5 123 456", "+84 9O5 123 456", "sđt: O905123456"])
    def test_letter_o_among_digits_is_a_zero(self, raw: str) -> None:
        ok(raw, "LETTER_O")

    def test_letter_o_at_the_end(self) -> None:
        ok("090512345O", "LETTER_O", number="905123450")

    @pytest.mark.parametrize(
        "raw",
        [
            "0905l23456",
            "09051234S6",
            "l905123456",
            "0905I23456",
            "090512345l",
            "0905123456l",
            "0905a23456",
            "09o5l23456",
        ],
    )
    def test_other_letters_are_never_guessed(self, raw: str) -> None:
        rejected(raw, "SUSPECT_LETTER")

    def test_a_suspect_number_beside_a_good_one(self) -> None:
        ok("0905123456 / 09l2345678", "EXTRA_TEXT")


class TestSpreadsheets:
    @pytest.mark.parametrize(
        "raw",
        [
            "905123456.0",
            "0905123456.0",
            "905123456,00",
            "84905123456.0",
            "9.05123456E8",
            "9,05123456E+08",
            "8.4905123456e10",
        ],
    )
    def test_numbers_made_of_numbers(self, raw: str) -> None:
        ok(raw, "EXCEL")

    @pytest.mark.parametrize("raw", ["9.05E+08", "9.05123E+08", "8.49E+10", "9E8", "090512345.0"])
    def test_lost_digits_are_not_made_up(self, raw: str) -> None:
        assert judge_phone(raw, TODAY).result == "REJECT"

    def test_old_number_without_its_zero(self) -> None:
        ok("1685123456.0", "MIGRATED_2018", "EXCEL", number="385123456")


class TestNothing:
    @pytest.mark.parametrize(
        "raw",
        [
            None,
            "",
            " ",
            "\u200b",
            "0",
            "00",
            "0.0",
            "-",
            "--",
            ".",
            "?",
            "không",
            "Không có",
            "KHÔNG CÓ SĐT",
            "ko",
            "k",
            "x",
            "chưa có",
            "null",
            "None",
            "N/A",
            "nan",
            "0 0 0",
        ],
    )
    def test_missing(self, raw: str | None) -> None:
        rejected(raw, "MISSING")

    @pytest.mark.parametrize("raw", ["abc", "Nguyễn Văn A", "gọi sau", "nguyen1990@gmail.com", "lo", "😀 a"])
    def test_no_digits(self, raw: str) -> None:
        rejected(raw, "NO_DIGITS")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("0000000000", "PLACEHOLDER"),
        ("000000", "PLACEHOLDER"),
        ("1111111111", "PLACEHOLDER"),
        ("0888888888", "PLACEHOLDER"),
        ("84999999999", "PLACEHOLDER"),
        ("0900000000", "PLACEHOLDER"),
        ("1234567890", "PLACEHOLDER"),
        ("123456789", "PLACEHOLDER"),
        ("1234567", "PLACEHOLDER"),
        ("0987654321", "PLACEHOLDER"),
        ("9", "TOO_SHORT"),
        ("84905", "TOO_SHORT"),
        ("0905", "TOO_SHORT"),
        ("0905123", "TOO_SHORT"),
        ("090512345", "TOO_SHORT"),
        ("84 90512345", "TOO_SHORT"),
        ("0168512345", "TOO_SHORT"),
        ("01685 1234567", "TOO_LONG"),
        ("056090001234", "TOO_LONG"),
        ("14155552671", "TOO_LONG"),
        ("9051234567", "TOO_LONG"),
        ("0211 3822345", "LANDLINE"),
        ("2583822382", "LANDLINE"),
        ("0258382238", "LANDLINE"),
        ("+84 24 3825 3345", "LANDLINE"),
        ("02838253345", "LANDLINE"),
        ("0240 3825345", "LANDLINE_OLD_CODE"),
        ("0280 3825345", "LANDLINE_OLD_CODE"),
        ("0511 3822345", "LANDLINE_OLD_CODE"),
        ("0543822345", "LANDLINE_OLD_CODE"),
        ("0438253345", "LANDLINE_OLD_CODE"),
        ("438253345", "LANDLINE_OLD_CODE"),
        ("(058) 3822382", "LANDLINE_OLD_CODE"),
        ("3822382", "LANDLINE_NO_AREA"),
        ("38253345", "LANDLINE_NO_AREA"),
        ("0951234567", "DEAD_PREFIX"),
        ("0990123456", "UNALLOCATED"),
        ("0521234567", "UNALLOCATED"),
        ("0891234567", "UNALLOCATED"),
        ("01951234567", "UNALLOCATED"),
        ("02001234567", "UNALLOCATED"),
        ("0121212345", "M2M_OR_TRUNCATED"),
        ("0140123456", "M2M_OR_TRUNCATED"),
        ("0160123456", "M2M_OR_TRUNCATED"),
        ("069123456", "NOT_SMS"),
        ("069 1234567", "NOT_SMS"),
        ("1800 1234", "SERVICE_NUMBER"),
        ("1900123456", "SERVICE_NUMBER"),
        ("9029", "SHORT_CODE"),
        ("1080", "SHORT_CODE"),
        ("115", "SHORT_CODE"),
        ("18001", "SHORT_CODE"),
        ("+1 415 555 2671", "FOREIGN"),
        ("0085512345678", "FOREIGN"),
        ("001 415 555 2671", "FOREIGN"),
    ],
)
def test_reasons(raw: str, reason: str) -> None:
    rejected(raw, reason)
    assert reason in get_args(Reason)


class TestTheDayDecides:
    @pytest.mark.parametrize(
        "raw", ["0583822382", "0581234567", "0838253345", "0313822345", "0703822345", "0763822345", "0862561234"]
    )
    def test_before_the_migration_a_landline(self, raw: str) -> None:
        rejected(raw, "LANDLINE_OLD_CODE", on=BEFORE_MIGRATION)
        rejected(raw, "LANDLINE_OLD_CODE", on=date(2018, 9, 14))

    @pytest.mark.parametrize(("digit", "ambiguous"), [(d, d in "236") for d in "0123456789"])
    def test_after_it_a_mobile_that_may_be_an_old_landline_of_our_province(self, digit: str, ambiguous: bool) -> None:
        flags = ("AMBIGUOUS_OLD_LANDLINE",) if ambiguous else ()
        for on in (date(2018, 9, 15), TODAY, None):
            ok(f"058{digit}822382", *flags, number=f"58{digit}822382", on=on)

    @pytest.mark.parametrize("number", ["886123456", "896123456", "905123456", "912345678"])
    def test_mobiles_that_existed_before(self, number: str) -> None:
        ok(f"0{number}", number=number, on=BEFORE_MIGRATION)

    def test_a_prefix_before_its_first_day(self) -> None:
        rejected("0881234567", "LANDLINE_OLD_CODE", on=date(2015, 12, 31))
        rejected("0871234567", "LANDLINE_OLD_CODE", on=date(2019, 3, 31))
        rejected("0559123456", "UNALLOCATED", on=date(2019, 12, 31))
        ok("0871234567", number="871234567", on=date(2019, 4, 1))

    def test_an_old_number_written_down_late_still_moves(self) -> None:
        for on in (date(2016, 9, 15), BEFORE_MIGRATION, TODAY, None):
            ok("01685123456", "MIGRATED_2018", number="385123456", on=on)
            ok("+84 168 512 3456", "MIGRATED_2018", number="385123456", on=on)

    def test_0672_was_a_province_before_it_was_a_satellite(self) -> None:
        rejected("0672123456", "LANDLINE_OLD_CODE", on=BEFORE_MIGRATION)
        rejected("0672123456", "NOT_SMS")


class TestOperator:
    @pytest.mark.parametrize(
        ("raw", "operator"),
        [
            ("0385123456", "Viettel"),
            ("0861234567", "Viettel"),
            ("0905123456", "MobiFone"),
            ("0896123456", "MobiFone"),
            ("0777123456", "MobiFone"),
            ("0912345678", "VinaPhone"),
            ("0849051234", "VinaPhone"),
            ("0581234567", "Vietnamobile"),
            ("0591234567", "Gmobile"),
            ("0871234567", "iTel"),
            ("0559123456", "Wintel"),
            ("0168 512 3456", "Viettel"),
            ("02583822382", None),
        ],
    )
    def test_by_prefix(self, raw: str, operator: str | None) -> None:
        verdict = judge_phone(raw, TODAY)
        assert verdict.operator == operator
        if verdict.number:
            assert operator_of(verdict.number) == operator

    def test_unknown(self) -> None:
        assert operator_of("84401234567") is None


fields = st.text(alphabet=st.sampled_from("0123456789 .-/+()oOlx,\nđA84"), max_size=60) | st.text(max_size=60)


@given(fields, st.none() | st.dates(date(2010, 1, 1), date(2030, 1, 1)))
def test_laws(raw: str, recorded_at: date | None) -> None:
    verdict = judge_phone(raw, recorded_at)
    assert set(verdict.flags) <= set(FLAGS)
    if verdict.result == "OK":
        assert verdict.reason is None
        assert verdict.e164 is not None
        assert verdict.e164.startswith("+84")
        assert len(verdict.number) == 11
        again = judge_phone(verdict.e164, None)
        assert (again.result, again.e164) == ("OK", verdict.e164)
    else:
        assert verdict.e164 is None
        assert verdict.reason in get_args(Reason)
        assert verdict.number == ""


@given(st.integers(0, 999_999_999), st.sampled_from(["0{}", "84{}", "+84{}", "0084{}", "+84 (0){}", "{}"]))
def test_every_spelling_of_a_number_says_the_same(national: int, form: str) -> None:
    digits = f"{national:09}"
    plain, spelled = judge_phone("0" + digits, TODAY), judge_phone(form.format(digits), TODAY)
    if plain.result == "OK":
        assert spelled == plain


@given(st.from_regex(r"0[3-9][0-9]{8}", fullmatch=True), st.integers(0, 9), st.sampled_from("lIaxbSZ"))
def test_a_letter_in_place_of_a_digit_is_never_accepted(number: str, position: int, letter: str) -> None:
    broken = number[:position] + letter + number[position + 1 :]
    assert judge_phone(broken, TODAY).result == "REJECT"


@pytest.mark.parametrize(
    "raw",
    ["0905123456 " * 5000, "1 " * 50_000, "0905 " * 20_000, "a1" * 50_000, "l1" * 50_000, "o" * 100_000, "+" * 100_000],
)
def test_a_huge_field_takes_no_longer(raw: str) -> None:
    started = time.process_time()
    judge_phone(raw, TODAY)
    assert time.process_time() - started < 1
