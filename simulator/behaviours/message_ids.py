"""The SMSC's message ids, and how a receipt writes them."""

from __future__ import annotations

import random
import uuid
from typing import NamedTuple

from simulator.settings import MessageIdSettings


class MessageId(NamedTuple):
    number: int
    text: str  # as submit_sm_resp writes it


def write_id(number: int, form: str, digits: int) -> str:
    """A message id in one of the forms: decimal, hex, hex_upper, zero_padded, uuid."""
    if form == "hex":
        return f"{number:x}"
    if form == "hex_upper":
        return f"{number:X}"
    if form == "zero_padded":
        return f"{number:0{digits}d}"
    if form == "uuid":
        return str(uuid.UUID(int=number))
    return str(number)


class MessageIds:
    """Counts up from ``start``; UUIDs are drawn from ``rng``."""

    def __init__(self, settings: MessageIdSettings, start: int, rng: random.Random) -> None:
        self._form = settings.form
        self._digits = settings.digits
        self._next = start
        self._rng = rng

    def take(self) -> MessageId:
        """A fresh id."""
        if self._form == "uuid":
            number = uuid.UUID(int=self._rng.getrandbits(128), version=4).int
        else:
            number = self._next
            self._next += 1
        return MessageId(number, write_id(number, self._form, self._digits))

    def in_receipt(self, message_id: MessageId, id_form: str) -> str:
        """The id as a receipt writes it: ``as_given``, or in another form."""
        return message_id.text if id_form == "as_given" else write_id(message_id.number, id_form, self._digits)
