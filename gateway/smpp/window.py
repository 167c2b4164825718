"""Outstanding requests by sequence_number: the window (SMPP 3.4 §2.7, 5.0 §2.6.1).

A request waits here from the moment it is sent until one of three things happens:

* its answer comes: :meth:`Window.take` hands back the request and the caller's token;
* its response timer runs out: :meth:`Window.expire` hands both back, and the number stays *remembered* for a bounded
  while, because a slow SMSC may still answer and that answer settles what would otherwise stay in doubt;
* the link goes: :meth:`Window.drain` hands everything back.

So every token that goes in comes out exactly once here, and an answer is one of three kinds: expected, late, or
unexpected (given twice, or to a number that nobody used).

Requests of the session itself (bind, unbind, enquire_link) have numbers too but take no place in the window: a full
window must not keep a link from being probed.

Every request has the same response timeout, so requests expire in the order in which they were sent, which is the order
in which a ``dict`` keeps them. Nothing here walks over the whole window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.smpp.constants import MAX_SEQUENCE_NUMBER, RESPONSE_BIT, CommandId
from gateway.smpp.errors import LocalProtocolError

if TYPE_CHECKING:
    from gateway.smpp.pdu import Pdu

#: How long an expired number is remembered, in seconds. SMSCs that answer late do so within minutes.
REMEMBER_S = 600.0
#: The most expired numbers remembered. Twice the largest window, so that one stall of a whole window is never forgotten.
REMEMBER_LIMIT = 10_000

_GENERIC_NACK = int(CommandId.GENERIC_NACK)


class _Control:
    """The token of the session's own requests; no caller can have it."""

    def __repr__(self) -> str:
        return "CONTROL"


CONTROL = _Control()


class Window:
    """Requests that were sent and not answered.

    Args:
        size: how many requests of the caller may be open at once.
        response_timeout_s: how long each may stay open, in seconds.
        first: the first sequence_number to use.
    """

    __slots__ = ("_control", "_expired", "_next", "_pending", "response_timeout_s", "size")

    def __init__(self, size: int, response_timeout_s: float, first: int = 1) -> None:
        self.size = size
        self.response_timeout_s = response_timeout_s
        self._next = first
        self._control = 0
        self._pending: dict[int, tuple[Pdu, object, float]] = {}
        self._expired: dict[int, tuple[object, float]] = {}

    def __len__(self) -> int:
        """The caller's open requests; those of the session itself are not counted."""
        return len(self._pending) - self._control

    @property
    def free(self) -> int:
        """How many more requests may be sent now; never below zero, even when the window was made smaller."""
        return max(0, self.size - len(self._pending) + self._control)

    @property
    def remembered(self) -> int:
        """How many expired numbers would still be recognised."""
        return len(self._expired)

    def add(self, request: Pdu, token: object, now: float) -> int:
        """Open a request and give its sequence_number.

        Raises:
            LocalProtocolError: the window is full.
        """
        if token is CONTROL:
            self._control += 1
        elif len(self._pending) - self._control >= self.size:
            raise LocalProtocolError(f"the window of {self.size} is full")
        number = self._next
        if number in self._pending or number in self._expired:
            number = self._skip(number)
        self._next = number + 1 if number < MAX_SEQUENCE_NUMBER else 1
        self._pending[number] = (request, token, now + self.response_timeout_s)
        return number

    def next_number(self) -> int:
        """Use up a sequence_number that no open or remembered request has; for requests that get no answer."""
        number = self._skip(self._next)
        self._next = number + 1 if number < MAX_SEQUENCE_NUMBER else 1
        return number

    def _skip(self, number: int) -> int:
        while number in self._pending or number in self._expired:
            number = number + 1 if number < MAX_SEQUENCE_NUMBER else 1
        return number

    def take(self, sequence_number: int, response_id: int) -> tuple[Pdu, object] | None:
        """The request that this answer settles, and its token; None when no open request fits.

        An answer fits by its number and its kind: submit_sm_resp answers submit_sm, generic_nack anything. An
        answer of another kind leaves the request open.
        """
        entry = self._pending.get(sequence_number)
        if entry is None or (response_id != _GENERIC_NACK and entry[0].command_id | RESPONSE_BIT != response_id):
            return None
        del self._pending[sequence_number]
        if entry[1] is CONTROL:
            self._control -= 1
        return entry[0], entry[1]

    def take_late(self, sequence_number: int) -> tuple[object] | None:
        """The token of an expired request, in a tuple of its own (a token may be None); None when none is remembered."""
        entry = self._expired.pop(sequence_number, None)
        return None if entry is None else (entry[0],)

    def expire(self, now: float) -> list[tuple[int, Pdu, object]]:
        """Remove the requests whose time is over, oldest first; remember the caller's, forget those remembered too long."""
        over: list[tuple[int, Pdu, object]] = []
        for number, (request, token, expires_at) in self._pending.items():
            if expires_at > now:
                break
            over.append((number, request, token))
        for number, _request, token in over:
            del self._pending[number]
            if token is CONTROL:
                self._control -= 1
            else:
                self._expired[number] = (token, now + REMEMBER_S)
        self._forget(now)
        return over

    def _forget(self, now: float) -> None:
        while self._expired:
            number = next(iter(self._expired))
            if self._expired[number][1] > now and len(self._expired) <= REMEMBER_LIMIT:
                break
            del self._expired[number]

    def next_deadline(self) -> float:
        """When the oldest request expires; infinity when none is open."""
        for entry in self._pending.values():
            return entry[2]
        return float("inf")

    def drain(self) -> list[tuple[int, object]]:
        """Remove every open request, oldest first, and give the callers' numbers and tokens. For a link that is gone."""
        entries = [(number, entry[1]) for number, entry in self._pending.items() if entry[1] is not CONTROL]
        self._pending.clear()
        self._expired.clear()
        self._control = 0
        return entries
