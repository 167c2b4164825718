"""A scenario without sockets: the test plays the ESME and moves the clock."""

from __future__ import annotations

from typing import Any

from simulator_rig import HANDSET, Esme, FakeReactor
from twisted.internet.defer import Deferred

from simulator.scenario.load import Given, load
from simulator.scenario.play import Play
from simulator.scenario.results import CaseResult, StepResult
from simulator.scenario.yaml_lines import parse

HEAD = """
simulator:
  accounts:
    acc: {port: 2775, receipts: {delay: 0.1}}
"""
STEP_S = 0.05


class ScenarioRig:
    """One scenario under way. ``steps`` is the text below ``steps:``; ``head`` what stands before."""

    def __init__(self, steps: str, head: str = HEAD, **settings: str) -> None:
        document = parse("test.yaml", f"{head}\nsteps:\n{steps}")
        [case] = load(document, "test", Given(settings))
        self.reactor = FakeReactor()
        self.told: list[StepResult] = []
        self.play = Play(self.reactor, case, on_step=self.told.append)
        self.simulator = self.play.simulator
        self._results: list[CaseResult] = []
        self._done: Deferred[CaseResult] = Deferred.fromCoroutine(self.play.run())
        self._done.addCallback(self._results.append)
        self.esmes: list[Esme] = []

    def esme(self, port: int = 2775) -> Esme:
        """A connected ESME, not bound."""
        esme = Esme(self.reactor, port)
        self.esmes.append(esme)
        return esme

    def bound(self, **fields: Any) -> Esme:
        esme = self.esme()
        assert esme.bind(**fields) == 0
        return esme

    def advance(self, seconds: float) -> None:
        """Let time pass; ESMEs answer what they are sent."""
        for _ in range(max(1, round(seconds / STEP_S))):
            if self._results:
                return
            self.reactor.advance(STEP_S)
            for esme in self.esmes:
                if not esme.closed:
                    esme.read()

    @property
    def over(self) -> bool:
        return bool(self._results)

    def finish(self) -> CaseResult:
        """Let time pass until the scenario is over."""
        self.advance(200)
        assert self._results, f"it is not over; so far: {[step.title for step in self.told]}"
        return self._results[0]


def played(steps: str, esme: Any = None, head: str = HEAD, **settings: str) -> CaseResult:
    """Play a scenario to its end; ``esme(rig)`` says what the ESME does first."""
    rig = ScenarioRig(steps, head, **settings)
    if esme is not None:
        esme(rig)
    return rig.finish()


def failure(result: CaseResult) -> str:
    """All that the first failed step tells."""
    [failed, *_] = result.failed
    assert failed.failure is not None
    return "\n".join([failed.failure.what, failed.failure.expected, *failed.failure.seen, *failed.failure.pdus])


__all__ = ["HANDSET", "HEAD", "ScenarioRig", "failure", "played"]
