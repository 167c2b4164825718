"""The words of the domain as types: states, kinds, and the values that cross module borders.

Every value is frozen; those of which there are thousands a second are named tuples, which are made four times as fast.
Datetimes are aware; the store keeps them in UTC.
Telephone numbers inside the gateway are international digits without a plus sign ("84905123456"), the form
that destination_addr takes on the wire with TON 1, NPI 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from gateway.smpp.pdu import Tlv


class DossierState(StrEnum):
    """Where a dossier is, in our words. Each source maps its own status words to these.

    The numbers are the national codes (TrangThaiHoSo) of the public integration guides.
    """

    REGISTERED = "registered"  # 1  Mới đăng ký: the clock has not started
    RECEIVED = "received"  # 2  Được tiếp nhận: the clock starts
    NOT_ACCEPTED = "not_accepted"  # 3  Không được tiếp nhận: ended before it began
    PROCESSING = "processing"  # 4  Đang xử lý
    AWAITING_SUPPLEMENT = "awaiting_supplement"  # 5  Chờ bổ sung: papers are missing
    AWAITING_PAYMENT = "awaiting_payment"  # 6  Chờ thực hiện nghĩa vụ tài chính
    WITHDRAWN = "withdrawn"  # 7  Công dân yêu cầu rút hồ sơ: ended
    STOPPED = "stopped"  # 8  Dừng xử lý: ended, conditions not met (not "Dừng tính")
    RESULT_READY = "result_ready"  # 9  step Trả kết quả: the result waits at the counter
    RETURNED = "returned"  # 10 Đã trả kết quả: handed to the citizen or to the post

    @property
    def ended(self) -> bool:
        """No deadline can be missed any more: the result exists, or there will be none."""
        return self in _ENDED

    @property
    def cancels_notices(self) -> bool:
        """Pending notices of such a dossier have lost their meaning (domain rule 6)."""
        return self in (DossierState.RETURNED, DossierState.WITHDRAWN)


_ENDED = frozenset(
    {
        DossierState.NOT_ACCEPTED,
        DossierState.WITHDRAWN,
        DossierState.STOPPED,
        DossierState.RESULT_READY,
        DossierState.RETURNED,
    }
)


class MessageKind(StrEnum):
    """Why a message is sent. The value is also the template id."""

    RESULT_READY = "result_ready"
    SUPPLEMENT_NEEDED = "supplement_needed"
    APOLOGY_DUE_TOMORROW = "apology_due_tomorrow"
    MO_REPLY = "mo_reply"  # the answer to a query; its template depends on what was found
    # Off by default, each with its own template (domain rule 7)
    ONLINE_REFUSED = "online_refused"
    ONLINE_SUPPLEMENT = "online_supplement"
    FINANCIAL_OBLIGATION = "financial_obligation"
    ORIGINALS_WANTED = "originals_wanted"
    RESULT_BY_POST = "result_by_post"
    RECEIPT_ISSUED = "receipt_issued"
    # Not to a citizen: to an agency's contacts, about a supplement request that breaks the rules (domain rule 8)
    SUPERVISION_NOTICE = "supervision_notice"


class MessageState(StrEnum):
    """The life of an outgoing message. See docs/states.md: what each means, who moves it, when it is purged."""

    HELD = "held"  # waits for its hold or for the morning; may still be cancelled
    QUEUED = "queued"  # may leave now
    SENDING = "sending"  # claimed by a node under a lease; bytes may have left
    ACCEPTED = "accepted"  # every part has an ESME_ROK response
    DELIVERED = "delivered"  # every part has a final receipt DELIVRD
    UNDELIVERED = "undelivered"  # a part has a final receipt of failure (UNDELIV, DELETED, UNKNOWN)
    EXPIRED = "expired"  # its validity ran out, at the SMSC or before it left
    REJECTED = "rejected"  # refused: bad number, or the operator's permanent status
    UNKNOWN = "unknown"  # in doubt: submitted, no answer
    CANCELLED = "cancelled"  # the dossier's state reverted before it left
    BLOCKED = "blocked"  # a rule holds it back until a supervisor releases it in the source system

    @property
    def final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.UNDELIVERED,
        MessageState.EXPIRED,
        MessageState.REJECTED,
        MessageState.CANCELLED,
        MessageState.BLOCKED,
    }
)


class PartState(StrEnum):
    """The life of one part (one submit_sm) of a message."""

    PENDING = "pending"  # not written to a link yet
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class QueryResult(StrEnum):
    """What the gateway makes of a citizen's text (see facts in tests/data/mo_cases.csv)."""

    OK = "OK"
    ERR_EMPTY = "ERR_EMPTY"
    ERR_KEYWORD = "ERR_KEYWORD"
    ERR_NO_CODE = "ERR_NO_CODE"
    ERR_CODE_LENGTH = "ERR_CODE_LENGTH"
    ERR_CODE_FORMAT = "ERR_CODE_FORMAT"


class ReplyKind(StrEnum):
    """Which answer a query gets. The value is the template id."""

    STATUS = "mo_reply_status"
    RESULT_READY = "mo_reply_result_ready"  # the result waits at the counter
    FINISHED = "mo_reply_finished"  # handed over
    WITHDRAWN = "mo_reply_withdrawn"
    REFUSED = "mo_reply_refused"  # not accepted, or stopped
    CLOCK_STOPPED = "mo_reply_clock_stopped"
    UNKNOWN_CODE = "mo_reply_unknown_code"
    BAD_SYNTAX = "mo_reply_bad_syntax"
    TEMPORARY_FAILURE = "mo_reply_temporary_failure"
    TOO_MANY = "mo_reply_too_many"


class MoState(StrEnum):
    """The life of a query."""

    RECEIVED = "received"  # committed; the SMSC has its deliver_sm_resp or will get it
    REPLIED = "replied"  # its one reply is in the outbox
    IGNORED = "ignored"  # not ours (another service's keyword): no reply, no charge


class ChargeDecision(StrEnum):
    """What we tell the operator to do with the subscriber's purse."""

    CHARGE = "charge"  # 1
    NO_CHARGE = "no_charge"  # 0
    REFUND = "refund"  # 2


class ChargeState(StrEnum):
    """The life of a ledger row: one per MO, from receipt to final outcome."""

    PENDING = "pending"  # the MO is here; nothing decided yet
    DECIDED = "decided"  # the reply with the decision is in the outbox
    SENT = "sent"  # the reply left; the outcome is awaited
    CHARGED = "charged"
    NOT_CHARGED = "not_charged"
    REFUNDED = "refunded"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    UNKNOWN = "unknown"  # the operator never told the outcome


@dataclass(frozen=True, slots=True)
class Dossier:
    """One row of the contract view, judged: what a source says of a dossier now."""

    source: str
    receipt_code: str
    agency_code: str
    agency_name: str
    state: DossierState
    status_raw: str
    step_name: str
    at_one_stop_shop: bool
    clock_stopped: bool
    updated_at: datetime | None
    procedure_code: str = ""
    procedure_name: str = ""
    phone_raw: str = ""
    phone_recorded_at: date | None = None
    received_at: datetime | None = None
    due_at: datetime | None = None
    finished_at: datetime | None = None
    return_by_post: bool = False
    extra: tuple[tuple[str, str], ...] = field(default=())  # optional columns of the view (reason, components …)
    contradiction: str = ""  # what the row says against itself: "status …, step …" (F24); not part of the state


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to put into the outbox."""

    source: str
    receipt_code: str
    kind: MessageKind
    occasion: str
    state: MessageState  # HELD, QUEUED, REJECTED (bad number) or BLOCKED
    reason: str  # "" or why it is rejected, blocked or held: "phone:LANDLINE", "hold", "night"
    template_id: str
    template_version: str
    text: str
    coding: str  # "gsm7" or "ucs2"
    parts: int
    source_addr: str
    destination_addr: str  # "" when the number was rejected
    route: str  # operator's name in the configuration; "" when the number was rejected
    priority: int  # 0 = first. Replies 0, notices 5
    not_before: datetime  # business time
    expires_at: datetime | None  # business time; None = the default validity
    agency_code: str = ""
    agency_name: str = ""
    procedure_code: str = ""
    mo_id: int | None = None
    charge_decision: ChargeDecision | None = None
    charge_link: str | None = None  # replies: the MO's SMSC message id, which ties the reply to the charge


class ClaimedMessage(NamedTuple):
    """A message that this node may send now, under a lease."""

    id: int
    kind: MessageKind
    text: str
    coding: str
    parts: int
    source_addr: str
    destination_addr: str
    route: str
    attempts: int  # 1 on the first claim
    possible_duplicate: bool
    parts_done: tuple[int, ...]  # parts accepted in an earlier attempt: never sent again
    mo_id: int | None
    charge_decision: ChargeDecision | None
    expires_at: datetime | None
    charge_link: str | None = None  # replies: the MO's SMSC message id
    priority: int = 5


class SubmitOutcome(NamedTuple):
    """What happened to one part of a claimed message."""

    message_id: int
    part: int  # 1-based
    bind: str
    state: PartState  # ACCEPTED, REJECTED, UNKNOWN, or PENDING (give it back: throttled, or it never left)
    smsc_message_id: str = ""  # as given, never converted
    command_status: int | None = None
    at: datetime | None = None  # None: in the moment in which it is recorded
    reason: str = ""
    retry_at: datetime | None = None  # with PENDING: not before (business time); None = at once
    tlvs: tuple[Tlv, ...] = ()  # of the response, as given: some operators tell the charge there


class IncomingReceipt(NamedTuple):
    """One delivery receipt, decoded, before it is matched."""

    route: str
    bind: str
    smsc_message_id: str
    id_keys: tuple[str, ...]  # the ids it may match, by the bind's id rules; the first is the likeliest
    state: PartState | None  # None: intermediate, never final
    stat: str  # as given: "DELIVRD", or a number
    error: str  # as given: "000"
    destination_addr: str  # the handset
    user_message_reference: int | None
    done_at: datetime | None
    received_at: datetime | None = None  # None: in the moment in which it is recorded


class StateChange(NamedTuple):
    """A message that moved from one state to another."""

    message_id: int
    before: MessageState
    after: MessageState
    reason: str
    mo_id: int | None


@dataclass(frozen=True, slots=True)
class SettledPart:
    """A part of a reply whose final receipt was matched."""

    message_id: int
    part: int
    mo_id: int
    state: PartState
    stat: str  # as given
    error: str  # as given


@dataclass(frozen=True, slots=True)
class IncomingMo:
    """One whole query as received (long ones joined), before it is judged."""

    route: str
    bind: str
    source_addr: str
    destination_addr: str
    text: str
    octets: bytes
    data_coding: int
    smsc_message_id: str
    received_at: datetime
    dedupe_key: str
