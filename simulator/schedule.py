"""Many timers for the price of one: thousands of receipts a second wait here, and the reactor sees a single call.

Calls far ahead wait in slots of time: a slot costs one entry in a heap, however many calls are in it, and each is one append.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import structlog

from gateway.smpp.ports import DelayedCall, ReactorTime

log = structlog.get_logger()

_NEVER = float("inf")
_GRAIN_S = 0.002  # a call that is due this soon after the armed one waits for it: re-arming costs more than it brings
_FAR_S = 0.02  # calls farther ahead go into slots
_SLOT_S = _GRAIN_S / 2
_Call = tuple[float, int, Callable[..., None], tuple[Any, ...]]


class Schedule:
    """Calls in order of their due time, those of one moment in the order in which they were made.

    A call cannot be taken back: what is called looks whether it is still wanted.
    """

    def __init__(self, clock: ReactorTime) -> None:
        self._clock = clock
        #: Seconds; of the real reactor, Unix time. The clock's own function: it is asked for several times a message.
        self.now: Callable[[], float] = clock.seconds
        self._heap: list[_Call] = []
        self._slots: dict[int, list[_Call]] = {}
        self._slot_numbers: list[int] = []  # a heap
        self._waiting = 0
        self._count = 0
        self._armed: DelayedCall | None = None
        self._armed_for = _NEVER
        self._stopped = False

    def __len__(self) -> int:
        return self._waiting

    def call_later(self, delay_s: float, function: Callable[..., None], *args: Any) -> None:
        """Call ``function(*args)`` in ``delay_s`` seconds. An exception in it is logged and stops nothing else."""
        if self._stopped:
            return
        due = self.now() + delay_s
        self._count += 1
        self._waiting += 1
        if delay_s > _FAR_S:
            number = int(due / _SLOT_S)  # due at its beginning: up to a slot early
            slot = self._slots.get(number)
            if slot is not None:
                slot.append((due, self._count, function, args))
                return
            self._slots[number] = [(due, self._count, function, args)]
            heapq.heappush(self._slot_numbers, number)
            due = number * _SLOT_S
        else:
            heapq.heappush(self._heap, (due, self._count, function, args))
        if due < self._armed_for - _GRAIN_S:
            self._arm(due)

    def stop(self) -> None:
        """Forget every call."""
        self._stopped = True
        self._heap.clear()
        self._slots.clear()
        self._slot_numbers.clear()
        self._waiting = 0
        self._disarm()

    def _arm(self, due: float) -> None:
        self._disarm()
        self._armed = self._clock.callLater(max(0.0, due - self.now()), self._run)
        self._armed_for = due

    def _disarm(self) -> None:
        if self._armed is not None and self._armed.active():
            self._armed.cancel()
        self._armed = None
        self._armed_for = _NEVER

    def _run(self) -> None:
        self._armed = None
        self._armed_for = self.now()  # calls made from here on must not arm: it is done once, at the end
        limit = self.now() + _GRAIN_S / 2
        while calls := self._take(limit):
            for _, _, function, args in calls:
                if self._stopped:
                    return
                try:
                    function(*args)
                except Exception:
                    log.exception("scheduled_call_failed", function=getattr(function, "__qualname__", repr(function)))
        self._armed_for = _NEVER
        due = self._next_due()
        if due != _NEVER:
            self._arm(due)

    def _take(self, limit: float) -> list[_Call]:
        """Remove the calls whose time has come; in order."""
        calls: list[_Call] = []
        numbers, heap = self._slot_numbers, self._heap
        while numbers and numbers[0] * _SLOT_S <= limit:
            calls += self._slots.pop(heapq.heappop(numbers))
        while heap and heap[0][0] <= limit:
            calls.append(heapq.heappop(heap))
        calls.sort()
        self._waiting -= len(calls)
        return calls

    def _next_due(self) -> float:
        """When the next call or slot is due."""
        due = self._heap[0][0] if self._heap else _NEVER
        return min(due, self._slot_numbers[0] * _SLOT_S) if self._slot_numbers else due
