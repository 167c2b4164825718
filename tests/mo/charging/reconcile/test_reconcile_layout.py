"""Lines of operators' files: read, refused with a reason, written, read back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mo.charging.reconcile.layout import BadLine, FileRow, Layout, OurEntry, plain_text
from gateway.settings import ChargingSettings, FileFormat

FORMATS = ChargingSettings().reconciliation.formats
AT = datetime(2026, 3, 5, 3, 0, 7, tzinfo=UTC)  # 10:00:07 in Vietnam
TAB = "\t"


def layout(name: str, **changes: Any) -> Layout:
    return Layout(FileFormat.model_validate({**FORMATS[name].model_dump(), **changes}))


def test_the_row_shapes_of_public_code() -> None:
    viettel = layout("viettel").read("84905123456:848083:MCKH:20260305100007:20260305100010:1:1")
    assert viettel == FileRow("84905123456", "8083", "MCKH", "", AT, "charged", None)
    vinaphone = layout("vinaphone").read(
        "8083;84911123456;05/03/2026 10:00:07;05/03/2026 10:00:10;Mckh 0101701234;05/03/2026;1000;KH"
    )
    assert vinaphone == FileRow("84911123456", "8083", "MCKH0101701234", "", AT, "refunded", 1000)
    vietnamobile = layout("vietnamobile").read(
        TAB.join(["m-1", "0921123456", "8083", "mckh 0101701234", "2026-03-05 10:00:07", "0", "1,000"])
    )
    assert vietnamobile == FileRow("84921123456", "8083", "MCKH0101701234", "m-1", AT, "refunded", 1000)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "1 columns, not 7"),
        ("84905123456:848083:MCKH:20260305100007:20260305100010:1", "6 columns"),
        ("8490512345x:848083:MCKH:20260305100007::1:1", "no subscriber's number"),
        ("MotcuaSMS:848083:MCKH:20260305100007::1:1", "no subscriber's number"),
        ("84905123456:DAU:MCKH:20260305100007::1:1", "shortcode 'DAU' is no number"),
        ("84905123456:848083:MCKH:20260230100007::1:1", "received '20260230100007'"),
        ("84905123456:848083:MCKH:2026030510000:x:1:1", "received '2026030510000'"),
        ("84905123456:848083:MCKH:20260305100007::9:1", "flag '9' is none of 1, 0"),
    ],
)
def test_a_bad_line_says_why(line: str, reason: str) -> None:
    with pytest.raises(BadLine, match=reason):
        layout("viettel").read(line)


@pytest.mark.parametrize("written", ["84905123456", "+84905123456", "0905123456", "905123456"])
def test_numbers_are_read_however_they_are_written(written: str) -> None:
    assert layout("viettel").read(f"{written}:8083:MCKH:20260305100007::1:1").number == "84905123456"


@pytest.mark.parametrize(("decimal", "written"), [(".", "1,000"), (".", "1000.00"), (",", "1.000,00"), (".", "-1000")])
def test_prices(decimal: str, written: str) -> None:
    line = TAB.join(["m", "0921123456", "8083", "x", "2026-03-05 10:00:07", "0", written])
    assert layout("vietnamobile", decimal=decimal).read(line).amount_vnd == 1000


@pytest.mark.parametrize("written", ["", "free", "1000.50", "1e3"])
def test_no_price(written: str) -> None:
    line = TAB.join(["m", "0921123456", "8083", "x", "2026-03-05 10:00:07", "0", written])
    with pytest.raises(BadLine, match="no whole number of VND"):
        layout("vietnamobile").read(line)


def test_a_time_with_names_of_months_and_another_zone() -> None:
    odd = layout("viettel", delimiter="|", time_format="%d %b %Y %H:%M:%S", utc_offset_hours=0)
    assert odd.read("84905123456|8083|MCKH|05 Mar 2026 03:00:07||1|1").received_at == AT


@pytest.mark.parametrize(
    ("one", "other"),
    [("MCKH 0101701234", "mckh-0101701234"), ("Mã số HS 12", "MA SO HS 12"), ("đ", "D"), ("", " ")],
)
def test_two_writings_of_one_text(one: str, other: str) -> None:
    assert plain_text(one) == plain_text(other)


NUMBERS = st.integers(900_000_000, 999_999_999).map(lambda number: f"84{number}")
TIMES = st.integers(1_450_000_000, 2_500_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(st.sampled_from(sorted(FORMATS)), NUMBERS, TIMES, st.text(max_size=40), st.integers(0, 10**6), st.booleans())
def test_what_we_write_we_read(name: str, number: str, at: datetime, text: str, price: int, charged: bool) -> None:
    form = Layout(FORMATS[name])
    outcome = "charged" if charged and form.wants("charged") else "refunded"
    entry = OurEntry(number, "8083", text, "MCKH", "m-1", at, at, outcome, price, 1)
    line = form.write(entry)
    assert "\n" not in line
    row = form.read(line)
    assert (row.number, row.shortcode, row.received_at, row.outcome) == (number, "8083", at, outcome)
    assert row.amount_vnd in (None, price)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"columns": ["msisdn", "text", "flag"]}, "msisdn and received are needed"),
        ({"columns": ["msisdn", "received", "flag", "flag"]}, "stands twice"),
        ({"columns": ["msisdn", "received", "price"]}, "without a column flag"),
        ({"delimiter": ";", "time_format": "%d;%m;%Y"}, "holds the delimiter"),
        ({"encoding": "klingon"}, "no encoding"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_format_that_cannot_work_is_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        FileFormat.model_validate({"columns": ["msisdn", "received", "flag"], **changes})


def test_a_configuration_lays_its_own_over_a_shipped_format() -> None:
    settings = ChargingSettings.model_validate(
        {
            "reconciliation": {
                "formats": {"viettel": {"header": True}, "gmobile": {"columns": ["msisdn", "received", "flag"]}}
            }
        }
    )
    formats = settings.reconciliation.formats
    assert set(formats) == {"viettel", "vinaphone", "vietnamobile", "gmobile"}
    assert formats["viettel"].header
    assert formats["viettel"].shortcode_prefix == "84"
