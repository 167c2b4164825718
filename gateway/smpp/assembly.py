"""The parts of a long message collected until it is whole, in memory and within bounds; what is given up is shown.

Parts may come in any order, twice, and mixed with those of other senders and messages.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gateway.smpp.concatenation import Concatenation, IncomingPart
from gateway.smpp.segmentation import MAX_PARTS


class MessageKey(NamedTuple):
    """What the parts of one message have in common."""

    scope: str  # where references are counted from: the name of the operator or of the bind
    source_addr: str
    destination_addr: str
    form: str
    reference: int
    total: int

    @property
    def sender(self) -> tuple[str, str]:
        return self.scope, self.source_addr


class Incomplete(NamedTuple):
    """A message that was given up because some of its parts never came."""

    key: MessageKey
    parts: dict[int, IncomingPart]
    first_at: float  # the clock of the caller, seconds
    reason: Literal["timeout", "limit", "reference_reused"]


@dataclass(slots=True)
class _Collected:
    first_at: float
    parts: dict[int, IncomingPart] = field(default_factory=dict)
    complete: bool = False


class Assembler:
    """Collects parts until a message is whole.

    A finished message is remembered until its time is up: a part that the SMSC repeats (its answer was lost) must not
    open a message that can never be finished.

    Args:
        timeout_s: age of the first part at which a message is given up. Parts of one message leave a handset within
            seconds; SMSCs retry for some minutes.
        max_parts: parts kept in all; 10,000 take about 3 MB. Then the oldest message gives way.
        max_parts_per_sender: so that one sender cannot push the others out; three messages of the greatest length.
    """

    def __init__(
        self, *, timeout_s: float = 300.0, max_parts: int = 10_000, max_parts_per_sender: int = 3 * MAX_PARTS
    ) -> None:
        self._timeout_s = timeout_s
        self._max_parts = max_parts
        self._max_parts_per_sender = max_parts_per_sender
        self._messages: dict[MessageKey, _Collected] = {}  # oldest first
        self._kept = 0
        self._kept_by_sender: Counter[tuple[str, str]] = Counter()
        self._given_up: list[Incomplete] = []

    def __len__(self) -> int:
        """Parts kept now, those of finished messages included."""
        return self._kept

    def add(
        self,
        scope: str,
        source_addr: str,
        destination_addr: str,
        concatenation: Concatenation,
        data_coding: int,
        now: float,
    ) -> list[IncomingPart] | None:
        """Take one part. Returns all parts in order when it was the last one missing, else None.

        The first part of a number wins: repeated ones change nothing. A different text under the number of a part that
        is there already means that the sender uses the reference for a new message.
        """
        key = MessageKey(
            scope, source_addr, destination_addr, concatenation.form, concatenation.reference, concatenation.total
        )
        part = IncomingPart(concatenation.octets, data_coding)
        message = self._messages.get(key)
        known = message.parts.get(concatenation.part) if message else None
        if known == part:
            return None
        if known is not None or message is None or message.complete:
            if message is not None:
                self._drop(key, "reference_reused")
            message = self._messages[key] = _Collected(now)
        message.parts[concatenation.part] = part
        self._kept += 1
        self._kept_by_sender[key.sender] += 1
        message.complete = len(message.parts) == concatenation.total
        whole = [message.parts[number] for number in sorted(message.parts)] if message.complete else None
        self._make_room(key)
        return whole

    def on_tick(self, now: float) -> list[Incomplete]:
        """Give up what is too old. Returns every message given up since the last call, for whatever reason."""
        for key, message in list(self._messages.items()):
            if message.first_at + self._timeout_s > now:
                break
            self._drop(key, "timeout")
        given_up, self._given_up = self._given_up, []
        return given_up

    def next_deadline(self) -> float | None:
        """When :meth:`on_tick` has something to do; None: nothing is kept."""
        oldest = next(iter(self._messages.values()), None)
        return None if oldest is None else oldest.first_at + self._timeout_s

    def _make_room(self, newest: MessageKey) -> None:
        while self._kept_by_sender[newest.sender] > self._max_parts_per_sender:
            self._drop(next(key for key in self._messages if key.sender == newest.sender), "limit")
        while self._kept > self._max_parts:
            self._drop(next(iter(self._messages)), "limit")

    def _drop(self, key: MessageKey, reason: Literal["timeout", "limit", "reference_reused"]) -> None:
        message = self._messages.pop(key)
        self._kept -= len(message.parts)
        self._kept_by_sender[key.sender] -= len(message.parts)
        if not self._kept_by_sender[key.sender]:
            del self._kept_by_sender[key.sender]
        if not message.complete:
            self._given_up.append(Incomplete(key, message.parts, message.first_at, reason))
