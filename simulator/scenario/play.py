"""Plays one scenario against one simulator: its steps in order, each waited for; nothing is polled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from twisted.internet.defer import CancelledError

from simulator.errors import SimulatorError
from simulator.scenario import actions, variables
from simulator.scenario.always import Guards
from simulator.scenario.esme import Esme, run_command
from simulator.scenario.evidence import last_pdus
from simulator.scenario.faults import told
from simulator.scenario.feed import Feed
from simulator.scenario.journal import Journal
from simulator.scenario.load import Case
from simulator.scenario.lookout import Lookout
from simulator.scenario.model import Always, Step
from simulator.scenario.pace import Halted, Pace
from simulator.scenario.results import CaseResult, Failure, Status, StepResult
from simulator.scenario.titles import always_title, expected, step_title
from simulator.scenario.watches import Outcome, Watch
from simulator.simulator import Simulator

_PDUS = 12  # that a failed step tells
_FALSE = frozenset({"", "false", "no", "0"})


class StepFailed(Exception):
    """A step failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.what)
        self.failure = failure


@dataclass(frozen=True)
class _Begun:
    """An expectation in the background."""

    index: int
    step: Step
    at: float
    watch: Watch


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
        self._pace = Pace(self._schedule)
        self._lookout = Lookout(self.simulator, self.journal, case.scenario.within, patience)
        self._began = 0.0
        self._always: tuple[Always, ...] = ()
        self._guards = Guards((), self.journal, self._feed.open, self._broken)
        self._background: list[_Begun] = []
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
            self._always = self._filled_always()
            self._guards = Guards(self._always, self.journal, self._feed.open, self._broken)
            self._guards.start()
            self._on_ready(result)
            self._schedule.call_later(self._case.scenario.limit * self._patience, self._time_is_over)
            await self._play()
        finally:
            self._pace.finish()
            self._guards.stop()
            for begun in self._background:
                begun.watch.done.addErrback(lambda failure: failure.trap(CancelledError))
                begun.watch.done.cancel()
            if self._esme is not None:
                await self._esme.finish()
                result.esme_output = tuple(self._esme.lines)
            self._feed.stop()
            result.seconds = self._schedule.now() - self._began
            await self.simulator.stop()
        return result

    async def _play(self) -> None:
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
            assert self._pace.failure is not None
        for index in range(done, count):
            self._note(index, self._title(index), "not_run", self._schedule.now())
        for begun in self._background:
            self._note(begun.index, step_title(begun.step), "not_run", begun.at)
        if self._pace.failure is not None and not self.result.failed:
            line = self._case.document.line(("steps",))
            at_s = self._schedule.now() - self._began
            self._tell(StepResult(0, "the scenario", "limit", line, "failed", at_s, 0.0, failure=self._pace.failure))
        for number, always in enumerate(self._always):
            if not any(step.number == 0 and step.title == always_title(always) for step in self.result.steps):
                line = self._case.document.line(("always", number))
                told_at = self._guards.told(always)
                self._tell(StepResult(0, always_title(always), "always", line, "passed", 0.0, 0.0, told_at))

    def _told_by_run(self) -> dict[str, str]:
        simulator = self.simulator
        host = simulator.settings.host
        control = f"http://{simulator.settings.control.host}:{simulator.control_port}"
        values = {"host": host, "control": control, "page": f"{control}/page", "seed": str(simulator.seed)}
        for name, port in simulator.ports.items():
            values.setdefault("port", str(port))
            values[f"port.{name}"] = str(port)
        return values

    def _filled_always(self) -> tuple[Always, ...]:
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
        self._pace.stop(Failure("interrupted"))

    def _broken(self, always: Always, what: str, seen: tuple[str, ...]) -> None:
        failure = Failure(what, always_title(always), seen, self._pdus())
        line = self._case.document.line(("always", self._always.index(always)))
        at_s = self._schedule.now() - self._began
        self._tell(StepResult(0, always_title(always), "always", line, "failed", at_s, 0.0, failure=failure))
        self._pace.stop(failure)

    def _time_is_over(self) -> None:
        limit = self._case.scenario.limit * self._patience
        self._pace.stop(Failure(f"the scenario's limit of {limit:g} s is over", pdus=self._pdus()))

    def _esme_ended(self, what: str) -> None:
        assert self._esme is not None
        self._pace.stop(Failure(what, "the ESME runs", tuple(list(self._esme.lines)[-10:]), self._pdus()))

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
            if not await self._pace.wait(waiting):
                what = f"the ESME was not ready within {ready.within * self._patience:g} s"
                wanted = (
                    f"a line that matches /{ready.output}/" if ready.output is not None else f"{ready.binds} bind(s)"
                )
                wrote = tuple(f"the ESME wrote: {line}" for line in list(self._esme.lines)[-5:])
                self._pace.stop(Failure(what, wanted, wrote or ("the ESME wrote nothing",), self._pdus()))
                raise Halted

    def _links(self) -> int:
        return sum(len(account.sessions) for account in self.simulator.accounts.values())

    # Steps

    async def _step(self, index: int) -> bool:
        """Do one step. False: it failed. Raises :class:`Halted`."""
        began = self._schedule.now()
        try:
            if self._is_left_out(index):
                self._note(index, self._title(index), "left_out", began)
                return True
            step = self._case.step(index, {**self._values, "i": "1"})
        except SimulatorError as error:
            self._note(index, self._title(index), "failed", began, failure=Failure(str(error)))
            return False
        title = step_title(step)
        try:
            if step.at is not None:
                await self._pace.sleep(max(0.0, self._began + step.at - self._schedule.now()))
                began = self._schedule.now()
            if step.name is not None:
                self._lookout.mark(step.name)
            if step.expect is not None or step.never is not None:
                told = await self._look(index, step, title)
            else:
                told = await self._act(index, step, title)
        except StepFailed as error:
            self._note(index, title, "failed", began, failure=error.failure)
            return False
        except SimulatorError as error:
            self._note(index, title, "failed", began, failure=Failure(str(error), pdus=self._pdus()))
            return False
        except Halted:
            if self.result.failed:  # a line of `always` has told it
                self._note(index, title, "not_run", began)
            else:
                self._note(index, title, "failed", began, failure=self._pace.failure)
            raise
        if not step.background:
            self._note(index, title, "passed", began, told)
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
                    await self._pace.sleep(step.every)
                self._pace.check()
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
            await self._pace.wait(self._esme.order(step.esme))
            return {}
        if step.wait is not None:
            await self._pace.sleep(step.wait)
            return {}
        assert step.run is not None
        return await self._run_command(index, step)

    async def _run_command(self, index: int, step: Step) -> Mapping[str, str]:
        assert step.run is not None
        where = self._case.document.where(("steps", index, "run"))
        within_s = step.run.within * self._patience
        running = run_command(self._reactor, step.run, where, self._schedule, within_s)
        code, lines = await self._pace.wait(running)
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
        outcome = self._lookout.judge_now(step.expect) if step.expect is not None else None
        if outcome is None:
            watch = self._lookout.watch(step, title)
            watch.begin()
            if step.background:
                self._background.append(_Begun(index, step, self._schedule.now(), watch))
                return ""
            outcome = await self._pace.wait(watch.done)
        return self._judged(step, outcome)

    def _judged(self, step: Step, outcome: Outcome) -> str:
        """What is told of an expectation that was met; its variables are saved. Raises :class:`StepFailed`."""
        if not outcome.passed:
            wanted = expected(step.expect) if step.expect is not None else step_title(step)
            if step.expect is not None and step.expect.order is None:
                wanted += f" within {self._lookout.within(step.expect):g} s"
            raise StepFailed(Failure(outcome.told, wanted, outcome.seen, self._pdus()))
        if outcome.met and step.expect is not None:
            conditions = step.expect.conditions
            if conditions is not None:
                self._values |= conditions.groups(outcome.met[-1])
            self._values |= actions.take(step.save, outcome.met[-1])
        return outcome.told

    async def _finish_background(self) -> None:
        """Wait for what was begun in the background."""
        while self._background:
            begun = self._background[0]
            outcome = await self._pace.wait(begun.watch.done)
            self._background.pop(0)
            title = step_title(begun.step)
            try:
                self._note(begun.index, title, "passed", begun.at, self._judged(begun.step, outcome))
            except StepFailed as error:
                self._note(begun.index, title, "failed", begun.at, failure=error.failure)

    # Results

    def _title(self, index: int) -> str:
        raw = self._case.filled["steps"][index]
        return str(raw["name"]) if "name" in raw else step_title(self._case.scenario.steps[index])

    def _note(
        self, index: int, title: str, status: Status, began: float, told: str = "", failure: Failure | None = None
    ) -> None:
        self._tell(
            StepResult(
                number=index + 1,
                title=title,
                verb=self._case.scenario.steps[index].verb,
                line=self._case.document.line(("steps", index)),
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
