"""Every event of a run, in the order in which they came, and those who wait for the next one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from simulator.scenario.events import Event

_KEPT = 200_000  # of each kind; a scenario is no load test


class Journal:
    """Notes events and tells the watchers of each one as it comes."""

    def __init__(self) -> None:
        self.count = 0
        self._events: defaultdict[str, list[Event]] = defaultdict(list)
        self._watchers: list[Callable[[Event | None], None]] = []

    def add(self, event: Event) -> None:
        """Note an event."""
        self.count += 1
        event.n = self.count
        events = self._events[event.kind]
        events.append(event)
        if len(events) > _KEPT:
            del events[: _KEPT // 10]
        self.tell(event)

    def tell(self, event: Event | None = None) -> None:
        """Wake the watchers: something may have changed, though no event says so."""
        for watcher in list(self._watchers):
            watcher(event)

    def watch(self, watcher: Callable[[Event | None], None]) -> None:
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[Event | None], None]) -> None:
        """Harmless when it does not watch."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    def of(self, kind: str, after: int = 0) -> list[Event]:
        """Events of a kind with a number above ``after``, oldest first."""
        events = self._events[kind]
        if not after:
            return list(events)
        start = len(events)
        while start and events[start - 1].n > after:
            start -= 1
        return events[start:]

    def newest(self, kind: str, count: int) -> list[Event]:
        return self._events[kind][-count:]
