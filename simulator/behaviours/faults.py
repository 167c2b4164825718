"""Faults on demand: switched on for a time or for a number of submits by ``motcua-simulator fault``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.smpp.constants import CommandStatus
from simulator.behaviours.base import Submission


class FaultKind(StrEnum):
    """What can be ordered. The value is the word on the command line and in the control API."""

    THROTTLE = "throttle"  # ESME_RTHROTTLED to every submit
    QUEUE_FULL = "queue-full"  # ESME_RMSGQFUL to every submit
    STATUS = "status"  # any command_status to every submit
    DROP_ANSWERS = "drop-answers"  # accepted, delivered, never answered
    DROP_REQUESTS = "drop-requests"  # submits ignored altogether
    DELAY_ANSWERS = "delay-answers"  # answered by so many seconds later
    LOSE_RECEIPTS = "lose-receipts"  # receipts that fall due are never sent
    HOLD_RECEIPTS = "hold-receipts"  # receipts that fall due wait until the end of the fault
    REFUSE_BINDS = "refuse-binds"  # ESME_RBINDFAIL to every bind
    SILENCE = "silence"  # half-open: links stay up, nothing is read or answered
    CUT = "cut"  # at once: every link of the account goes down without a word
    UNBIND = "unbind"  # at once: every session gets an unbind
    GARBAGE = "garbage"  # at once: octets that are no PDU

    @property
    def at_once(self) -> bool:
        """It happens and is over: it has no duration."""
        return self in (FaultKind.CUT, FaultKind.UNBIND, FaultKind.GARBAGE)

    @property
    def countable(self) -> bool:
        """It hits submits one by one, so it may hit so many of them."""
        return self.value in ("throttle", "queue-full", "status", "drop-answers", "drop-requests", "delay-answers")


@dataclass(slots=True)
class ActiveFault:
    kind: FaultKind
    until: float | None  # the schedule's time; None: until it is cleared or used up
    left: int | None  # submits that it still hits; None: no such limit
    status: int = 0
    by_s: float = 0.0


_REFUSALS = {FaultKind.THROTTLE: CommandStatus.ESME_RTHROTTLED, FaultKind.QUEUE_FULL: CommandStatus.ESME_RMSGQFUL}


class Faults:
    """The faults of one account that are on now. A gate and a disturbance in one."""

    name = "fault"
    refuses_at_once = False

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._active: dict[FaultKind, ActiveFault] = {}

    def switch_on(self, fault: ActiveFault) -> None:
        """Replaces a fault of the same kind."""
        self._active[fault.kind] = fault

    @property
    def any(self) -> bool:
        """Quick: whether there is anything to look at."""
        return bool(self._active)

    def clear(self, kind: FaultKind | None = None) -> None:
        """Switch one off; without a kind, all."""
        if kind is None:
            self._active.clear()
        else:
            self._active.pop(kind, None)

    def active(self) -> list[ActiveFault]:
        """Those that are on now."""
        return [fault for kind in list(self._active) if (fault := self.find(kind)) is not None]

    def find(self, kind: FaultKind) -> ActiveFault | None:
        """The fault of this kind, if it is on."""
        fault = self._active.get(kind)
        if fault is None:
            return None
        if (fault.until is not None and self._now() >= fault.until) or fault.left == 0:
            del self._active[kind]
            return None
        return fault

    def judge(self, submission: Submission) -> int:
        if not self._active:
            return 0
        for kind in (FaultKind.THROTTLE, FaultKind.QUEUE_FULL, FaultKind.STATUS):
            fault = self._hit(kind)
            if fault is not None:
                return _REFUSALS.get(kind, fault.status)
        return 0

    def disturb(self, submission: Submission) -> None:
        if not self._active:
            return
        if self._hit(FaultKind.DROP_REQUESTS) is not None:
            submission.ignored = True
        if self._hit(FaultKind.DROP_ANSWERS) is not None:
            submission.answered = False
        fault = self._hit(FaultKind.DELAY_ANSWERS)
        if fault is not None:
            submission.delay_s += fault.by_s

    def _hit(self, kind: FaultKind) -> ActiveFault | None:
        fault = self.find(kind)
        if fault is not None and fault.left is not None:
            fault.left -= 1
        return fault
