"""Makes the watch that a step's expectation asks for: over which events it looks, for how long."""

from __future__ import annotations

from simulator.errors import RequestError
from simulator.scenario.expectations import Expect, Links, Never
from simulator.scenario.journal import Journal
from simulator.scenario.model import Step
from simulator.scenario.watches import Counting, LinksUp, OnceEach, Outcome, Place, Watch, judge_order
from simulator.simulator import Simulator


class Lookout:
    """One scenario's expectations. ``within_s`` and ``patience``: the usual limit, and what limits are multiplied by."""

    def __init__(self, simulator: Simulator, journal: Journal, within_s: float, patience: float) -> None:
        self._simulator = simulator
        self._journal = journal
        self._within_s = within_s
        self._patience = patience
        self._marks: dict[str, int] = {}  # the journal's count when a named step began

    def mark(self, name: str) -> None:
        """A named step begins."""
        self._marks[name] = self._journal.count

    def within(self, expect: Expect) -> float:
        """The time limit of an expectation, in seconds."""
        return (self._within_s if expect.within is None else expect.within) * self._patience

    def judge_now(self, expect: Expect) -> Outcome | None:
        """The outcome of an expectation that waits for nothing; None: it waits."""
        if expect.order is None:
            return None
        return judge_order(self._journal, expect.order, self._after(expect.since, "start"))

    def watch(self, step: Step, title: str) -> Watch:
        """What waits for a step's `expect` or `never`. Raises :class:`RequestError`."""
        if step.never is not None:
            return self._never(step.never, title)
        expect = step.expect
        assert expect is not None
        place = self._place(title, expect.since, "start")
        within_s = self.within(expect)
        if expect.links is not None:
            links = expect.links
            return LinksUp(place, links, lambda: self._count(links), within_s, expect.during)
        if expect.once is not None:
            return OnceEach(place, expect.once, within_s, expect.quiet_s)
        conditions = expect.conditions
        assert conditions is not None
        return Counting(place, conditions, expect.least, expect.most, within_s, expect.quiet_s, expect.again)

    def _never(self, never: Never, title: str) -> Watch:
        assert never.conditions is not None
        place = self._place(title, never.since, "now")
        return Counting(place, never.conditions, 0, 0, 0.0, never.during, again=True)

    def _place(self, title: str, since: str | None, default: str) -> Place:
        return Place(self._journal, self._simulator.world.schedule, title, self._after(since, default))

    def _after(self, since: str | None, default: str) -> int:
        """The number of the last event that does not count."""
        mark = default if since is None else since
        if mark == "start":
            return 0
        if mark == "now":
            return self._journal.count
        if mark not in self._marks:
            raise RequestError("since", f"the step '{mark}' was left out", "Give both steps the same 'when'")
        return self._marks[mark]

    def _count(self, links: Links) -> int:
        return sum(
            links.mode in (None, session.mode)
            for account in self._simulator.accounts.values()
            if links.account in (None, account.name)
            for session in account.sessions
        )
