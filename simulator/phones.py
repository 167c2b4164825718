"""Telephone numbers of handsets: international digits inside, other forms on the wire and on the command line."""

from __future__ import annotations

import re

from simulator.errors import RequestError

_PUNCTUATION = re.compile(r"[\s.()-]")


def international(number: str) -> str:
    """``84905123456`` from ``0905 123 456``, ``+84905123456`` or itself. Raises :class:`RequestError`."""
    digits = _PUNCTUATION.sub("", number).removeprefix("+")
    if not digits.isascii() or not digits.isdigit() or not 3 <= len(digits) <= 20:
        raise RequestError("number", f"'{number}' is not a telephone number", "Write it like 84905123456 or 0905123456")
    return "84" + digits[1:] if digits.startswith("0") else digits


def on_the_wire(number: str, form: str) -> str:
    """A handset's number as an operator writes it: international, plus, national."""
    if form == "plus":
        return "+" + number
    if form == "national" and number.startswith("84"):
        return "0" + number[2:]
    return number
