"""What came of a scenario, as values for the reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["passed", "failed", "left_out", "not_run"]


@dataclass(frozen=True)
class Failure:
    """Why a step failed: what was expected, and what was seen in its place."""

    what: str  # one line
    expected: str = ""
    seen: tuple[str, ...] = ()  # the last events of that kind, each with why it was not the one
    pdus: tuple[str, ...] = ()  # the last PDUs on the wire


@dataclass(frozen=True)
class StepResult:
    """One step, or one line of ``always``."""

    number: int  # from 1; 0: of ``always``
    title: str
    verb: str
    line: int  # of the file
    status: Status
    at_s: float  # since the first step began
    seconds: float
    told: str = ""  # what was seen, in a line
    failure: Failure | None = None


@dataclass
class CaseResult:
    """One scenario as it went."""

    name: str
    about: str
    file: str
    seed: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    control: str = ""
    began_at: float = 0.0  # Unix time
    seconds: float = 0.0
    steps: list[StepResult] = field(default_factory=list)
    esme_output: tuple[str, ...] = ()  # its last lines

    @property
    def passed(self) -> bool:
        return not self.failed

    @property
    def failed(self) -> Sequence[StepResult]:
        return [step for step in self.steps if step.status == "failed"]

    def count(self, status: Status) -> int:
        return sum(step.status == status for step in self.steps)
