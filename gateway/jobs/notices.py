"""From a plan to a message: the number judged, the operator chosen, the text made. Pure.

A notice that cannot be sent is made all the same, REJECTED with its reason: reports count reasons per agency (F22, F26).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Literal, Protocol

from gateway.errors import RoutingError, TemplateError
from gateway.jobs.calendar import vietnam_day
from gateway.model import Dossier, MessageState, NewMessage
from gateway.settings import AgencySettings, NoticeSettings
from gateway.settings_notices import agency_name
from gateway.store.decisions import NoticePlan

#: Replies come first (priority 0): their citizens wait.
NOTICE_PRIORITY = 5


class PhoneVerdict(Protocol):
    """What ``gateway.dossiers.phone.judge_phone`` says of a number."""

    @property
    def e164(self) -> str | None: ...  # "+84905123456"; None when rejected

    @property
    def reason(self) -> str | None: ...

    @property
    def operator(self) -> str | None: ...  # carrier by its prefix


class RenderedText(Protocol):
    """A text as it leaves."""

    @property
    def text(self) -> str: ...

    @property
    def coding(self) -> str: ...

    @property
    def parts(self) -> int: ...

    @property
    def version(self) -> str: ...  # of the text: a common one has its own


class TemplateRegistry(Protocol):
    """What the composer needs of ``gateway.templates.registry.Registry``."""

    def version_for(self, template_id: str, version: str, day: date) -> str: ...

    def render(
        self,
        template_id: str,
        version: str,
        values: Mapping[str, str],
        accents: Literal["fold", "keep"] = "fold",
        max_parts: int = 4,
    ) -> RenderedText: ...


JudgePhone = Callable[[str | None, date | None], PhoneVerdict]
#: (carrier by the number's prefix or "", operator that it was ported to or None) → operator's name in the configuration, as
#: ``gateway.mt.router.Router.route``. Raises RoutingError.
Route = Callable[[str, str | None], str]


class Composer:
    """Makes messages of plans."""

    def __init__(
        self,
        settings: NoticeSettings,
        agencies: Mapping[str, AgencySettings],
        registry: TemplateRegistry,
        judge_phone: JudgePhone,
        route: Route,
    ) -> None:
        self._settings, self._agencies = settings, agencies
        self._registry, self._judge_phone, self._route = registry, judge_phone, route

    def __call__(self, dossier: Dossier, plan: NoticePlan, ported_to: str | None = None) -> NewMessage:
        """The message of a plan; REJECTED when the number, the text or the way to the operator does not do."""
        recorded_at = dossier.phone_recorded_at or (vietnam_day(dossier.received_at) if dossier.received_at else None)
        if plan.number:  # an agency's contact, as configured today
            verdict = self._judge_phone(plan.number, None)
        else:
            verdict = self._judge_phone(dossier.phone_raw or None, recorded_at)
        if verdict.e164 is None:
            return self._rejected(dossier, plan, f"phone:{verdict.reason or 'UNKNOWN'}")
        number = verdict.e164.removeprefix("+")
        day = vietnam_day(plan.not_before)
        settings = self._settings.on(day)
        try:
            rendered = self._registry.render(
                plan.kind.value,
                self._registry.version_for(plan.kind.value, settings.template_version, day),
                self.values(dossier, day) | dict(plan.values),
                settings.accents,
                settings.max_parts,
            )
            route = self._route(verdict.operator or "", ported_to)
        except TemplateError as error:
            return self._rejected(dossier, plan, f"template:{error}")
        except RoutingError:
            return self._rejected(dossier, plan, f"route:{verdict.operator or 'unknown'}")
        return self._message(dossier, plan, plan.state, plan.reason, rendered, number, route)

    def values(self, dossier: Dossier, day: date) -> dict[str, str]:
        """What the texts' placeholders stand for. No name, no number: the texts hold no personal data."""
        extra = dict(dossier.extra)
        return {
            "Mã số biên nhận": dossier.receipt_code,
            "Mã số hồ sơ": dossier.receipt_code,
            "Tên cơ quan": agency_name(self._agencies, dossier.agency_code, dossier.agency_name, day),
            "Ngày hẹn trả": vietnam_date(dossier.due_at),
            "Tên thủ tục": dossier.procedure_name,
            "Lý do": extra.get("reason", ""),
            "Thành phần hồ sơ": extra.get("supplement_components", ""),
        }

    def _rejected(self, dossier: Dossier, plan: NoticePlan, reason: str) -> NewMessage:
        return self._message(dossier, plan, MessageState.REJECTED, reason, None, "", "")

    def _message(
        self,
        dossier: Dossier,
        plan: NoticePlan,
        state: MessageState,
        reason: str,
        rendered: RenderedText | None,
        number: str,
        route: str,
    ) -> NewMessage:
        return NewMessage(
            source=dossier.source,
            receipt_code=dossier.receipt_code,
            kind=plan.kind,
            occasion=plan.occasion,
            state=state,
            reason=reason,
            template_id=plan.kind.value,
            template_version=rendered.version
            if rendered
            else self._settings.on(vietnam_day(plan.not_before)).template_version,
            text=rendered.text if rendered else "",
            coding=rendered.coding if rendered else "gsm7",
            parts=rendered.parts if rendered else 0,
            source_addr=self._settings.brandname,
            destination_addr=number,
            route=route,
            priority=NOTICE_PRIORITY,
            not_before=plan.not_before,
            expires_at=plan.expires_at,
            agency_code=dossier.agency_code,
            agency_name=agency_name(
                self._agencies, dossier.agency_code, dossier.agency_name, vietnam_day(plan.not_before)
            ),
            procedure_code=dossier.procedure_code,
        )


def vietnam_date(moment: datetime | None) -> str:
    """A day as Vietnamese letters write it: "12/03/2026"; "" for none."""
    return f"{vietnam_day(moment):%d/%m/%Y}" if moment else ""
