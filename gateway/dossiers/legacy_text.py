"""Vietnamese text that came out of an old encoding: told by whether its words can be Vietnamese. Pure.

Agencies' databases have outlived several encodings. Text that was stored in one and read as another is still text, only not
readable text, and a citizen would get it as an SMS. What occurs:

* TCVN3 ("ABC", font names .VnTime): one octet for each letter, shown as Latin-1: "®ang xö lý" is "đang xử lý";
* VNI: a letter and a sign after it: "ñang xöû lyù";
* UTF-8 read as Latin-1 or Windows-1252: "Ä‘ang xá»­ lÃ½";
* letters that a column could not hold, replaced: "?ang x? lý";
* NFD: right, but decomposed: every comparison by octets fails. The gateway composes text itself.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum


class Trap(StrEnum):
    TCVN3 = "TCVN3"
    VNI = "VNI"
    DOUBLE_UTF8 = "UTF-8 read as Latin-1"
    REPLACED = "letters replaced by '?'"
    NFD = "decomposed letters (NFD)"


#: TCVN 5712-1 (upper half), as iconv has it; lower case first, then the seven capitals that have a place of their own.
_TCVN3_OCTETS = bytes([*range(0xA8, 0xAF), *range(0xB5, 0xBA), *range(0xBB, 0xBF), *range(0xC6, 0xCD), 0xCE, 0xCF])
_TCVN3_OCTETS += bytes([*range(0xD0, 0xD9), *range(0xDC, 0xE0), *range(0xE1, 0xF0), *range(0xF1, 0xFF)])
_TCVN3_LETTERS = "ăâêôơưđàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ"
_TCVN3 = dict(zip(_TCVN3_OCTETS.decode("latin-1"), _TCVN3_LETTERS, strict=True)) | dict(
    zip("¡¢£¤¥¦§", "ĂÂÊÔƠƯĐ", strict=True)
)

_GRAVE, _ACUTE, _HOOK, _TILDE, _DOT = "\u0300", "\u0301", "\u0309", "\u0303", "\u0323"
_CIRCUMFLEX, _BREVE = "\u0302", "\u0306"
#: VNI's signs after a vowel, as what they add to it.
_VNI_SIGNS = {
    "ù": _ACUTE,
    "ø": _GRAVE,
    "û": _HOOK,
    "õ": _TILDE,
    "ï": _DOT,
    "â": _CIRCUMFLEX,
    "á": _CIRCUMFLEX + _ACUTE,
    "à": _CIRCUMFLEX + _GRAVE,
    "å": _CIRCUMFLEX + _HOOK,
    "ã": _CIRCUMFLEX + _TILDE,
    "ä": _CIRCUMFLEX + _DOT,
    "ê": _BREVE,
    "é": _BREVE + _ACUTE,
    "è": _BREVE + _GRAVE,
    "ú": _BREVE + _HOOK,
    "ü": _BREVE + _TILDE,
    "ë": _BREVE + _DOT,
}
_VNI_ALONE = {"ñ": "đ", "ö": "ư", "ô": "ơ", "ò": "ị", "æ": "ỉ", "ó": "ĩ", "í": "í", "ì": "ì", "î": "ỵ"}
_VNI_PAIR = re.compile(r"([aeouyöôAEOUYÖÔ])([ùøûõïâáàåãäêéèúüëÙØÛÕÏÂÁÀÅÃÄÊÉÈÚÜË])")

_TONES = frozenset((_GRAVE, _ACUTE, _HOOK, _TILDE, _DOT))
_VOWEL_SIGNS = frozenset((_CIRCUMFLEX, _BREVE, "\u031b"))
_VOWELS = (
    "iêu|oai|oao|oay|oeo|uôi|uya|uyê|uyu|uây|uêu|ươi|ươu|yêu|ai|ao|au|ay|âu|ây|eo|êu|ia|iê|iu|oa|oă|oe|oi|ôi|ơi|oo|ua|uâ|"
    "uă|uê|ue|uơ|uo|ui|uô|uy|ưa|ưi|ươ|ưu|yê|a|ă|â|e|ê|i|o|ô|ơ|u|ư|y"
)
#: A Vietnamese syllable without its tone: onset, vowels, coda. It has to tell letters from rubbish, not to correct spelling.
_SYLLABLE = re.compile(
    rf"(?:ngh?|gh?|gi?|ch?|đ|d|kh?|l|m|nh?|ph?|qu?|r|s|th?|tr|v|x|b|h)?(?:{_VOWELS})(?P<coda>ch|c|m|ng|nh|n|p|t)?"
)
_WORD = re.compile(r"[^\W\d_]+(?:[^\s\w.,;:()\[\]/\\'\"&+\-–]+[^\W\d_]*)*|[^\x00-\x7f\s]+[^\s.,;:()/]*")
_REPLACED = re.compile(r"[^\W\d_]\?+[^\W\d_]|\b[^\W\d_]{1,3}\?(?= [^\W\d_])|(?<= )\?[^\W\d_]|^\?[^\W\d_]{2}")


def trap_of(text: str) -> tuple[Trap, str] | None:
    """What is wrong with a text's encoding, and how it reads when that is undone; None when nothing is.

    Only text with letters beyond ASCII (or a replaced one) can tell.
    """
    if unicodedata.normalize("NFC", text) != text:
        return Trap.NFD, unicodedata.normalize("NFC", text)
    if _REPLACED.search(text):
        return Trap.REPLACED, text
    if text.isascii():
        return None
    bad = _strange(text)
    if not bad:
        return None
    readings = [(Trap.DOUBLE_UTF8, _double_utf8(text)), (Trap.TCVN3, from_tcvn3(text)), (Trap.VNI, from_vni(text))]
    judged = [(_strange(reading), trap, reading) for trap, reading in readings if reading and reading != text]
    best = min(judged, key=lambda item: item[0], default=None)
    if best is None or best[0] * 2 >= bad:
        return None
    return best[1], best[2]


def from_tcvn3(text: str) -> str:
    """Text whose octets were TCVN3 and were read as Latin-1."""
    return "".join(_TCVN3.get(letter, letter) for letter in text)


def from_vni(text: str) -> str:
    """Text whose octets were VNI and were read as Latin-1."""

    def joined(found: re.Match[str]) -> str:
        vowel, sign = found[1], found[2].lower()
        base = _VNI_ALONE.get(vowel.lower(), vowel.lower())
        letter = unicodedata.normalize("NFC", base + _VNI_SIGNS[sign])
        return letter.upper() if vowel.isupper() else letter

    pieces: list[str] = []
    at = 0
    for found in _VNI_PAIR.finditer(text):
        pieces += [_vni_alone(text[at : found.start()]), joined(found)]
        at = found.end()
    return "".join(pieces) + _vni_alone(text[at:])


def _vni_alone(text: str) -> str:
    return "".join(
        (_VNI_ALONE[letter.lower()].upper() if letter.isupper() else _VNI_ALONE[letter])
        if letter.lower() in _VNI_ALONE
        else letter
        for letter in text
    )


def _double_utf8(text: str) -> str:
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
    return ""


def _strange(text: str) -> int:
    """How many words with letters beyond ASCII cannot be Vietnamese."""
    return sum(not _is_syllable(word) for word in _WORD.findall(text) if not word.isascii())


def _is_syllable(word: str) -> bool:
    plain: list[str] = []
    tones = ""
    for letter in unicodedata.normalize("NFD", word.casefold()):
        if letter in _TONES:
            tones += letter
        elif letter in _VOWEL_SIGNS and plain:
            plain[-1] = unicodedata.normalize("NFC", plain[-1] + letter)
        else:
            plain.append(letter)
    found = _SYLLABLE.fullmatch("".join(plain))
    stopped = found is not None and found["coda"] in ("ch", "c", "p", "t")
    return found is not None and len(tones) <= 1 and not (stopped and tones in (_GRAVE, _HOOK, _TILDE))
