"""One agency's database behind the contract view, on real SQLite and PostgreSQL."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import sqlalchemy as sa
from agency_database import NOW, ROW, AgencyDatabase, InlineSourceDatabase
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock

from gateway.dossiers import contract
from gateway.dossiers.connect import limited, make_source_engine
from gateway.dossiers.federation import Federation, LookupResult
from gateway.dossiers.reading import From, Next, PollBatch
from gateway.dossiers.source import Source
from gateway.errors import ConfigError, SourceError
from gateway.model import Dossier, DossierState
from gateway.settings import SourceSettings

LATE = NOW + timedelta(days=1)


def now_of(waiting: Deferred[Any]) -> Any:
    """The result of a Deferred that has fired."""
    results: list[Any] = []
    waiting.addBoth(results.append)
    assert results, "not fired"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


def a_source(url: str, **settings: Any) -> Source:
    return Source(Clock(), "ks", SourceSettings(url=url, **settings), InlineSourceDatabase)  # type: ignore[arg-type]


@pytest.fixture
def agency(tmp_path: Path) -> AgencyDatabase:
    return AgencyDatabase(tmp_path / "agency.sqlite3")


def read_all(source: Source, start: From | Next | None = None, not_after: datetime = LATE) -> list[PollBatch]:
    batches = []
    following: From | Next | None = start or From()
    while following is not None:
        batches.append(now_of(source.poll(following, not_after)))
        following = batches[-1].next
    return batches


def codes(batches: list[PollBatch]) -> list[str]:
    return [row.dossier.receipt_code for batch in batches for row in batch.rows]


# --- reading --------------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_dossier(agency: AgencyDatabase) -> None:
    agency.add()
    [batch] = read_all(a_source(agency.url))
    assert batch.rows[0].dossier == Dossier(
        source="ks",
        receipt_code="0101701234",
        agency_code="KS",
        agency_name="UBND huyện Khánh Sơn",
        state=DossierState.PROCESSING,
        status_raw="Đang xử lý",
        step_name="Thẩm định",
        at_one_stop_shop=False,
        clock_stopped=False,
        updated_at=datetime(2026, 3, 3, 2, 0, tzinfo=UTC),
        procedure_code="1.004203",
        procedure_name="Cấp đổi giấy chứng nhận",
        phone_raw="0905123456",
        phone_recorded_at=datetime(2026, 2, 20).date(),  # noqa: DTZ001
        received_at=datetime(2026, 2, 20, 1, 0, tzinfo=UTC),
        due_at=datetime(2026, 3, 4, 10, 0, tzinfo=UTC),
    )
    assert (batch.read, batch.next, batch.incremental, batch.bad) == (1, None, True, ())


def test_pages_follow_each_other_without_a_gap(agency: AgencyDatabase) -> None:
    agency.add_many([{"receipt_code": f"{n:010}", "updated_at": f"2026-03-03 09:{n % 7:02}:00"} for n in range(100)])
    batches = read_all(a_source(agency.url, poll_batch=9))
    assert len(batches) == 12
    assert sorted(codes(batches)) == [f"{n:010}" for n in range(100)]


def test_a_bulk_update_with_one_time_for_all_loses_nothing_and_does_not_loop(agency: AgencyDatabase) -> None:
    agency.add_many([{"receipt_code": f"{n:010}"} for n in range(500)])
    batches = read_all(a_source(agency.url, poll_batch=100))
    assert codes(batches) == [f"{n:010}" for n in range(500)]
    assert [batch.read for batch in batches] == [100, 100, 100, 100, 100, 0]


def test_a_poll_begins_where_the_mark_says(agency: AgencyDatabase) -> None:
    agency.add_many([{"receipt_code": f"000000000{n}", "updated_at": f"2026-03-03 09:0{n}:00"} for n in range(5)])
    source = a_source(agency.url)
    assert codes(read_all(source, From(datetime(2026, 3, 3, 2, 3, tzinfo=UTC)))) == ["0000000003", "0000000004"]
    [batch] = read_all(source)
    assert batch.newest is not None
    assert (batch.newest.at, batch.newest.receipt_code) == (datetime(2026, 3, 3, 2, 4, tzinfo=UTC), "0000000004")
    assert codes(read_all(source, batch.newest.after)) == []
    agency.add(receipt_code="0000000009", updated_at="2026-03-03 09:04:00")
    assert codes(read_all(source, batch.newest.after)) == ["0000000009"]


@pytest.mark.parametrize(
    "form",
    [
        "2026-03-03T09:0{}:00",
        "2026-03-03 09:0{}:00.123456",
        "2026-03-03T02:0{}:00Z",
        "2026-03-03 09:0{}:00+07:00",
        "2026-03-03 09:0{}",
        "20260303090{}00",
        "2026030309 0{}",
    ],
)
def test_every_sortable_form_of_updated_at(agency: AgencyDatabase, form: str) -> None:
    agency.add_many([{"receipt_code": str(n), "updated_at": form.format(n)} for n in range(5)])
    source = a_source(agency.url)
    if form == "2026030309 0{}":  # is none
        assert not read_all(source)[0].incremental
        return
    assert codes(read_all(source, From(datetime(2026, 3, 3, 2, 3, tzinfo=UTC)))) == ["3", "4"]


def test_a_row_dated_in_the_future_does_not_move_the_mark(agency: AgencyDatabase) -> None:
    agency.add(receipt_code="1")
    agency.add(receipt_code="2", updated_at="2099-01-01 00:00:00")
    [batch] = read_all(a_source(agency.url))
    assert batch.newest is not None
    assert (batch.newest.receipt_code, batch.future, codes([batch])) == ("1", 1, ["1", "2"])


@pytest.mark.parametrize("updated_at", ["03/03/2026 09:00:00", "2026-03-03", 1_772_500_000, None])
def test_a_view_whose_updated_at_does_not_sort_is_read_as_a_whole(agency: AgencyDatabase, updated_at: object) -> None:
    agency.execute("DROP TABLE dossiers")
    agency.execute("CREATE TABLE dossiers (" + ", ".join(f'"{name}"' for name in ROW) + ")")
    agency.add_many([{"receipt_code": f"{n:010}", "updated_at": updated_at} for n in range(25)])
    if isinstance(updated_at, int):
        [batch] = read_all(a_source(agency.url))
        assert {bad.detail.partition(":")[0] for bad in batch.bad} == {"updated_at"}
        return
    batches = read_all(a_source(agency.url, poll_batch=10))
    assert codes(batches) == [f"{n:010}" for n in range(25)]
    assert not any(batch.incremental for batch in batches)


def test_a_view_without_updated_at_is_read_as_a_whole(tmp_path: Path) -> None:
    names = [name for name in ROW if name != "updated_at"]
    agency = AgencyDatabase(
        tmp_path / "a.sqlite3", view=f"CREATE VIEW v_motcua_dossier AS SELECT {', '.join(names)} FROM dossiers"
    )
    agency.add_many([{"receipt_code": f"{n:010}"} for n in range(25)])
    batches = read_all(a_source(agency.url, poll_batch=10))
    assert codes(batches) == [f"{n:010}" for n in range(25)]
    assert [batch.newest for batch in batches] == [None, None, None]


def test_names_and_words_of_its_own(tmp_path: Path) -> None:
    own = {"receipt_code": "SoBienNhan", "status": "Trạng thái", "phone": "DIEN_THOAI"}
    agency = AgencyDatabase(
        tmp_path / "a.sqlite3",
        view="CREATE VIEW hoso AS SELECT "
        + ", ".join(f'"{name}" AS "{own.get(name, name.upper())}"' for name in ROW)
        + " FROM dossiers",
    )
    agency.add(status="Đã có kết quả", step_name="Phát hành")
    source = a_source(
        agency.url,
        view="hoso",
        columns={name: other.lower() if other.isascii() else other for name, other in own.items()},
        statuses={"đã có kết quả": "result_ready"},
    )
    [batch] = read_all(source)
    assert [(row.dossier.receipt_code, row.dossier.state) for row in batch.rows] == [
        ("0101701234", DossierState.RESULT_READY)
    ]


# --- bad rows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"status": "Không biết"}, "unmapped_status", "Không biết"),
        ({"due_at": "mai"}, "bad_value", "due_at: is no date"),
        ({"clock_stopped": "?"}, "bad_value", "clock_stopped: is neither"),
        ({"receipt_code": ""}, "bad_value", "receipt_code: is empty"),
    ],
)
def test_a_bad_row_is_skipped_and_the_rest_goes_on(
    agency: AgencyDatabase, changes: dict[str, Any], reason: str, detail: str
) -> None:
    agency.add_many([{"receipt_code": "1"}, {"receipt_code": "2", **changes}, {"receipt_code": "3"}])
    [batch] = read_all(a_source(agency.url))
    assert codes([batch]) == ["1", "3"]
    [bad] = batch.bad
    assert bad.reason == reason
    assert bad.detail.startswith(detail)


def test_a_code_that_is_a_number_has_lost_its_zeros(tmp_path: Path) -> None:
    agency = AgencyDatabase(tmp_path / "a.sqlite3", {**dict.fromkeys(ROW, "TEXT"), "receipt_code": "INTEGER"})
    agency.add(receipt_code="0101701234")
    [batch] = read_all(a_source(agency.url))
    assert batch.rows == ()
    assert "leading zeros" in batch.bad[0].detail
    assert batch.bad[0].receipt_code == "101701234"


def test_rows_without_updated_at_are_listed(agency: AgencyDatabase) -> None:
    agency.add_many([{"receipt_code": "1"}, {"receipt_code": "2", "updated_at": None}])
    source = a_source(agency.url)
    assert codes(read_all(source)) == ["1"]
    [bad] = now_of(source.rows_without_time())
    assert (bad.receipt_code, bad.reason) == ("2", "no_updated_at")


def test_of_two_rows_of_one_code_the_newer_counts(agency: AgencyDatabase) -> None:
    agency.add(step_name="A", updated_at="2026-03-03 09:00:00")
    agency.add(step_name="B", updated_at="2026-03-03 09:00:01")
    [batch] = read_all(a_source(agency.url))
    assert [row.dossier.step_name for row in batch.rows] == ["B"]
    assert [bad.reason for bad in batch.bad] == ["duplicate_code"]


def test_of_two_rows_of_one_code_and_time_neither_counts(agency: AgencyDatabase) -> None:
    agency.add_many([{"step_name": "A"}, {"step_name": "B"}, {"receipt_code": "2"}, {"receipt_code": "2"}])
    [batch] = read_all(a_source(agency.url))
    assert codes([batch]) == ["2"]  # two equal rows are one
    assert [bad.receipt_code for bad in batch.bad] == ["0101701234"]


# --- lookup ---------------------------------------------------------------------------------------------------------


def test_lookup(agency: AgencyDatabase) -> None:
    agency.add()
    agency.add(receipt_code="0000000002")
    source = a_source(agency.url)
    assert [item.receipt_code for item in now_of(source.lookup("0101701234"))] == ["0101701234"]
    assert now_of(source.lookup("101701234")) == []
    assert now_of(source.lookup("' OR 1=1 --")) == []
    agency.change("0101701234", step_name="Trả kết quả")
    assert now_of(source.lookup("0101701234"))[0].state is DossierState.RESULT_READY


def test_lookup_of_a_code_that_two_agencies_of_one_view_hold(agency: AgencyDatabase) -> None:
    agency.add_many([{"agency_code": "KS"}, {"agency_code": "NT"}, {"agency_code": "NT"}])
    assert {item.agency_code for item in now_of(a_source(agency.url).lookup("0101701234"))} == {"KS", "NT"}


def test_lookup_of_a_row_that_cannot_be_read(agency: AgencyDatabase) -> None:
    agency.add(status="Lạ")
    with pytest.raises(SourceError, match="unmapped_status, Lạ"):
        now_of(a_source(agency.url).lookup("0101701234"))


def test_which_source_a_code_names(agency: AgencyDatabase) -> None:
    source = a_source(agency.url, codes=(r"^01017", r"^H32-"))
    assert source.names("0101701234")
    assert source.names("H32-260303-0001")
    assert not source.names("0201701234")


# --- faults ---------------------------------------------------------------------------------------------------------


def faults(source: Source) -> list[ConfigError]:
    found: list[ConfigError] = now_of(source.check())
    return found


def test_a_good_source_has_no_fault(agency: AgencyDatabase) -> None:
    agency.add()
    assert faults(a_source(agency.url)) == []


@pytest.mark.parametrize("name", contract.REQUIRED)
def test_a_missing_column_is_one_clear_fault(tmp_path: Path, name: str) -> None:
    names = [column for column in ROW if column != name]
    agency = AgencyDatabase(
        tmp_path / "a.sqlite3", view=f"CREATE VIEW v_motcua_dossier AS SELECT {', '.join(names)} FROM dossiers"
    )
    source = a_source(agency.url)
    [fault] = faults(source)
    assert fault.path == "sources.ks.columns"
    assert f"the view v_motcua_dossier has no column '{name}'" in fault.what
    assert "docs/provincial-database.md" in fault.remedy
    with pytest.raises(SourceError, match=re.escape(f"no column '{name}'")):
        read_all(source)


def test_a_column_that_is_mapped_to_nothing(agency: AgencyDatabase) -> None:
    [fault] = faults(a_source(agency.url, columns={"finished_at": "NgayXong"}))
    assert "'finished_at' (mapped to 'NgayXong')" in fault.what


def test_a_mapping_of_something_that_is_no_column(agency: AgencyDatabase) -> None:
    with pytest.raises(ConfigError, match=r"sources\.ks\.columns\.telephone: is not a column"):
        a_source(agency.url, columns={"telephone": "dt"})


def test_a_missing_view(tmp_path: Path) -> None:
    agency = AgencyDatabase(tmp_path / "a.sqlite3", view="CREATE VIEW other AS SELECT * FROM dossiers")
    [fault] = faults(a_source(agency.url))
    assert fault.what.startswith("there is no view v_motcua_dossier")
    assert "sources.ks.view" in fault.remedy


def test_a_missing_file_is_a_fault_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "missing.sqlite3"
    [fault] = faults(a_source(f"sqlite:///{path}"))
    assert "cannot be opened" in fault.what
    assert "sources.ks.url" in fault.remedy
    assert not path.exists()


def test_a_url_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"sources\.ks\.url"):
        a_source("not a url")


def test_nobody_listens() -> None:
    [fault] = faults(a_source("postgresql+psycopg://motcua@127.0.0.1:1/agency"))
    assert fault.what.startswith("cannot be read")
    assert "network" in fault.remedy


def test_unmapped_words_and_bad_values_are_one_fault_each(agency: AgencyDatabase) -> None:
    agency.add_many([{"receipt_code": str(n), "status": "Lạ"} for n in range(3)])
    agency.add_many([{"receipt_code": f"b{n}", "due_at": "mai"} for n in range(2)])
    agency.add_many([{"receipt_code": "t"}, {"receipt_code": "t"}, {"receipt_code": "n", "updated_at": None}])
    found = {fault.path: fault.what for fault in faults(a_source(agency.url))}
    assert found["sources.ks.statuses"] == "the status word 'Lạ' is not mapped; 3 rows skipped"
    assert found["sources.ks.columns.due_at"].startswith("2 of the newest 8 rows cannot be read, such as dossier b")
    assert found["sources.ks.columns.updated_at"].startswith("1 of the newest 8 rows cannot be read, such as dossier n")
    assert found["sources.ks.view"].startswith("1 receipt codes stand in several rows, such as t")
    assert len(found) == 4


def test_the_database_cannot_be_written(agency: AgencyDatabase) -> None:
    engine = make_source_engine(agency.url, connections=1, connect_timeout_s=1, statement_timeout_s=1)
    with engine.begin() as connection, pytest.raises(sa.exc.OperationalError, match="readonly"):
        connection.exec_driver_sql("DELETE FROM dossiers")


def test_sqlite_gives_up_by_itself(agency: AgencyDatabase) -> None:
    engine = make_source_engine(agency.url, connections=1, connect_timeout_s=1, statement_timeout_s=1)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with engine.begin() as connection:
        with pytest.raises(sa.exc.OperationalError, match="interrupted"), limited(connection, 0.05):
            connection.exec_driver_sql(endless)
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


# --- time limits ----------------------------------------------------------------------------------------------------


def test_a_hung_lookup_is_given_up_and_a_hung_poll_is_not_repeated(agency: AgencyDatabase) -> None:
    agency.add()
    clock = Clock()
    databases: list[InlineSourceDatabase] = []

    def opened(engine: Any, readers: int) -> InlineSourceDatabase:
        databases.append(InlineSourceDatabase(engine, readers))
        return databases[-1]

    source = Source(clock, "ks", SourceSettings(url=agency.url, lookup_timeout_s=2, poll_timeout_s=9), opened)  # type: ignore[arg-type]
    polls, lookups = databases
    lookups.hold()
    waiting = source.lookup("0101701234")
    clock.advance(1.9)
    assert not waiting.called
    clock.advance(0.2)
    with pytest.raises(SourceError, match="did not answer within 2 s"):
        now_of(waiting)
    lookups.release()  # what comes late harms nobody
    assert len(now_of(source.lookup("0101701234"))) == 1
    assert polls.calls == []


@pytest.fixture
def threaded(agency: AgencyDatabase) -> Iterator[Source]:
    source = Source(reactor, "ks", SourceSettings(url=agency.url, lookup_timeout_s=0.3))  # type: ignore[arg-type]
    yield source
    source.close()


@pytest_twisted.ensureDeferred
async def test_on_real_threads(agency: AgencyDatabase, threaded: Source) -> None:
    agency.add()
    batch = await threaded.poll(From(), LATE)
    assert codes([batch]) == ["0101701234"]
    assert not threaded.stuck
    assert await threaded.check() == []
    assert len(await threaded.lookup("0101701234")) == 1
    assert await threaded.rows_without_time() == []


class Silent(Protocol):
    """A database server that accepts and never says a word."""


@pytest_twisted.ensureDeferred
async def test_a_database_that_hangs_harms_no_other(agency: AgencyDatabase, threaded: Source) -> None:
    agency.add()
    port = reactor.listenTCP(0, Factory.forProtocol(Silent), interface="127.0.0.1")  # type: ignore[attr-defined]
    url = f"postgresql+psycopg://motcua@127.0.0.1:{port.getHost().port}/agency"
    hangs = Source(reactor, "hangs", SourceSettings(url=url, lookup_timeout_s=0.5, poll_timeout_s=0.5))  # type: ignore[arg-type]
    federation = Federation(reactor, [hangs, threaded], lambda code: succeed([]))  # type: ignore[arg-type]
    try:
        polled = hangs.poll(From(), LATE)
        for _ in range(20):
            answer = await federation.lookup("0101701234", 5.0).addTimeout(0.4, reactor)
            assert (answer.result, answer.source) == (LookupResult.FOUND, "ks")
        unknown = await federation.lookup("0000000000", 5.0).addTimeout(1.0, reactor)
        assert (unknown.result, unknown.failed) == (LookupResult.FAILED, ("hangs",))
        assert federation.closed_to == ("hangs",)
        with pytest.raises(SourceError, match=r"did not answer within 0\.5 s"):
            await polled
        with pytest.raises(SourceError, match="still hangs"):
            await hangs.poll(From(), LATE)
    finally:
        before = time.monotonic()
        hangs.close()
        assert time.monotonic() - before < 1
        await port.stopListening()


# --- PostgreSQL -----------------------------------------------------------------------------------------------------


@pytest.fixture
def postgres(postgres_empty_url: str) -> str:
    return postgres_empty_url


def run_sql(url: str, *statements: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


DDL = """CREATE TABLE hoso (receipt_code varchar(40), agency_code text, agency_name text, status int, step_name text,
    at_one_stop_shop boolean, clock_stopped boolean, phone text, received_at timestamp, due_at date,
    updated_at {}, phone_recorded_at date)"""
ROWS = """INSERT INTO hoso SELECT lpad(n::text, 10, '0'), 'KS', 'UBND huyện Khánh Sơn', 4, 'Thẩm định', false, false,
    '0905123456', '2026-02-20 08:00', '2026-03-04', {}, '2026-02-20' FROM generate_series(1, 25) AS n"""


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("timestamp", "timestamp '2026-03-03 09:00' + n * interval '1 second'"),
        ("timestamptz", "timestamptz '2026-03-03 02:00Z' + n * interval '1 second'"),
        ("text", "to_char(timestamp '2026-03-03 09:00' + n * interval '1 second', 'YYYY-MM-DD HH24:MI:SS')"),
    ],
)
def test_postgresql_native_types(postgres: str, kind: str, value: str) -> None:
    run_sql(postgres, DDL.format(kind), ROWS.format(value), "CREATE VIEW v_motcua_dossier AS SELECT * FROM hoso")
    source = a_source(postgres, poll_batch=10)
    assert faults(source) == []
    batches = read_all(source)
    assert codes(batches) == [f"{n:010}" for n in range(1, 26)]
    assert all(batch.incremental for batch in batches)
    one = batches[0].rows[0].dossier
    assert one.due_at == datetime(2026, 3, 4, 16, 59, 59, tzinfo=UTC)
    assert one.updated_at == datetime(2026, 3, 3, 2, 0, 1, tzinfo=UTC)
    assert codes(read_all(source, From(datetime(2026, 3, 3, 2, 0, 24, tzinfo=UTC)))) == ["0000000024", "0000000025"]
    assert batches[-1].newest is not None
    assert codes(read_all(source, batches[-1].newest.after)) == []
    assert len(now_of(source.lookup("0000000007"))) == 1
    source.close()


def test_postgresql_view_in_a_schema_and_account_with_few_rights(postgres: str) -> None:
    name = sa.make_url(postgres).database
    role = f"reader_{name}"
    run_sql(
        postgres,
        "CREATE SCHEMA motcua",
        DDL.format("timestamptz"),
        ROWS.format("now()"),
        "CREATE VIEW motcua.v_motcua_dossier AS SELECT * FROM hoso",
        f"CREATE ROLE {role} LOGIN",
    )
    try:
        url = sa.make_url(postgres).set(username=role).render_as_string(hide_password=False)
        refused = a_source(url, view="motcua.v_motcua_dossier")
        [fault] = faults(refused)
        assert "may not read motcua.v_motcua_dossier" in fault.what
        assert "Grant" in fault.remedy
        run_sql(
            postgres, f"GRANT USAGE ON SCHEMA motcua TO {role}", f"GRANT SELECT ON motcua.v_motcua_dossier TO {role}"
        )
        assert faults(refused) == []
        refused.close()
        missing = a_source(url, view="motcua.other")
        [fault] = faults(missing)
        assert "there is no view motcua.other" in fault.what
        missing.close()
    finally:
        run_sql(postgres, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_postgresql_cannot_be_written_and_gives_up_by_itself(postgres: str) -> None:
    engine = make_source_engine(postgres, connections=1, connect_timeout_s=2, statement_timeout_s=0.1)
    with engine.begin() as connection, pytest.raises(sa.exc.InternalError, match="read-only"):
        connection.exec_driver_sql("CREATE TABLE x (y int)")
    with engine.begin() as connection, pytest.raises(sa.exc.OperationalError, match="statement timeout"):
        connection.exec_driver_sql("SELECT pg_sleep(5)")
    engine.dispose()
