"""Lines of operators' files, by a :class:`gateway.settings.FileFormat`: read, judged, written. Pure.

Reading is lenient about spelling (numbers with +84, 84 or 0; shortcodes with and without their prefix) and strict about
meaning: a line of which a number, a time or a flag cannot be read is a bad line, with a reason, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from gateway.mo.classify import subscriber_number
from gateway.settings import FileFormat
from gateway.smpp.constants import Ton
from gateway.smpp.text import fold

#: Directives of strptime with a fixed number of digits; a format of only these is read by slicing, ten times as fast.
_DIGITS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "y": 2}
_DROP = {code: None for code in range(128) if not chr(code).isalnum()}
#: What a bad line shows of a value.
_SHOWN = 40


class BadLine(ValueError):
    """A line that cannot be read; the text says why."""


class FileRow(NamedTuple):
    """One query as an operator's file has it."""

    number: str  # 84905123456
    shortcode: str
    text: str  # see plain_text; "" when the file has none
    smsc_message_id: str  # "" when the file has none
    received_at: datetime
    outcome: str  # charged, not_charged, refunded
    amount_vnd: int | None  # None when the file has no price


class OurEntry(NamedTuple):
    """One query as our ledger has it, for an exported file."""

    number: str
    shortcode: str
    text: str
    keyword: str
    smsc_message_id: str
    received_at: datetime
    replied_at: datetime | None
    outcome: str
    amount_vnd: int
    parts: int


def plain_text(text: str) -> str:
    """What two writings of one text have in common: unaccented capital letters and digits."""
    if not text.isascii():
        text = fold(text)
    return text.upper().translate(_DROP)


class Layout:
    """Reads and writes the lines of one format."""

    def __init__(self, form: FileFormat) -> None:
        self._form = form
        self._width = len(form.columns)
        self._place: Mapping[str, int] = {name: index for index, name in enumerate(form.columns)}
        self._zone = timezone(timedelta(hours=form.utc_offset_hours))
        self._read_time = _time_reader(form.time_format, self._zone)
        self._outcome_of_all = {"refunds": "refunded", "charges": "charged"}.get(form.lists, "")
        self._flag_of: dict[str, str] = {outcome: flag for flag, outcome in reversed(form.flags.items())}

    def read(self, line: str) -> FileRow:
        """A line without its line end, as a row.

        Raises:
            BadLine: with the reason.
        """
        cells = line.split(self._form.delimiter)
        if len(cells) != self._width:
            raise BadLine(f"{len(cells)} columns, not {self._width}")
        place = self._place
        raw = cells[place["msisdn"]].strip()
        number = raw if len(raw) == 11 and raw.startswith("84") and raw.isdecimal() and raw.isascii() else _number(raw)
        try:
            received_at = self._read_time(cells[place["received"]].strip())
        except ValueError as error:
            raise BadLine(f"received '{cells[place['received']][:_SHOWN]}' is not {self._form.time_format}") from error
        text = cells[place["text"]] if "text" in place else cells[place["command"]] if "command" in place else ""
        return FileRow(
            number,
            self._shortcode(cells[place["shortcode"]].strip()) if "shortcode" in place else "",
            plain_text(text),
            cells[place["mo_id"]].strip() if "mo_id" in place else "",
            received_at,
            self._outcome(cells),
            self._price(cells[place["price"]]) if "price" in place else None,
        )

    def _outcome(self, cells: list[str]) -> str:
        if "flag" not in self._place:
            return self._outcome_of_all
        flag = cells[self._place["flag"]].strip()
        outcome = self._form.flags.get(flag)
        if outcome is None:
            raise BadLine(f"flag '{flag[:_SHOWN]}' is none of {', '.join(self._form.flags)}")
        return outcome

    def _shortcode(self, written: str) -> str:
        written = written.removeprefix("+")
        if not (written.isascii() and written.isdigit()):
            raise BadLine(f"shortcode '{written[:_SHOWN]}' is no number")
        prefix = self._form.shortcode_prefix
        return written[len(prefix) :] if prefix and written.startswith(prefix) and len(written) > 5 else written

    def _price(self, written: str) -> int:
        thousands = "," if self._form.decimal == "." else "."
        plain = written.strip().replace(thousands, "").replace(" ", "")
        whole, _, fraction = plain.partition(self._form.decimal)
        if not re.fullmatch(r"-?\d{1,12}", whole) or fraction.strip("0"):
            raise BadLine(f"price '{written[:_SHOWN]}' is no whole number of VND")
        return abs(int(whole))  # a refund may be written as a negative sum: the outcome says so

    # -- writing ------------------------------------------------------------------------------------------------

    def wants(self, outcome: str) -> bool:
        """Whether a query with this outcome stands in such a file."""
        return outcome in self._flag_of if "flag" in self._place else outcome == self._outcome_of_all

    def titles(self) -> str:
        """The first line of a file with titles."""
        return self._form.delimiter.join(self._form.columns)

    def write(self, entry: OurEntry) -> str:
        """A query as a line, without a line end."""
        form = self._form
        received = entry.received_at.astimezone(self._zone)
        replied = entry.replied_at.astimezone(self._zone) if entry.replied_at else received
        cells: dict[str, str] = {
            "msisdn": _spelled(entry.number, form.msisdn_form),
            "shortcode": form.shortcode_prefix + entry.shortcode,
            "text": _one_line(entry.text, form.delimiter),
            "command": _one_line(entry.keyword, form.delimiter),
            "mo_id": _one_line(entry.smsc_message_id, form.delimiter),
            "received": received.strftime(form.time_format),
            "replied": replied.strftime(form.time_format),
            "date": received.strftime(form.date_format),
            "flag": self._flag_of.get(entry.outcome, ""),
            "price": str(entry.amount_vnd),
            "segments": str(entry.parts),
            "provider": form.provider,
            "ignored": "",
        }
        return form.delimiter.join(cells[column] for column in form.columns)


def _number(written: str) -> str:
    number = subscriber_number(written, Ton.NATIONAL if len(written) == 9 else Ton.INTERNATIONAL)
    if number is None:
        raise BadLine(f"msisdn has {len(written)} characters and is no subscriber's number")
    return number


def _spelled(number: str, form: str) -> str:
    national = number.removeprefix("84") if number.startswith("84") else number
    return {"84": number, "+84": f"+{number}", "0": f"0{national}", "national": national}[form]


def _one_line(text: str, delimiter: str) -> str:
    """A text cannot hold the delimiter or a line end; a blank stands for both."""
    return " ".join(text.replace(delimiter, " ").split())


def _time_reader(time_format: str, zone: timezone) -> Callable[[str], datetime]:
    """How a time of this format is read, as UTC."""
    shift = zone.utcoffset(None)
    places: dict[str, slice] = {}
    at = 0
    literals: list[tuple[int, str]] = []
    for piece in re.findall(r"%.|[^%]", time_format):
        if piece[0] != "%":
            literals.append((at, piece))
            at += 1
        elif piece[1] in _DIGITS and piece[1] not in places:
            places[piece[1]] = slice(at, at + _DIGITS[piece[1]])
            at += _DIGITS[piece[1]]
        else:
            return lambda text: datetime.strptime(text, time_format).replace(tzinfo=zone).astimezone(UTC)
    if set(places) != set("YmdHMS"):
        return lambda text: datetime.strptime(text, time_format).replace(tzinfo=zone).astimezone(UTC)
    year, month, day, hour, minute, second = (places[name] for name in "YmdHMS")
    length = at

    def read(text: str) -> datetime:
        if len(text) != length or not text.isascii() or any(text[place] != sign for place, sign in literals):
            raise ValueError(text)
        return (
            datetime(
                int(text[year]),
                int(text[month]),
                int(text[day]),
                int(text[hour]),
                int(text[minute]),
                int(text[second]),
                tzinfo=UTC,
            )
            - shift
        )

    return read
