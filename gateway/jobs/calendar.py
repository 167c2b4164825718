"""Days and hours by which notices are judged: Vietnamese calendar days, working days, the night. Pure.

Public holidays come from the package ``holidays``; ``notices.holidays`` overrides it, since the official swaps of working
days (such as 2026-01-02 off, 2026-01-10 worked) are decreed year by year and are not in the package.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import date, datetime, time, timedelta
from functools import cached_property

from gateway.clock import VIETNAM
from gateway.settings import NightSettings

_SATURDAY = 5
#: The longest run of days off there is (Tết with its week-ends) is under two weeks; an override table that says more is wrong.
_LONGEST_BREAK_DAYS = 60


class WorkCalendar:
    """Working days of Vietnamese administration: Monday to Friday but for public holidays, with overrides."""

    def __init__(self, overrides: Mapping[date, bool]) -> None:
        self._overrides = dict(overrides)

    @cached_property
    def _holidays(self) -> Container[date]:
        import holidays  # half a second: only who asks for working days pays for it

        found: Container[date] = holidays.country_holidays("VN")
        return found

    def is_day_off(self, day: date) -> bool:
        """True on Saturdays, Sundays and public holidays, unless overridden."""
        if day in self._overrides:
            return self._overrides[day]
        return day.weekday() >= _SATURDAY or day in self._holidays

    def next_working_day(self, day: date) -> date:
        """The first working day after ``day``.

        Raises:
            ValueError: there is none within sixty days: the override table is wrong.
        """
        for distance in range(1, _LONGEST_BREAK_DAYS + 1):
            candidate = day + timedelta(days=distance)
            if not self.is_day_off(candidate):
                return candidate
        raise ValueError(f"no working day within {_LONGEST_BREAK_DAYS} days after {day}: check notices.holidays")


def vietnam_day(moment: datetime) -> date:
    """The calendar day in Vietnam."""
    return moment.astimezone(VIETNAM).date()


def at_vietnam_time(day: date, at: time) -> datetime:
    """That hour of that day in Vietnam, aware."""
    return datetime.combine(day, at, VIETNAM)


def in_night(moment: datetime, night: NightSettings | None) -> bool:
    """True from ``night.start`` until just before ``night.end``, Vietnamese time."""
    if night is None:
        return False
    local = moment.astimezone(VIETNAM).time()
    if night.start <= night.end:
        return night.start <= local < night.end
    return local >= night.start or local < night.end


def after_night(moment: datetime, night: NightSettings | None) -> datetime:
    """The moment itself by day; by night the next ``night.end``."""
    if night is None or not in_night(moment, night):
        return moment
    local = moment.astimezone(VIETNAM)
    end = at_vietnam_time(local.date(), night.end)
    return end if end > local else end + timedelta(days=1)
