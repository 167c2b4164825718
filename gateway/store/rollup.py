"""How the states of its parts make the state of a message. Pure; docs/states.md tells the same in prose."""

from __future__ import annotations

from collections.abc import Collection

from gateway.model import MessageState, PartState

#: The SMSC has the part, whatever became of it since.
TAKEN = frozenset({PartState.ACCEPTED, PartState.DELIVERED, PartState.UNDELIVERED, PartState.EXPIRED})
#: Nothing changes such a part any more.
PART_FINAL = frozenset({PartState.DELIVERED, PartState.UNDELIVERED, PartState.EXPIRED, PartState.REJECTED})

#: One part that failed fails the message: the rest of a text cannot be read. The first that occurs counts.
_FAILURES = (
    (PartState.REJECTED, MessageState.REJECTED),
    (PartState.UNDELIVERED, MessageState.UNDELIVERED),
    (PartState.EXPIRED, MessageState.EXPIRED),
)


def roll_up(
    current: MessageState, total: int, parts: Collection[PartState], *, returned: bool = False, later: bool = False
) -> MessageState:
    """The state that a message should be in.

    Args:
        current: the state that it is in.
        total: how many parts it has.
        parts: the states of the parts that have an outcome.
        returned: the sender gives it back: some part never left, and none is under way.
        later: with ``returned``: not to be tried again at once.

    A final state never changes. ACCEPTED is left for a final one only. While a message is SENDING, missing parts are
    still under way; an unanswered part makes it UNKNOWN only when no other is.
    """
    if current.final:
        return current
    for part_state, message_state in _FAILURES:
        if part_state in parts:
            return message_state
    if sum(state in TAKEN for state in parts) == total:
        return MessageState.DELIVERED if set(parts) == {PartState.DELIVERED} else MessageState.ACCEPTED
    if current not in (MessageState.SENDING, MessageState.UNKNOWN):
        return current
    if PartState.UNKNOWN in parts:
        return MessageState.UNKNOWN if returned or len(parts) == total else current
    if returned:
        return MessageState.HELD if later else MessageState.QUEUED
    return current
