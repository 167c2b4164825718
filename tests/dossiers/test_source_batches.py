"""Citizens who ask while an agency's database is busy are asked for together, and each gets the answer to his own code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from agency_database import ROW, AgencyDatabase, InlineSourceDatabase, opened
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.dossiers.reading import Asking
from gateway.dossiers.source import LOOKUP_QUEUE, SLOW_S, Source
from gateway.errors import SourceError
from gateway.settings import SourceSettings

CODES = [f"01017{number:05}" for number in range(8)]


def now_of(waiting: Deferred[Any]) -> Any:
    """The result of a Deferred that has fired."""
    results: list[Any] = []
    waiting.addBoth(results.append)
    assert results, "not fired"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


class Asked:
    """A source of which the lookups are held, as a busy database holds them."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.clock = Clock()
        values = SourceSettings(url=url, **{"pool": 1, **settings})
        self.source = Source(self.clock, "ks", values, InlineSourceDatabase)  # type: ignore[arg-type]
        self.database = opened[-1]

    def ask(self, codes: Sequence[str], seconds: float = 0.0) -> list[Deferred[Any]]:
        """All at once; the database takes so long for what it is asked first."""
        self.database.hold()
        waiting = [self.source.lookup(code) for code in codes]
        self.clock.advance(seconds)
        self.database.release()
        return waiting

    @property
    def questions(self) -> int:
        """How many the database was asked since it was held; the first of them was noted when it came, too."""
        return len(self.database.calls) - 1

    def found(self, codes: Sequence[str]) -> list[list[str]]:
        return [[dossier.receipt_code for dossier in now_of(waiting)] for waiting in self.ask(codes)]

    def warm(self) -> None:
        """It has answered quickly for a while: many codes go into one question."""
        for _ in range(4):
            self.found(["x"] * 20)
        self.database.calls.clear()


@pytest.fixture
def agency(tmp_path: Path) -> AgencyDatabase:
    made = AgencyDatabase(tmp_path / "agency.sqlite3")
    made.add_many([{"receipt_code": code} for code in CODES])
    return made


def test_codes_are_asked_for_together(agency: AgencyDatabase) -> None:
    asked = Asked(agency.url)
    asked.warm()
    codes = [CODES[3], CODES[1], "none", CODES[3], CODES[5]]
    assert asked.found(codes) == [[CODES[3]], [CODES[1]], [], [CODES[3]], [CODES[5]]]
    assert asked.questions == 2  # the first alone, the others together


def test_a_row_that_cannot_be_read_harms_no_other_code(agency: AgencyDatabase) -> None:
    agency.add(receipt_code="9", status="Lạ")
    asked = Asked(agency.url)
    asked.warm()
    one, bad, other = asked.ask([CODES[0], "9", CODES[1]])
    assert [len(now_of(one)), len(now_of(other))] == [1, 1]
    with pytest.raises(SourceError, match="unmapped_status, Lạ"):
        now_of(bad)


def test_a_database_that_ignores_case_answers_each_code_as_if_alone(tmp_path: Path) -> None:
    columns = {**dict.fromkeys(ROW, "TEXT"), "receipt_code": "TEXT COLLATE NOCASE"}
    agency = AgencyDatabase(tmp_path / "nocase.sqlite3", columns)
    agency.add_many([{"receipt_code": "h32-1"}, {"receipt_code": "H32-2"}])
    asked = Asked(agency.url)
    asked.warm()
    assert asked.found(["x", "H32-1", "H32-2", "H32-3"]) == [[], ["h32-1"], ["H32-2"], []]


def test_a_code_with_very_many_rows_cuts_off_no_other(agency: AgencyDatabase) -> None:
    agency.add_many([{"receipt_code": "0", "step_name": f"step {number}"} for number in range(300)])
    asked = Asked(agency.url)
    asked.warm()
    first, many, last = asked.ask([CODES[0], "0", CODES[7]])
    assert len(now_of(first)) == len(now_of(last)) == 1
    assert len(now_of(many)) > 1  # an ambiguity


def test_a_code_that_the_database_refuses_fails_alone(agency: AgencyDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    lookup = Asking.lookup_txn

    def refuse(self: Asking, conn: Any, codes: Sequence[str], timeout_s: float) -> Any:
        if "bad" in codes:
            raise sa.exc.DataError("SELECT", None, ValueError("invalid input syntax for type integer"))
        return lookup(self, conn, codes, timeout_s)

    asked = Asked(agency.url)
    asked.warm()
    monkeypatch.setattr(Asking, "lookup_txn", refuse)
    one, bad, other = asked.ask([CODES[0], "bad", CODES[1]])
    assert [len(now_of(one)), len(now_of(other))] == [1, 1]
    with pytest.raises(SourceError):
        now_of(bad)


def test_a_slow_database_is_asked_for_one_code_at_a_time(agency: AgencyDatabase) -> None:
    asked = Asked(agency.url)
    asked.warm()
    for _ in range(8):
        asked.ask(CODES[:1], SLOW_S + 0.1)
    asked.database.calls.clear()
    asked.ask(CODES[:3], SLOW_S + 0.1)
    assert asked.questions == 3
    asked.warm()
    assert asked.found(CODES) == [[code] for code in CODES]
    assert asked.questions == 2  # it has recovered


def test_a_code_that_was_given_up_is_not_asked_for_any_more(agency: AgencyDatabase) -> None:
    asked = Asked(agency.url, lookup_timeout_s=2)
    asked.database.hold()
    waiting = [asked.source.lookup(code) for code in CODES]
    asked.clock.advance(2.1)
    for one in waiting:
        with pytest.raises(SourceError, match="did not answer within 2 s"):
            now_of(one)
    asked.database.calls.clear()
    asked.database.release()
    assert asked.database.calls == ["lookup ks"]  # what was under way already
    assert asked.found(CODES[:1]) == [[CODES[0]]]


def test_more_than_can_be_answered_fail_at_once(agency: AgencyDatabase) -> None:
    asked = Asked(agency.url)
    asked.database.hold()
    for _ in range(LOOKUP_QUEUE + 1):
        asked.source.lookup("x")
    with pytest.raises(SourceError, match="still hangs"):
        now_of(asked.source.lookup("x"))
    asked.database.release()
    assert len(now_of(asked.source.lookup(CODES[0]))) == 1
