"""Vietnamese days, working days and nights."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from gateway.clock import VIETNAM
from gateway.jobs.calendar import WorkCalendar, after_night, at_vietnam_time, in_night, vietnam_day
from gateway.settings import NightSettings

NIGHT = NightSettings()
#: The swap decreed for the New Year of 2026: Friday off, Saturday a week later worked.
SWAP = {date(2026, 1, 2): True, date(2026, 1, 10): False}


def local(hour: int, minute: int = 0, day: int = 3) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=VIETNAM)


@pytest.mark.parametrize(
    ("day", "off"),
    [
        (date(2026, 3, 3), False),
        (date(2026, 3, 7), True),  # Saturday
        (date(2026, 3, 8), True),
        (date(2026, 1, 1), True),
        (date(2026, 4, 30), True),
        (date(2026, 9, 2), True),
        (date(2026, 2, 17), True),  # Tết
        (date(2026, 1, 2), False),  # the package does not know the swap …
        (date(2026, 1, 10), True),
    ],
)
def test_days_off(day: date, off: bool) -> None:
    assert WorkCalendar({}).is_day_off(day) is off


def test_overrides_win() -> None:
    calendar = WorkCalendar(SWAP)
    assert calendar.is_day_off(date(2026, 1, 2))  # … the override table does
    assert not calendar.is_day_off(date(2026, 1, 10))
    assert calendar.next_working_day(date(2025, 12, 31)) == date(2026, 1, 5)
    assert calendar.next_working_day(date(2026, 1, 9)) == date(2026, 1, 10)


@pytest.mark.parametrize(
    ("day", "following"),
    [(date(2026, 3, 3), date(2026, 3, 4)), (date(2026, 3, 6), date(2026, 3, 9)), (date(2026, 3, 7), date(2026, 3, 9))],
)
def test_next_working_day(day: date, following: date) -> None:
    assert WorkCalendar({}).next_working_day(day) == following


def test_a_table_without_working_days_is_told() -> None:
    everything_off = {
        date.fromordinal(n): True for n in range(date(2026, 1, 1).toordinal(), date(2026, 6, 1).toordinal())
    }
    with pytest.raises(ValueError, match=r"notices\.holidays"):
        WorkCalendar(everything_off).next_working_day(date(2026, 1, 5))


def test_the_day_changes_at_midnight_in_vietnam() -> None:
    assert vietnam_day(datetime(2026, 3, 3, 16, 59, tzinfo=UTC)) == date(2026, 3, 3)
    assert vietnam_day(datetime(2026, 3, 3, 17, 0, tzinfo=UTC)) == date(2026, 3, 4)
    assert at_vietnam_time(date(2026, 3, 3), time(17, 30)) == datetime(2026, 3, 3, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "leaves"),
    [
        (local(20, 59), local(20, 59)),
        (local(21), local(7, day=4)),
        (local(0), local(7)),
        (local(6, 59), local(7)),
        (local(7), local(7)),
        (local(12), local(12)),
    ],
)
def test_the_night_is_waited_for(moment: datetime, leaves: datetime) -> None:
    assert after_night(moment, NIGHT) == leaves
    assert in_night(moment, NIGHT) is (moment != leaves)


def test_a_night_within_one_day() -> None:
    night = NightSettings(start=time(0, 30), end=time(5))
    assert after_night(local(0, 15), night) == local(0, 15)
    assert after_night(local(4), night) == local(5)
    assert after_night(local(23), night) == local(23)


def test_no_night() -> None:
    assert after_night(local(23), None) == local(23)
    assert not in_night(local(23), NightSettings(start=time(7), end=time(7)))
