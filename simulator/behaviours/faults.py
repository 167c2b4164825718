"""Faults on demand: switched on for a time or for a number of submits by ``motcua-simulator fault``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.smpp.constants import CommandStatus
from simulator.behaviours.base import AnswerForm, Submission


class FaultKind(StrEnum):
    """What can be ordered. The value is the word on the command line and in the control API."""

    THROTTLE = "throttle"  # ESME_RTHROTTLED to every submit
    QUEUE_FULL = "queue-full"  # ESME_RMSGQFUL to every submit
    STATUS = "status"  # any command_status to every submit
    DROP_ANSWERS = "drop-answers"  # accepted, delivered, never answered
    DROP_REQUESTS = "drop-requests"  # submits ignored altogether
    DELAY_ANSWERS = "delay-answers"  # answered by so many seconds later
    HOLD_ANSWERS = "hold-answers"  # nothing is answered until the fault ends, then all at once
    NACK = "nack"  # generic_nack in place of submit_sm_resp
    WRONG_ANSWERS = "wrong-answers"  # the answer bears a sequence_number that nobody used
    DOUBLE_ANSWERS = "double-answers"  # every answer comes twice
    LOSE_RECEIPTS = "lose-receipts"  # receipts that fall due are never sent
    HOLD_RECEIPTS = "hold-receipts"  # receipts that fall due wait until the end of the fault
    RECEIPTS_AFTER_BIND = "receipts-after-bind"  # receipts that fall due wait for the ESME's next bind
    REFUSE_BINDS = "refuse-binds"  # ESME_RBINDFAIL to every bind
    SILENCE = "silence"  # half-open: links stay up, nothing is read or answered
    SLOW_READER = "slow-reader"  # the ESME's octets are read only now and then
    CUT = "cut"  # at once: every link of the account goes down without a word
    UNBIND = "unbind"  # at once: every session gets an unbind
    GARBAGE = "garbage"  # at once: octets that are no PDU
    GARBAGE_LENGTH = "garbage-length"  # at once: a PDU that claims to have 2 GB
    GARBAGE_COMMAND = "garbage-command"  # at once: a PDU with a command_id that nobody knows
    GARBAGE_BODY = "garbage-body"  # at once: a deliver_sm whose strings do not end
    GARBAGE_TLV = "garbage-tlv"  # at once: a deliver_sm with unknown, repeated and empty TLVs, which is legal
    HALF_PDU = "half-pdu"  # at once: half a PDU, and then silence
    ALERT = "alert"  # at once: alert_notification

    @property
    def at_once(self) -> bool:
        """It happens and is over: it has no duration."""
        return self in _AT_ONCE

    @property
    def countable(self) -> bool:
        """It hits submits one by one, so it may hit so many of them."""
        return self in _COUNTABLE


_AT_ONCE = frozenset(
    {
        FaultKind.CUT,
        FaultKind.UNBIND,
        FaultKind.GARBAGE,
        FaultKind.GARBAGE_LENGTH,
        FaultKind.GARBAGE_COMMAND,
        FaultKind.GARBAGE_BODY,
        FaultKind.GARBAGE_TLV,
        FaultKind.HALF_PDU,
        FaultKind.ALERT,
    }
)
_COUNTABLE = frozenset(
    {
        FaultKind.THROTTLE,
        FaultKind.QUEUE_FULL,
        FaultKind.STATUS,
        FaultKind.DROP_ANSWERS,
        FaultKind.DROP_REQUESTS,
        FaultKind.DELAY_ANSWERS,
        FaultKind.NACK,
        FaultKind.WRONG_ANSWERS,
        FaultKind.DOUBLE_ANSWERS,
    }
)


@dataclass(slots=True)
class ActiveFault:
    kind: FaultKind
    until: float | None  # the schedule's time; None: until it is cleared or used up
    left: int | None  # submits that it still hits; None: no such limit
    status: int = 0
    by_s: float = 0.0


_ANSWER_FORMS: tuple[tuple[FaultKind, AnswerForm], ...] = (
    (FaultKind.NACK, "nack"),
    (FaultKind.WRONG_ANSWERS, "wrong_number"),
    (FaultKind.DOUBLE_ANSWERS, "twice"),
)
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
        if submission.answer_form == "nack":
            return CommandStatus.ESME_RINVCMDID
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
        fault = self.find(FaultKind.HOLD_ANSWERS)
        if fault is not None:
            submission.delay_s += fault.by_s if fault.until is None else fault.until - self._now()
        for kind, form in _ANSWER_FORMS:
            if self._hit(kind) is not None:
                submission.answer_form = form

    def _hit(self, kind: FaultKind) -> ActiveFault | None:
        fault = self.find(kind)
        if fault is not None and fault.left is not None:
            fault.left -= 1
        return fault
