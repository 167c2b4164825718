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
    """The keys under which an id is stored (response) or looked for (receipt), the likeliest first.

    A response and a receipt are of one message if they share a key; a receipt's keys are tried in order, so that an id
    that matches as given wins over one that only matches in another base. The rules:

    - as given: blanks around it do not count, nor do leading zeros and the case of letters in an id that is a number
      (decimal, hexadecimal or a UUID), because SMSCs pad and spell ids differently in their two places.
    - response_hex: the response counts as hexadecimal, the receipt as decimal; receipt_hex the other way round. A
      receipt's id that is not such a number is looked for as given.
    - either: all three.

    Numbers of any size work (ids are text; nothing is squeezed into 64 bits). An empty id has no keys.
    """
    as_given = _as_given(message_id)
    if not as_given:
        return ()
    keys = [as_given] if id_base == "either" else []
    for base, hexadecimal_role in (("response_hex", "response"), ("receipt_hex", "receipt")):
        if id_base not in (base, "either"):
            continue
        pattern, radix = (_HEXADECIMAL, 16) if role == hexadecimal_role else (_DECIMAL, 10)
        if pattern.fullmatch(as_given):
            keys.append(f"{base}:{int(as_given, radix)}")
    if as_given not in keys and (role == "response" or not keys):
        keys.append(as_given)
    return tuple(keys)


def _as_given(message_id: str) -> str:
    stripped = message_id.strip(" \t\r\n\0")[:_MAX_ID]
    lower = stripped.lower()
    if _HEXADECIMAL.fullmatch(lower):
        return lower.lstrip("0") or "0"
    return lower if _HEX_GROUPS.fullmatch(lower) else stripped
