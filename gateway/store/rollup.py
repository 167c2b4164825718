"""How the states of its parts make the state of a message. Pure; docs/states.md tells the same in prose."""

from __future__ import annotations

from collections.abc import Collection

from gateway.model import MessageState, PartState

# Tuples: members are found by identity, where a set would call an enumeration's hash, which is Python.
#: The SMSC has the part, whatever became of it since.
TAKEN = (PartState.ACCEPTED, PartState.DELIVERED, PartState.UNDELIVERED, PartState.EXPIRED)
#: Nothing changes such a part any more.
PART_FINAL = (PartState.DELIVERED, PartState.UNDELIVERED, PartState.EXPIRED, PartState.REJECTED)
_FINAL = tuple(state for state in MessageState if state.final)

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
    if current in _FINAL:
        return current
    for part_state, message_state in _FAILURES:
        if part_state in parts:
            return message_state
    if len(parts) == total and PartState.UNKNOWN not in parts:  # then the SMSC has them all
        return MessageState.ACCEPTED if PartState.ACCEPTED in parts else MessageState.DELIVERED
    if current not in (MessageState.SENDING, MessageState.UNKNOWN):
        return current
    if PartState.UNKNOWN in parts:
        return MessageState.UNKNOWN if returned or len(parts) == total else current
    if returned:
        return MessageState.HELD if later else MessageState.QUEUED
    return current
