"""Two clocks. The system clock stamps what happens; the business clock decides what is due.

They are the same, except in demonstrations and exercises, where the business clock is set from a file so that
nobody waits for 17:30. Leases, deadlines of replies and every protocol timer use real time in any case.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")


class Clock(Protocol):
    """Where the gateway reads the time. Tests pass their own."""

    def now(self) -> datetime:
        """The system time, aware, UTC."""
        ...

    def business_now(self) -> datetime:
        """The time by which holds, night hours, due dates and jobs are judged; aware, UTC."""
        ...


class SystemClock:
    """Real time for both."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def business_now(self) -> datetime:
        return datetime.now(UTC)


class FileClock:
    """Business time set from a file: ``{"at": ISO 8601, "set_at": Unix seconds, "rate": 1.0}``.

    Business time is ``at`` at the real moment ``set_at`` and runs on from there at ``rate``. The file is read again when
    its modification time changes. A missing or broken file keeps the last good setting, or real time.
    """

    def __init__(self, path: Path, unix_time: Callable[[], float] = time.time) -> None:
        self._path = path
        self._unix_time = unix_time
        self._mtime_ns = -1
        self._at: datetime | None = None
        self._set_at = 0.0
        self._rate = 1.0
        self.fault = ""

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._unix_time(), UTC)

    def business_now(self) -> datetime:
        self._reload()
        if self._at is None:
            return self.now()
        elapsed_s = (self._unix_time() - self._set_at) * self._rate
        return datetime.fromtimestamp(self._at.timestamp() + elapsed_s, UTC)

    def _reload(self) -> None:
        try:
            mtime_ns = self._path.stat().st_mtime_ns
            if mtime_ns == self._mtime_ns:
                return
            values = json.loads(self._path.read_text(encoding="utf-8"))
            at = datetime.fromisoformat(values["at"])
            if at.tzinfo is None:
                raise ValueError("'at' has no UTC offset")
            self._at, self._set_at, self._rate = at, float(values["set_at"]), float(values.get("rate", 1.0))
            self._mtime_ns = mtime_ns
            self.fault = ""
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.fault = f"{self._path}: {error}"


def set_file_clock(path: Path, at: datetime, rate: float = 1.0, set_at: float | None = None) -> None:
    """Write the file that a :class:`FileClock` reads, in one step (rename)."""
    values = {"at": at.isoformat(), "set_at": time.time() if set_at is None else set_at, "rate": rate}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(values), encoding="utf-8")
    temporary.replace(path)
