"""A template and its values made into the text that leaves. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from gateway.errors import TemplateError
from gateway.smpp.text import Coding, choose_coding, count_parts, fold, septets
from gateway.templates.schema import PLACEHOLDER, Placeholder, Template, key

Accents = Literal["fold", "keep"]

_CUT = "..."
_DATE = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})")
_REMEDIES = {"agency_name": " Set a short name under agencies.<code>.name"}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text as it leaves."""

    text: str
    coding: Coding
    parts: int  # what it costs, in messages
    template_id: str
    version: str


def render(template: Template, values: Mapping[str, str], accents: Accents, max_parts: int) -> Rendered:
    """Fill a template.

    Args:
        values: by placeholder ("Mã số biên nhận") or by English name ("code"); those that the text does not have are
            not looked at. What looks like a placeholder in a value stays as it is.
        accents: fold: GSM 7-bit without diacritics; keep: as written, UCS-2 where needed.
        max_parts: a longer text is refused, unless a value may be shortened.

    Raises:
        TemplateError: a value is missing, empty, too long, or no date; or the text takes too many parts.
    """
    if template.accents == "fold":
        accents = "fold"
    if accents == "fold" and template.max_parts is not None:
        max_parts = min(max_parts, template.max_parts)
    given = {key(name): value for name, value in values.items()}
    wanted = {name: _value(template, name, given, accents) for name in template.names}
    text = _fill(template, wanted, accents)
    excess = _excess(text, max_parts)
    for name in template.names:
        placeholder = _placeholder(template, name)
        if excess > 0 and placeholder.overflow == "shorten":
            length = measure(wanted[name], accents)
            wanted[name] = shorten(wanted[name], max(length - excess, placeholder.min), accents)
            text = _fill(template, wanted, accents)
            excess = _excess(text, max_parts)
    coding = choose_coding(text)
    parts = count_parts(text, coding)
    if parts > max_parts:
        raise TemplateError(
            f"{_title(template)}: the text takes {parts} parts, {max_parts} are allowed (notices.max_parts)."
            " Shorten the agency's name or allow more"
        )
    return Rendered(text, coding, parts, template.id, template.version)


def measure(text: str, accents: Accents) -> int:
    """Length by which placeholders are limited: septets when folded, UTF-16 units when not."""
    return septets(_fold(text)) if accents == "fold" else len(text.encode("utf-16-be", "surrogatepass")) // 2


def shorten(text: str, room: int, accents: Accents) -> str:
    """The text cut to a length; three dots show it. Never cuts a character in two."""
    if measure(text, accents) <= room:
        return text
    kept = text
    while kept and measure(kept.rstrip() + _CUT, accents) > room:
        kept = kept[:-1]
    return kept.rstrip(" ,.;:-") + _CUT


def _title(template: Template) -> str:
    return f"template {template.id} ({template.version})"


def _fill(template: Template, wanted: Mapping[str, str], accents: Accents) -> str:
    if accents == "keep":
        return PLACEHOLDER.sub(lambda found: wanted[found[1]], template.text)
    # Folded piece by piece: nearly all pieces are known, and what they make is plain text, which is folded at a glance.
    text = PLACEHOLDER.sub(lambda found: _fold(wanted[found[1]]), _fold_fixed(template.text))
    return fold(text)


def _fold(text: str) -> str:
    """As :func:`fold`; texts that are not plain are agencies' and steps' names, which come again and again."""
    return fold(text) if text.isascii() else _folded(text)


_folded = lru_cache(maxsize=4096)(fold)


@lru_cache(maxsize=256)  # of each template one
def _fold_fixed(text: str) -> str:
    """A template's text folded, its placeholders left as they are."""
    pieces = PLACEHOLDER.split(text)  # text, name, text, name, … text
    return "".join(f"{{{piece}}}" if at % 2 else fold(piece) for at, piece in enumerate(pieces))


def _excess(text: str, max_parts: int) -> int:
    """By how much the text is too long for so many parts, in units of its coding; 0 when it fits.

    Parts of a long text may lose a unit at each border to a character that cannot be split.
    """
    coding = choose_coding(text)
    if count_parts(text, coding) <= max_parts:
        return 0
    length = measure(text, "fold" if coding == "gsm7" else "keep")
    alone, part = (160, 153) if coding == "gsm7" else (70, 67)
    return max(length - (alone if max_parts == 1 else part * max_parts - (max_parts - 1)), 1)


def _placeholder(template: Template, name: str) -> Placeholder:
    found = template.placeholder(name)
    if found is None:
        raise TemplateError(f"{_title(template)}: the placeholder {{{name}}} is not described in its file")
    return found


def _value(template: Template, name: str, given: Mapping[str, str], accents: Accents) -> str:
    placeholder = _placeholder(template, name)
    raw = given.get(key(name), given.get(placeholder.field, ""))
    value = _one_line(raw) or placeholder.when_empty or ""
    what = f"{_title(template)}: {placeholder.field} ({{{name}}})"
    if not value:
        raise TemplateError(f"{what} has no value. Give one; a text with a gap is not sent")
    if placeholder.kind == "choice":
        value = _choice(placeholder, value, what)
    if placeholder.kind == "date" and not _is_date(value):
        raise TemplateError(f"{what}: {value!r} is no date. Write dd/mm/yyyy")
    length = measure(value, accents)
    if length <= placeholder.max:
        return value
    if placeholder.overflow == "shorten":
        return shorten(value, placeholder.max, accents)
    remedy = _REMEDIES.get(placeholder.field, "")
    raise TemplateError(f"{what} has {length} characters, the registered maximum is {placeholder.max}.{remedy}")


def _choice(placeholder: Placeholder, value: str, what: str) -> str:
    for choice in placeholder.choices:
        if choice == value or _fold(choice).casefold() == _fold(value).casefold():
            return choice
    raise TemplateError(f"{what}: {value!r} is not one of {', '.join(placeholder.choices)}")


def _is_date(value: str) -> bool:
    found = _DATE.fullmatch(value)
    if found is None:
        return False
    try:
        date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError:
        return False
    return True


def _one_line(value: str) -> str:
    """NFC, white space and line ends as single blanks, without control and format characters."""
    if value.isascii() and value.isprintable():
        return " ".join(value.split())  # every code and number
    return _one_line_of(value)


@lru_cache(maxsize=4096)  # names of agencies and steps
def _one_line_of(value: str) -> str:
    kept = (
        " " if character.isspace() else character
        for character in unicodedata.normalize("NFC", value)
        if character.isspace() or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    )
    return " ".join("".join(kept).split())
