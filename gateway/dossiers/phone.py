"""Judge a citizen's telephone number: can a notice go there, and if not, why?

Over 30 % of the pilot's messages failed because the number was missing, wrong or a landline, so each number is judged
before anything is queued, and each rejection has a reason that its agency can act on. Where two readings are
possible the number is rejected: a wrong guess would tell a stranger about somebody's dossier.

Pure, and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from gateway.dossiers.numbering import Judgement, numbering_plan
from gateway.dossiers.phone_fields import Group, Segment, clean, in_brackets, one_shape, segments
from gateway.smpp.text import fold

Reason = Literal[
    "MISSING",
    "NO_DIGITS",
    "TOO_SHORT",
    "TOO_LONG",
    "PLACEHOLDER",
    "LANDLINE",
    "LANDLINE_OLD_CODE",
    "LANDLINE_NO_AREA",
    "DEAD_PREFIX",
    "UNALLOCATED",
    "M2M_OR_TRUNCATED",
    "NOT_SMS",
    "SERVICE_NUMBER",
    "SHORT_CODE",
    "FOREIGN",
    "SUSPECT_LETTER",
]

#: In the order in which they are listed in a verdict.
FLAGS = ("MIGRATED_2018", "LETTER_O", "EXCEL", "EXTRA_TEXT", "MULTIPLE_MOBILES", "AMBIGUOUS_OLD_LANDLINE")


@dataclass(frozen=True, slots=True)
class PhoneVerdict:
    """What a telephone field is worth. With OK ``e164`` is given, with REJECT ``reason``."""

    result: Literal["OK", "REJECT"]
    e164: str | None = None  # "+84905123456"
    reason: str | None = None
    flags: tuple[str, ...] = ()
    operator: str | None = None  # by its prefix; the portability table may know better

    @property
    def number(self) -> str:
        """International digits without the plus sign, as destination_addr takes them; "" when rejected."""
        return self.e164.removeprefix("+") if self.e164 else ""


# What people and programs write for "none", without diacritics
_NOTHING = frozenset(
    {"khong", "khong co", "khong co so", "khong co sdt", "ko", "ko co", "k", "k co", "kg", "chua co", "trong", "x"}
    | {"none", "null", "nil", "nan", "n/a", "na", "#n/a"}
)
_STRAY_DIGITS = 3
_EXTENSION_DIGITS = 4
_EXCEL_FLOAT = re.compile(r"'?([0-9]{8,12})[.,]0{1,2}")
_EXCEL_SCIENTIFIC = re.compile(r"([1-9])(?:[.,]([0-9]+))?E\+?0?([0-9]{1,2})", re.IGNORECASE)


def judge_phone(raw: str | None, recorded_at: date | None) -> PhoneVerdict:
    """Judge the content of a telephone field.

    Args:
        raw: as it stands in the agency's database.
        recorded_at: the day on which it was typed in: before 2018-09-15 what is a mobile now was a landline.
            None (not known) is taken as today.
    """
    text = clean(raw or "")
    if not any(character.isalnum() for character in text) or fold(text).lower() in _NOTHING:
        return _rejected("MISSING")
    if re.fullmatch(r"[0\W_]+", text) and text.count("0") < 6:
        return _rejected("MISSING")  # what programs write for "none"
    on = recorded_at or date.max
    excel = _from_excel(text)
    if excel is not None:
        digits, exact = excel
        judged = [_Candidate(numbering_plan().judge(digits, plus=False, on=on) if exact else _too_short(), len(digits))]
    else:
        judged = [candidate for segment in segments(text) for candidate in _candidates(segment, on)]
        if not judged:
            return _rejected("NO_DIGITS")
    return _verdict(judged, excel=excel is not None)


@dataclass(frozen=True, slots=True)
class _Candidate:
    judgement: Judgement
    digits: int
    letter_o: bool = False
    groups: int = 1


def _rejected(reason: str) -> PhoneVerdict:
    return PhoneVerdict("REJECT", reason=reason)


def _too_short() -> Judgement:
    return Judgement(reason="TOO_SHORT")


def _from_excel(text: str) -> tuple[str, bool] | None:
    """The digits of a number that a spreadsheet made a number of, and whether all of them are there."""
    whole = _EXCEL_FLOAT.fullmatch(text)
    if whole:
        return whole[1], True
    scientific = _EXCEL_SCIENTIFIC.fullmatch(text)
    if scientific is None or not 7 <= int(scientific[3]) <= 12:
        return None
    fraction = scientific[2] or ""
    missing = int(scientific[3]) - len(fraction.rstrip("0"))
    # 9.05E+08 may be a rounded 905123456: its last digits are lost
    return scientific[1] + fraction[: int(scientific[3])].ljust(int(scientific[3]), "0"), missing <= 0


def _verdict(judged: list[_Candidate], *, excel: bool) -> PhoneVerdict:
    mobiles = [candidate for candidate in judged if candidate.judgement.is_mobile]
    if not mobiles:
        # The longest is the likeliest to have been meant
        return _rejected(max(judged, key=lambda candidate: candidate.digits).judgement.reason or "NO_DIGITS")
    first = mobiles[0]
    flags = set(first.judgement.flags)
    if first.letter_o:
        flags.add("LETTER_O")
    if excel:
        flags.add("EXCEL")
    if len(mobiles) < len(judged):
        flags.add("EXTRA_TEXT")
    if len({candidate.judgement.national for candidate in mobiles}) > 1:
        flags.add("MULTIPLE_MOBILES")
    return PhoneVerdict(
        "OK",
        e164=f"+84{first.judgement.national}",
        flags=tuple(flag for flag in FLAGS if flag in flags),
        operator=first.judgement.operator,
    )


def _candidates(segment: Segment, on: date) -> list[_Candidate]:
    """The numbers of a segment, judged."""
    pieces = segment.pieces()
    judged = [candidate for piece in pieces for candidate in _resolve(piece, on)]
    if len(pieces) > 1 and not any(candidate.judgement.is_mobile for candidate in judged):
        # 0905/123/456: a number may also be written with what usually parts two. Not 09/05/2016: that is a date.
        groups = segment.groups
        blocks = [group for group in groups if len(group.digits) >= 3 or (group is groups[0] and group.plus)]
        if len(blocks) == len(groups) and (groups[0].digits.startswith("0") or groups[0].plus):
            whole = _judge(groups, on)
            if whole.judgement.is_mobile:
                return [whole]
    return judged


def _resolve(piece: list[Group], on: date) -> list[_Candidate]:
    """The number that a piece is, or the numbers, if it is too long for one and falls into whole ones in one way only."""
    whole = _judge(piece, on)
    if whole.judgement.reason != "TOO_LONG" or not 1 < len(piece) <= 16:
        return [whole]
    partitions = [parts for parts in _partitions(piece, on, after_landline=False) if _plausible(parts)]
    fewest = [parts for parts in partitions if len(parts) == min(len(others) for others in partitions)]
    firsts = {next((c.judgement.national for c in parts if c.judgement.is_mobile), None) for parts in fewest}
    return fewest[0] if len(firsts) == 1 else [whole]


def _plausible(parts: list[_Candidate]) -> bool:
    """Stray digits ("1. 0905123456") say nothing about a number in one block, but may belong to one in several."""
    strays = any(candidate.digits <= _STRAY_DIGITS for candidate in parts)
    return not strays or all(candidate.groups == 1 for candidate in parts if candidate.judgement.is_mobile)


def _partitions(groups: list[Group], on: date, *, after_landline: bool) -> Iterator[list[_Candidate]]:
    """Every way to cut the groups into whole numbers and stray digits: list numbers, extensions of landlines."""
    if not groups:
        yield []
        return
    for size in range(1, len(groups) + 1):
        if sum(len(group.digits) for group in groups[:size]) > 15:
            return
        candidate = _judge(groups[:size], on)
        reason = candidate.judgement.reason
        alone = size == 1 and not groups[0].digits.startswith("0")
        stray = alone and candidate.digits <= (_EXTENSION_DIGITS if after_landline else _STRAY_DIGITS)
        whole = reason not in ("TOO_SHORT", "TOO_LONG", "SHORT_CODE", "PLACEHOLDER", "SUSPECT_LETTER")
        if not (whole or stray):
            continue
        landline = reason is not None and reason.startswith("LANDLINE")
        for rest in _partitions(groups[size:], on, after_landline=landline):
            yield [candidate, *rest]


def _judge(groups: list[Group], on: date) -> _Candidate:
    digits = "".join(group.digits for group in groups)
    letter_o = any(group.letter_o for group in groups)
    if any(group.suspect for group in groups):
        return _Candidate(Judgement(reason="SUSPECT_LETTER"), len(digits), letter_o)
    if any(group.other_number for group in groups):
        return _Candidate(Judgement(reason="MISSING"), len(digits), letter_o)
    judgement = numbering_plan().judge(digits, plus=groups[0].plus, on=on, as_one=one_shape(groups))
    if "AMBIGUOUS_OLD_LANDLINE" in judgement.flags and in_brackets(groups):
        judgement = Judgement(reason="LANDLINE_OLD_CODE")  # (058) 3822382: the writer says that 058 is an area code
    return _Candidate(judgement, len(digits), letter_o, len(groups))


def operator_of(number: str) -> str | None:
    """The operator that the prefix of a mobile number ("84905123456") belongs to today; None if unknown."""
    return numbering_plan().operator(number.removeprefix("84"))
