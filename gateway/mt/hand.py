"""Messages in hand: claimed by this node, and not all settled yet."""

from __future__ import annotations

from datetime import datetime

from gateway.model import ClaimedMessage
from gateway.mt.bind import Bind
from gateway.smpp.text import LongMessageForm, Segment

#: The number of a piece that is the whole message, before it is known how a bind wants it cut; and of one that carries
#: all parts in one submit.
WHOLE = 0


class Hand:
    """A claimed message until each of its parts has an outcome."""

    __slots__ = (
        "bind",
        "dead",
        "flying",
        "form",
        "message",
        "retry_at",
        "returned",
        "returned_status",
        "segments",
        "waiting",
    )

    def __init__(self, message: ClaimedMessage) -> None:
        self.message = message
        self.bind: Bind | None = None  # which took its first part; the others follow if they can
        self.form: LongMessageForm | None = None
        self.segments: list[Segment] = []
        self.waiting = 0  # pieces in the sender's buffer
        self.flying = 0  # pieces without an answer
        self.dead = False  # a part was refused: the others stay
        self.returned: str | None = None  # why it goes back to the queue once nothing flies
        self.returned_status: int | None = None
        self.retry_at: datetime | None = None  # business time


class Piece:
    """What leaves in one submit: the token of the SMPP client."""

    __slots__ = ("flying", "hand", "number", "weight")

    def __init__(self, hand: Hand, number: int) -> None:
        self.hand = hand
        self.number = number  # the part, or WHOLE
        self.weight = hand.message.parts if number == WHOLE else 1
        self.flying = False

    @property
    def parts(self) -> tuple[int, ...]:
        """The parts that this piece carries and the SMSC does not have."""
        if self.number != WHOLE:
            return (self.number,)
        message = self.hand.message
        return tuple(part for part in range(1, message.parts + 1) if part not in message.parts_done)
