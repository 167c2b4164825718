"""What a survey finds, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    FAULT = "fault"  # something will not work
    WARNING = "warning"  # it works, and some citizen will be the worse for it
    NOTE = "note"  # good to know


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at: where it is set right, what is the matter, what to do."""

    level: Level
    path: str  # of the configuration
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.level.value}: {self.path}: {self.what}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a question took, in milliseconds, and whether an index answers it (None: the database does not tell)."""

    question: str
    ms: float
    indexed: bool | None
    plan: str = ""


@dataclass(slots=True)
class Survey:
    """All that was found out about one source."""

    source: str
    view: str
    findings: list[Finding] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)  # contract column → the view's own
    types: dict[str, str] = field(default_factory=dict)  # contract column → type as the database names it
    rows: int | None = None  # of the whole view; None: not counted in time
    sampled: int = 0
    incremental: bool = False
    newest: str = ""  # updated_at, Vietnamese time
    words: dict[str, int] = field(default_factory=dict)  # status word → rows
    states: dict[str, str] = field(default_factory=dict)  # status word → our state; unmapped words are missing
    agencies: dict[str, int] = field(default_factory=dict)  # of the sample
    numbers: dict[str, int] = field(default_factory=dict)  # OK or the reason → rows of the sample
    flags: dict[str, int] = field(default_factory=dict)
    encodings: dict[str, int] = field(default_factory=dict)  # trap → texts of the sample
    timings: list[Timing] = field(default_factory=list)

    def add(self, level: Level, key: str, what: str, remedy: str) -> None:
        """``key``: the place under the source; "" for the source itself."""
        self.findings.append(Finding(level, f"sources.{self.source}" + (f".{key}" if key else ""), what, remedy))

    @property
    def faults(self) -> int:
        return sum(finding.level is Level.FAULT for finding in self.findings)
