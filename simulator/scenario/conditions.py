"""What one event must be: a condition on each of its fields."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from gateway.smpp.constants import status_name
from gateway.smpp.pdu import Tlv
from simulator.scenario.events import Event, PduSeen, Submitted
from simulator.scenario.values import (
    NumberCondition,
    NumberIs,
    StatusCondition,
    Text,
    TextCondition,
    TextIs,
    Whole,
)
from simulator.settings import Mode, Outcome
from simulator.values import Pattern, Settings

_STATUS_FIELDS = frozenset({"status"})


class Conditions(Settings):
    """Base: every field that is set is compared with the event's of the same name."""

    kind: ClassVar[str] = ""
    apart: ClassVar[frozenset[str]] = frozenset()  # fields that are no event's field of that name

    account: TextCondition | None = Field(None, description="of which account; default: any")

    def fault(self, event: Event) -> str | None:
        """Why an event is not what is meant; None: it is."""
        for name in type(self).model_fields:
            condition = getattr(self, name)
            if name not in self.apart and condition is not None and condition != ():
                fault = self._judge(name, condition, event)
                if fault is not None:
                    return fault
        return None

    def groups(self, event: Event) -> dict[str, str]:
        """What the named groups of the text's ``matches`` found."""
        return {}

    def _judge(self, name: str, condition: Any, event: Event) -> str | None:
        seen = getattr(event, name)
        if isinstance(condition, TextIs):
            fault = condition.fault(str(seen))
        elif isinstance(condition, NumberIs):
            shown = status_name(seen) if name in _STATUS_FIELDS else str(seen)
            fault = condition.fault(int(seen), shown)
        elif isinstance(condition, tuple):
            fault = None if seen in condition else f"is {seen}, expected one of {', '.join(map(str, condition))}"
        else:
            fault = None if seen == condition else f"is {_told(seen)}, expected {_told(condition)}"
        return None if fault is None else f"{name} {fault}"


def _told(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class WithText(Conditions):
    """Conditions on a text may stand without ``text:``."""

    apart: ClassVar[frozenset[str]] = frozenset({"equals", "contains", "matches"})

    equals: Text | None = Field(None, description="the whole text")
    contains: Text | None = None
    matches: Pattern | None = Field(
        None, description="regular expression, searched; its named groups become variables: `(?P<code>[0-9]+)`"
    )

    def _text_is(self) -> TextIs | None:
        if self.equals is None and self.contains is None and self.matches is None:
            return None
        return TextIs(equals=self.equals, contains=self.contains, matches=self.matches)

    def fault(self, event: Event) -> str | None:
        fault = super().fault(event)
        condition = self._text_is()
        if fault is None and condition is not None:
            found = condition.fault(getattr(event, "text"))  # noqa: B009 - only events with a text come here
            fault = None if found is None else f"text {found}"
        return fault

    def groups(self, event: Event) -> dict[str, str]:
        condition = self._text_is()
        return {} if condition is None else condition.groups(getattr(event, "text"))  # noqa: B009


class BindIs(Conditions):
    """An ESME bound."""

    kind: ClassVar[str] = "bind"
    system_id: TextCondition | None = None
    mode: Mode | None = None
    version: NumberCondition | None = Field(None, description="interface_version: 0x34")


class BindRefusedIs(Conditions):
    """A bind was refused."""

    kind: ClassVar[str] = "bind_refused"
    system_id: TextCondition | None = None
    status: StatusCondition | None = None


class UnboundIs(Conditions):
    """A session ended, by unbind or because its link went down."""

    kind: ClassVar[str] = "unbound"
    system_id: TextCondition | None = None
    mode: Mode | None = None
    reason: TextCondition | None = Field(
        None,
        description="{contains: …} of: `unbound` (asked for by the simulator), `the peer unbound`, `connection lost`, `cut by the SMSC` …",
    )


class TlvIs(Settings):
    """A TLV of a submit_sm."""

    tag: Whole = Field(ge=0, le=0xFFFF)
    equals: Text | None = Field(None, description="the value as text, without a zero at its end")
    number: Whole | None = Field(None, description="the value as a number")
    hex: Text | None = Field(None, description="the value's octets")
    matches: Pattern | None = None
    absent: bool = False

    @model_validator(mode="after")
    def _sense(self) -> TlvIs:
        if self.absent and (self.equals, self.number, self.hex, self.matches) != (None, None, None, None):
            raise ValueError("a TLV that is absent has no value")
        return self

    def fault(self, tlvs: tuple[Tlv, ...]) -> str | None:
        """Why the TLVs of a PDU are not what is meant."""
        name = f"TLV {self.tag:#06x}"
        value = next((one.value for one in tlvs if one.tag == self.tag), None)
        if value is None:
            return None if self.absent else f"{name} is missing"
        if self.absent:
            return f"{name} is there ({value.hex()}), expected none"
        text = value.rstrip(b"\0").decode("latin-1")
        if self.equals is not None and text != self.equals:
            return f"{name} is {text!r}, expected {self.equals!r}"
        if self.matches is not None and re.search(self.matches, text) is None:
            return f"{name} is {text!r}, expected to match /{self.matches}/"
        if self.number is not None and int.from_bytes(value, "big") != self.number:
            return f"{name} is {int.from_bytes(value, 'big')}, expected {self.number}"
        if self.hex is not None and value.hex() != self.hex.replace(" ", "").lower():
            return f"{name} is {value.hex()}, expected {self.hex}"
        return None


class SubmitIs(WithText):
    """A submit_sm (or data_sm) came; each part of a long message is one. SMPP 3.4 §4.4.1."""

    kind: ClassVar[str] = "submit_sm"
    system_id: TextCondition | None = None
    service_type: TextCondition | None = None
    source_addr: TextCondition | None = None
    source_addr_ton: NumberCondition | None = None
    source_addr_npi: NumberCondition | None = None
    destination_addr: TextCondition | None = None
    dest_addr_ton: NumberCondition | None = None
    dest_addr_npi: NumberCondition | None = None
    esm_class: NumberCondition | None = None
    protocol_id: NumberCondition | None = None
    priority_flag: NumberCondition | None = None
    schedule_delivery_time: TextCondition | None = None
    validity_period: TextCondition | None = None
    registered_delivery: NumberCondition | None = Field(
        None, description="{mask: 0x01, equals: 0x01}: a receipt wanted"
    )
    replace_if_present_flag: NumberCondition | None = None
    data_coding: NumberCondition | None = None
    sm_default_msg_id: NumberCondition | None = None
    part: NumberCondition | None = Field(None, description="of a long message, from 1")
    parts: NumberCondition | None = None
    tlvs: tuple[TlvIs, ...] = Field((), description="[{tag: 0x1401, equals: charge}]")
    status: StatusCondition | None = Field(None, description="what the simulator answered")
    accepted: bool | None = Field(None, description="the simulator took it over, whether or not the ESME was told")
    outcome: TextCondition | None = Field(
        None, description="`answered`, `answer_dropped`, `link_cut`, `request_dropped`"
    )

    def _judge(self, name: str, condition: Any, event: Event) -> str | None:
        assert isinstance(event, Submitted)
        if name == "tlvs":
            return next((fault for one in condition if (fault := one.fault(event.tlvs)) is not None), None)
        if hasattr(event, name):
            return super()._judge(name, condition, event)
        if not hasattr(event.pdu, name):
            return f"{name} is no field of this PDU"
        seen = getattr(event.pdu, name)
        fault = condition.fault(seen if isinstance(condition, TextIs) else int(seen), *_shown(condition, seen))
        return None if fault is None else f"{name} {fault}"


def _shown(condition: Any, seen: Any) -> tuple[str, ...]:
    return () if isinstance(condition, TextIs) else (f"{seen} ({seen:#04x})",)


class TextAt(WithText):
    """A whole text at a handset, its parts joined."""

    kind: ClassVar[str] = "text"
    to: TextCondition | None = Field(None, description="the handset")
    sender: TextCondition | None = Field(None, alias="from", description="source_addr")
    parts: NumberCondition | None = None
    copy_number: NumberCondition | None = Field(
        None, alias="copy", description="2 and above: the same text from the same sender again"
    )
    data_coding: NumberCondition | None = None

    def _judge(self, name: str, condition: Any, event: Event) -> str | None:
        if name == "copy_number":
            fault = condition.fault(int(getattr(event, "copy")), str(getattr(event, "copy")))  # noqa: B009
            return None if fault is None else f"copy {fault}"
        return super()._judge(name, condition, event)


class MoAnswerIs(WithText):
    """An MO has its final answer: deliver_sm_resp for each part, or it was given up."""

    kind: ClassVar[str] = "mo_answer"
    step: TextCondition | None = Field(None, description="the name of the step that sent it")
    source_addr: TextCondition | None = None
    destination_addr: TextCondition | None = None
    state: Literal["delivered", "refused", "given_up", "not_charged"] | None = None
    status: StatusCondition | None = Field(None, description="of the deliver_sm_resp; of several parts the worst")
    attempts: NumberCondition | None = Field(None, description="deliver_sm until then, over all parts")


class ReceiptIs(Conditions):
    """A receipt is over: answered by the ESME, lost, or given up."""

    kind: ClassVar[str] = "receipt"
    system_id: TextCondition | None = None
    source_addr: TextCondition | None = Field(None, description="of the message")
    destination_addr: TextCondition | None = Field(None, description="of the message: the handset")
    message_id: TextCondition | None = Field(None, description="as in the submit_sm_resp")
    receipted_id: TextCondition | None = Field(None, description="as the receipt wrote it")
    stat: TextCondition | None = Field(None, description="DELIVRD, UNDELIV …")
    outcome: Literal["answered", "lost", "given_up"] | None = None
    status: StatusCondition | None = Field(None, description="of the deliver_sm_resp")
    attempts: NumberCondition | None = None


class ChargeIs(Conditions):
    """A line of the operator's books."""

    kind: ClassVar[str] = "charge"
    phone: TextCondition | None = None
    shortcode: TextCondition | None = None
    mo_id: TextCondition | None = None
    decision: TextCondition | None = Field(None, description="charge, no_charge, refund; empty: taken with the MO")
    outcome: Outcome | None = None
    amount_vnd: NumberCondition | None = None
    balance_vnd: NumberCondition | None = None


class PduIs(Conditions):
    """Any PDU on the wire, by its standard name: enquire_link, generic_nack, query_sm …"""

    kind: ClassVar[str] = "pdu"
    command: TextCondition | None = None
    direction: Literal["in", "out"] | None = Field("in", description="in: from the ESME")
    system_id: TextCondition | None = None
    status: StatusCondition | None = None
    sequence_number: NumberCondition | None = None
    fields: dict[str, TextCondition] = Field(
        default_factory=dict, description="{message_id: …}: the PDU's fields by their standard names, as text"
    )

    def _judge(self, name: str, condition: Any, event: Event) -> str | None:
        assert isinstance(event, PduSeen)
        if name != "fields":
            return super()._judge(name, condition, event)
        for key, one in condition.items():
            if not hasattr(event.pdu, key):
                return f"it has no field {key}"
            seen = getattr(event.pdu, key)
            fault = one.fault(seen.hex() if isinstance(seen, bytes) else str(seen))
            if fault is not None:
                return f"{key} {fault}"
        return None


class OutputIs(WithText):
    """A line that the ESME under test wrote (``esme.command``)."""

    kind: ClassVar[str] = "output"


KINDS: dict[str, type[Conditions]] = {
    one.kind: one
    for one in (
        BindIs, BindRefusedIs, UnboundIs, SubmitIs, TextAt, MoAnswerIs, ReceiptIs, ChargeIs, PduIs, OutputIs,
    )
}  # fmt: skip
