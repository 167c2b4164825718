"""Plays one scenario against one simulator: its steps in order, each waited for; nothing is polled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from twisted.internet.defer import CancelledError, Deferred

from simulator.errors import SimulatorError
from simulator.scenario import actions, variables
from simulator.scenario.always import Guards
from simulator.scenario.esme import Esme, run_command
from simulator.scenario.evidence import last_pdus
from simulator.scenario.expectations import Expect, Never
from simulator.scenario.faults import told
from simulator.scenario.feed import Feed
from simulator.scenario.journal import Journal
from simulator.scenario.load import Case
from simulator.scenario.model import Always, Step
from simulator.scenario.results import CaseResult, Failure, Status, StepResult
from simulator.scenario.titles import always_title, expected, step_title
from simulator.scenario.watches import Counting, LinksUp, OnceEach, Outcome, Place, Watch, judge_order
from simulator.simulator import Simulator

T = TypeVar("T")
_PDUS = 12  # that a failed step tells
_FALSE = frozenset({"", "false", "no", "0"})


class Halted(Exception):
    """The scenario cannot go on: something that must always hold was broken, the ESME ended, the time is over."""


class StepFailed(Exception):
    """A step failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.what)
        self.failure = failure


class Play:
    """One run of one case.

    Args:
        reactor: time, ports, programs.
        case: what is played.
        patience: every time limit is multiplied by it, for slow machines.
        on_ready: told when the ports are open, before the ESME is started.
        on_step: told of each step when it is over.
    """

    def __init__(
        self,
        reactor: Any,
        case: Case,
        *,
        patience: float = 1.0,
        on_ready: Callable[[CaseResult], None] = lambda _: None,
        on_step: Callable[[StepResult], None] = lambda _: None,
    ) -> None:
        self.simulator = Simulator(reactor, case.scenario.simulator)
        self.journal = Journal()
        self._feed = Feed(self.simulator, self.journal)
        self._reactor = reactor
        self._case = case
        self._patience = patience
        self._on_ready, self._on_step = on_ready, on_step
        self._schedule = self.simulator.world.schedule
        self.result = CaseResult(case.name, " ".join(case.scenario.about.split()), case.document.name)
        self._values: dict[str, str] = {}  # told by the run, saved by steps
        self._marks: dict[str, int] = {}  # the journal's count when a named step began
        self._waiting: Deferred[Any] | None = None
        self._halt: Failure | None = None
        self._over = False
        self._began = 0.0
        self._guards = Guards((), self.journal, self._feed.open, self._broken)
        self._background: list[tuple[int, Step, float, Watch]] = []
        self._esme: Esme | None = None

    # The whole

    async def run(self) -> CaseResult:
        """Play it to its end; everything that was started is ended. Raises :class:`SimulatorError` when it cannot begin."""
        result = self.result
        self.simulator.start()
        self._feed.start()
        self._values = self._told_by_run()
        result.seed, result.ports = self.simulator.seed, dict(self.simulator.ports)
        result.control = self._values["control"]
        self._began = result.began_at = self._schedule.now()
        try:
            always = self._always()
            self._guards = Guards(always, self.journal, self._feed.open, self._broken)
            self._guards.start()
            self._on_ready(result)
            self._schedule.call_later(self._case.scenario.limit * self._patience, self._time_is_over)
            await self._play(always)
        finally:
            self._over = True
            self._guards.stop()
            for _, _, _, watch in self._background:
                watch.done.addErrback(lambda failure: failure.trap(CancelledError))
                watch.done.cancel()
            if self._esme is not None:
                await self._esme.finish()
                result.esme_output = tuple(self._esme.lines)
            self._feed.stop()
            result.seconds = self._schedule.now() - self._began
            await self.simulator.stop()
        return result

    async def _play(self, always: tuple[Always, ...]) -> None:
        count = len(self._case.scenario.steps)
        done = 0
        try:
            await self._start_esme()
            for index in range(count):
                done = index + 1
                if not await self._step(index):
                    break
            else:
                await self._finish_background()
        except Halted:
            assert self._halt is not None
        for index in range(done, count):
            self._note(index, self._title(index), "", "not_run", self._schedule.now())
        for _, step, began, _ in self._background:
            self._note_step(-1, step, "not_run", began)
        if self._halt is not None and not self.result.failed:
            self._note(-1, "the scenario", "", "failed", self._schedule.now(), failure=self._halt)
        for number, one in enumerate(always):
            if not any(step.number == 0 and step.title == always_title(one) for step in self.result.steps):
                line = self._case.document.line(("always", number))
                told_at = self._guards.told(one)
                self._tell(StepResult(0, always_title(one), "always", line, "passed", 0.0, 0.0, told_at))

    def _told_by_run(self) -> dict[str, str]:
        simulator = self.simulator
        host = simulator.settings.host
        control = f"http://{simulator.settings.control.host}:{simulator.control_port}"
        values = {"host": host, "control": control, "page": f"{control}/page", "seed": str(simulator.seed)}
        for name, port in simulator.ports.items():
            values.setdefault("port", str(port))
            values[f"port.{name}"] = str(port)
        return values

    def _always(self) -> tuple[Always, ...]:
        filled = self._case.filled_section("always", self._values) or []
        lines = []
        for number, one in enumerate(filled):
            try:
                lines.append(Always.model_validate(one))
            except ValidationError as error:
                raise told(self._case.document, Always, error, ("always", number))[0] from error
        return tuple(lines)

    # Ends that no step decides

    def interrupt(self) -> None:
        """Somebody wants it to end now."""
        self._stop(Failure("interrupted"))

    def _broken(self, always: Always, what: str, seen: tuple[str, ...]) -> None:
        number = self._case.scenario.always.index(always) if always in self._case.scenario.always else 0
        failure = Failure(what, always_title(always), seen, self._pdus())
        line = self._case.document.line(("always", number))
        at_s = self._schedule.now() - self._began
        self._tell(StepResult(0, always_title(always), "always", line, "failed", at_s, 0.0, failure=failure))
        self._stop(failure)

    def _time_is_over(self) -> None:
        limit = self._case.scenario.limit * self._patience
        self._stop(Failure(f"the scenario's limit of {limit:g} s is over", pdus=self._pdus()))

    def _esme_ended(self, what: str) -> None:
        assert self._esme is not None
        self._stop(Failure(what, "the ESME runs", tuple(list(self._esme.lines)[-10:]), self._pdus()))

    def _stop(self, failure: Failure) -> None:
        if self._halt is None and not self._over:
            self._halt = failure
            self._schedule.call_later(0, self._wake)  # not in the middle of a PDU's handling

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    async def _await(self, deferred: Deferred[T]) -> T:
        """Wait, unless the scenario is stopped meanwhile. Raises :class:`Halted`."""
        if self._halt is not None:
            deferred.addErrback(lambda failure: failure.trap(CancelledError))
            deferred.cancel()
            raise Halted
        self._waiting = deferred
        try:
            return await deferred
        except CancelledError:
            raise Halted from None
        finally:
            self._waiting = None

    async def _sleep(self, seconds: float) -> None:
        """Let time pass."""
        passed: Deferred[None] = Deferred()
        self._schedule.call_later(seconds, lambda: None if passed.called else passed.callback(None))
        await self._await(passed)

    # The ESME under test

    async def _start_esme(self) -> None:
        section = self._case.filled_section("esme", self._values)
        if section is None:
            return
        where = self._case.document.where(("esme", "command"))
        self._esme = Esme(self._reactor, section, where, self.journal, self._schedule, self._esme_ended)
        self._esme.start()
        ready = self._esme.settings.ready
        if ready is not None:
            waiting = self._esme.until_ready(self._links, ready.within * self._patience)
            if not await self._await(waiting):
                what = f"the ESME was not ready within {ready.within * self._patience:g} s"
                wanted = (
                    f"a line that matches /{ready.output}/" if ready.output is not None else f"{ready.binds} bind(s)"
                )
                wrote = tuple(f"the ESME wrote: {line}" for line in list(self._esme.lines)[-5:])
                self._stop(Failure(what, wanted, wrote or ("the ESME wrote nothing",), self._pdus()))
                raise Halted

    def _links(self) -> int:
        return sum(len(account.sessions) for account in self.simulator.accounts.values())

    # Steps

    async def _step(self, index: int) -> bool:
        """Do one step. False: it failed. Raises :class:`Halted`."""
        began = self._schedule.now()
        try:
            if self._is_left_out(index):
                self._note(index, self._title(index), "", "left_out", began)
                return True
            step = self._case.step(index, {**self._values, "i": "1"})
        except SimulatorError as error:
            self._note(index, self._title(index), "", "failed", began, failure=Failure(str(error)))
            return False
        title = step_title(step)
        try:
            if step.at is not None:
                await self._sleep(max(0.0, self._began + step.at - self._schedule.now()))
                began = self._schedule.now()
            if step.name is not None:
                self._marks[step.name] = self.journal.count
            if step.expect is not None or step.never is not None:
                told = await self._look(index, step, title)
            else:
                told = await self._act(index, step, title)
        except StepFailed as error:
            self._note_step(index, step, "failed", began, failure=error.failure)
            return False
        except SimulatorError as error:
            self._note_step(index, step, "failed", began, failure=Failure(str(error), pdus=self._pdus()))
            return False
        except Halted:
            if self.result.failed:  # a line of `always` has told it
                self._note_step(index, step, "not_run", began)
            else:
                self._note_step(index, step, "failed", began, failure=self._halt)
            raise
        if not step.background:
            self._note_step(index, step, "passed", began, told)
        return True

    def _is_left_out(self, index: int) -> bool:
        raw = self._case.filled["steps"][index]
        values = {**self._case.variables, **self._values}
        for key, wanted in (("when", True), ("unless", False)):
            if key in raw:
                try:
                    text = str(variables.fill(str(raw[key]), values)).strip().lower()
                except variables.UnknownVariable:
                    text = ""
                if (text not in _FALSE) is not wanted:
                    return True
        return False

    async def _act(self, index: int, step: Step, title: str) -> str:
        """An action, as often as it says."""
        saved: Mapping[str, str] = {}
        for number in range(1, step.times + 1):
            if number > 1:
                if step.every:
                    await self._sleep(step.every)
                elif self._halt is not None:
                    raise Halted
                step = self._case.step(index, {**self._values, "i": str(number)})
            saved = await self._do(index, step, title)
        self._values |= actions.take(step.save, saved)
        return saved.get("told", "")

    async def _do(self, index: int, step: Step, title: str) -> Mapping[str, str]:
        simulator = self.simulator
        if step.mo is not None:
            return actions.send_mo(simulator, self._feed, step.mo, title)
        if step.fault is not None:
            return actions.order_fault(simulator, step.fault)
        if step.clear is not None:
            return actions.clear_faults(simulator, step.clear)
        if step.balance is not None:
            return actions.set_balance(simulator, step.balance)
        if step.outage is not None:
            return actions.begin_outage(simulator, step.outage)
        if step.esme is not None:
            assert self._esme is not None
            await self._await(self._esme.order(step.esme))
            return {}
        if step.wait is not None:
            await self._sleep(step.wait)
            return {}
        assert step.run is not None
        return await self._run_command(index, step)

    async def _run_command(self, index: int, step: Step) -> Mapping[str, str]:
        assert step.run is not None
        where = self._case.document.where(("steps", index, "run"))
        within_s = step.run.within * self._patience
        running = run_command(self._reactor, step.run, where, self._schedule, within_s)
        code, lines = await self._await(running)
        if code is None or code != step.run.exit:
            what = (
                f"not over within {within_s:g} s" if code is None else f"exit code {code}, {step.run.exit} was expected"
            )
            raise StepFailed(Failure(what, " ".join(step.run.command), tuple(lines[-10:]), self._pdus()))
        output = "\n".join(lines)
        fault = None if step.run.output is None else step.run.output.fault(output)
        if fault is not None:
            raise StepFailed(Failure(f"its output {fault}", " ".join(step.run.command), tuple(lines[-10:])))
        return {"output": output, "exit": str(code), "told": lines[-1] if lines else ""}

    # Expectations

    async def _look(self, index: int, step: Step, title: str) -> str:
        if step.expect is not None and step.expect.order is not None:
            outcome = judge_order(self.journal, step.expect.order, self._after(step.expect.since, "start"))
        else:
            watch = self._watch(step, title)
            if step.background:
                watch.begin()
                self._background.append((index, step, self._schedule.now(), watch))
                return ""
            watch.begin()
            outcome = await self._await(watch.done)
        return self._judged(step, outcome)

    def _judged(self, step: Step, outcome: Outcome) -> str:
        """What is told of an expectation that was met; its variables are saved. Raises :class:`StepFailed`."""
        if not outcome.passed:
            wanted = expected(step.expect) if step.expect is not None else step_title(step)
            if step.expect is not None and step.expect.order is None:
                wanted += f" within {self._within(step.expect):g} s"
            raise StepFailed(Failure(outcome.told, wanted, outcome.seen, self._pdus()))
        if outcome.met and step.expect is not None:
            conditions = step.expect.conditions
            if conditions is not None:
                self._values |= conditions.groups(outcome.met[-1])
            self._values |= actions.take(step.save, outcome.met[-1])
        return outcome.told

    def _watch(self, step: Step, title: str) -> Watch:
        if step.never is not None:
            return self._never(step.never, title)
        expect = step.expect
        assert expect is not None
        within_s = self._within(expect)
        place = Place(self.journal, self._schedule, title, self._after(expect.since, "start"))
        if expect.links is not None:
            links = expect.links

            def count() -> int:
                return sum(
                    links.mode in (None, session.mode)
                    for account in self.simulator.accounts.values()
                    if links.account in (None, account.name)
                    for session in account.sessions
                )

            return LinksUp(place, links, count, within_s, expect.during)
        if expect.once is not None:
            return OnceEach(place, expect.once, within_s, expect.quiet_s)
        conditions = expect.conditions
        assert conditions is not None
        return Counting(place, conditions, expect.least, expect.most, within_s, expect.quiet_s, expect.again)

    def _never(self, never: Never, title: str) -> Watch:
        place = Place(self.journal, self._schedule, title, self._after(never.since, "now"))
        assert never.conditions is not None
        return Counting(place, never.conditions, 0, 0, 0.0, never.during, again=True)

    def _within(self, expect: Expect) -> float:
        within = self._case.scenario.within if expect.within is None else expect.within
        return within * self._patience

    def _after(self, since: str | None, default: str) -> int:
        """The number of the last event that does not count."""
        mark = default if since is None else since
        if mark == "start":
            return 0
        return self.journal.count if mark == "now" else self._marks[mark]

    async def _finish_background(self) -> None:
        """Wait for what was begun in the background."""
        while self._background:
            index, step, began, watch = self._background[0]
            outcome = await self._await(watch.done)
            self._background.pop(0)
            try:
                self._note_step(index, step, "passed", began, self._judged(step, outcome))
            except StepFailed as error:
                self._note_step(index, step, "failed", began, failure=error.failure)

    # Results

    def _title(self, index: int) -> str:
        raw = self._case.filled["steps"][index]
        return str(raw["name"]) if "name" in raw else step_title(self._case.scenario.steps[index])

    def _note_step(
        self, index: int, step: Step, status: Status, began: float, told: str = "", failure: Failure | None = None
    ) -> None:
        if index < 0:
            index = next(number for number, one, _, _ in self._background if one is step)
        self._note(index, step_title(step), told, status, began, step.verb, failure)

    def _note(
        self,
        index: int,
        title: str,
        told: str,
        status: Status,
        began: float,
        verb: str = "",
        failure: Failure | None = None,
    ) -> None:
        path = ("steps", index) if index >= 0 else ("limit",)
        self._tell(
            StepResult(
                number=index + 1,
                title=title,
                verb=verb or (self._case.scenario.steps[index].verb if index >= 0 else "limit"),
                line=self._case.document.line(path),
                status=status,
                at_s=began - self._began,
                seconds=self._schedule.now() - began,
                told=told,
                failure=failure,
            )
        )

    def _tell(self, step: StepResult) -> None:
        self.result.steps.append(step)
        self._on_step(step)

    def _pdus(self) -> tuple[str, ...]:
        return last_pdus(self.simulator, _PDUS, self._began)
