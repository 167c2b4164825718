"""From an agency's view to the outbox: what is read, what is announced, what survives faults."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import sqlalchemy as sa
from agency_database import ROW, AgencyDatabase, InlineSourceDatabase, opened
from inline_db import InlineDatabase
from poll_world import NOW, World, a_book, now_of, poll, stamp
from structlog.testing import capture_logs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail

from gateway.clock import SystemClock
from gateway.db import Database
from gateway.dossiers.phone import judge_phone
from gateway.dossiers.source import Source
from gateway.errors import SourceError, StoreError
from gateway.jobs.notices import Composer
from gateway.jobs.poller import NULL_SCAN_S, Poller, PollResult
from gateway.mt.router import Router
from gateway.settings import OperatorSettings, SourceSettings
from gateway.store.schema import message
from gateway.templates.registry import Registry

READY = {"status": "Đang xử lý", "step_name": "Trả kết quả", "at_one_stop_shop": 1}
SUPPLEMENT = {"status": "Chờ bổ sung", "step_name": "Tiếp nhận", "at_one_stop_shop": 1}
WORK = {"status": "Đang xử lý", "step_name": "Thẩm định", "at_one_stop_shop": 0}
HISTORY = stamp(NOW - timedelta(days=30))


@pytest.fixture
def world(sqlite_store_url: str) -> Iterator[World]:
    """Pollers on SQLite; what a store must do on both is tested with it."""
    database = InlineDatabase(sqlite_store_url)
    yield World(database)
    database.close()


@pytest.fixture
def agency(tmp_path: Path) -> AgencyDatabase:
    return AgencyDatabase(tmp_path / "agency.sqlite3")


def a_source(world: World, agency: AgencyDatabase, name: str = "ks", **settings: Any) -> Source:
    return Source(world.reactor, name, SourceSettings(url=agency.url, **settings), InlineSourceDatabase)  # type: ignore[arg-type]


@pytest.fixture
def poller(world: World, agency: AgencyDatabase) -> Poller:
    return world.poller(a_source(world, agency))


def read(world: World) -> str:
    """The present, as the agency's software writes it."""
    return stamp(world.clock.now())


def after(world: World, seconds: float) -> None:
    world.reactor.advance(seconds)


# --- what is announced ----------------------------------------------------------------------------------------------


def test_history_is_recorded_and_not_announced(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    agency.add_many([{"receipt_code": str(n), "updated_at": HISTORY, **READY} for n in range(5)])
    assert poll(poller) is PollResult.READ
    assert world.dossiers == {str(n): "result_ready" for n in range(5)}
    assert world.messages == []
    assert world.cursor.announce_from == NOW


def test_a_change_is_announced_once(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    agency.add(updated_at=HISTORY)
    poll(poller)
    after(world, 60)
    agency.change("0101701234", updated_at=read(world), **READY)
    for _ in range(3):
        assert poll(poller) is PollResult.READ
        after(world, 5)
    assert world.messages == [("0101701234", "result_ready", "1", "held")]
    [row] = world.rows(message)
    assert row.text == "result_ready/rollout_2017: 0101701234, UBND huyện Khánh Sơn, 04/03/2026"
    assert (row.destination_addr, row.route, row.source_addr, row.priority) == (
        "84905123456",
        "mobifone",
        "MotcuaSMS",
        5,
    )
    assert row.not_before == NOW + timedelta(seconds=660)
    assert (row.agency_code, row.procedure_code, row.reason) == ("KS", "1.004203", "hold")


def test_a_notice_that_may_leave_at_once_wakes_the_sender(world: World, agency: AgencyDatabase) -> None:
    agency.add(updated_at=stamp(NOW + timedelta(seconds=1)), **READY)
    held = world.poller(a_source(world, agency))
    poll(held)
    assert world.wakes == 0
    other = AgencyDatabase(agency.path.with_name("other.sqlite3"))
    other.add(updated_at=stamp(NOW + timedelta(seconds=1)), **READY)
    poll(world.poller(a_source(world, other, "nt"), a_book(hold_s=0)))
    assert world.wakes == 1
    assert [state for *_, state in world.messages] == ["held", "queued"]


@pytest.mark.parametrize(
    ("phone", "reason"),
    [("02583822382", "phone:LANDLINE"), (None, "phone:MISSING"), ("0591234567", "route:Gmobile")],
)
def test_f22_a_number_that_does_not_do_is_a_rejected_message(
    world: World, agency: AgencyDatabase, poller: Poller, phone: str | None, reason: str
) -> None:
    poll(poller)
    agency.add(updated_at=read(world), phone=phone, **READY)
    poll(poller)
    [row] = world.rows(message)
    assert (row.state, row.reason, row.destination_addr, row.route, row.text) == ("rejected", reason, "", "", "")
    assert row.agency_code == "KS"


def test_a_state_that_reverts_in_its_hold_and_comes_back(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    agency.add(updated_at=HISTORY)
    poll(poller)
    for step in (READY, WORK, READY):
        after(world, 60)
        agency.change("0101701234", updated_at=read(world), **step)
        poll(poller)
    assert world.messages == [
        ("0101701234", "result_ready", "1", "cancelled"),
        ("0101701234", "result_ready", "2", "held"),
    ]
    assert world.conflicts == [("0101701234", "cancelled_in_hold")]


def test_f24_a_result_taken_back_after_sending(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    agency.add(updated_at=HISTORY)
    poll(poller)
    agency.change("0101701234", updated_at=read(world), **READY)
    poll(poller)
    world.store.do(lambda conn: conn.execute(sa.update(message).values(state="delivered")))
    after(world, 3600)
    agency.change("0101701234", updated_at=read(world), **SUPPLEMENT)
    poll(poller)
    after(world, 3600)
    agency.change("0101701234", updated_at=read(world), **READY)
    poll(poller)
    assert world.messages == [
        ("0101701234", "result_ready", "1", "delivered"),
        ("0101701234", "supplement_needed", "1", "cancelled"),
    ]
    assert sorted(what for _, what in world.conflicts) == [
        "cancelled_in_hold",
        "contradicted_after_sending",
        "repeated_entry",
    ]


def test_handing_over_cancels_what_waits(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    agency.add(updated_at=HISTORY)
    poll(poller)
    agency.change("0101701234", updated_at=read(world), **READY)
    poll(poller)
    after(world, 60)
    agency.change("0101701234", updated_at=read(world), status="Đã trả kết quả")
    poll(poller)
    [row] = world.rows(message)
    assert (row.state, row.reason) == ("cancelled", "returned")


def test_the_start_of_announcing_is_a_setting(world: World, agency: AgencyDatabase) -> None:
    agency.add(receipt_code="1", updated_at=stamp(NOW - timedelta(days=3)), **READY)
    agency.add(receipt_code="2", updated_at=stamp(NOW - timedelta(days=1)), **READY)
    poll(world.poller(a_source(world, agency, announce_from=NOW - timedelta(days=2))))
    assert [code for code, *_ in world.messages] == ["2"]


# --- what is read ---------------------------------------------------------------------------------------------------


def test_a_poll_costs_what_changed(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    agency.add_many([{"receipt_code": f"{n:05}", "updated_at": HISTORY} for n in range(3000)])
    poll(poller)
    assert poller.counts.rows == 3000
    after(world, 200)
    poll(poller)  # nothing newer for longer than the overlap: the mark is settled from here on
    before = poller.counts.rows
    world.store.calls.clear()
    after(world, 5)
    poll(poller)
    assert poller.counts.rows - before == 0
    assert "apply_dossiers" not in world.store.calls
    agency.change("00007", updated_at=read(world), **READY)
    poll(poller)
    assert poller.counts.rows - before == 1
    assert world.dossiers["00007"] == "result_ready"


def test_an_unchanged_poll_writes_nothing(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    agency.add(updated_at=read(world))
    poll(poller)
    world.store.calls.clear()
    for _ in range(2):  # within half a lease
        after(world, 3)
        poll(poller)
    assert set(world.store.calls) == {"compare_dossiers"}


def test_a_row_that_was_only_touched_moves_the_mark_and_nothing_else(
    world: World, agency: AgencyDatabase, poller: Poller
) -> None:
    agency.add(updated_at=HISTORY, **READY)
    poll(poller)
    after(world, 60)
    agency.change("0101701234", updated_at=read(world))
    changed = poller.counts.changed
    poll(poller)
    assert poller.counts.changed == changed
    assert world.messages == []
    assert world.cursor.updated_at == world.clock.now()


def test_rows_committed_late_are_met_in_the_overlap(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    agency.add(receipt_code="1", updated_at=read(world))
    poll(poller)
    after(world, 100)
    agency.add(receipt_code="2", updated_at=read(world))
    poll(poller)
    agency.add(receipt_code="3", updated_at=stamp(world.clock.now() - timedelta(seconds=90)), **READY)
    after(world, 5)
    poll(poller)
    assert world.dossiers["3"] == "result_ready"
    assert [code for code, *_ in world.messages] == ["3"]


def test_every_row_is_met_whatever_the_order_of_commits(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    """Rows appear up to the overlap after the time that they carry; polls come at any time."""
    dice = random.Random(20260303)
    written: set[str] = set()
    late: list[tuple[float, str, str]] = []
    for number in range(300):
        after(world, dice.choice([0.0, 1.0, 3.0, 7.0, 40.0, 130.0]))
        now_s = world.reactor.seconds()
        commit_s = now_s + dice.choice([0.0, 0.0, 1.0, 30.0, 110.0])
        late.append((commit_s, f"{number:04}", read(world)))
        for due in [item for item in late if item[0] <= now_s]:
            late.remove(due)
            agency.add(receipt_code=due[1], updated_at=due[2])
            written.add(due[1])
        poll(poller)
        assert set(world.dossiers) == written
    assert len(written) > 250


def test_a_bulk_update_with_one_time_for_all(world: World, agency: AgencyDatabase) -> None:
    agency.add_many([{"receipt_code": f"{n:05}", "updated_at": HISTORY} for n in range(1000)])
    poller = world.poller(a_source(world, agency, poll_batch=64))
    poll(poller)
    after(world, 300)
    poll(poller)
    agency.execute("UPDATE dossiers SET step_name = 'Trả kết quả', updated_at = ?", read(world))
    assert poll(poller) is PollResult.READ
    assert len(world.messages) == 1000
    after(world, 300)
    poll(poller)
    rows = poller.counts.rows
    after(world, 5)
    poll(poller)
    assert poller.counts.rows == rows  # settled: not read again and again


def test_one_wrong_clock_hides_no_later_change(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    poll(poller)
    agency.add(receipt_code="1", updated_at="2099-01-01 00:00:00", **READY)
    with capture_logs() as logs:
        poll(poller)
        poll(poller)
    assert [event["rows"] for event in logs if event["event"] == "rows_dated_in_the_future"] == [1]
    after(world, 300)
    agency.add(receipt_code="2", updated_at=read(world), **READY)
    poll(poller)
    after(world, 300)
    agency.change("1", status="Đã trả kết quả", updated_at="2099-01-01 00:00:00")
    poll(poller)
    assert [(code, state) for code, _, _, state in world.messages] == [("1", "cancelled"), ("2", "held")]


@pytest.mark.parametrize("skew_s", [-3600, -30, 30, 3600])
def test_a_source_whose_clock_is_wrong_loses_nothing(
    world: World, agency: AgencyDatabase, poller: Poller, skew_s: int
) -> None:
    def source_time() -> str:
        return stamp(world.clock.now() + timedelta(seconds=skew_s))

    agency.add_many([{"receipt_code": str(n), "updated_at": HISTORY} for n in range(20)])
    poll(poller)
    for number in range(20):
        after(world, 97)
        agency.change(str(number), updated_at=source_time(), **READY)
        poll(poller)
        assert len(world.messages) == number + 1


def test_a_view_without_updated_at(world: World, tmp_path: Path) -> None:
    names = ", ".join(name for name in ROW if name != "updated_at")
    agency = AgencyDatabase(
        tmp_path / "a.sqlite3", view=f"CREATE VIEW v_motcua_dossier AS SELECT {names} FROM dossiers"
    )
    agency.add_many([{"receipt_code": f"{n:04}"} for n in range(50)] + [{"receipt_code": "old", **READY}])
    poller = world.poller(a_source(world, agency, poll_batch=20))
    poll(poller)
    assert world.messages == []
    agency.change("0007", **READY)
    agency.add(receipt_code="new", received_at=stamp(NOW), due_at="2026-03-20 17:00:00", **READY)
    poll(poller)
    assert [code for code, *_ in world.messages] == ["0007", "new"]
    assert poller.counts.changed == 53


# --- bad rows -------------------------------------------------------------------------------------------------------


def test_a_bad_row_is_listed_and_the_rest_goes_on(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    poll(poller)
    agency.add_many(
        [
            {"receipt_code": str(n), "updated_at": read(world), **READY, "status": "Lạ" if n in (1, 3) else "4"}
            for n in range(5)
        ]
    )
    with capture_logs() as logs:
        for _ in range(3):
            poll(poller)
            after(world, 5)
    assert sorted(world.dossiers) == ["0", "2", "4"]
    assert world.bad == {"1": "unmapped_status", "3": "unmapped_status"}
    assert [event["word"] for event in logs if event["event"] == "status_word_unmapped"] == ["Lạ"]
    assert poller.counts.bad == 2
    agency.change("1", status="4", updated_at=read(world))
    poll(poller)
    assert world.bad == {"3": "unmapped_status"}
    assert world.dossiers["1"] == "result_ready"


def test_a_row_that_was_bad_for_a_while_comes_off_the_list(
    world: World, agency: AgencyDatabase, poller: Poller
) -> None:
    agency.add(updated_at=read(world))
    poll(poller)
    agency.change("0101701234", status="Lạ", updated_at=read(world))
    poll(poller)
    assert world.bad == {"0101701234": "unmapped_status"}
    agency.change("0101701234", status="Đang xử lý", updated_at=read(world))
    poll(poller)  # it is again what is stored
    assert world.bad == {}


def test_rows_without_updated_at_are_listed_now_and_then(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    agency.add(receipt_code="1", updated_at=HISTORY)
    agency.add(receipt_code="2", updated_at=None)
    poll(poller)
    assert world.bad == {"2": "no_updated_at"}
    agency.add(receipt_code="3", updated_at=None)
    after(world, 10)
    poll(poller)
    assert "3" not in world.bad
    after(world, NULL_SCAN_S)
    poll(poller)
    assert world.bad == {"2": "no_updated_at", "3": "no_updated_at"}


# --- faults ---------------------------------------------------------------------------------------------------------


def test_a_source_that_goes_down_and_comes_up_is_told_once_each(world: World, agency: AgencyDatabase) -> None:
    poller = world.poller(a_source(world, agency, poll_interval_s=5))
    database = opened[-2]  # the one that polls
    poller.start()
    after(world, 5)
    with capture_logs() as logs:
        database.broken = True
        for _ in range(60):
            after(world, 5)
        assert poller.down
        polls_while_down = poller.counts.failures
        database.broken = False
        agency.add(updated_at=read(world), **READY)
        for _ in range(13):
            after(world, 5)
    events = [event["event"] for event in logs]
    assert (events.count("source_down"), events.count("source_up")) == (1, 1)
    assert polls_while_down < 12  # 300 s, with growing pauses
    assert not poller.down
    assert (poller.last_error, world.cursor.last_error) == ("", "")
    assert len(world.messages) == 1


def test_the_error_stands_in_the_store(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    agency.execute("DROP VIEW v_motcua_dossier")
    assert poll(poller) is PollResult.FAILED
    assert world.cursor.last_error.startswith("there is no view")
    assert world.cursor.last_success_at is None


def test_polls_never_overlap_and_detection_is_quick(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    poller.start()
    database = opened[-2]
    database.hold()
    after(world, 5)
    assert database.calls.count("poll ks") == 2
    after(world, 20)  # hangs, below its time limit
    assert database.calls.count("poll ks") == 2
    asked = poller.poll_now()
    assert not asked.called
    database.release()
    assert now_of(asked) is PollResult.READ
    agency.add(updated_at=read(world), **READY)
    for _ in range(20):
        after(world, 1)  # the one that took 20 s is followed by a pause as long
        if world.messages:
            break
    assert world.messages
    agency.add(receipt_code="2", updated_at=read(world), **READY)
    for _ in range(9):
        after(world, 1)
    assert len(world.messages) == 2  # below ten seconds


def test_a_store_that_fails_makes_the_poll_do_it_again(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    poll(poller)
    agency.add(receipt_code="1", updated_at=read(world), **READY)
    agency.add(receipt_code="2", updated_at=read(world), status="Lạ")
    run = world.store.run
    world.store.run = lambda desc, *args, **kwargs: (  # type: ignore[method-assign, assignment]
        fail(_disk_full()) if desc == "apply_dossiers" else run(desc, *args, **kwargs)
    )
    assert poll(poller) is PollResult.FAILED
    world.store.run = run  # type: ignore[method-assign]
    assert poll(poller) is PollResult.READ
    assert [code for code, *_ in world.messages] == ["1"]
    assert world.bad == {"2": "unmapped_status"}


def _disk_full() -> Exception:
    return StoreError("apply_dossiers: the disk is full")


def test_a_daemon_that_died_in_the_back_fill_goes_on_where_it_was(world: World, agency: AgencyDatabase) -> None:
    agency.add_many(
        [
            {"receipt_code": f"{n:04}", "updated_at": stamp(NOW - timedelta(days=40) + timedelta(hours=n)), **READY}
            for n in range(100)
        ]
    )
    source = a_source(world, agency, poll_batch=10)
    killed = world.poller(source)
    poll_page = source.poll
    pages = iter(range(4))

    def dies(*args: Any) -> Deferred[Any]:
        return poll_page(*args) if next(pages, None) is not None else fail(SourceError("ks", "killed", "none"))

    source.poll = dies  # type: ignore[method-assign]
    poll(killed)
    assert len(world.dossiers) == 40
    source.poll = poll_page  # type: ignore[method-assign]
    after(world, 60)
    again = world.poller(source)
    poll(again)
    assert len(world.dossiers) == 100
    assert again.counts.rows < 65
    assert world.messages == []  # history still


def test_what_changed_while_no_daemon_was_up_is_announced(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    agency.add(updated_at=HISTORY)
    poll(poller)
    now_of(poller.stop())
    after(world, 86_400)
    agency.change("0101701234", updated_at=stamp(world.clock.now() - timedelta(hours=5)), **READY)
    poll(world.poller(a_source(world, agency)))
    assert world.messages == [("0101701234", "result_ready", "1", "held")]


# --- several nodes, stopping ----------------------------------------------------------------------------------------


def test_one_node_polls_and_another_takes_over(world: World, agency: AgencyDatabase) -> None:
    first = world.poller(a_source(world, agency), node="node-1")
    second = world.poller(a_source(world, agency), node="node-2")
    agency.add(updated_at=HISTORY)
    assert (poll(first), poll(second)) == (PollResult.READ, PollResult.ELSEWHERE)
    after(world, 19)
    assert (poll(first), poll(second)) == (PollResult.READ, PollResult.ELSEWHERE)  # renewed
    agency.change("0101701234", updated_at=read(world), **READY)
    after(world, 21)  # the first node is dead
    assert poll(second) is PollResult.READ
    assert poll(first) is PollResult.ELSEWHERE  # and was only slow
    assert len(world.messages) == 1


def test_rows_of_a_node_that_lost_its_source_are_not_applied(world: World, agency: AgencyDatabase) -> None:
    slow = world.poller(a_source(world, agency), node="node-1")
    reading = opened[-2]
    poll(slow)
    agency.add(updated_at=read(world), **WORK)
    reading.hold()
    held = slow.poll_now()
    after(world, 25)
    quick = world.poller(a_source(world, agency), node="node-2")
    agency.change("0101701234", updated_at=read(world), **READY)
    poll(quick)
    reading.release()
    assert now_of(held) is PollResult.ELSEWHERE
    assert world.dossiers == {"0101701234": "result_ready"}


def test_a_clean_stop_frees_the_source_at_once(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    poller.start()
    now_of(poller.stop())
    assert poll(world.poller(a_source(world, agency), node="node-2")) is PollResult.READ
    assert world.reactor.getDelayedCalls() == []
    assert poll(poller) is PollResult.STOPPED


def test_a_stop_does_not_wait_for_a_source_that_hangs(world: World, poller: Poller) -> None:
    poll(poller)
    opened[-2].hold()
    with capture_logs() as logs:
        poller.start()
        now_of(poller.stop())
    assert [event["event"] for event in logs] == []
    assert world.cursor.node is None


@pytest.fixture(autouse=True)
def _forget_databases() -> Iterator[None]:
    opened.clear()
    yield
    opened.clear()


def test_business_time_may_be_set_apart(world: World, agency: AgencyDatabase, poller: Poller) -> None:
    """In a demonstration the agency's software writes the demonstration's time."""
    world.clock.set_business(datetime(2026, 4, 1, 3, 0, tzinfo=UTC))
    agency.add(receipt_code="old", updated_at=stamp(world.clock.business_now() - timedelta(hours=1)), **READY)
    agency.add(receipt_code="1", updated_at=stamp(world.clock.business_now() - timedelta(hours=1)))
    poll(poller)
    after(world, 60)
    agency.change("1", updated_at=stamp(world.clock.business_now()), **READY)
    poll(poller)
    assert [code for code, *_ in world.messages] == ["1"]
    [row] = world.rows(message)
    assert row.not_before == datetime(2026, 4, 1, 3, 11, tzinfo=UTC)


def test_on_every_store(inline_db: InlineDatabase, agency: AgencyDatabase) -> None:
    world = World(inline_db)
    poller = world.poller(a_source(world, agency))
    agency.add_many([{"receipt_code": f"{n:04}", "updated_at": HISTORY} for n in range(700)])
    poll(poller)
    for step in (READY, WORK, READY):
        after(world, 60)
        agency.execute("UPDATE dossiers SET step_name = ?, updated_at = ?", step["step_name"], read(world))
        poll(poller)
    states = [state for *_, state in world.messages]
    assert (states.count("cancelled"), states.count("held")) == (700, 700)
    assert len(world.conflicts) == 700
    assert poll(world.poller(a_source(world, agency), node="node-2")) is PollResult.ELSEWHERE


@pytest_twisted.ensureDeferred
async def test_with_threads_group_commits_and_the_shipped_texts(sqlite_store_url: str, agency: AgencyDatabase) -> None:
    """As the daemon wires it."""
    store = Database(reactor, sqlite_store_url)  # type: ignore[arg-type]
    source = Source(reactor, "ks", SourceSettings(url=agency.url))  # type: ignore[arg-type]
    book = a_book(night=None)
    operator = {"default": True, "binds": [{"name": "b", "host": "127.0.0.1", "system_id": "x"}]}
    router = Router({"one": OperatorSettings.model_validate(operator)})
    compose = Composer(book.notices, book.agencies, Registry.load(), judge_phone, router.route)
    poller = Poller(
        reactor,  # type: ignore[arg-type]
        SystemClock(), store, source, book, compose, node="node-1", lease_s=20, wake=lambda: None,
    )  # fmt: skip

    def harm(_: Any) -> None:
        raise ZeroDivisionError  # the group is rolled back, and each of it is run again

    try:
        agency.add_many([{"receipt_code": str(n), "updated_at": HISTORY} for n in range(50)])
        assert await poller.poll_now() is PollResult.READ
        agency.execute("UPDATE dossiers SET step_name = 'Trả kết quả', updated_at = ?", stamp(datetime.now(UTC)))
        polled = poller.poll_now()
        harmful = [store.run("harm", harm) for _ in range(20)]
        assert await polled is PollResult.READ
        for waiting in harmful:
            with pytest.raises(ZeroDivisionError):
                await waiting
        made = await store.read("made", lambda conn: list(conn.execute(sa.select(message.c.state, message.c.text))))
        assert len(made) == poller.counts.notices == 50
        assert {state for state, _ in made} == {"held"}
        assert all("da duoc giai quyet xong" in text for _, text in made)
    finally:
        await poller.stop()
        source.close()
        store.close()
