"""Values as drivers give them."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dossiers.values import BadValue, to_bool, to_code, to_date, to_datetime, to_text

VN = ZoneInfo("Asia/Ho_Chi_Minh")
NINE = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-03 09:00:00",
        "2026-03-03T09:00:00",
        "2026-03-03 09:00",
        "2026-03-03T09:00:00.000000+07:00",
        "2026-03-03T02:00:00Z",
        "2026-03-03 02:00:00+00",
        "03/03/2026 09:00",
        "3/3/2026 9:00:00",
        "20260303090000",
        "202603030900",
        b"2026-03-03 09:00:00",
        datetime(2026, 3, 3, 9, 0),  # noqa: DTZ001 - as drivers give it
        datetime(2026, 3, 3, 2, 0, tzinfo=UTC),
        datetime(2026, 3, 3, 9, 0, tzinfo=timezone(timedelta(hours=7))),
    ],
)
def test_the_same_moment_in_every_form(value: object) -> None:
    assert to_datetime("due_at", value, VN) == NINE


def test_day_comes_before_month() -> None:
    assert to_date("phone_recorded_at", "02/03/2026", VN) == date(2026, 3, 2)


@pytest.mark.parametrize("value", ["2026-03-03", "03/03/2026", "20260303", date(2026, 3, 3)])
def test_a_promised_day_lasts_until_it_is_over(value: object) -> None:
    due = to_datetime("due_at", value, VN, end_of_day=True)
    assert due is not None
    assert due.astimezone(VN) == datetime(2026, 3, 3, 23, 59, 59, tzinfo=VN)
    assert to_datetime("received_at", value, VN) == datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", [None, "", "  ", "0000-00-00", "0000-00-00 00:00:00", "1900-01-01 00:00:00", date.max]
)
def test_no_date(value: object) -> None:
    assert to_datetime("due_at", value, VN) is None


@pytest.mark.parametrize("value", ["mai", "2026-02-30", "2026-13-01", "2026-03-03 25:00", 1_772_500_000, 3.5, "3/2026"])
def test_bad_dates_are_told(value: object) -> None:
    with pytest.raises(BadValue, match="due_at: is no date"):
        to_datetime("due_at", value, VN)


@given(st.datetimes(min_value=datetime(1991, 1, 1), max_value=datetime(2090, 1, 1)))  # noqa: DTZ001
def test_iso_text_round_trips(moment: datetime) -> None:
    assert to_datetime("x", moment.isoformat(" "), VN) == moment.replace(tzinfo=VN).astimezone(UTC)
    assert to_datetime("x", moment.replace(tzinfo=UTC).isoformat(), VN) == moment.replace(tzinfo=UTC)


@pytest.mark.parametrize("value", [1, "1", "t", "true", "TRUE", "Có", "có", True, b"\x01", "x", 1.0, Decimal(1)])
def test_true(value: object) -> None:
    assert to_bool("clock_stopped", value) is True


@pytest.mark.parametrize("value", [0, "0", "f", "false", "Không", False, None, "", b"\x00", 0.0])
def test_false(value: object) -> None:
    assert to_bool("clock_stopped", value) is False


@pytest.mark.parametrize("value", [2, "maybe", "Chưa", -1])
def test_neither_true_nor_false(value: object) -> None:
    with pytest.raises(BadValue, match="clock_stopped"):
        to_bool("clock_stopped", value)


def test_codes_keep_their_zeros_and_lose_their_blanks() -> None:
    assert to_code("receipt_code", " 0101701234\t ") == "0101701234"
    assert to_code("receipt_code", "\ufeff000.00.18.H32-260303-0001\u00a0") == "000.00.18.H32-260303-0001"


@pytest.mark.parametrize("value", [101701234, 101701234.0, Decimal(101701234)])
def test_a_number_is_no_code(value: object) -> None:
    with pytest.raises(BadValue, match="leading zeros"):
        to_code("receipt_code", value)


@pytest.mark.parametrize("value", [None, "", "   "])
def test_an_empty_code_is_bad(value: object) -> None:
    with pytest.raises(BadValue, match="empty"):
        to_code("receipt_code", value)


def test_text_is_composed() -> None:
    assert to_text("status", unicodedata.normalize("NFD", "Chờ bổ sung")) == unicodedata.normalize("NFC", "Chờ bổ sung")


@pytest.mark.parametrize(
    ("value", "text"), [(905123456, "905123456"), (905123456.0, "905123456"), (None, ""), (True, "1")]
)
def test_numbers_as_text(value: object, text: str) -> None:
    assert to_text("phone", value) == text


def test_octets_that_are_not_utf8_are_told() -> None:
    with pytest.raises(BadValue, match="not UTF-8"):
        to_text("step_name", b"Tr\xb6 k\xd5t qu\xb6")  # TCVN3
