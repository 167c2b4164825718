"""What a citizen means by a text such as "MCKH 0101701234 gửi 8083".

Pure: text in, judgement out; never raises, and takes time in proportion to the text. The rules are the five of the
official syntax (see docs); what is not allowed by them is an error, never a guess: a wrong guess would tell
one citizen about another's dossier. Receipt codes are text: leading zeros stay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Protocol

from gateway.model import QueryResult


class QueryService(Protocol):
    """What the parser needs of ``settings.QueryServiceSettings``."""

    @property
    def keyword(self) -> str: ...

    @property
    def shortcodes(self) -> tuple[str, ...]: ...

    @property
    def national_code(self) -> str: ...

    @property
    def digits(self) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """The judgement. ``code`` is the code as it is looked up, or with an error what was taken for one, "" if nothing."""

    result: QueryResult
    code: str


#: More of a wrong code is never shown or stored; the longest right ones have 31 characters.
_MAX_CODE = 64

_LOOKALIKES = str.maketrans({"đ": "d", "Đ": "D", "\u00f0": "d", "\u00d0": "D", "\u2212": "-"})
_QUOTES = frozenset("\"'`´<>")
_ASCII_BLANKS = str.maketrans(dict.fromkeys("\"'`<>()[]{}", " "))
# Words that people copy from the receipt in front of the code: MS, mã số, HS, hồ sơ, mã số biên nhận …
_LABELS = re.compile(
    r"(?:(?:MSHS|MSBN|MASO|HOSO|MHS|MBN|MS|HS|BN|MA|SO|HO|BIEN|NHAN|LA)(?=[^A-Z]|$|[A-Z][0-9]{2})[^A-Z0-9]*){0,8}"
)
# "gửi 8083" and its variations at the end of the printed example
_SEND_TO = re.compile(r"G[UO]I(?: ?(?:DEN|TOI|VE))?(?: ?(?:SO|DAU SO|TONG DAI))?[ :.]*(?:[0-9]{3,6})?$")
_NATIONAL_DATE = re.compile(r"-([0-9]{2})([0-9]{2})([0-9]{2})-[0-9]+$")
_LOST = "\ufffd"  # stands for a character that an SMSC could not convert: it may have been a digit


def parse_query(text: str, service: QueryService) -> ParsedQuery:
    """Judge a text.

    Returns:
        OK and the code; ERR_EMPTY; ERR_KEYWORD (not ours: the shortcode is shared with other services); ERR_NO_CODE;
        ERR_CODE_LENGTH (digits only, but not as many as a code has); ERR_CODE_FORMAT.
    """
    visible = _visible(text)
    if not any(character != " " and not _is_quote_or_bracket(character) for character in visible):
        return ParsedQuery(QueryResult.ERR_EMPTY, "")
    plain = _plain(visible)
    keyword = _keyword_pattern(service.keyword).match(plain)
    if keyword is None:
        return ParsedQuery(QueryResult.ERR_KEYWORD, "")
    rest = _without_edges(plain[keyword.end() :])
    rest = _without_edges(_SEND_TO.sub("", rest))
    unlabelled = _without_labels(rest)
    if not any(character.isdigit() for character in unlabelled):
        return ParsedQuery(QueryResult.ERR_NO_CODE, "")
    # A province's own codes may begin like a label, so the text as it stands is tried first.
    for candidate in (rest, unlabelled, *_without_shortcode(unlabelled, service.shortcodes)):
        judged = _judge_code(candidate, service)
        if judged.result is QueryResult.OK:
            return judged
    return _judge_code(unlabelled, service)


def _visible(text: str) -> str:
    """Without control and format characters (zero-width spaces, byte order marks), white space as single blanks."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept = (
        " " if character.isspace() else character
        for character in unicodedata.normalize("NFKC", text)
        if character.isspace() or unicodedata.category(character) not in ("Cc", "Cf")
    )
    return " ".join("".join(kept).split())


def _plain(visible: str) -> str:
    """Upper-case letters without diacritics; ASCII digits and hyphens; no quotes, brackets, emoji."""
    if visible.isascii():
        return " ".join(visible.upper().translate(_ASCII_BLANKS).split())
    decomposed = unicodedata.normalize("NFKD", visible.translate(_LOOKALIKES)).upper()
    # Upper case can bring combining marks back (ΐ), hence this order
    return " ".join("".join(_plain_characters(unicodedata.normalize("NFKD", decomposed))).split())


def _plain_characters(text: str) -> Iterator[str]:
    for character in text:
        if _is_quote_or_bracket(character):
            yield " "
            continue
        if character.isascii():
            yield character
            continue
        category = unicodedata.category(character)
        digit = unicodedata.decimal(character, None)
        if digit is not None:
            yield str(digit)
        elif category == "Pd":
            yield "-"
        elif category in ("So", "Sk") and character != _LOST:
            yield " "  # emoji
        elif category[0] != "M":
            yield character


def _is_quote_or_bracket(character: str) -> bool:
    return character in _QUOTES or unicodedata.category(character) in ("Ps", "Pe", "Pi", "Pf")


@lru_cache(maxsize=64)
def _keyword_pattern(keyword: str) -> re.Pattern[str]:
    """The letters with separators between; then the end, no letter, or the code glued on (MCKHH32…)."""
    letters = "[ ._-]*".join(keyword)
    return re.compile(rf"[\W_]*{letters}(?=$|[\W0-9_]|[A-Z][0-9]{{2}})")


def _without_edges(text: str) -> str:
    """Without the punctuation and blanks at both ends."""
    start, end = 0, len(text)
    while start < end and _separates(text[start]):
        start += 1
    while end > start and _separates(text[end - 1]):
        end -= 1
    return text[start:end]


def _separates(character: str) -> bool:
    return not character.isalnum() and character != _LOST


def _without_labels(text: str) -> str:
    labels = _LABELS.match(text)
    return text[labels.end() :] if labels else text


def _without_shortcode(text: str, shortcodes: tuple[str, ...]) -> Iterator[str]:
    """The text without a shortcode that stands by itself at its end: the example was copied without its verb."""
    head, blank, last = text.rpartition(" ")
    if blank and last in shortcodes:
        yield _without_edges(head)


def _judge_code(text: str, service: QueryService) -> ParsedQuery:
    as_written = re.sub(r" +", "", text).replace("_", "-")
    without_o = re.sub(r"O+", _zeros, as_written)
    for code in (as_written, without_o):
        if re.match(service.national_code, code):
            result = QueryResult.OK if _has_real_date(code) else QueryResult.ERR_CODE_FORMAT
            return ParsedQuery(result, code[:_MAX_CODE])
    digits = without_o.replace(".", "").replace("-", "")
    if re.fullmatch(r"[0-9]+", digits):
        result = QueryResult.OK if len(digits) in service.digits else QueryResult.ERR_CODE_LENGTH
        return ParsedQuery(result, digits[:_MAX_CODE])
    return ParsedQuery(QueryResult.ERR_CODE_FORMAT, without_o[:_MAX_CODE])


def _zeros(letters: re.Match[str]) -> str:
    """The letter O next to a digit is a zero; nowhere else."""
    text = letters.string
    before, after = text[letters.start() - 1 : letters.start()], text[letters.end() : letters.end() + 1]
    return "0" * len(letters[0]) if before.isdigit() or after.isdigit() else letters[0]


def _has_real_date(code: str) -> bool:
    """National codes hold the day of reception, YYMMDD. A configured pattern without such a part passes."""
    found = _NATIONAL_DATE.search(code)
    if found is None:
        return True
    try:
        date(2000 + int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return False
    return True
