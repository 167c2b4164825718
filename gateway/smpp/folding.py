"""Vietnamese without its diacritics, and every other character made safe for the GSM 7-bit alphabet.

Everything is folded or nothing: the alphabet holds à è é ì ò ù but not ả ạ ă đ, and a text with some of its marks
reads worse than one without any.
"""

from __future__ import annotations

import re
import unicodedata

from gateway.smpp.gsm7 import is_gsm7

#: Shown for a character that has no likeness in the alphabet: a loss that can be seen.
REPLACEMENT = "?"

_GROUPS = {
    "d": "đ\u00f0\u0257₫",
    "D": "Đ\u00d0\u0189",  # also the look-alikes that old Vietnamese typefaces put in its place
    "'": "‘’‚‛′‹›`´ʹʻʼˈ",
    '"': "“”„‟″«»ˮ",
    "-": "‐‑‒–—―−⁃﹣－",
    ".": "•·●▪∙",
    "...": "…",
    "/": "⁄∕÷",
    "x": "×✕",
    "l": "ł",
    "L": "Ł",
    "i": "ı",
    "o": "°ºø",
    "a": "ª",
    "<=": "≤",
    ">=": "≥",
    "!=": "≠",
    "->": "→",
    "(c)": "©",
    "(R)": "®",
    "TM": "™",
    # Diacritics of the alphabet itself that Unicode does not take apart
    "O": "Ø",
    "oe": "œ",
    "AE": "Æ",
    "ae": "æ",
    "ss": "ß",
    "\n": "\r\v\f\x85\u2028\u2029",
    " ": "\t",
}
_TABLE = str.maketrans({character: plain for plain, characters in _GROUPS.items() for character in characters})
_MARKS = re.compile("[\u0300-\u036f]+")  # the combining diacritics of Vietnamese and its neighbours


def fold(text: str) -> str:
    """The text in the GSM 7-bit alphabet without any diacritic; the same for composed (NFC) and decomposed (NFD) input.

    đ becomes d; typographic quotes, dashes and spaces become plain ones; line ends become "\\n"; format characters
    (zero-width spaces, bidirectional marks, byte order marks) and other control characters are dropped; what is left
    without a likeness becomes "?". Folding twice changes nothing.
    """
    if text.isascii() and text.isprintable() and "`" not in text:
        return text
    composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).translate(_TABLE)
    # Compatibility forms (full-width letters, no-break space, fractions) come apart here, so the table is used again.
    decomposed = unicodedata.normalize("NFKD", composed).translate(_TABLE)
    bare = _MARKS.sub("", decomposed)
    return bare if is_gsm7(bare) else "".join(map(_fold_character, bare))


def _fold_character(character: str) -> str:
    if is_gsm7(character):
        return character
    category = unicodedata.category(character)
    if category[0] == "M" or category in ("Cc", "Cf"):
        return ""
    return " " if category[0] == "Z" else REPLACEMENT
