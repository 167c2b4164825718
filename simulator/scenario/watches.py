"""Expectations at work: each looks at the events as they come, and knows when it is met, broken or too late.

A watch fires ``done`` with its :class:`Outcome` exactly once. Nothing here polls: events and two timers are all it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred

from simulator.scenario.conditions import Conditions
from simulator.scenario.events import Event, Submitted
from simulator.scenario.expectations import InBooks, Links, Once, Order
from simulator.scenario.journal import Journal
from simulator.schedule import Schedule

_SEEN = 5  # events that are told when none of them was the one


@dataclass(frozen=True)
class Outcome:
    """How an expectation ended. ``met``: the events that it was about."""

    passed: bool
    told: str
    met: Sequence[Event] = ()
    seen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a watch looks, and who asks."""

    journal: Journal
    schedule: Schedule
    step: str  # its title
    after: int  # only events with a higher number


class Watch:
    """Base: begins, looks at each event, ends once."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.done: Deferred[Outcome] = Deferred(lambda _: self._end())
        self.over = False

    def begin(self) -> None:
        """Look at what there is already, then at what comes."""
        self.place.journal.watch(self._look)
        self.start()

    def start(self) -> None:
        raise NotImplementedError

    def look(self, event: Event | None) -> None:
        """Something happened; None: something that is no event."""
        raise NotImplementedError

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call it then, unless the watch is over by that time."""
        self.place.schedule.call_later(seconds, lambda: None if self.over else call())

    def finish(self, outcome: Outcome) -> None:
        """The end. Told in the next turn: what the steps do next must not happen in the middle of a PDU's handling."""
        if not self.over:
            self._end()
            self.place.schedule.call_later(0, lambda: None if self.done.called else self.done.callback(outcome))

    def _look(self, event: Event | None) -> None:
        if not self.over:
            self.look(event)

    def _end(self) -> None:
        self.over = True
        self.place.journal.unwatch(self._look)


class Counting(Watch):
    """So many events of a kind that fit: at least ``least`` within the time; with ``most``, no more for ``quiet_s``."""

    def __init__(
        self,
        place: Place,
        conditions: Conditions,
        least: int,
        most: int | None,
        within_s: float,
        quiet_s: float,
        again: bool,
    ) -> None:
        super().__init__(place)
        self._conditions = conditions
        self._least, self._most = least, most
        self._within_s, self._quiet_s = within_s, quiet_s
        self._again = again
        self._met: list[Event] = []

    def start(self) -> None:
        if self._least == 0:
            self.after(self._quiet_s, self._still)
        else:
            self.after(self._within_s, self._late)
        for event in self.place.journal.of(self._conditions.kind, self.place.after):
            self._look(event)

    def look(self, event: Event | None) -> None:
        if event is None or event.kind != self._conditions.kind or (event.claimed_by and not self._again):
            return
        if self._conditions.fault(event) is not None:
            return
        self._met.append(event)
        if not self._again:
            event.claimed_by = self.place.step
        count = len(self._met)
        if self._most is not None and count > self._most:
            told = f"{_times(count)}, {_times(self._most)} was expected" if self._most else "it happened"
            self.finish(Outcome(False, told, self._met, tuple(one.line() for one in self._met[-_SEEN:])))
        elif count == self._least and self._most is None:
            self.finish(Outcome(True, _summary(self._met), self._met))
        elif count == self._least:
            self.after(self._quiet_s, self._still)

    def _still(self) -> None:
        self.finish(Outcome(True, _summary(self._met) if self._met else "", self._met))

    def _late(self) -> None:
        count = len(self._met)
        if count < self._least:
            told = (
                f"only {count} of {self._least} within {_s(self._within_s)}"
                if count
                else f"nothing within {_s(self._within_s)}"
            )
            self.finish(Outcome(False, told, self._met, self._others()))

    def _others(self) -> tuple[str, ...]:
        """The last events of the kind, each with why it was not the one."""
        kind = self._conditions.kind
        fresh = [event for event in self.place.journal.newest(kind, 200) if event not in self._met]
        lines = []
        for event in fresh[-_SEEN:]:
            why = self._conditions.fault(event)
            if why is None:
                why = f"counted by '{event.claimed_by}'" if event.claimed_by else "it was before"
            lines.append(f"{event.line()}  ✗ {why}")
        met = [f"{event.line()}  ✓" for event in self._met[-_SEEN:]]
        return (*met, *lines) or (f"no {kind} at all",)


class LinksUp(Watch):
    """So many sessions are bound, within the time; with ``hold_s``, they stay so."""

    def __init__(
        self, place: Place, links: Links, count: Callable[[], int], within_s: float, hold_s: float | None
    ) -> None:
        super().__init__(place)
        self._links, self._count = links, count
        self._within_s, self._hold_s = within_s, hold_s
        self._holding = False

    def start(self) -> None:
        self.after(self._within_s, self._late)
        self.look(None)

    def look(self, event: Event | None) -> None:
        if event is not None and event.kind not in ("bind", "unbound"):
            return
        count = self._count()
        fault = self._links.fault(count)
        if fault is None and self._hold_s is None:
            self.finish(Outcome(True, f"{count} session(s) are bound"))
        elif fault is None and not self._holding:
            self._holding = True
            assert self._hold_s is not None
            self.after(self._hold_s, lambda: self.finish(Outcome(True, f"{self._count()} session(s) are bound")))
        elif fault is not None and self._holding:
            self.finish(Outcome(False, fault, (), () if event is None else (event.line(),)))

    def _late(self) -> None:
        if not self._holding:
            fault = self._links.fault(self._count()) or ""
            newest = [
                one.line() for kind in ("bind", "unbound", "bind_refused") for one in self.place.journal.newest(kind, 2)
            ]
            self.finish(Outcome(False, f"{fault} after {_s(self._within_s)}", (), tuple(newest)))


@dataclass
class _Account:
    """One message and how often it came."""

    events: list[Event] = field(default_factory=list)


class OnceEach(Watch):
    """So many different messages, each of them once."""

    def __init__(self, place: Place, once: Once, within_s: float, quiet_s: float) -> None:
        super().__init__(place)
        self._once = once
        self._within_s, self._quiet_s = within_s, quiet_s
        self._seen: dict[str, _Account] = {}

    def start(self) -> None:
        self.after(self._within_s, self._late)
        for event in self.place.journal.of(self._once.of, self.place.after):
            self._look(event)

    def look(self, event: Event | None) -> None:
        if event is None or event.kind != self._once.of:
            return
        key = self._once.key(event)
        if key is None:
            return
        known = self._seen.setdefault(key, _Account())
        if known.events and not self._excused(known.events):
            both = (known.events[-1].line(), event.line())
            self.finish(Outcome(False, f"'{key}' came again", (event,), both))
            return
        known.events.append(event)
        if len(known.events) > 1:
            return
        if len(self._seen) == self._once.count:
            self.after(self._quiet_s, self._still)
        elif len(self._seen) > self._once.count:
            what = f"{len(self._seen)} different ones, {self._once.count} were expected"
            self.finish(Outcome(False, what, (event,), (event.line(),)))

    def _excused(self, before: list[Event]) -> bool:
        """The ESME could not know that the first one was accepted."""
        return self._once.excuse == "unanswered" and all(
            isinstance(event, Submitted) and event.answered_at is None for event in before
        )

    def _still(self) -> None:
        again = sum(len(known.events) - 1 for known in self._seen.values())
        excused = f", {again} sent again after no answer" if again else ""
        self.finish(Outcome(True, f"{len(self._seen)} different ones, each once{excused}"))

    def _late(self) -> None:
        if len(self._seen) < self._once.count:
            what = f"{len(self._seen)} of {self._once.count} different ones within {_s(self._within_s)}"
            newest = tuple(one.line() for one in self.place.journal.newest(self._once.of, _SEEN))
            self.finish(Outcome(False, what, (), newest or (f"no {self._once.of} at all",)))


def judge_order(journal: Journal, order: Order, after: int) -> Outcome:
    """Whether what came so far came in ascending order."""
    before: tuple[tuple[int, str], Event] | None = None
    count = 0
    for event in journal.of(order.of, after):
        key = _unpart(order, event)
        if key is None:
            continue
        count += 1
        rank = _rank(key)
        if before is not None and rank < before[0]:
            seen = (f"{before[1].line()}  first", f"{event.line()}  then")
            return Outcome(False, f"'{key}' came after '{before[0][1]}'", (event,), seen)
        before = (rank, event)
    if count < order.at_least:
        return Outcome(False, f"{count} came, {order.at_least} are needed to see an order")
    return Outcome(True, f"{count} in order")


def _unpart(order: InBooks, event: Event) -> str | None:
    """The key; without ``by`` and ``match`` the destination: that a text is in order means nothing."""
    key = order.key(event)
    if key is None or order.by or order.match is not None:
        return key
    return str(getattr(event, "destination_addr" if order.of == "submit_sm" else "to"))


def _rank(key: str) -> tuple[int, str]:
    return (int(key), key) if key.isdigit() else (0, key)


def _summary(events: Sequence[Event]) -> str:
    if len(events) == 1:
        return events[0].line()
    return f"{len(events)}; the last: {events[-1].line()}"


def _times(count: int) -> str:
    return "1" if count == 1 else str(count)


def _s(seconds: float) -> str:
    return f"{seconds:g} s"
