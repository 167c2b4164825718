"""Values of a view, as drivers give them, into ours: text, truth, time. Pure.

Five databases and thirteen agencies write the same thing in many ways; docs/provincial-database.md lists those accepted.
Anything else raises :class:`BadValue`, and its row is listed: a guess here would tell a citizen something wrong.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal

#: Written by software that has no NULL: "no date" in MySQL, SQL Server, Oracle and Excel. Any time in these years.
_NO_DATE_YEARS = frozenset({0, 1, 1753, 1899, 1900, 9999})
_TRUE = frozenset({"1", "t", "true", "y", "yes", "c", "có", "x", "đúng"})
_FALSE = frozenset({"0", "f", "false", "n", "no", "k", "không", "", "sai"})

_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:[T ]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?)?"
)
_VIETNAMESE = re.compile(
    r"(?P<day>\d{1,2})[/-](?P<month>\d{1,2})[/-](?P<year>\d{4})"
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?"
)
#: TrangThaiHoSo services of the national portal write yyyyMMddHHmmss.
_COMPACT = re.compile(
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?:(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?)?"
)


class BadValue(ValueError):
    """A value of the view that cannot be read."""

    def __init__(self, column: str, value: object, what: str) -> None:
        super().__init__(f"{column}: {what}: {value!r:.80}")
        self.column = column
        self.what = what


def to_text(column: str, value: object) -> str:
    """Text in NFC, without surrounding white space; "" for NULL. Whole numbers become their digits."""
    if value is None:
        return ""
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            value = bytes(value).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadValue(column, value, "octets that are not UTF-8") from error
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value).strip().strip("\u200b\ufeff\x00").strip()
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (float, Decimal)) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value)


def to_code(column: str, value: object) -> str:
    """A receipt code: text only. A number has lost its leading zeros, and with them the citizen's question."""
    if value is None or isinstance(value, (str, bytes, bytearray, memoryview)):
        code = to_text(column, value)
        if not code:
            raise BadValue(column, value, "is empty")
        return code
    raise BadValue(column, value, "is a number, so leading zeros are lost; cast the column to text at its origin")


def to_bool(column: str, value: object) -> bool:
    """True or false; NULL is false."""
    if value is None:
        return False
    if isinstance(value, (bytes, bytearray)) and bytes(value) in (b"\x00", b"\x01"):  # MySQL's BIT(1)
        return bytes(value) == b"\x01"
    word = to_text(column, value).casefold()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise BadValue(column, value, "is neither true nor false")


def to_datetime(column: str, value: object, zone: tzinfo, *, end_of_day: bool = False) -> datetime | None:
    """An aware datetime in UTC; None for NULL, "" and the usual substitutes for no date.

    Args:
        zone: of values that carry no offset.
        end_of_day: a date without a time means its last second (a promised date is kept until the day is over), else
            its first.
    """
    if isinstance(value, datetime):
        if value.year in _NO_DATE_YEARS:
            return None
        return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)
    if isinstance(value, date):
        return None if value.year in _NO_DATE_YEARS else _whole_day(value, zone, end_of_day)
    if value is None or isinstance(value, (str, bytes, bytearray)):
        text = to_text(column, value)
        return _parse(column, text, zone, end_of_day) if text else None
    raise BadValue(column, value, "is no date")


def to_date(column: str, value: object, zone: tzinfo) -> date | None:
    """The calendar day, in ``zone``."""
    moment = to_datetime(column, value, zone)
    return moment.astimezone(zone).date() if moment else None


def _whole_day(day: date, zone: tzinfo, end_of_day: bool) -> datetime:
    return datetime.combine(day, time(23, 59, 59) if end_of_day else time(0), zone).astimezone(UTC)


def _parse(column: str, text: str, zone: tzinfo, end_of_day: bool) -> datetime | None:
    match = _ISO.fullmatch(text) or _VIETNAMESE.fullmatch(text) or _COMPACT.fullmatch(text)
    if match is None:
        raise BadValue(column, text, "is no date")
    parts = match.groupdict()
    if int(parts["year"]) in _NO_DATE_YEARS:
        return None
    try:
        day = date(int(parts["year"]), int(parts["month"]), int(parts["day"]))
        if parts["hour"] is None:
            return _whole_day(day, zone, end_of_day)
        fraction = (parts.get("fraction") or "0")[:6].ljust(6, "0")
        clock = time(int(parts["hour"]), int(parts["minute"]), int(parts["second"] or 0), int(fraction))
        return datetime.combine(day, clock, _offset(parts.get("zone"), zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadValue(column, text, "is no date") from error


def _offset(text: str | None, zone: tzinfo) -> tzinfo:
    if not text:
        return zone
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    parsed = datetime.strptime(f"{text[0]}{digits}", "%z").tzinfo
    return parsed if parsed is not None else zone
