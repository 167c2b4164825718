"""Settings of outgoing notices and of the agencies whose citizens get them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from functools import lru_cache
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gateway.model import MessageKind
from gateway.settings_base import Settings


class DatedName(Settings):
    """An agency's name for a while."""

    name: str = Field(min_length=1)
    start: date | None = Field(None, alias="from", description="first day; default: always")
    end: date | None = Field(None, alias="to", description="last day; default: no end")

    def on(self, day: date) -> bool:
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)


class Succession(Settings):
    """What became of an agency: since 2025-07-01 there are no districts, and 34 provinces."""

    agency: str = Field(min_length=1, description="code of the agency that took over its dossiers")
    start: date = Field(date(2025, 7, 1), alias="from", description="first day of the successor; the merger of 2025")


class AgencySettings(Settings):
    """One agency, by its code in the view."""

    active_from: date | None = Field(None, description="notices from this day on; default: at once")
    active_to: date | None = Field(None, description="last day of notices; default: no end")
    same_day_exempt: bool | None = Field(None, description="default: notices.same_day_exempt")
    name: str | None = Field(None, description="short name for the texts; default: the view's agency_name")
    names: tuple[DatedName, ...] = Field(
        (), description="names with their dates, where they changed; on other days `name` holds"
    )
    succeeded_by: Succession | None = Field(
        None, description="the agency that took over: from that day on its name and its activation count"
    )
    contacts: tuple[str, ...] = Field(
        (), description="mobile numbers that are told when a supplement request breaks the rules; see supervision"
    )

    @model_validator(mode="after")
    def _names_do_not_overlap(self) -> AgencySettings:
        for at, one in enumerate(self.names):
            for other in self.names[at + 1 :]:
                later = max(one.start or date.min, other.start or date.min)
                if one.on(later) and other.on(later):
                    raise ValueError(f"names: '{one.name}' and '{other.name}' both hold on {later}")
        return self


#: Successions that are followed: a ward of 2025 may be merged again, and a circle must end somewhere.
_SUCCESSIONS = 5


def in_charge(agencies: Mapping[str, AgencySettings], code: str, day: date) -> AgencySettings | None:
    """The settings that count for an agency's dossiers on a day: its own, or its successor's. None: it is not listed."""
    agency = agencies.get(code)
    for _ in range(_SUCCESSIONS):
        if agency is None or agency.succeeded_by is None or day < agency.succeeded_by.start:
            break
        agency = agencies.get(agency.succeeded_by.agency, agency.model_copy(update={"succeeded_by": None}))
    return agency


def agency_name(agencies: Mapping[str, AgencySettings], code: str, in_view: str, day: date) -> str:
    """The name of an agency as the texts show it on a day; ``in_view`` where the configuration has none."""
    agency = in_charge(agencies, code, day)
    if agency is None:
        return in_view
    return next((dated.name for dated in agency.names if dated.on(day)), agency.name) or in_view


class NightSettings(Settings):
    start: time = Field(time(21, 0), description="notices arising from here …")
    end: time = Field(time(7, 0), description="… wait until here")


class ApologySettings(Settings):
    enabled: bool = Field(True)
    at: time = Field(time(17, 30), description="by the official letter 998/UBND")
    until: time = Field(
        time(20, 0), description="a daemon that starts late still sends until here, else the run is recorded as missed"
    )
    horizon: Literal["next_calendar_day", "next_working_day"] = Field(
        "next_calendar_day", description="as the letter says"
    )
    include_clock_stopped: bool = Field(False, description="a stopped clock cannot be late")
    fresh_s: float = Field(
        900.0,
        ge=0,
        description="a source last read longer ago is not apologised for until it answers, at most until 'until': its "
        "results may be ready by now",
    )


class OnlineSettings(Settings):
    """Which dossiers count as online files, and when their applicants are told (F31, F46, F49)."""

    channels: tuple[str, ...] = Field(
        (
            "online",
            "portal",
            "national_portal",
            "provincial_portal",
            "hue-s",
            "trực tuyến",
            "cổng dịch vụ công",
            "cổng dịch vụ công quốc gia",
            "cổng dịch vụ công tỉnh",
        ),
        description="words of the view's column `channel`, compared without case, that mean an online file",
    )
    require_reason: bool = Field(
        True, description="a refusal or a supplement slip must state its reason (F49): without one no notice is made"
    )
    originals_statuses: tuple[str, ...] = Field(
        ("Dừng tính bổ sung hồ sơ",),
        description="status words that mean: the clock is stopped until the paper originals come; the view's column "
        "`originals_wanted` says the same",
    )


class SupervisionSettings(Settings):
    """Supervision of supplement requests (Công văn 252/UBND-HCC of 2024, annex; F38-F45)."""

    enabled: bool = Field(
        False, description="needs the view's columns reason, supplement_components, supplement_signed"
    )
    require_reason: bool = Field(True, description="a request without content is a violation")
    require_components: bool = Field(True, description="so is one that ticks no component")
    require_signed: bool = Field(True, description="and one whose file has no digital signature")
    compare: bool = Field(
        True,
        description="the second and later requests are compared: same content and components as before is one, too",
    )
    guidance: bool = Field(
        True,
        description="guidance on completing a dossier that is not accepted yet is supervised in the same way (F44)",
    )
    block: Literal["further", "present_too", "nothing"] = Field(
        "further",
        description="further: the notice of the request that breaks the rules still goes out, those of later requests wait "
        "until a supervisor has released them in the source system (view column `supplement_released_no`); present_too: its "
        "own as well; nothing: violations are only recorded and told",
    )
    tell_contacts: bool = Field(True, description="send agencies.CODE.contacts a message about each violation")


#: What a rule set may change.
_RULES: tuple[str, ...] = (
    "enabled",
    "template_version",
    "accents",
    "hold_s",
    "same_day_exempt",
    "reannounce_after_s",
    "agencies_default_active",
    "online",
    "supervision",
    "apology",
)


class RuleSet(Settings):
    """Rules that differ for a while (F33, F45): what is not written here is as under `notices`."""

    name: str = Field(min_length=1, description="shown in previews: the letter that orders it")
    start: date = Field(alias="from", description="first day")
    end: date | None = Field(None, alias="to", description="last day; default: no end")
    enabled: tuple[MessageKind, ...] | None = None
    template_version: str | None = None
    accents: Literal["fold", "keep"] | None = None
    hold_s: float | None = Field(None, ge=0)
    same_day_exempt: bool | None = None
    reannounce_after_s: float | None = Field(None, ge=0)
    agencies_default_active: bool | None = None
    online: OnlineSettings | None = None
    supervision: SupervisionSettings | None = None
    apology: ApologySettings | None = Field(
        None,
        description="all but `at` and `until`, which are those under notices.apology: the job's hour does not change",
    )

    def on(self, day: date) -> bool:
        return self.start <= day and (self.end is None or day <= self.end)


class NoticeSettings(Settings):
    """Outgoing notices."""

    brandname: str = Field(
        "MotcuaSMS", min_length=1, max_length=11, description="registered with every operator; 11 characters at most"
    )
    template_version: str = Field(
        "rollout_2017", description="set of texts: rollout_2017, pilot_2016, or dated: the set in force on the day"
    )
    accents: Literal["fold", "keep"] = Field("fold", description="fold: unaccented GSM 7-bit; keep: UCS-2")
    max_parts: int = Field(
        4,
        ge=1,
        le=10,
        description="a longer text is refused: its template does not fit. The apology's fixed text alone takes 4 with accents",
    )
    hold_s: float = Field(600.0, ge=0, description="time in which a mistaken state change cancels its notice")
    night: NightSettings | None = Field(default_factory=NightSettings, description="null: send at any hour")
    same_day_exempt: bool = Field(True, description="dossiers received and due on one day are not notified (998/UBND)")
    agencies_default_active: bool = Field(True, description="false: only agencies listed under 'agencies' are notified")
    enabled: tuple[MessageKind, ...] = Field(
        (MessageKind.RESULT_READY, MessageKind.SUPPLEMENT_NEEDED, MessageKind.APOLOGY_DUE_TOMORROW),
        description="the three notices of the letters; others need their own template",
    )
    apology: ApologySettings = Field(default_factory=ApologySettings)
    online: OnlineSettings = Field(default_factory=OnlineSettings)
    supervision: SupervisionSettings = Field(default_factory=SupervisionSettings)
    rule_sets: tuple[RuleSet, ...] = Field(
        (), description="rules with dates, in order: a later one is laid over the earlier ones on the days of both"
    )
    reannounce_after_s: float = Field(
        86_400.0,
        ge=0,
        description="a dossier that left the announced state at least this long is announced again on its return",
    )
    announce_corrected_number: bool = Field(
        True, description="a notice rejected for its telephone number is made again when the agency corrects the number"
    )
    validity_s: float = Field(
        172_800.0, gt=0, description="a notice that could not leave in two days is expired, not sent stale"
    )
    holidays: dict[date, bool] = Field(
        default_factory=dict, description="override of the calendar: true = day off, false = working day"
    )

    @field_validator("rule_sets")
    @classmethod
    def _dates_in_order(cls, value: tuple[RuleSet, ...]) -> tuple[RuleSet, ...]:
        for rules in value:
            if rules.end is not None and rules.end < rules.start:
                raise ValueError(f"the rule set '{rules.name}' ends before it begins")
        return value

    def on(self, day: date) -> NoticeSettings:
        """The rules in force on a day."""
        found = tuple(at for at, rules in enumerate(self.rule_sets) if rules.on(day))
        return self if not found else _merged(_ById(self), found)


class ReportSettings(Settings):
    """Reports and previews on the command line."""

    full_numbers: tuple[str, ...] = Field(
        (),
        description="accounts of the operating system that may ask for telephone numbers in full (--full); each use is "
        "logged. Others see 0905***456: numbers are personal data",
    )


class _ById:
    """A key for the cache: settings hold mappings, so they cannot be hashed; the object itself stays alive in here."""

    def __init__(self, settings: NoticeSettings) -> None:
        self.settings = settings

    def __hash__(self) -> int:
        return id(self.settings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.settings is self.settings


@lru_cache(maxsize=64)
def _merged(key: _ById, found: tuple[int, ...]) -> NoticeSettings:
    update: dict[str, Any] = {}
    for at in found:
        rules = key.settings.rule_sets[at]
        update |= {name: value for name in _RULES if (value := getattr(rules, name)) is not None}
    return key.settings.model_copy(update=update)
