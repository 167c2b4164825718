"""What must hold as long as a scenario runs: the ESME's rate, its window, and what must never happen."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

from simulator.scenario.conditions import Conditions
from simulator.scenario.events import Event, PduSeen
from simulator.scenario.journal import Journal
from simulator.scenario.model import Always, Rate, Window

Broken = Callable[[Always, str, tuple[str, ...]], None]
_MESSAGES = frozenset({"submit_sm", "data_sm", "submit_multi"})


class Guards:
    """All lines of ``always`` at work."""

    def __init__(
        self, always: tuple[Always, ...], journal: Journal, open_submits: dict[str, set[int]], broken: Broken
    ) -> None:
        self._journal = journal
        self._checks = [(one, _check(one, open_submits)) for one in always]
        self._broken = broken

    def start(self) -> None:
        if self._checks:
            self._journal.watch(self._look)

    def stop(self) -> None:
        self._journal.unwatch(self._look)

    def told(self, always: Always) -> str:
        """What was seen of one line at most."""
        return next((check.told() for one, check in self._checks if one is always), "")

    def _look(self, event: Event | None) -> None:
        if event is None:
            return
        for always, check in self._checks:
            fault = check.look(event)
            if fault is not None:
                self.stop()
                self._broken(always, fault, (event.line(),))
                return


class _Check:
    def look(self, event: Event) -> str | None:
        """What is wrong now; None: nothing."""
        raise NotImplementedError

    def told(self) -> str:
        raise NotImplementedError


class _RateCheck(_Check):
    """A sliding window over the arrival of each submit_sm, data_sm and submit_multi."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._times: deque[float] = deque()
        self._most = 0

    def look(self, event: Event) -> str | None:
        if not _is_message(event, self._rate.account):
            return None
        times = self._times
        times.append(event.at)
        while times[0] <= event.at - self._rate.per:
            times.popleft()
        self._most = max(self._most, len(times))
        if len(times) <= self._rate.at_most:
            return None
        return f"{len(times)} submit_sm within {self._rate.per:g} s, {self._rate.at_most} are allowed"

    def told(self) -> str:
        return f"at most {self._most} within {self._rate.per:g} s"


class _WindowCheck(_Check):
    """submit_sm that the simulator has and has not answered: never more than the ESME has open."""

    def __init__(self, window: Window, open_submits: dict[str, set[int]]) -> None:
        self._window = window
        self._open = open_submits
        self._most: defaultdict[str, int] = defaultdict(int)

    def look(self, event: Event) -> str | None:
        if not _is_message(event, self._window.account):
            return None
        assert isinstance(event, PduSeen)
        count = len(self._open.get(event.peer, ()))
        self._most[event.peer] = max(self._most[event.peer], count)
        if count <= self._window.at_most:
            return None
        return f"{count} submit_sm of {event.peer} are unanswered, {self._window.at_most} are allowed"

    def told(self) -> str:
        return f"at most {max(self._most.values(), default=0)} unanswered"


class _NeverCheck(_Check):
    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def look(self, event: Event) -> str | None:
        if event.kind != self._conditions.kind or self._conditions.fault(event) is not None:
            return None
        return "it happened"

    def told(self) -> str:
        return "never happened"


def _check(always: Always, open_submits: dict[str, set[int]]) -> _Check:
    if always.rate is not None:
        return _RateCheck(always.rate)
    if always.window is not None:
        return _WindowCheck(always.window, open_submits)
    assert always.never is not None
    assert always.never.conditions is not None
    return _NeverCheck(always.never.conditions)


def _is_message(event: Event, account: str | None) -> bool:
    return (
        isinstance(event, PduSeen)
        and event.direction == "in"
        and event.command in _MESSAGES
        and account in (None, event.account)
    )
