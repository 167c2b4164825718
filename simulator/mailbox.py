"""What the SMSC has for an ESME: MO and receipts, kept until they are answered. SMPP 3.4 §4.6 (deliver_sm).

As a real SMSC does, it sends to receiver and transceiver sessions only, tries again after a temporary error, a lost link or
silence (so an ESME may see a message twice), and gives up what the ESME refuses for good or nobody took in time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from gateway.smpp.constants import CommandStatus
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.pdu import DataSm, DeliverSm
from simulator.schedule import Schedule

log = structlog.get_logger()

_GIVEN_UP_TOLD = (
    100  # in the log one by one; then each _GIVEN_UP_STEP-th: a flood of lines would cost more than the messages
)
_GIVEN_UP_STEP = 1000
TEMPORARY = frozenset(
    {
        CommandStatus.ESME_RSYSERR,
        CommandStatus.ESME_RMSGQFUL,
        CommandStatus.ESME_RTHROTTLED,
        CommandStatus.ESME_RX_T_APPN,
        CommandStatus.ESME_RINVBNDSTS,
    }
)


class Receiver(Protocol):
    """What a mailbox needs of a session that can receive."""

    system_id: str
    interface_version: int

    @property
    def free_window(self) -> int: ...

    def send(self, pdu: DeliverSm | DataSm, token: object) -> object: ...

    def send_octets(self, pdu: DeliverSm | DataSm, body: bytes, token: object, now: float) -> object: ...

    def close(self) -> None: ...


class Outgoing:
    """One deliver_sm or data_sm until it is settled.

    No dataclass: one is made for each receipt, and what most leave as it is stays with the class.
    """

    pdu_before_34: DeliverSm | None = None  # for an ESME of SMPP 3.3; None: ``pdu`` without its TLVs
    body: bytes | None = None  # the octets after the header, without TLVs; then ``pdu`` only says what they are
    tlvs: bytes = b""  # that follow ``body``, but not to an ESME of SMPP 3.3
    attempts: int = 0
    sent_at: float = 0.0
    waiting: bool = False  # in a queue, or set for another attempt
    done: bool = False

    def __init__(
        self,
        kind: str,
        pdu: DeliverSm | DataSm,
        posted_at: float,
        settled: Callable[[Outgoing, int | None], None],
        about: Any = None,
    ) -> None:
        self.kind = kind  # "mo" or "receipt"
        self.pdu = pdu
        self.posted_at = posted_at
        self.settled = settled  # told the answer's command_status; None: given up
        self.about = about  # the owner's own


class Mailbox:
    """The queue of one system_id and the sessions that may take from it."""

    def __init__(
        self,
        schedule: Schedule,
        retry_s: Callable[[], float],
        keep_s: float,
        kept: int,
        unanswered_limit: int,
    ) -> None:
        self._schedule = schedule
        self._retry_s = retry_s
        self._keep_s = keep_s
        self._kept = kept
        self._unanswered_limit = unanswered_limit
        self._waiting: deque[Outgoing] = deque()
        self._receivers: list[Receiver] = []
        self._turn = 0
        self._silent: dict[Receiver, int] = {}  # answers missing in a row
        self.retrying = 0
        self.given_up = 0

    def __len__(self) -> int:
        """Waiting, those that wait for another attempt included."""
        return len(self._waiting) + self.retrying

    @property
    def has_receiver(self) -> bool:
        return bool(self._receivers)

    def post(self, outgoing: Outgoing) -> None:
        """Send it now if a session can take it, else keep it."""
        if not self._waiting and self._receivers:
            receiver = self._pick()
            if receiver is not None:
                self._send(receiver, outgoing)
                return
        outgoing.waiting = True
        self._waiting.append(outgoing)
        if len(self._waiting) > self._kept:
            self._give_up(self._waiting.popleft(), "mailbox_full")

    def adopt(self, other: Mailbox) -> None:
        """Take over what waits in another mailbox (of a system_id that was not known yet)."""
        while other._waiting:
            self.post(other._waiting.popleft())

    def bound(self, receiver: Receiver) -> None:
        """A session that may receive is up."""
        self._receivers.append(receiver)
        self.pump()

    def lost(self, receiver: Receiver, unanswered: list[Outgoing]) -> None:
        """A session is gone; what it left unanswered goes to the front, in its order."""
        if receiver in self._receivers:
            self._receivers.remove(receiver)
        self._silent.pop(receiver, None)
        for outgoing in reversed(unanswered):
            outgoing.waiting = True
            self._waiting.appendleft(outgoing)
        self.pump()

    def answered(self, receiver: Receiver, outgoing: Outgoing, status: int) -> None:
        """The ESME answered, in time or late."""
        if self._silent:
            self._silent.pop(receiver, None)
        if outgoing.done:
            return
        if status in TEMPORARY:
            self._again(outgoing)
        else:
            outgoing.done = True
            outgoing.settled(outgoing, status)
        if self._waiting:
            self.pump()

    def expired(self, receiver: Receiver, outgoing: Outgoing) -> None:
        """The ESME did not answer in time. After some in a row its session is closed: another one may be alive."""
        self._again(outgoing)
        count = self._silent.get(receiver, 0) + 1
        self._silent[receiver] = count
        if count == self._unanswered_limit:
            log.warning("esme_does_not_answer", system_id=receiver.system_id, unanswered=count)
            if receiver in self._receivers:
                self._receivers.remove(receiver)
            # Not now: what else has expired in this moment is told next, and a session that is gone tells nothing.
            self._schedule.call_later(0, receiver.close)

    def pump(self) -> None:
        """Send what the sessions' windows have room for."""
        while self._waiting and self._receivers:
            receiver = self._pick()
            if receiver is None:
                return
            outgoing = self._waiting.popleft()
            if outgoing.done:
                continue  # answered late, while it waited for another attempt
            if self._schedule.now() - outgoing.posted_at > self._keep_s:
                self._give_up(outgoing, "kept_too_long")
            else:
                self._send(receiver, outgoing)

    def _pick(self) -> Receiver | None:
        receivers = self._receivers
        if len(receivers) == 1:
            return receivers[0] if receivers[0].free_window > 0 else None
        for _ in range(len(receivers)):
            self._turn = (self._turn + 1) % len(receivers)
            if receivers[self._turn].free_window > 0:
                return receivers[self._turn]
        return None

    def _send(self, receiver: Receiver, outgoing: Outgoing) -> None:
        outgoing.attempts += 1
        outgoing.sent_at = now = self._schedule.now()
        outgoing.waiting = False
        pdu, body = outgoing.pdu, outgoing.body
        if body is not None:
            whole = body + outgoing.tlvs if receiver.interface_version >= 0x34 else body
            try:
                receiver.send_octets(pdu, whole, outgoing, now)
            except LocalProtocolError as error:
                self._give_up(outgoing, str(error))
            return
        if receiver.interface_version < 0x34 and (pdu.tlvs or outgoing.pdu_before_34 is not None):
            pdu = outgoing.pdu_before_34 or pdu._replace(tlvs=())
        try:
            receiver.send(pdu, outgoing)
        except LocalProtocolError as error:
            self._give_up(outgoing, str(error))  # a field that no PDU can hold: it will not get better

    def _again(self, outgoing: Outgoing) -> None:
        if outgoing.waiting:
            return
        outgoing.waiting = True
        self.retrying += 1
        self._schedule.call_later(self._retry_s(), self._retry, outgoing)

    def _retry(self, outgoing: Outgoing) -> None:
        self.retrying -= 1
        if outgoing.done:
            return
        if self._schedule.now() - outgoing.posted_at > self._keep_s:
            self._give_up(outgoing, "kept_too_long")
        else:
            self.post(outgoing)

    def _give_up(self, outgoing: Outgoing, why: str) -> None:
        self.given_up += 1
        if self.given_up <= _GIVEN_UP_TOLD or self.given_up % _GIVEN_UP_STEP == 0:
            log.warning(
                "deliver_sm_given_up", kind=outgoing.kind, why=why, attempts=outgoing.attempts, so_far=self.given_up
            )
        outgoing.done = True
        outgoing.settled(outgoing, None)
