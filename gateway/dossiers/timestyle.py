"""How a view writes ``updated_at``, and how a bound for it must be written so that the database compares rightly. Pure.

Text in ISO form sorts as time does, so it can be read incrementally as well as a native type; text in day-first form, a
bare date, or a number cannot, and such a view is compared as a whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal

_TEXT = re.compile(
    r"\d{4}-\d{2}-\d{2}(?P<separator>[T ])\d{2}:\d{2}(?P<seconds>:\d{2})?(?:\.\d+)?\s*(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?"
)
_COMPACT = re.compile(r"\d{12}(?P<seconds>\d{2})?")


@dataclass(frozen=True, slots=True)
class TimeStyle:
    """One column's way of writing time."""

    kind: Literal["naive", "aware", "text"]
    zone: tzinfo
    pattern: str = ""
    resolution_s: float = 0.0

    def bound(self, at: datetime) -> object:
        """A value not later than ``at`` in the column's own form. Text is cut at its seconds: a prefix sorts first."""
        local = at.astimezone(self.zone)
        if self.kind == "aware":
            return local
        if self.kind == "naive":
            return local.replace(tzinfo=None)
        return local.strftime(self.pattern)


def style_of(sample: object, zone: tzinfo) -> TimeStyle | None:
    """The style of a non-NULL value of the column, or None when its values do not sort as time does."""
    if isinstance(sample, datetime):
        return TimeStyle("aware" if sample.tzinfo else "naive", zone)
    if not isinstance(sample, str):
        return None
    text = sample.strip()
    if match := _TEXT.fullmatch(text):
        seconds = "%S" if match["seconds"] else ""
        pattern = f"%Y-%m-%d{match['separator']}%H:%M" + (f":{seconds}" if seconds else "")
        return TimeStyle("text", _fixed(match["zone"]) or zone, pattern, 1.0 if seconds else 60.0)
    if match := _COMPACT.fullmatch(text):
        seconds = "%S" if match["seconds"] else ""
        return TimeStyle("text", zone, f"%Y%m%d%H%M{seconds}", 1.0 if seconds else 60.0)
    return None


def _fixed(text: str | None) -> tzinfo | None:
    if not text:
        return None
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)
