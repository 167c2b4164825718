"""The officials at work: what they do to dossiers in their own software, and what each citizen must hear of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from demo.agencies import CaseFile, Stage
from demo.province import ROLES, Province
from gateway.model import MessageKind


@dataclass(frozen=True, slots=True)
class Expected:
    """A notice that must come of what was done. ``taken_back``: it was made and must not have left."""

    source: str
    file: CaseFile
    kind: MessageKind
    taken_back: bool = False


@dataclass
class Counter:
    """Moves dossiers and keeps the demonstration's own books of it, apart from the gateway's."""

    province: Province
    stages: dict[tuple[str, str], Stage] = field(default_factory=dict)  # (source, code): where it was put last

    def morning(self, now: datetime) -> int:
        """Results ready, supplements, and the mistakes that are found out later. Returns the number of moves."""
        return sum(
            (
                self._move(
                    ("ready", "by_post", "same_day", "mistake", "mixed_up", "handed_over"), Stage.RESULT_READY, now
                ),
                self._move(("supplement",), Stage.SUPPLEMENT, now),
                self._move(("supplement_at_office",), Stage.SUPPLEMENT_AT_OFFICE, now),
                self._move(("withdrawn",), Stage.SUPPLEMENT, now),
            )
        )

    def second_thoughts(self, now: datetime) -> int:
        """Within the hold: mistakes taken back, results fetched already, a dossier withdrawn."""
        return sum(
            (
                self._move(("mistake",), Stage.PROCESSING, now),
                self._move(("mixed_up",), Stage.SUPPLEMENT, now),
                self._move(("handed_over",), Stage.RETURNED, now),
                self._move(("withdrawn",), Stage.WITHDRAWN, now),
            )
        )

    def evening(self, now: datetime) -> int:
        """Results that come after the apology of the same day."""
        return self._move(("evening",), Stage.RESULT_READY, now)

    def expected(self) -> list[Expected]:
        """Every notice that must have been made by the end of the story."""
        found: list[Expected] = []
        for source, file in self.province.all_files():
            role = ROLES.get(file.role)
            if role is not None:
                found += [Expected(source, file, kind) for kind in role.notices]
                if role.taken_back is not None:
                    found.append(Expected(source, file, role.taken_back, taken_back=True))
        return found

    def _move(self, roles: Iterable[str], stage: Stage, now: datetime) -> int:
        count = 0
        for source, agency in self.province.agencies.items():
            codes = [file.code for role in roles for file in self.province.of_role(source, role)]
            agency.move([(code, stage) for code in codes], now)
            self.stages.update({(source, code): stage for code in codes})
            count += len(codes)
        return count
