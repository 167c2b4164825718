"""Times as SMPP writes them: validity_period, schedule_delivery_time, final_date. SMPP 3.4 §7.1.1."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_FORM = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d)(\d\d)([-+R])")
_DAYS_OF_MONTH = 30  # a relative month or year has no calendar: it is counted as an SMSC counts it
_DAYS_OF_YEAR = 365
_MOST_QUARTERS = 48  # §7.1.1.1: the offset from UTC is at most 12 hours


def parse_time(text: str, now: float) -> float:
    """Unix seconds of an absolute ("YYMMDDhhmmsstnnp") or relative ("…R", from ``now``) time. Raises ValueError."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no time of SMPP")
    year, month, day, hour, minute, second, tenth, quarters = (int(digits) for digits in found.groups()[:8])
    if found[9] == "R":
        days = year * _DAYS_OF_YEAR + month * _DAYS_OF_MONTH + day
        return now + timedelta(days=days, hours=hour, minutes=minute, seconds=second).total_seconds()
    if quarters > _MOST_QUARTERS:
        raise ValueError(f"'{text}' is more than 12 hours from UTC")
    offset = timedelta(minutes=15 * quarters if found[9] == "+" else -15 * quarters)
    local = datetime(2000 + year, month, day, hour, minute, second, 100_000 * tenth, tzinfo=timezone(offset))
    return local.timestamp()


def format_absolute(at: float) -> str:
    """An absolute time, in UTC: 260105080000000+."""
    return datetime.fromtimestamp(at, UTC).strftime("%y%m%d%H%M%S000+")


def format_relative(seconds: float) -> str:
    """A relative time of less than 31 days, whole seconds: 000000000500000R is five minutes."""
    days, rest = divmod(int(seconds), 86_400)
    return f"0000{days:02d}{rest // 3600:02d}{rest // 60 % 60:02d}{rest % 60:02d}000R"
