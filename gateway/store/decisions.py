"""Values between the notice rules and the store: what is known of a dossier, and what is to become of it.

The rules (``gateway.jobs.rules``) decide, the store applies each decision in one transaction (invariant 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from gateway.model import Dossier, MessageKind, MessageState, NewMessage


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A good row of a view."""

    dossier: Dossier
    row_hash: str  # of what the gateway keeps of it, without updated_at


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of a view that cannot be read. It is skipped, counted and listed."""

    receipt_code: str  # as far as it can be read
    reason: str  # bad_value, unmapped_status, no_updated_at, duplicate_code
    detail: str


@dataclass(frozen=True, slots=True)
class SupplementRequest:
    """A supplement request of a dossier, as far as supervision compares it."""

    number: int  # from 1
    reason: str  # normalised
    components: tuple[str, ...]  # normalised, sorted
    signed: bool
    violations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredDossier:
    """A dossier as the poller last saw it."""

    dossier: Dossier
    row_hash: str
    due_on: date | None
    seen_at: datetime
    state_since: datetime  # business time
    result_entries: int = 0
    supplement_entries: int = 0
    result_left_at: datetime | None = None  # business time
    supplement_left_at: datetime | None = None
    requests: tuple[SupplementRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class NoticeInfo:
    """An earlier notice of a dossier."""

    message_id: int
    kind: MessageKind
    occasion: str
    state: MessageState
    reason: str


@dataclass(frozen=True, slots=True)
class NoticePlan:
    """A notice that the dossier's state calls for."""

    kind: MessageKind
    occasion: str
    state: MessageState  # HELD or QUEUED, when the number and the text allow; BLOCKED by supervision
    reason: str  # "hold", "night", "supervision" or ""
    not_before: datetime  # business time
    expires_at: datetime | None  # business time
    number: str = ""  # to whom instead of the dossier's number: an agency's contact
    values: tuple[tuple[str, str], ...] = ()  # further values for the text


@dataclass(frozen=True, slots=True)
class Cancel:
    """Notices that have not left yet and have lost their meaning."""

    kinds: tuple[MessageKind, ...]
    reason: str  # stands in the message and in the conflict report: "reverted", "returned", "number_changed" …
    contradicts: bool  # a notice of these that has left already told something that is no longer so


class ConflictKind(StrEnum):
    """What the state-conflict report lists (domain rule 6; F23, F24)."""

    CANCELLED_IN_HOLD = "cancelled_in_hold"
    CONTRADICTED_AFTER_SENDING = "contradicted_after_sending"
    REPEATED_ENTRY = "repeated_entry"
    STATUS_CONTRADICTS_STEP = "status_contradicts_step"
    CLOCK_STOPPED_FIRST = "clock_stopped_first"  # for a payment of which nobody had been told (F32)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A line of the state-conflict report."""

    kind: MessageKind
    what: ConflictKind
    detail: str
    message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """A notice that is not made, and why: ``preview`` and the log show it."""

    kind: MessageKind
    reason: str  # disabled, agency_inactive, same_day, by_post, history, repeated_entry, clock_stopped …


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that a changed row leads to."""

    state_since: datetime
    result_entries: int = 0
    supplement_entries: int = 0
    result_left_at: datetime | None = None
    supplement_left_at: datetime | None = None
    requests: tuple[SupplementRequest, ...] = ()
    violation: SupplementRequest | None = None  # to be recorded
    released_no: int = 0  # violations up to this request are released
    notices: tuple[NoticePlan, ...] = ()
    cancels: tuple[Cancel, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    skips: tuple[Skip, ...] = ()


#: (stored or None, the row now, earlier notices of this dossier) → decision. Pure; may be called twice.
Decide = Callable[[StoredDossier | None, Dossier, Sequence[NoticeInfo]], Decision]
#: (dossier, plan, operator that the number was ported to or None) → the message, REJECTED when its number or its text does
#: not do. Pure; may be called twice.
Compose = Callable[[Dossier, NoticePlan, str | None], NewMessage]

#: States of a notice that was made and never left us: its citizen has heard nothing.
NEVER_LEFT = frozenset({MessageState.CANCELLED, MessageState.REJECTED, MessageState.BLOCKED})
#: States in which a notice may still be taken back.
PENDING = frozenset({MessageState.HELD, MessageState.QUEUED})
