"""Numbers of one account for ``motcua-simulator status``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from gateway.smpp.constants import status_name


@dataclass(slots=True)
class Counters:
    submits: int = 0
    accepted: int = 0
    refused: Counter[int] = field(default_factory=Counter)  # by command_status
    answers_dropped: int = 0
    requests_dropped: int = 0
    links_cut: int = 0
    reached_handsets: int = 0
    receipts_answered: int = 0
    receipts_lost: int = 0
    receipts_given_up: int = 0
    mo_sent: int = 0
    binds: int = 0
    binds_refused: int = 0
    submits_last_s: int = 0  # in the last whole second of the clock
    submits_peak_s: int = 0
    _second: int = 0
    _in_second: int = 0

    def submit(self, at: float) -> None:
        """Count one submit_sm."""
        self.submits += 1
        second = int(at)
        if second != self._second:
            self.settle(at)
        self._in_second += 1

    def settle(self, at: float) -> None:
        """Close the second that is over."""
        second = int(at)
        if second != self._second:
            self.submits_last_s = self._in_second if second == self._second + 1 else 0
            self.submits_peak_s = max(self.submits_peak_s, self._in_second)
            self._second, self._in_second = second, 0

    def as_dict(self, at: float) -> dict[str, Any]:
        """For JSON; statuses by name."""
        self.settle(at)
        values = {name: getattr(self, name) for name in self.__slots__ if not name.startswith("_")}
        values["refused"] = {status_name(status): count for status, count in sorted(self.refused.items())}
        return values
