"""The one reply to a query: which kind, which words, which message.

A reply is one segment, unaccented GSM 7-bit in any case: with accents the official text alone fills a UCS-2 segment. Its
template shortens step and agency names that would not fit, never the code or the judgement. It holds no personal data:
anyone with a code may ask.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from gateway.clock import VIETNAM
from gateway.model import (
    ChargeDecision,
    Dossier,
    DossierState,
    MessageKind,
    MessageState,
    NewMessage,
    ReplyKind,
)
from gateway.settings import GatewaySettings, QueryServiceSettings, QuerySettings
from gateway.settings_notices import agency_name
from gateway.store.inbox import RecordedMo
from gateway.templates.registry import Registry

#: Replies leave before notices: their citizens wait.
REPLY_PRIORITY = 0
#: The only two values of the reply (F12).
ON_TIME, LATE = "Đúng hạn", "Trễ hạn"


def reply_kind(dossier: Dossier, queries: QuerySettings) -> ReplyKind:
    """Which answer a dossier gets. What ended comes before the stopped clock.

    F12 asks for the current step and đúng hạn / trễ hạn; so a result that waits at the counter and a dossier whose clock is
    stopped are answered with these, word for word, unless the configuration prefers their own templates.
    """
    if dossier.state is DossierState.RETURNED:
        return ReplyKind.FINISHED
    if dossier.state is DossierState.WITHDRAWN:
        return ReplyKind.WITHDRAWN
    if dossier.state in (DossierState.NOT_ACCEPTED, DossierState.STOPPED):
        return ReplyKind.REFUSED
    if dossier.state is DossierState.RESULT_READY:
        # Nobody is asked to come to the counter for a result that the post brings (F29, F30).
        own = queries.result_ready_template == "own" and not dossier.return_by_post
        return ReplyKind.RESULT_READY if own else ReplyKind.STATUS
    own = queries.clock_stopped_template == "own" and dossier.clock_stopped
    return ReplyKind.CLOCK_STOPPED if own else ReplyKind.STATUS


def is_late(dossier: Dossier, business_now: datetime) -> bool:
    """Trễ hạn: judged now, or for a dossier that ended by the time at which it ended.

    One whose clock is stopped, that has no promised date, or that ended nobody knows when, is on time. A time of 00:00 in
    Vietnam is a day without a time, from a column that always has one: such a promise is kept until the day is over.
    """
    if dossier.due_at is None or dossier.clock_stopped:
        return False
    due = dossier.due_at.astimezone(VIETNAM)
    if not dossier.state.ended:
        return business_now > (due + timedelta(days=1) if _is_day(due) else due)
    if dossier.finished_at is None:
        return False
    finished = dossier.finished_at.astimezone(VIETNAM)
    return finished.date() > due.date() if _is_day(due) or _is_day(finished) else finished > due


def _is_day(moment: datetime) -> bool:
    return moment.timetz().replace(tzinfo=None) == time(0)


class Replies:
    """Makes replies by the configuration."""

    def __init__(self, registry: Registry, settings: GatewaySettings) -> None:
        self._registry = registry
        self._notices = settings.notices
        self._agencies = settings.agencies
        self._validity = timedelta(seconds=settings.queries.reply_validity_s)

    def message(
        self,
        recorded: RecordedMo,
        kind: ReplyKind,
        dossier: Dossier | None,
        decision: ChargeDecision,
        *,
        service: QueryServiceSettings | None,
        business_now: datetime,
    ) -> NewMessage:
        """The reply as it goes into the outbox: from the shortcode, by the operator that the query came by.

        Raises:
            TemplateError: the text cannot be made in one segment.
        """
        mo = recorded.mo
        day = business_now.astimezone(VIETNAM).date()
        agency = self._agency_name(dossier, day) if dossier else ""
        values = self._values(recorded, dossier, agency, service, business_now)
        template = kind.value if service is None else service.templates.get(kind, kind.value)
        version = self._registry.version_for(template, self._notices.on(day).template_version, day)
        rendered = self._registry.render(template, version, values, "fold", 1)
        return NewMessage(
            source="mo",
            receipt_code=str(recorded.mo_id),
            kind=MessageKind.MO_REPLY,
            occasion="",
            state=MessageState.QUEUED,
            reason="",
            template_id=rendered.template_id,
            template_version=rendered.version,
            text=rendered.text,
            coding=rendered.coding,
            parts=rendered.parts,
            source_addr=mo.destination_addr,
            destination_addr=mo.source_addr,
            route=mo.route,
            priority=REPLY_PRIORITY,
            not_before=business_now,
            expires_at=business_now + self._validity,
            agency_code=dossier.agency_code if dossier else "",
            agency_name=agency,
            procedure_code=dossier.procedure_code if dossier else "",
            mo_id=recorded.mo_id,
            charge_decision=decision,
            charge_link=mo.smsc_message_id or None,
        )

    def _values(
        self,
        recorded: RecordedMo,
        dossier: Dossier | None,
        agency: str,
        service: QueryServiceSettings | None,
        now: datetime,
    ) -> dict[str, str]:
        """By the English names of the templates' placeholders; an empty one has a substitute there."""
        shortcode = recorded.mo.destination_addr
        if service is not None and shortcode not in service.shortcodes:
            shortcode = service.shortcodes[0]  # the SMSC writes it another way
        return {
            "code": dossier.receipt_code if dossier else recorded.code,
            "step": dossier.step_name if dossier else "",
            "status": LATE if dossier is not None and is_late(dossier, now) else ON_TIME,
            "agency_name": agency,
            "keyword": service.keyword if service else "",
            "shortcode": shortcode,
        }

    def _agency_name(self, dossier: Dossier, day: date) -> str:
        return agency_name(self._agencies, dossier.agency_code, dossier.agency_name, day)
