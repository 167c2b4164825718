"""Many timers for the price of one: thousands of receipts a second wait here, and the reactor sees a single call."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import structlog

from gateway.smpp.ports import DelayedCall, ReactorTime

log = structlog.get_logger()

_GRAIN_S = 0.002  # a call that is due this soon after the armed one waits for it: re-arming costs more than it brings


class Schedule:
    """Calls in order of their due time, those of one moment in the order in which they were made.

    A call cannot be taken back: what is called looks whether it is still wanted.
    """

    def __init__(self, clock: ReactorTime) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._armed: DelayedCall | None = None
        self._armed_for = float("inf")
        self._stopped = False

    def __len__(self) -> int:
        return len(self._heap)

    def now(self) -> float:
        """Seconds; of the real reactor, Unix time."""
        return float(self._clock.seconds())

    def call_later(self, delay_s: float, function: Callable[..., None], *args: Any) -> None:
        """Call ``function(*args)`` in ``delay_s`` seconds. An exception in it is logged and stops nothing else."""
        if self._stopped:
            return
        due = self.now() + delay_s
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, function, args))
        if due < self._armed_for - _GRAIN_S:
            self._arm(due)

    def stop(self) -> None:
        """Forget every call."""
        self._stopped = True
        self._heap.clear()
        self._disarm()

    def _arm(self, due: float) -> None:
        self._disarm()
        self._armed = self._clock.callLater(max(0.0, due - self.now()), self._run)
        self._armed_for = due

    def _disarm(self) -> None:
        if self._armed is not None and self._armed.active():
            self._armed.cancel()
        self._armed = None
        self._armed_for = float("inf")

    def _run(self) -> None:
        self._armed = None
        self._armed_for = self.now()  # calls made from here on must not arm: it is done once, at the end
        limit = self.now() + _GRAIN_S / 2
        heap = self._heap
        while heap and heap[0][0] <= limit:
            _, _, function, args = heapq.heappop(heap)
            try:
                function(*args)
            except Exception:
                log.exception("scheduled_call_failed", function=getattr(function, "__qualname__", repr(function)))
        self._armed_for = float("inf")
        if heap and not self._stopped:
            self._arm(heap[0][0])
