"""What happened in each of the last seconds, for the page's charts."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.counters import Counters

if TYPE_CHECKING:
    from simulator.simulator import Simulator

KEPT_S = 300
SERIES = ("submits", "receipts", "mo", "errors")


class Totals(NamedTuple):
    """Counts of one account since the start."""

    submits: int = 0
    receipts: int = 0
    mo: int = 0
    errors: int = 0


def totals(counters: Counters) -> Totals:
    """``errors``: whatever an ESME was refused, or waits for in vain."""
    errors = (
        sum(counters.refused.values())
        + counters.answers_dropped
        + counters.requests_dropped
        + counters.links_cut
        + counters.receipts_lost
        + counters.receipts_given_up
        + counters.binds_refused
    )
    return Totals(counters.submits, counters.receipts_answered, counters.mo_sent, errors)


class History:
    """Looks at the counters once a second, from its start to the simulator's end."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._schedule = simulator.world.schedule
        self._samples: deque[dict[str, Any]] = deque(maxlen=KEPT_S)
        self._last: dict[str, Totals] = {}
        self._last_at = self._schedule.now()

    def start(self) -> None:
        """Look from now on."""
        self._schedule.call_later(1.0, self._tick)

    @property
    def newest(self) -> dict[str, Any] | None:
        return self._samples[-1] if self._samples else None

    def as_dict(self) -> dict[str, Any]:
        """Oldest first; the numbers are rates per second, in the order of ``series``."""
        return {"series": list(SERIES), "samples": list(self._samples)}

    def _tick(self) -> None:
        now = self._schedule.now()
        passed_s = max(now - self._last_at, 0.001)  # a busy reactor may come late
        rates: dict[str, list[float]] = {}
        for name, account in self._simulator.accounts.items():
            current = totals(account.counters)
            before = self._last.get(name, Totals())
            rates[name] = [round((new - old) / passed_s, 2) for new, old in zip(current, before, strict=True)]
            self._last[name] = current
        self._samples.append({"at": round(now, 3), "rates": rates})
        self._last_at = now
        self._schedule.call_later(1.0, self._tick)
