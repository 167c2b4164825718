"""The ESME under test while a scenario starts and ends it, and commands that a step runs to their end."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from simulator.errors import SimulatorError
from simulator.scenario.events import OutputLine
from simulator.scenario.journal import Journal
from simulator.scenario.model import EsmeUnderTest, RunAction
from simulator.scenario.process import Program
from simulator.schedule import Schedule

_KEPT_LINES = 200


class Esme:
    """One ESME, over all its lives.

    Args:
        section: the scenario's ``esme``, everything put in.
        on_end: told when it ended though nobody asked it to.
    """

    def __init__(
        self,
        reactor: Any,
        section: Mapping[str, Any],
        where: str,
        journal: Journal,
        schedule: Schedule,
        on_end: Callable[[str], None],
    ) -> None:
        self.settings = EsmeUnderTest.model_validate(section)
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._reactor = reactor
        self._where = where
        self._journal = journal
        self._schedule = schedule
        self._on_end = on_end
        self._program: Program | None = None
        self._wanted = False  # it should run

    def start(self) -> None:
        """Start it. Raises :class:`SimulatorError` when there is no such program, or it runs already."""
        if self._program is not None and self._program.running:
            raise SimulatorError(self._where, "the ESME runs already", "Stop it first: esme: stop, or esme: restart")
        self._wanted = True
        program = Program.start(self._reactor, self.settings.command, self.settings.env, self._wrote, self._where)
        self._program = program
        program.ended().addCallback(self._ended)

    def order(self, what: str) -> Deferred[None]:
        """start, stop, kill, restart. Fires when it is done."""
        done: Deferred[None] = Deferred()
        if what == "start":
            self.start()
            done.callback(None)
            return done
        ending = self._end("KILL" if what == "kill" else "TERM")
        if what == "restart":
            ending.addCallback(lambda _: self.start())
        ending.addCallback(lambda _: None if done.called else done.callback(None))
        ending.addErrback(lambda failure: None if done.called else done.errback(failure))
        return done

    def finish(self) -> Deferred[int]:
        """The end of the scenario: SIGTERM, and SIGKILL when that is not enough."""
        return self._end("TERM")

    def until_ready(self, links: Callable[[], int], within_s: float) -> Deferred[bool]:
        """Fires with True when it is ready, with False when that did not come in time or it has ended."""
        ready = self.settings.ready
        answer: Deferred[bool] = Deferred()

        def decide(outcome: bool) -> None:
            self._journal.unwatch(look)
            if not answer.called:
                answer.callback(outcome)

        def look(_: object) -> None:
            assert ready is not None
            lines_fit = ready.output is None or any(re.search(ready.output, line) for line in self.lines)
            if lines_fit and (ready.binds is None or links() >= ready.binds):
                decide(True)

        self._journal.watch(look)
        self._schedule.call_later(within_s, decide, False)
        look(None)
        return answer

    def _end(self, signal: str) -> Deferred[int]:
        self._wanted = False
        ended: Deferred[int] = Deferred()
        if self._program is None or not self._program.running:
            ended.callback(0)
            return ended
        program = self._program
        program.ended().chainDeferred(ended)
        program.signal(signal)
        # On the reactor itself: the simulator's own schedule may have ended by then.
        kill = self._reactor.callLater(self.settings.stop_within, program.signal, "KILL")

        def cleared(code: int) -> int:
            if kill.active():
                kill.cancel()
            return code

        return ended.addCallback(cleared)

    def _ended(self, code: int) -> None:
        if not self._wanted:
            return
        if code != 0 or not self.settings.may_end:
            how = f"exit code {code}" if code >= 0 else f"signal {-code}"
            self._on_end(f"the ESME ended by itself with {how}")
        self._wanted = False

    def _wrote(self, line: str) -> None:
        self.lines.append(line)
        self._journal.add(OutputLine(at=self._schedule.now(), text=line))


def run_command(
    reactor: Any, action: RunAction, where: str, schedule: Schedule, within_s: float
) -> Deferred[tuple[int | None, list[str]]]:
    """Run a command to its end: its exit code and what it wrote. After ``within_s`` it is killed, and the code is None.

    Raises:
        SimulatorError: there is no such program.
    """
    program = Program.start(reactor, action.command, action.env, lambda _: None, where)
    late: list[bool] = []

    def too_late() -> None:
        if program.running:
            late.append(True)
            program.signal("KILL")

    schedule.call_later(within_s, too_late)
    answer: Deferred[tuple[int | None, list[str]]] = Deferred(lambda _: program.signal("KILL"))

    def over(code: int) -> None:
        if not answer.called:
            answer.callback((None if late else code, list(program.lines)))

    program.ended().addCallback(over)
    return answer
