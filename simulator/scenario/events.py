"""What can be seen from the SMSC, as values: binds, submits, texts at handsets, answers, receipts, charges, PDUs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from gateway.smpp.constants import status_name
from gateway.smpp.pdu import DataSm, Pdu, SubmitSm, Tlv

_SHOWN = 100  # characters of a text in a line


@dataclass(kw_only=True, eq=False)
class Event:
    """Something that happened. ``claimed_by``: the step whose expectation it has met; it meets no other one."""

    kind: ClassVar[str] = ""

    at: float  # the schedule's time
    account: str = ""
    n: int = 0  # 1, 2, 3 … of this run
    claimed_by: str = ""

    def line(self) -> str:
        """For people."""
        raise NotImplementedError


@dataclass(kw_only=True, eq=False)
class Bound(Event):
    kind: ClassVar[str] = "bind"
    system_id: str
    mode: str
    version: int
    peer: str

    def line(self) -> str:
        return f"bind {self.system_id!r} as {self.mode} {self.version:#04x} from {self.peer}"


@dataclass(kw_only=True, eq=False)
class BindRefused(Event):
    kind: ClassVar[str] = "bind_refused"
    system_id: str
    status: int
    peer: str

    def line(self) -> str:
        return f"bind of {self.system_id!r} refused with {status_name(self.status)}"


@dataclass(kw_only=True, eq=False)
class Unbound(Event):
    kind: ClassVar[str] = "unbound"
    system_id: str
    mode: str
    reason: str
    peer: str

    def line(self) -> str:
        return f"session of {self.system_id!r} ({self.mode}) ended: {self.reason}"


@dataclass(kw_only=True, eq=False)
class Submitted(Event):
    """One submit_sm or data_sm that was judged. ``text``: of this part."""

    kind: ClassVar[str] = "submit_sm"
    system_id: str
    pdu: SubmitSm | DataSm | None
    source_addr: str
    destination_addr: str
    text: str
    part: int
    parts: int
    data_coding: int
    registered_delivery: int
    status: int
    message_id: str
    outcome: str
    answered_at: float | None = None  # when its answer left; the ESME cannot know before

    @property
    def accepted(self) -> bool:
        """The SMSC took it over, whether or not the ESME was told."""
        return self.message_id != ""

    @property
    def tlvs(self) -> tuple[Tlv, ...]:
        return () if self.pdu is None else self.pdu.tlvs

    def line(self) -> str:
        part = f" (part {self.part} of {self.parts})" if self.parts > 1 else ""
        answer = status_name(self.status) if self.outcome == "answered" else self.outcome
        return (
            f"submit_sm {self.source_addr} → {self.destination_addr} {shortened(self.text)}{part}, "
            f"data_coding {self.data_coding}: {answer}"
        )


@dataclass(kw_only=True, eq=False)
class HandsetText(Event):
    """One whole message as the handset shows it."""

    kind: ClassVar[str] = "text"
    to: str
    sender: str
    text: str
    parts: int
    copy: int
    data_coding: int
    message_ids: tuple[str, ...]

    @property
    def message_id(self) -> str:
        return self.message_ids[0]

    def line(self) -> str:
        copy = f", copy {self.copy}" if self.copy > 1 else ""
        return f"{self.to} received from {self.sender} {shortened(self.text)} in {self.parts} part(s){copy}"


@dataclass(kw_only=True, eq=False)
class MoAnswered(Event):
    """An MO whose parts all have their final answer. ``status``: the worst of them, 0xFFFFFFFF when there was none."""

    kind: ClassVar[str] = "mo_answer"
    step: str  # that sent it
    source_addr: str
    destination_addr: str
    text: str
    state: str
    status: int
    attempts: int
    message_id: str

    def line(self) -> str:
        return (
            f"MO {self.source_addr} → {self.destination_addr} {shortened(self.text)}: {self.state}, "
            f"{status_name(self.status)} after {self.attempts} attempt(s)"
        )


@dataclass(kw_only=True, eq=False)
class ReceiptAnswered(Event):
    """A receipt that is over. ``outcome``: answered, lost, given_up."""

    kind: ClassVar[str] = "receipt"
    system_id: str
    message_id: str
    receipted_id: str
    source_addr: str  # of the message
    destination_addr: str
    stat: str
    outcome: str
    status: int
    attempts: int

    def line(self) -> str:
        answer = status_name(self.status) if self.outcome == "answered" else self.outcome
        return f"receipt {self.stat} of {self.receipted_id} to {self.destination_addr}: {answer}"


@dataclass(kw_only=True, eq=False)
class Charged(Event):
    """A line of the operator's books."""

    kind: ClassVar[str] = "charge"
    phone: str
    shortcode: str
    mo_id: str
    decision: str
    outcome: str
    amount_vnd: int
    balance_vnd: int
    status: int

    def line(self) -> str:
        return f"{self.phone}: {self.decision or 'MO'} → {self.outcome}, {self.amount_vnd} VND, {self.balance_vnd} VND left"


@dataclass(kw_only=True, eq=False)
class PduSeen(Event):
    """A PDU on the wire. ``direction``: "in" is from the ESME."""

    kind: ClassVar[str] = "pdu"
    direction: str
    system_id: str
    peer: str
    command: str
    status: int
    sequence_number: int
    pdu: Pdu | None = field(repr=False)

    def line(self) -> str:
        arrow = "◀" if self.direction == "in" else "▶"
        return f"{arrow} {self.command} {self.sequence_number} {status_name(self.status)}"


@dataclass(kw_only=True, eq=False)
class OutputLine(Event):
    """A line that the ESME under test wrote, on either stream."""

    kind: ClassVar[str] = "output"
    text: str

    def line(self) -> str:
        return f"the ESME wrote {shortened(self.text)}"


def shortened(text: str) -> str:
    """A text in quotes, on one line; control characters must not paint the terminal."""
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "“" + printable(shown) + "”"


def printable(text: str) -> str:
    """The text with its control characters written out."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
