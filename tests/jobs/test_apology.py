"""The apology at 17:30, from the agency's view to the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from agency_database import AgencyDatabase, InlineSourceDatabase, opened
from inline_db import InlineDatabase
from poll_world import TestClock, World, a_book, a_composer, now_of, poll, stamp
from twisted.internet.defer import Deferred

from gateway.clock import VIETNAM
from gateway.dossiers.source import Source
from gateway.jobs.apology import Apology, due_days
from gateway.jobs.calendar import WorkCalendar
from gateway.jobs.scheduler import RetryLater, Scheduler
from gateway.settings import AgencySettings, SourceSettings
from gateway.store import jobs
from gateway.store.schema import message


def local(hour: int, minute: int = 0, day: int = 3) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=VIETNAM)


EVENING = local(17, 30)


class Evening:
    """One source, its poller and its job, at 17:30."""

    def __init__(self, store: InlineDatabase, agency: AgencyDatabase, *, agencies: Any = None, **notices: Any) -> None:
        self.world = World(store)
        self.world.clock = TestClock(self.world.reactor, EVENING.astimezone(UTC))
        self.agency = agency
        settings = SourceSettings(url=agency.url)
        self.source = Source(self.world.reactor, "ks", settings, InlineSourceDatabase)  # type: ignore[arg-type]
        self.polling = opened[-2]
        book = a_book(agencies, **notices)
        self.poller = self.world.poller(self.source, book)
        self.wakes = 0
        self.job = Apology(
            self.world.clock,
            store,
            self.poller,
            book,
            a_composer(book),
            WorkCalendar(book.notices.holidays),
            self._wake,
        )

    def _wake(self) -> None:
        self.wakes += 1

    def run(self, scheduled_for: datetime = EVENING) -> str:
        line: str = now_of(Deferred.fromCoroutine(self.job.run(scheduled_for)))
        return line

    @property
    def apologies(self) -> list[tuple[str, str]]:
        return [(code, occasion) for code, kind, occasion, _ in self.world.messages if kind == "apology_due_tomorrow"]


@pytest.fixture
def agency(tmp_path: Path) -> AgencyDatabase:
    return AgencyDatabase(tmp_path / "agency.sqlite3")


@pytest.fixture
def store(sqlite_store_url: str) -> Iterator[InlineDatabase]:
    database = InlineDatabase(sqlite_store_url)
    yield database
    database.close()


def fill(agency: AgencyDatabase) -> None:
    agency.add_many(
        [
            {"receipt_code": "tomorrow"},
            {"receipt_code": "late", "due_at": "2026-03-04"},
            {"receipt_code": "today", "due_at": "2026-03-03 17:00:00"},
            {"receipt_code": "next", "due_at": "2026-03-05 08:00:00"},
            {"receipt_code": "no date", "due_at": None},
            {"receipt_code": "ready", "step_name": "Trả kết quả"},
            {"receipt_code": "returned", "status": "Đã trả kết quả"},
            {"receipt_code": "stopped clock", "clock_stopped": 1},
            {"receipt_code": "same day", "received_at": "2026-03-04 08:00:00"},
            {"receipt_code": "landline", "phone": "02583822382"},
            {"receipt_code": "waits", "status": "Chờ bổ sung"},
        ]
    )


def test_f06_who_gets_an_apology(inline_db: InlineDatabase, agency: AgencyDatabase) -> None:
    fill(agency)
    evening = Evening(inline_db, agency)
    line = evening.run()
    assert line == "dossiers=6 made=3 rejected=1 clock_stopped=1 same_day=1"
    assert sorted(evening.apologies) == [(code, "2026-03-04") for code in ("landline", "late", "tomorrow", "waits")]
    states = {row.receipt_code: (row.state, row.reason) for row in evening.world.rows(message)}
    assert states["landline"] == ("rejected", "phone:LANDLINE")
    assert states["tomorrow"] == ("queued", "")
    assert evening.wakes == 1


def test_apologies_leave_at_once_and_never_at_night(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add()
    evening = Evening(store, agency)
    evening.run()
    [row] = evening.world.rows(message)
    assert (row.not_before, row.expires_at) == (EVENING, local(20))
    assert row.text.endswith("04/03/2026")


def test_once_per_dossier_and_due_date(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add()
    evening = Evening(store, agency)
    evening.run()
    assert evening.run() == "dossiers=1 made=0 rejected=0 made_before=1"
    evening.world.store.do(lambda conn: conn.execute(sa.update(message).values(state="delivered")))
    agency.change("0101701234", due_at="2026-03-05 17:00:00", updated_at=stamp(evening.world.clock.now()))
    evening.world.reactor.advance(86_400)
    evening.run(EVENING + timedelta(days=1))
    assert evening.apologies == [("0101701234", "2026-03-04"), ("0101701234", "2026-03-05")]


def test_a_result_of_the_last_minute_is_not_apologised_for(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add()
    evening = Evening(store, agency)
    poll(evening.poller)
    agency.change("0101701234", step_name="Trả kết quả", updated_at=stamp(evening.world.clock.now()))
    assert evening.run() == "dossiers=0 made=0 rejected=0"
    assert [kind for _, kind, _, _ in evening.world.messages] == ["result_ready"]


def test_f07_the_result_is_announced_after_the_apology(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add()
    evening = Evening(store, agency)
    evening.run()
    evening.world.store.do(lambda conn: conn.execute(sa.update(message).values(state="delivered")))
    evening.world.reactor.advance(3600)
    agency.change("0101701234", step_name="Trả kết quả", updated_at=stamp(evening.world.clock.now()))
    poll(evening.poller)
    assert [(kind, state) for _, kind, _, state in evening.world.messages] == [
        ("apology_due_tomorrow", "delivered"),
        ("result_ready", "held"),
    ]
    assert evening.world.conflicts == []


def test_a_result_takes_back_an_apology_that_has_not_left(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add()
    evening = Evening(store, agency)
    evening.run()
    evening.world.reactor.advance(60)
    agency.change("0101701234", step_name="Trả kết quả", updated_at=stamp(evening.world.clock.now()))
    poll(evening.poller)
    assert [(kind, state) for _, kind, _, state in evening.world.messages] == [
        ("apology_due_tomorrow", "cancelled"),
        ("result_ready", "held"),
    ]


def test_thousands_of_dossiers_in_short_transactions(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add_many([{"receipt_code": f"{n:05}"} for n in range(2050)])
    evening = Evening(store, agency)
    assert evening.run() == "dossiers=2050 made=2050 rejected=0"
    assert store.calls.count("apologise") == 21
    assert evening.wakes == 21


def test_the_evening_ends_at_eight(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add_many([{"receipt_code": f"{n:05}"} for n in range(250)])
    evening = Evening(store, agency)
    run = store.run

    def slow(desc: str, *args: Any, **kwargs: Any) -> Any:
        if desc == "apologise":
            evening.world.reactor.advance(4600)
        return run(desc, *args, **kwargs)

    store.run = slow  # type: ignore[method-assign]
    with pytest.raises(RetryLater, match="broken off at 20:03 after 00199: dossiers=200 made=200"):
        evening.run()


# --- sources that are down ------------------------------------------------------------------------------------------


def test_a_source_that_was_read_a_short_while_ago_is_trusted(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add()
    evening = Evening(store, agency)
    poll(evening.poller)
    evening.world.reactor.advance(600)
    evening.polling.broken = True
    evening.run()
    assert len(evening.apologies) == 1


def test_a_source_that_was_down_for_long_is_put_off(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add()
    evening = Evening(store, agency)
    poll(evening.poller)
    evening.world.reactor.advance(1000)
    evening.polling.broken = True
    with pytest.raises(RetryLater, match=r"source ks was last read 2026-03-03T17:30:00\+07:00: cannot be read"):
        evening.run()
    assert evening.apologies == []


def test_a_source_that_was_never_read_is_put_off(store: InlineDatabase, agency: AgencyDatabase) -> None:
    evening = Evening(store, agency)
    evening.polling.broken = True
    with pytest.raises(RetryLater, match="source ks was last read never"):
        evening.run()


def test_a_source_that_another_node_polls_is_trusted(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add()
    other = Evening(store, agency)
    poll(other.poller)
    evening = Evening(store, agency)
    evening.poller._node = "node-2"
    evening.run()
    assert len(evening.apologies) == 1


def test_one_source_that_is_down_does_not_hold_up_the_others(store: InlineDatabase, tmp_path: Path) -> None:
    good, dead = AgencyDatabase(tmp_path / "good.sqlite3"), AgencyDatabase(tmp_path / "dead.sqlite3")
    good.add()
    dead.add()
    first = Evening(store, good)
    second = Evening(store, dead)
    second.source.name = "nt"
    second.polling.broken = True
    scheduler = Scheduler(
        first.world.reactor,
        first.world.clock,
        store,
        [second.job.daily(), first.job.daily()],
        node="node-1",
        lease_s=20,
    )
    scheduler.start()
    first.world.reactor.pump([1.0] * 5)
    assert [row.source for row in first.world.rows(message)] == ["ks"]
    second.polling.broken = False
    first.world.reactor.pump([1.0] * 90)
    assert [row.source for row in first.world.rows(message)] == ["ks", "nt"]
    runs = store.do(jobs.runs_txn, EVENING)
    assert [(run.job, run.state.value, run.detail) for run in runs] == [
        ("apology:ks", "done", "dossiers=1 made=1 rejected=0"),
        ("apology:nt", "done", "dossiers=1 made=1 rejected=0"),
    ]


# --- whom and when --------------------------------------------------------------------------------------------------


def test_agencies_that_are_not_active_do_not_apologise(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add()
    evening = Evening(store, agency, agencies={"KS": AgencySettings(active_from=date(2026, 4, 1))})
    assert evening.run() == "dossiers=1 made=0 rejected=0 agency_inactive=1"


@pytest.mark.parametrize(
    ("today", "horizon", "days"),
    [
        (date(2026, 3, 3), "next_calendar_day", [4]),
        (date(2026, 3, 6), "next_calendar_day", [7]),
        (date(2026, 3, 3), "next_working_day", [4]),
        (date(2026, 3, 6), "next_working_day", [7, 8, 9]),  # a Friday
        (date(2026, 3, 7), "next_working_day", [8, 9]),
    ],
)
def test_the_days_that_an_evening_is_for(today: date, horizon: str, days: list[int]) -> None:
    assert due_days(today, horizon, WorkCalendar({})) == [date(2026, 3, day) for day in days]


def test_next_working_day_follows_the_override_table() -> None:
    calendar = WorkCalendar({date(2026, 3, 4): True})
    assert due_days(date(2026, 3, 3), "next_working_day", calendar) == [date(2026, 3, 4), date(2026, 3, 5)]


def test_next_working_day_from_the_view_to_the_outbox(store: InlineDatabase, agency: AgencyDatabase) -> None:
    agency.add(receipt_code="Monday", due_at="2026-03-09 17:00:00")
    agency.add(receipt_code="Saturday", due_at="2026-03-07 11:00:00")
    agency.add(receipt_code="Tuesday", due_at="2026-03-10 17:00:00")
    evening = Evening(store, agency, apology={"horizon": "next_working_day"})
    evening.world.clock.set_business(local(17, 30, 6))
    evening.run(local(17, 30, 6))
    evening.world.clock.set_business(local(17, 30, 7))
    evening.run(local(17, 30, 7))
    assert sorted(evening.apologies) == [("Monday", "2026-03-09"), ("Saturday", "2026-03-07")]
