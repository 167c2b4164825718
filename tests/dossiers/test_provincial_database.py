"""docs/provincial-database.md says what is true: its columns, its DDL and grants on real servers, its SQL elsewhere."""

from __future__ import annotations

import os
import re
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import mariadb_server
import pytest
import sqlalchemy as sa
from agency_database import InlineSourceDatabase
from sqlalchemy.dialects import mssql, mysql, oracle
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.dossiers import contract, reading
from gateway.dossiers.connect import make_source_engine
from gateway.dossiers.reading import From, Next, ViewShape
from gateway.dossiers.rows import RowReader
from gateway.dossiers.source import Source
from gateway.dossiers.statuses import KHANH_HOA_2017, NATIONAL
from gateway.dossiers.timestyle import TimeStyle
from gateway.errors import SourceError
from gateway.model import DossierState
from gateway.settings import SourceSettings

DOC = (Path(__file__).parents[2] / "docs" / "provincial-database.md").read_text(encoding="utf-8")
LATE = datetime(2030, 1, 1, tzinfo=UTC)
IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")


def statements(kind: str) -> list[str]:
    """The SQL under a mark such as ``<!-- ddl: sqlite -->``."""
    [block] = re.findall(rf"<!-- {kind} -->\n```sql\n(.*?)```", DOC, re.DOTALL)
    return [statement for statement in re.split(r";\n(?=\n|[A-Z]|$)", block) if statement.strip()]


def now_of(waiting: Deferred[Any]) -> Any:
    results: list[Any] = []
    waiting.addBoth(results.append)
    assert results, "not fired"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


def a_source(url: str, **settings: Any) -> Source:
    return Source(Clock(), "ks", SourceSettings(url=url, **settings), InlineSourceDatabase)  # type: ignore[arg-type]


FILL = (
    "INSERT INTO ho_so (so_bien_nhan, ma_don_vi, ten_don_vi, trang_thai, buoc, o_mot_cua, dung_tinh, dien_thoai, ngay_nhan, "
    "ngay_hen_tra, cap_nhat_luc, ma_tthc, ten_tthc, ngay_xong, qua_buu_dien) VALUES "
    "('{code:010}', 'KS', 'UBND huyện Khánh Sơn', 'Chờ bổ sung', 'Tiếp nhận', {true}, {false}, '0905 123 456', "
    "'2026-02-20 08:00:00', '2026-03-04 17:00:00', '2026-03-03 09:00:{second:02}', '1.004203', 'Cấp đổi', NULL, {false})"
)


def fill(true: str = "1", false: str = "0") -> list[str]:
    return [FILL.format(code=n, second=n // 2, true=true, false=false) for n in range(25)]


def works(source: Source) -> None:
    """The gateway is content with the view and reads all of it in pages, incrementally, and one dossier."""
    assert now_of(source.check()) == []
    codes: list[str] = []
    start: From | Next | None = From()
    while start is not None:
        batch = now_of(source.poll(start, LATE))
        assert (batch.incremental, batch.bad) == (True, ())
        codes += [row.dossier.receipt_code for row in batch.rows]
        start, last = batch.next, batch
    assert codes == [f"{n:010}" for n in range(25)]
    second = datetime(2026, 3, 3, 9, 0, 11, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))
    assert [row.dossier.receipt_code[-2:] for row in now_of(source.poll(From(second), LATE)).rows] == ["22", "23", "24"]
    assert last.newest is not None
    assert now_of(source.poll(last.newest.after, LATE)).read == 0
    assert now_of(source.rows_without_time()) == []
    [found] = now_of(source.lookup("0000000007"))
    assert (found.state, found.at_one_stop_shop, found.clock_stopped) == (DossierState.AWAITING_SUPPLEMENT, True, False)
    assert (found.agency_name, found.procedure_name) == ("UBND huyện Khánh Sơn", "Cấp đổi")
    assert found.due_at == datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
    assert now_of(source.lookup("7")) == []


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_table_of_columns_is_the_contract() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([^|]+) \| (required|recommended|optional) \| ([^|]+) \| `([^`]+)` \|$", DOC, re.M
    )
    assert [tuple(cell.strip() for cell in row) for row in rows] == [
        (column.name, column.type.value, column.presence.value, column.meaning, column.example)
        for column in contract.COLUMNS
    ]


def test_every_example_has_every_required_column() -> None:
    for kind in ("sqlite", "postgresql", "mysql", "mssql", "oracle"):
        view = statements(f"ddl: {kind}")[-1]
        names = set(re.findall(r"AS (\w+)", view))
        assert set(contract.REQUIRED) | {"updated_at"} <= names <= set(contract.BY_NAME), kind


def test_the_table_of_status_words_is_what_the_gateway_knows() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| ([^|]+) \|([^|]*)\|$", DOC, re.M)
    assert [(state, code) for state, code, _, _ in rows] == [(str(NATIONAL[code]), code) for _, code, _, _ in rows]
    assert len(rows) == 10
    for state, _, national, khanh_hoa in rows:
        assert NATIONAL[national.partition("(")[0].strip()] == state
        for word in filter(None, (word.strip() for word in khanh_hoa.split(";"))):
            assert KHANH_HOA_2017[word] == state


# --- SQLite ---------------------------------------------------------------------------------------------------------


def test_ddl_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "agency.sqlite3"
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in [*statements("ddl: sqlite"), *fill()]:
            connection.execute(statement)
    source = a_source(f"sqlite:///{path}", poll_batch=10)
    works(source)
    plan = []
    with closing(sqlite3.connect(path)) as connection:
        for question in (
            "SELECT * FROM v_motcua_dossier WHERE updated_at >= 'x' AND (updated_at > 'x' OR receipt_code > 'y') "
            "ORDER BY updated_at, receipt_code LIMIT 10",
            "SELECT * FROM v_motcua_dossier WHERE receipt_code = 'x'",
        ):
            plan += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {question}")]
    assert all(line.startswith("SEARCH") for line in plan), plan


# --- PostgreSQL -----------------------------------------------------------------------------------------------------


def test_ddl_postgresql(postgres_empty_url: str) -> None:
    role = f"reader_{uuid.uuid4().hex[:8]}"
    admin = sa.create_engine(postgres_empty_url, poolclass=sa.NullPool)
    grants = [statement.replace("motcua_reader", role) for statement in statements("grant: postgresql")]
    trigger = re.search(r"<!-- trigger: postgresql -->\n```sql\n(.*?)```", DOC, re.DOTALL)
    assert trigger is not None
    try:
        with admin.begin() as connection:
            for statement in [*statements("ddl: postgresql"), *fill("true", "false"), *grants]:
                connection.exec_driver_sql(statement)
        url = (
            sa.make_url(postgres_empty_url)
            .set(username=role, password="choose-one")
            .render_as_string(hide_password=False)
        )
        source = a_source(url, poll_batch=10)
        works(source)
        source.close()
        with admin.begin() as connection:
            connection.exec_driver_sql(trigger[1])
            connection.exec_driver_sql("UPDATE ho_so SET buoc = 'Trả kết quả' WHERE so_bien_nhan = '0000000003'")
        source = a_source(url)
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        changed = now_of(source.poll(From(hour_ago), LATE))
        assert [row.dossier.receipt_code for row in changed.rows] == ["0000000003"]
        source.close()
        reader = sa.create_engine(url, poolclass=sa.NullPool)
        for forbidden in ("SELECT * FROM ho_so", "DELETE FROM v_motcua_dossier", "CREATE TABLE x (y int)"):
            with reader.connect() as connection, pytest.raises(sa.exc.DBAPIError):
                connection.exec_driver_sql(forbidden)
    finally:
        with admin.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")
        admin.dispose()


# --- MariaDB --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mariadb() -> Iterator[sa.URL]:
    """An administrator's URL of an empty database."""
    try:
        with mariadb_server.server() as url:
            name = f"motcua_{uuid.uuid4().hex[:8]}"
            admin = sa.create_engine(url, poolclass=sa.NullPool)
            with admin.begin() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            yield url.set(database=name)
            with admin.begin() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name}")
    except mariadb_server.NoServer as error:
        if IN_CI:
            raise
        pytest.skip(str(error))


@pytest.mark.peer("mariadb")
def test_ddl_mariadb(mariadb: sa.URL) -> None:
    admin = sa.create_engine(mariadb, poolclass=sa.NullPool)
    role = f"reader_{uuid.uuid4().hex[:8]}"
    grants = [statement.replace("motcua_reader", role) for statement in statements("grant: mysql")]
    try:
        with admin.begin() as connection:
            for statement in [*statements("ddl: mysql"), *fill(), *grants]:
                connection.exec_driver_sql(statement.replace("%", "%%"))
        url = mariadb.set(username=role, password="choose-one").render_as_string(hide_password=False)
        source = a_source(url, poll_batch=10)
        works(source)
        source.close()
        gone = a_source(url, view="other")
        [fault] = now_of(gone.check())
        assert fault.what.startswith(("there is no view other", "the account may not read other"))
        gone.close()
        engine = make_source_engine(url, connections=1, connect_timeout_s=2, statement_timeout_s=1)
        with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match=r"READ ONLY|denied"):
            connection.exec_driver_sql("DELETE FROM v_motcua_dossier")
        with engine.connect() as connection, pytest.raises(sa.exc.OperationalError, match="timed out"):
            connection.exec_driver_sql("SELECT SLEEP(5)")
        engine.dispose()
    finally:
        with admin.begin() as connection:
            connection.exec_driver_sql(f"DROP USER IF EXISTS {role}")
        admin.dispose()


@pytest.mark.peer("mariadb")
def test_mariadb_refuses_a_wrong_password(mariadb: sa.URL) -> None:
    source = a_source(mariadb.set(username="nobody", password="x").render_as_string(hide_password=False))
    with pytest.raises(SourceError, match="refuses the account"):
        now_of(source.lookup("1"))
    source.close()


# --- the others: compiled -------------------------------------------------------------------------------------------

VN = ZoneInfo("Asia/Ho_Chi_Minh")


def shape(view: str) -> ViewShape:
    names = [*contract.REQUIRED, "updated_at"]
    schema, _, name = view.rpartition(".")
    table = sa.table(name, *(sa.column(column) for column in names), schema=schema or None)
    reader = RowReader.of("ks", SourceSettings(url="sqlite://"), needs_updated_at=True)
    return ViewShape(table, {column: column for column in names}, TimeStyle("naive", VN), reader)


@pytest.mark.parametrize(
    ("dialect", "view", "limit"),
    [
        (mssql.dialect(), "dbo.v_motcua_dossier", "SELECT TOP"),
        (oracle.dialect(), "motcua.v_motcua_dossier", "FETCH FIRST"),
        (mysql.dialect(), "v_motcua_dossier", "LIMIT"),
    ],
)
def test_the_questions_in_other_dialects(dialect: Any, view: str, limit: str) -> None:
    page = str(reading.page_query(shape(view), Next("u", "c"), 2000).compile(dialect=dialect))
    flat = " ".join(page.split())
    assert limit in flat
    assert f"FROM {view}" in flat
    assert re.search(
        rf"WHERE {view}\.updated_at >= \S+ AND \({view}\.updated_at > \S+ OR {view}\.receipt_code > \S+\) "
        rf"ORDER BY {view}\.updated_at, {view}\.receipt_code",
        flat,
    ), flat
    lookup = " ".join(str(reading.lookup_query(shape(view), "x").compile(dialect=dialect)).split())
    assert re.search(rf"WHERE {view}\.receipt_code = \S+", lookup)
    assert limit in lookup
