"""A telephone field as people fill it in, taken apart into groups of digits.

"ĐT: 0905 123 456 (chồng), CQ 02583822382" holds two numbers. Words and line ends part numbers; so do slashes, commas
and the like, mostly; blanks, dots, hyphens and brackets stand inside a number, mostly. This module only finds the groups
and what stands between them; ``phone`` decides which belong together.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from itertools import pairwise

#: More than a field of a form holds; bounds the time for whatever else a view may deliver.
MAX_FIELD = 300

_SOFT = frozenset(" .-_()[]'")
# A number after one of these words is no telephone number, though it may look like one.
_OTHER_NUMBERS = frozenset({"cmnd", "cmt", "cmtnd", "cccd", "cc", "cmqd", "stk", "tk", "mst", "hc", "bhxh", "bhyt"})

# Private characters that stand for letters among digits until the groups are made
_ZERO = "\ue000"  # a letter O, read as zero
_UNKNOWN = "\ue001"  # another letter: which digit was meant cannot be known

_LETTER = r"[^\W\d_]"
_LONE_O = re.compile(rf"(?<!{_LETTER})[oO]+(?=[0-9])|(?<=[0-9])[oO]+(?!{_LETTER})")
_LONE_L = re.compile(rf"(?<!{_LETTER})[lLIoO]+(?=[0-9])|(?<=[0-9])[lLIoO]+(?!{_LETTER})")
_BETWEEN = re.compile(rf"(?<=([0-9{_ZERO}{_UNKNOWN}]))({_LETTER}{{1,2}})(?=[0-9])")
_DIGITS = re.compile(rf"[0-9{_ZERO}{_UNKNOWN}]+")
_WORD_BEFORE = re.compile(rf"({_LETTER}+)[^\w\n]*$")


@dataclass(frozen=True, slots=True)
class Group:
    """Digits that stand together."""

    digits: str
    before: str  # what stands between it and the group before, or the word before
    letter_o: bool = False
    suspect: bool = False
    glued: bool = False  # a word touches it
    other_number: bool = False  # of an identity card, a bank account …

    @property
    def plus(self) -> bool:
        return self.before.rstrip(" (").endswith("+")

    @property
    def parted(self) -> bool:
        """Whether what stands before it usually parts two numbers."""
        return any(character not in _SOFT for character in self.before)


@dataclass(slots=True)
class Segment:
    """Groups without a word or a line end between them."""

    groups: list[Group] = field(default_factory=list)

    def pieces(self) -> list[list[Group]]:
        """The groups parted by what usually parts numbers."""
        pieces: list[list[Group]] = []
        for group in self.groups:
            if group.parted or not pieces:
                pieces.append([])
            pieces[-1].append(group)
        return pieces


def clean(raw: str) -> str:
    """NFKC, ASCII digits and hyphens, blanks for white space, no format characters and marks; line ends stay."""
    characters = []
    for character in unicodedata.normalize("NFKC", raw[:MAX_FIELD]):
        category = unicodedata.category(character)
        digit = unicodedata.decimal(character, None)
        if digit is not None:
            characters.append(str(digit))
        elif character.isspace():
            characters.append("\n" if character in "\n\r\v\f\x85\u2028\u2029" else " ")
        elif category == "Pd" or character == "\u2212":
            characters.append("-")
        elif category not in ("Cc", "Cf", "Co", "Mn", "Me"):
            characters.append(character)
    return "".join(characters).strip()


def segments(text: str) -> list[Segment]:
    """The groups of digits of a cleaned field, in order."""
    text = _without_addresses(text)
    text = _BETWEEN.sub(_letter_between, _LONE_L.sub(_unknown, _LONE_O.sub(_zeros, text)))
    found: list[Segment] = []
    end = 0
    for match in _DIGITS.finditer(text):
        before = text[end : match.start()]
        if not found or "\n" in before or any(character.isalpha() for character in before):
            found.append(Segment())
        found[-1].groups.append(_group(text, match, before))
        end = match.end()
    return found


def _group(text: str, match: re.Match[str], before: str) -> Group:
    digits = match[0]
    word = _WORD_BEFORE.search(text[: match.start()][-40:])
    touching = text[max(match.start() - 1, 0) : match.start()] + text[match.end() : match.end() + 1]
    return Group(
        digits.replace(_ZERO, "0"),
        before.rpartition("\n")[2] if "\n" in before else re.sub(rf".*{_LETTER}", "", before),
        letter_o=_ZERO in digits,
        suspect=_UNKNOWN in digits,
        glued=any(character.isalpha() for character in touching),
        other_number=word is not None and word[1].lower() in _OTHER_NUMBERS,
    )


def _without_addresses(text: str) -> str:
    """E-mail addresses hold digits, but no telephone numbers."""
    return " ".join(
        "" if "@" in word and any(character.isalpha() for character in word) else word for word in text.split(" ")
    )


def _zeros(run: re.Match[str]) -> str:
    return _ZERO * len(run[0])


def _unknown(run: re.Match[str]) -> str:
    return _UNKNOWN * len(run[0])


def _letter_between(match: re.Match[str]) -> str:
    """One or two letters that cut a number in two are typing errors; between two whole numbers, or before an extension,
    they are a word."""
    left = re.search(r"[0-9]*$", match.string[max(match.start() - 12, 0) : match.start()])
    right = re.match(r"[0-9]*", match.string[match.end() : match.end() + 12])
    left_digits, right_digits = len(left[0]) if left else 0, len(right[0]) if right else 0
    if left_digits >= 9 and (right_digits >= 9 or match[2].lower() == "x"):
        return match[2]
    return _UNKNOWN * len(match[2])


def one_shape(groups: list[Group]) -> bool:
    """Whether nine digits are written as one number without its 0: together, or in blocks as numbers are read out."""
    if any(group.glued for group in groups):
        return False
    if len(groups) == 1:
        return True
    between = {group.before for group in groups[1:]}
    sizes = tuple(len(group.digits) for group in groups)
    return len(between) == 1 and sizes in {(3, 3, 3), (2, 3, 4), (3, 2, 2, 2), (2, 2, 2, 3), (3, 3, 4), (4, 3, 3)}


def in_brackets(groups: list[Group]) -> bool:
    """Whether the first group stands in brackets alone, as only a landline's area code does."""
    return any(first.before.endswith("(") and second.before.startswith(")") for first, second in pairwise(groups[:2]))
