"""The Vietnamese numbering plan: what one string of digits is, on the day it was written down.

Three dated tables in ``data/`` say it (``since`` and ``from`` are the first day): prefixes.csv, area_codes.csv,
migration_2018.csv. The package ``phonenumbers`` is the second opinion for what they do not list. Correct the tables when
the plan changes; no code knows a prefix.

Two things make it hard. Mobile numbers of eleven digits became ten on 2018-09-15, on prefixes that were landline
codes until 2017: the day decides. And half of the landlines in old files carry the codes of before 2017.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneNumberType, carrier

COUNTRY_CODE = "84"

# Subscriber numbers of landlines begin with these (2 and 6: other operators, 3: VNPT …); 0, 1, 8 and 9 never did.
_LANDLINE_FIRST_DIGITS = "234567"
_PLACEHOLDER_RUN = 7  # identical last digits from which a number of zeros is nobody's


class Judgement(NamedTuple):
    """What a string of digits is. Either ``national`` (nine digits, a mobile) or ``reason`` is given."""

    national: str | None = None
    reason: str | None = None
    flags: tuple[str, ...] = ()
    operator: str | None = None

    @property
    def is_mobile(self) -> bool:
        return self.national is not None


@dataclass(frozen=True, slots=True)
class _Prefix:
    operator: str
    kind: str  # mobile, dead, m2m, not_sms, service
    since: date


@dataclass(frozen=True, slots=True)
class _AreaCode:
    old: str
    new: str
    subscriber_digits: int
    ambiguous_first_digits: str


def _reject(reason: str) -> Judgement:
    return Judgement(reason=reason)


_REASONS = {"dead": "DEAD_PREFIX", "m2m": "M2M_OR_TRUNCATED", "not_sms": "NOT_SMS"}


class NumberingPlan:
    """The tables, and what follows from them."""

    def __init__(
        self, prefixes: Iterator[dict[str, str]], area_codes: Iterator[dict[str, str]], moves: Iterator[dict[str, str]]
    ) -> None:
        self._prefixes = {
            row["prefix"]: _Prefix(row["operator"], row["kind"], _date(row["since"]) or date.min) for row in prefixes
        }
        self._area_codes = [
            _AreaCode(row["old"], row["new"], int(row["subscriber_digits"]), row["ambiguous_first_digits"])
            for row in area_codes
        ]
        moves_list = list(moves)
        self._moves = {row["old"].removeprefix("0"): row["new"].removeprefix("0") for row in moves_list}
        self._moved_on = max(date.fromisoformat(row["from"]) for row in moves_list)

    def operator(self, national: str, on: date = date.max) -> str | None:
        """The operator that the prefix of a national number ("905123456") belongs to."""
        row = self._row(national, on)
        return row.operator or None if row else None

    def judge(self, digits: str, *, plus: bool, on: date, as_one: bool = True) -> Judgement:
        """What the digits are.

        Args:
            digits: ASCII digits as written, any prefix included.
            plus: a plus sign stands before them.
            on: the day on which they were written down.
            as_one: they were written like one number, so that a missing 0 in front may be put back.
        """
        if _is_placeholder(digits):
            return _reject("PLACEHOLDER")
        if digits.startswith("00"):
            digits, plus = digits[2:], True
            if not digits.startswith(COUNTRY_CODE) and not _is_possible_abroad(digits):
                return _reject("TOO_LONG" if len(digits) > 8 else "TOO_SHORT")
        if plus and not digits.startswith(("0", COUNTRY_CODE)):
            return _reject("FOREIGN")
        if not plus and self._is_service(digits):
            return _reject("SERVICE_NUMBER")
        national = self._national(digits, plus, as_one)
        if national is None:
            return self._without_trunk(digits, on)
        return _reject("PLACEHOLDER") if _is_placeholder(national) else self._judge_national(national, on)

    def _national(self, digits: str, plus: bool, as_one: bool) -> str | None:
        """The national number without its trunk 0; None when the digits do not begin like one."""
        if digits.startswith("0"):
            return digits[1:]
        if digits.startswith(COUNTRY_CODE) and (plus or len(digits) > 10):
            return digits[2:].removeprefix("0")
        if as_one and len(digits) == 9 and digits[0] in "35789":
            return digits  # also 849051234: VinaPhone's 084 without its 0, not the country code
        if as_one and len(digits) == 10 and digits[:3] in self._moves:
            return digits
        return None

    def _without_trunk(self, digits: str, on: date) -> Judgement:
        """Digits that begin neither with 0 nor with the country code, and are no mobile without its 0."""
        length = len(digits)
        if length <= 2 or length in (5, 6):
            return _reject("SHORT_CODE" if length == 5 and digits[0] == "1" else "TOO_SHORT")
        if length <= 4:
            return _reject("SHORT_CODE")
        if length in (7, 8):
            local = digits[0] in _LANDLINE_FIRST_DIGITS
            return _reject("LANDLINE_NO_AREA" if local else "TOO_SHORT")
        if digits.startswith(COUNTRY_CODE):
            return _reject("TOO_SHORT")
        landline = self._landline(digits, on, strict=True)
        return _reject(landline or ("TOO_LONG" if length > 9 else "TOO_SHORT"))

    def _judge_national(self, national: str, on: date) -> Judgement:
        row = self._row(national, on)
        if row is not None and row.kind == "not_sms":
            return _reject(_REASONS[row.kind])  # of any length
        if len(national) < 9:
            return _reject("TOO_SHORT")
        if len(national) == 9:
            return self._judge_nine(national, row, on)
        if len(national) == 10:
            return self._judge_ten(national, on)
        return _reject("TOO_LONG")

    def _judge_nine(self, national: str, row: _Prefix | None, on: date) -> Judgement:
        if row is None or row.kind != "mobile":
            if row is not None:
                return _reject(_REASONS[row.kind])
            landline = self._landline(national, on, strict=on >= self._moved_on)
            if landline is not None:
                return _reject(landline)
            if national[:3] in self._moves:
                return _reject("TOO_SHORT")  # an old number of eleven digits without its last one
            operator = _library_operator(national) if self._row(national, date.max) is None else None
            return Judgement(national, operator=operator) if operator else _reject("UNALLOCATED")
        collision = self._old_code(national, strict=True)
        if collision is not None and on < self._moved_on:
            return _reject("LANDLINE_OLD_CODE")
        first = "" if collision is None else national[len(collision.old)]
        ambiguous = collision is not None and first in collision.ambiguous_first_digits
        return Judgement(
            national, flags=("AMBIGUOUS_OLD_LANDLINE",) if ambiguous else (), operator=row.operator or None
        )

    def _judge_ten(self, national: str, on: date) -> Judgement:
        moved = self._moves.get(national[:3])
        if moved is not None:
            judged = self._judge_moved(moved + national[3:])
            return judged._replace(flags=("MIGRATED_2018",)) if judged.is_mobile else judged
        landline = self._landline(national, on, strict=True)
        return _reject(landline or ("UNALLOCATED" if national[0] in "12" else "TOO_LONG"))

    def _judge_moved(self, national: str) -> Judgement:
        row = self._row(national, date.max)
        return Judgement(national, operator=row.operator or None if row else None)

    def _landline(self, national: str, on: date, *, strict: bool) -> str | None:
        """LANDLINE, LANDLINE_OLD_CODE or None. strict: the subscriber's number must begin like one."""
        if len(national) == 10 and any(
            national.startswith(area.new) and national[len(area.new)] in _LANDLINE_FIRST_DIGITS
            for area in self._area_codes
        ):
            return "LANDLINE"
        if self._old_code(national, strict=strict) is not None:
            return "LANDLINE_OLD_CODE"
        if len(national) == 9 and any(national.startswith(area.new) for area in self._area_codes):
            return "LANDLINE"  # a digit is missing; nevertheless nobody's mobile
        return None

    def _old_code(self, national: str, *, strict: bool) -> _AreaCode | None:
        for area in self._area_codes:
            rest = national[len(area.old) :]
            # Codes of three digits stood before seven: eleven digits in all. With six the number lacks a digit.
            whole = len(rest) == area.subscriber_digits or (len(area.old) == 3 and len(rest) == 6 and not strict)
            if national.startswith(area.old) and whole and (not strict or rest[0] in _LANDLINE_FIRST_DIGITS):
                return area
        return None

    def _row(self, national: str, on: date) -> _Prefix | None:
        dialled = "0" + national
        for length in range(min(5, len(dialled)), 2, -1):
            row = self._prefixes.get(dialled[:length])
            if row is not None and row.since <= on:
                return row
        return None

    def _is_service(self, digits: str) -> bool:
        row = self._prefixes.get(digits[:4])
        return row is not None and row.kind == "service" and 7 <= len(digits) <= 10


@lru_cache(maxsize=1)
def numbering_plan() -> NumberingPlan:
    """The plan in the shipped tables, read once."""
    return NumberingPlan(_table("prefixes"), _table("area_codes"), _table("migration_2018"))


def _table(name: str) -> Iterator[dict[str, str]]:
    text = resources.files("gateway.dossiers").joinpath("data", f"{name}.csv").read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines())


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _is_placeholder(digits: str) -> bool:
    """Typed to get past the form: one digit over and over, 1 to 9 up or down, or seven zeros at the end."""
    if len(digits) < 6:
        return False
    counted = "1234567890"
    return (
        len(set(digits)) == 1
        or digits.endswith("0" * _PLACEHOLDER_RUN)
        or (len(digits) > 6 and counted.startswith(digits.removeprefix("0")))
        or (len(digits) > 8 and "9876543210".startswith(digits.removeprefix("0")))
    )


def _is_possible_abroad(digits: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse("+" + digits))
    except phonenumbers.NumberParseException:
        return False


def _library_operator(national: str) -> str | None:
    """The operator that the library knows for a mobile prefix that our table lacks: newer than the table."""
    number = phonenumbers.PhoneNumber(country_code=int(COUNTRY_CODE), national_number=int(national))
    if phonenumbers.number_type(number) != PhoneNumberType.MOBILE:
        return None
    return carrier.name_for_number(number, "en") or None
