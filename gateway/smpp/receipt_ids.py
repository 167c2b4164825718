"""How the id in a receipt finds the id of a submit_sm_resp, though SMSCs write the two differently."""

from __future__ import annotations

import re
from typing import Literal

IdBase = Literal["as_given", "response_hex", "receipt_hex", "either"]

_MAX_ID = 255  # the standard's most is 64; more would only make the database's keys long
_HEXADECIMAL = re.compile(r"[0-9a-f]+")
_DECIMAL = re.compile(r"[0-9]+")
_HEX_GROUPS = re.compile(r"[{]?[0-9a-f]+(?:-[0-9a-f]+)*[}]?")  # UUIDs and their like: letters' case says nothing


def id_keys(message_id: str, id_base: IdBase, role: Literal["response", "receipt"] = "response") -> tuple[str, ...]:
    """The keys of an id. A response has one, under which its part is stored; a receipt has every one that the response
    to its message may have, the likeliest first.

    A response and a receipt may be of one message if they share a key. The rules:

    - A key is the id as given, but blanks around it do not count, nor do leading zeros and the case of letters in an id
      that is a number (decimal, hexadecimal or a UUID): SMSCs pad and spell ids differently in their two places.
    - as_given: the receipt's id is the response's.
    - response_hex: the receipt's id is decimal, the response's the same number in hexadecimal; receipt_hex the other way
      round. A receipt's id that is not such a number is looked for as given.
    - either: as given, then both. A match as given comes first, because it is never by chance.

    Numbers of any size work (ids are text; nothing is squeezed into 64 bits). An empty id has no keys.
    """
    as_given = _as_given(message_id)
    if not as_given:
        return ()
    if role == "response" or id_base == "as_given":
        return (as_given,)
    if id_base == "either" and as_given.isascii() and as_given.isdigit() and len(as_given) > 1:  # nearly every one
        return as_given, f"{int(as_given):x}", str(int(as_given, 16))
    keys = [as_given] if id_base == "either" else []
    if id_base in ("response_hex", "either") and _DECIMAL.fullmatch(as_given):
        keys.append(f"{int(as_given):x}")
    if id_base in ("receipt_hex", "either") and _HEXADECIMAL.fullmatch(as_given):
        keys.append(str(int(as_given, 16)))
    return tuple(dict.fromkeys(keys)) or (as_given,)


def _as_given(message_id: str) -> str:
    if message_id.isascii() and message_id.isdigit() and len(message_id) <= _MAX_ID:  # nearly every one
        return message_id.lstrip("0") or "0"
    stripped = message_id.strip(" \t\r\n\0")[:_MAX_ID]
    lower = stripped.lower()
    if _HEXADECIMAL.fullmatch(lower):
        return lower.lstrip("0") or "0"
    return lower if _HEX_GROUPS.fullmatch(lower) else stripped
