"""Messages that the SMSC took over, and where each of them is: what query_sm, cancel_sm and replace_sm ask for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from gateway.smpp.pdu import DataSm, SubmitSm
from simulator.behaviours.base import NEVER
from simulator.behaviours.message_ids import MessageId

Accepting = SubmitSm | DataSm
_EN_ROUTE = frozenset({"SCHEDULED", "ENROUTE"})


class Accepted:
    """A message that the SMSC took over.

    No dataclass: one is made for each message, and what most messages leave as it is stays with the class.
    """

    state: str = "ENROUTE"  # as receipts write it; SCHEDULED before its schedule_delivery_time
    error: str = "000"
    final_at: float = 0.0
    expires_at: float = NEVER
    turn: int = 0  # calls that were set for an earlier turn are void: the message was cancelled or replaced
    waiting: Callable[[Accepted], None] | None = None  # who is told of the final state (transaction mode)
    siblings: tuple[Accepted, ...] = ()  # the other destinations of a submit_multi

    def __init__(self, pdu: Accepting, message_id: MessageId, system_id: str, at: float) -> None:
        self.pdu = pdu
        self.message_id = message_id
        self.system_id = system_id  # of the session it came by: its receipts go to this ESME
        self.at = at

    @property
    def en_route(self) -> bool:
        """It has no final state yet."""
        return self.state in _EN_ROUTE


class Messages:
    """The newest messages of one account by their id. The oldest are forgotten beyond ``kept``."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._by_id: OrderedDict[str, Accepted] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, accepted: Accepted) -> None:
        """Remember a message; the destinations of a submit_multi share their id."""
        if not self._kept:
            return
        text = accepted.message_id.text
        first = self._by_id.setdefault(text, accepted)
        if first is not accepted:
            first.siblings += (accepted,)
        elif len(self._by_id) > self._kept:
            self._by_id.popitem(last=False)

    def find(self, message_id: str, system_id: str) -> list[Accepted]:
        """All destinations of a message of this ESME; empty: unknown, forgotten, or another ESME's."""
        found = self._by_id.get(message_id)
        return [] if found is None or found.system_id != system_id else [found, *found.siblings]

    def newest_first(self) -> Iterator[Accepted]:
        """All messages, for those who look by address."""
        for accepted in reversed(self._by_id.values()):
            yield accepted
            yield from accepted.siblings
