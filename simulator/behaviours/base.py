"""The two kinds of behaviour. A gate may refuse a submit_sm; a disturbance changes when and whether it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from gateway.smpp.pdu import DataSm, SubmitSm
from gateway.smpp.text import Concatenation

if TYPE_CHECKING:
    from simulator.behaviours.directives import Directive

NEVER = float("inf")
AnswerForm = Literal["", "nack", "wrong_number", "twice"]


class Submission:
    """One submit_sm (or data_sm) on its way through the behaviours, and what they made of it.

    No dataclass: one is made for each message, and what most messages leave as it is stays with the class.
    """

    status: int = 0
    refused_by: str = ""
    delay_s: float = 0.0  # of the answer
    answered: bool = True  # False: the answer is lost
    answer_form: AnswerForm = ""  # "": submit_sm_resp as the standard has it
    ignored: bool = False  # True: as if the PDU had never come
    cut: bool = False  # True: the link goes down in place of the answer
    deliver_anyway: bool = False  # True: refused in the response, yet the handset gets it
    charge: dict[str, Any] | None = None  # for the record
    directive: Directive | None = None  # what the message says itself
    directive_fault: str = ""  # why it could not be read
    scheduled_at: float = 0.0  # schedule_delivery_time, Unix seconds; 0: at once
    expires_at: float = NEVER  # validity_period

    def __init__(
        self,
        pdu: SubmitSm | DataSm,
        at: float,
        ordinal: int,
        open_answers: int,
        concatenation: Concatenation | None,
    ) -> None:
        self.pdu = pdu
        self.at = at  # seconds, the schedule's time
        self.ordinal = ordinal  # of the account, counted from 1
        self.open_answers = open_answers  # submits of this session that wait for their answer, without this one
        self.concatenation = concatenation


class Gate(Protocol):
    """Accepts or refuses. The first refusal decides, later gates are not asked."""

    name: str
    refuses_at_once: bool  # its refusals do not wait for the SMSC's latency: they cost it no work

    def judge(self, submission: Submission) -> int:
        """The command_status: 0 lets it pass."""
        ...


class Disturbance(Protocol):
    """Delays, drops, cuts. All of them are asked, before the gates."""

    def disturb(self, submission: Submission) -> None:
        """Change what becomes of the answer."""
        ...
