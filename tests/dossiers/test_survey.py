"""``source check`` and ``source init``: every trap is named with its remedy; a draft passes its own check."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mariadb_server
import pytest
import sqlalchemy as sa
import yaml
from agency_database import ROW, AgencyDatabase
from click.testing import CliRunner

from gateway.cli import cli
from gateway.dossiers.connect import make_source_engine
from gateway.dossiers.survey import Level, Survey, draft, survey
from gateway.dossiers.survey.draft import guess_codes, guess_columns, guess_profiles, guess_state
from gateway.errors import SourceError
from gateway.model import DossierState
from gateway.settings import AgencySettings, SourceSettings, parse_settings

NOW = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)
IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
DOC = (Path(__file__).parents[2] / "docs" / "provincial-database.md").read_text(encoding="utf-8")
DEMO = Path(__file__).parents[2] / "demo" / "data"


def look(url: str, now: datetime = NOW, **settings: Any) -> Survey:
    return survey("ks", SourceSettings(url=url, **settings), {}, now)


def levels(found: Survey, part: str) -> list[Level]:
    return [finding.level for finding in found.findings if part in str(finding)]


@pytest.fixture
def agency(tmp_path: Path) -> AgencyDatabase:
    made = AgencyDatabase(tmp_path / "agency.sqlite3")
    made.execute("CREATE INDEX a ON dossiers (updated_at, receipt_code)")
    made.execute("CREATE INDEX b ON dossiers (receipt_code)")
    return made


def test_a_good_view_has_no_findings(agency: AgencyDatabase) -> None:
    agency.add_many([{"receipt_code": f"{n:010}"} for n in range(30)])
    found = look(agency.url)
    assert found.findings == []
    assert (found.rows, found.sampled, found.incremental) == (30, 30, True)
    assert found.words == {"Đang xử lý": 30}
    assert found.numbers == {"OK": 30}
    assert [(timing.question, timing.indexed) for timing in found.timings] == [
        ("what changed", True),
        ("one dossier", True),
    ]


def test_a_missing_column_is_named_with_what_is_there_instead(tmp_path: Path) -> None:
    view = "CREATE VIEW v_motcua_dossier AS SELECT *, phone AS phones FROM (SELECT *, status AS statuses FROM dossiers)"
    view = view.replace("SELECT *, phone", "SELECT " + ", ".join(name for name in ROW if name != "phone") + ", phone")
    agency = AgencyDatabase(tmp_path / "a.sqlite3", view=view)
    found = look(agency.url)
    assert levels(found, "has no column 'phone'") == [Level.NOTE, Level.FAULT]
    assert levels(found, "one named 'phones'") == [Level.NOTE]


@pytest.mark.parametrize(
    ("changes", "part", "level"),
    [
        ({"status": "Lưu kho"}, "statuses: the status word 'Lưu kho' is not mapped; 1 row skipped", Level.FAULT),
        ({"status": "Chê bæ sung"}, "texts are in TCVN3", Level.FAULT),
        ({"agency_name": "UBND huyeän Khaùnh Sôn"}, "meant as 'UBND huyện Khánh Sơn'", Level.FAULT),
        ({"agency_name": "UBND huy?n Kh?nh S?n"}, "letters replaced", Level.FAULT),
        ({"step_name": unicodedata.normalize("NFD", "Thẩm định")}, "decomposed letters", Level.NOTE),
        ({"due_at": "mai"}, "columns.due_at: 1 of the newest", Level.FAULT),
        ({"updated_at": "2026-03-03 17:00:00"}, "is in the future, by up to 7.0 h", Level.FAULT),
        ({"updated_at": "03/03/2026 08:00"}, "writes time in 2 ways", Level.FAULT),
        ({"updated_at": None}, "have no updated_at, such as dossier 9999999999", Level.FAULT),
        ({"receipt_code": "0000000001"}, "1 receipt codes stand in several rows", Level.FAULT),
        ({"receipt_code": "h32.12-260303-0001"}, "small letters", Level.WARNING),
        ({"receipt_code": " 9999999999"}, "blanks around it", Level.WARNING),
        (
            {"phone": "02583822382"},
            "1 of 31 dossiers (3 %) have no number that a notice can go to: LANDLINE 1",
            Level.NOTE,
        ),
        ({"status": "Chờ bổ sung", "step_name": "Trả kết quả"}, "say two things at once", Level.WARNING),
    ],
)
def test_each_trap_is_found(agency: AgencyDatabase, changes: dict[str, Any], part: str, level: Level) -> None:
    agency.add_many([{"receipt_code": f"{n:010}"} for n in range(30)])
    agency.add(**{"receipt_code": "9999999999", **changes})
    assert levels(look(agency.url), part) == [level]


def test_times_in_another_zone_are_found_by_the_counters_hours(agency: AgencyDatabase) -> None:
    utc = [
        {"receipt_code": f"{n:010}", "received_at": f"2026-02-20 {n % 9:02}:15:00", "updated_at": "2026-03-03 02:00:00"}
        for n in range(60)
    ]
    agency.add_many(utc)
    [finding] = [finding for finding in look(agency.url).findings if "time_zone" in finding.path]
    assert (finding.level, finding.remedy) == (Level.FAULT, "Set time_zone: UTC")
    assert look(agency.url, time_zone="UTC").findings == []


def test_a_view_without_index_is_told_which(tmp_path: Path) -> None:
    agency = AgencyDatabase(tmp_path / "a.sqlite3")
    agency.add_many([{"receipt_code": f"{n:010}"} for n in range(30)])
    found = look(agency.url)
    assert levels(found, "Create an index on (updated_at, receipt_code)") == [Level.FAULT]
    assert levels(found, "Create an index on (receipt_code)") == [Level.FAULT]


def test_a_cast_in_the_view_defeats_the_index(tmp_path: Path) -> None:
    columns = ", ".join(name for name in ROW if name != "receipt_code")
    view = f"CREATE VIEW v_motcua_dossier AS SELECT CAST(receipt_code AS TEXT) || '' AS receipt_code, {columns} FROM dossiers"
    agency = AgencyDatabase(tmp_path / "a.sqlite3", view=view)
    agency.execute("CREATE INDEX b ON dossiers (receipt_code)")
    agency.add()
    assert levels(look(agency.url), "no index answers the question 'one dossier'") == [Level.FAULT]


def test_a_numeric_code_is_a_fault_by_its_type_alone(tmp_path: Path) -> None:
    agency = AgencyDatabase(
        tmp_path / "a.sqlite3", {**dict.fromkeys(ROW, "TEXT"), "receipt_code": "INTEGER", "phone": "INTEGER"}
    )
    found = look(agency.url)
    assert levels(found, "leading zeros of receipt codes are lost") == [Level.FAULT]
    assert levels(found, "the 0 of every number is lost") == [Level.WARNING]


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    [finding] = look(f"sqlite:///{tmp_path / 'none.sqlite3'}").findings
    assert "cannot be opened" in finding.what
    [finding] = look("nosuch+driver://x").findings
    assert finding.path == "sources.ks.url"


def test_agencies_that_are_not_configured_are_noted(agency: AgencyDatabase) -> None:
    agency.add()
    found = survey("ks", SourceSettings(url=agency.url), {"NT": AgencySettings()}, NOW)
    assert levels(found, "such as 'KS'") == [Level.NOTE]


# --- other databases -----------------------------------------------------------------------------------------------


def ddl(kind: str) -> list[str]:
    [block] = re.findall(rf"<!-- ddl: {kind} -->\n```sql\n(.*?)```", DOC, re.DOTALL)
    return [statement for statement in re.split(r";\n(?=\n|[A-Z]|$)", block) if statement.strip()]


FILL = (
    "INSERT INTO ho_so (so_bien_nhan, ma_don_vi, ten_don_vi, trang_thai, buoc, o_mot_cua, dung_tinh, dien_thoai, ngay_nhan, "
    "ngay_hen_tra, cap_nhat_luc, ma_tthc, ten_tthc, ngay_xong, qua_buu_dien) VALUES "
    "('{code:010}', 'KS', 'UBND huyện Khánh Sơn', 'Chờ bổ sung', 'Tiếp nhận', {true}, {false}, '0905 123 456', "
    "'2026-02-20 08:00:00', '2026-03-04 17:00:00', '2026-03-03 09:00:{second:02}', '1.004203', 'Cấp đổi', NULL, {false})"
)


def test_postgresql(postgres_empty_url: str) -> None:
    engine = sa.create_engine(postgres_empty_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in ddl("postgresql"):
            connection.exec_driver_sql(statement)
        for n in range(25):
            connection.exec_driver_sql(FILL.format(code=n, second=n, true="true", false="false"))
    found = look(postgres_empty_url)
    assert found.findings == []
    assert [timing.indexed for timing in found.timings] == [True, True]
    assert found.types["at_one_stop_shop"] == "BOOLEAN"
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ho_so_cap_nhat")
        connection.exec_driver_sql("INSERT INTO ho_so (so_bien_nhan, trang_thai) VALUES ('x', 'Lưu kho')")
    found = look(postgres_empty_url)
    assert levels(found, "no index answers the question 'what changed'") == [Level.FAULT]
    assert levels(found, "no index answers the question 'one dossier'") == []
    assert levels(found, "'Lưu kho' is not mapped") == [Level.FAULT]
    engine.dispose()


@pytest.fixture(scope="module")
def mariadb() -> Iterator[sa.URL]:
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
def test_mariadb(mariadb: sa.URL) -> None:
    admin = sa.create_engine(mariadb, poolclass=sa.NullPool)
    with admin.begin() as connection:
        for statement in [*ddl("mysql"), *(FILL.format(code=n, second=n, true="1", false="0") for n in range(25))]:
            connection.exec_driver_sql(statement.replace("%", "%%"))
    url = mariadb.render_as_string(hide_password=False)
    found = look(url)
    assert [str(finding) for finding in found.findings] == []
    assert [timing.indexed for timing in found.timings] == [True, True]
    with admin.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ho_so_cap_nhat ON ho_so")
    assert levels(look(url), "no index answers the question 'what changed'") == [Level.FAULT]
    text = draft(
        make_source_engine(url, connections=1, connect_timeout_s=5, statement_timeout_s=5),
        "ks",
        SourceSettings(url=url),
        "X",
    )
    assert "status_profiles: [khanh_hoa_2017]" in text
    admin.dispose()


# --- source init ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nha_trang", "tu_phap"])
def test_a_draft_of_the_demonstrations_databases_reads_their_columns(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DEMO / f"{name}.sql").read_text(encoding="utf-8"))
    settings = SourceSettings(url=f"sqlite:///{path}")
    engine = make_source_engine(settings.url, connections=1, connect_timeout_s=5, statement_timeout_s=5)
    text = draft(engine, name, settings, "MOTCUA_X_URL")
    source = yaml.safe_load(text)["sources"][name]
    assert source["url"] == {"env": "MOTCUA_X_URL"}
    assert "REQUIRED and not found" not in text
    found = survey(name, SourceSettings(url=settings.url, columns=source.get("columns") or {}), {}, NOW)
    assert levels(found, "has no column") == []


def test_a_draft_leaves_what_citizens_are_told_to_a_person(agency: AgencyDatabase) -> None:
    words = ["Đang thụ lý", "Đã có kết quả", "Đang chuyển", "Chờ bổ sung"]
    agency.add_many([{"receipt_code": f"01017{n:05}", "status": words[n % 4]} for n in range(20)])
    settings = SourceSettings(url=agency.url)
    engine = make_source_engine(settings.url, connections=1, connect_timeout_s=5, statement_timeout_s=5)
    text = draft(engine, "ks", settings, "URL")
    source = yaml.safe_load(text)["sources"]["ks"]
    assert source["statuses"] == {"Đang thụ lý": "processing"}
    assert source["status_profiles"] == ["khanh_hoa_2017"]
    assert source["codes"] == [r"^01017\d{5}$"]
    assert "# Đã có kết quả: result_ready" in text
    assert "# Đang chuyển: ???" in text


def test_a_draft_says_which_views_there_are(agency: AgencyDatabase) -> None:
    settings = SourceSettings(url=agency.url, view="v_none")
    engine = make_source_engine(settings.url, connections=1, connect_timeout_s=5, statement_timeout_s=5)
    with pytest.raises(SourceError, match="v_motcua_dossier, dossiers"):
        draft(engine, "ks", settings, "URL")


def test_guesses() -> None:
    found, missing = guess_columns(["MaHoSo", "TRANG_THAI", "Số điện thoại", "ngay_hen_tra"])
    assert found == {
        "receipt_code": "MaHoSo",
        "status": "TRANG_THAI",
        "phone": "Số điện thoại",
        "due_at": "ngay_hen_tra",
    }
    assert "agency_code" in missing
    assert guess_profiles(["1", "5", "10"]) == ("national",)
    assert guess_profiles(["waiting", "done"]) == ("opencps",)
    assert guess_profiles(["không ai biết"]) == ()
    assert guess_state("Công dân rút hồ sơ") is DossierState.WITHDRAWN
    assert guess_state("Đang chờ") is None
    assert guess_codes([f"H32.12-26030{n}-0001" for n in range(6)]) == (r"^H32\.12-",)
    assert guess_codes(["1", "2"]) == ()


# --- the command line ----------------------------------------------------------------------------------------------


def test_from_the_command_line(agency: AgencyDatabase, tmp_path: Path) -> None:
    agency.add_many([{"receipt_code": f"01017{n:05}"} for n in range(20)])
    runner = CliRunner()
    made = runner.invoke(cli, ["source", "init", agency.url, "--name", "ks"])
    assert made.exit_code == 0, made.output
    values = yaml.safe_load(made.stdout)
    values["sources"]["ks"]["url"] = agency.url
    values["operators"] = {"one": {"binds": [{"name": "one-1", "host": "127.0.0.1", "system_id": "x"}]}}
    parse_settings(values)
    config = tmp_path / "gateway.yaml"
    config.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    checked = runner.invoke(cli, ["source", "check", "ks", "--config", str(config)])
    assert (checked.exit_code, "0 faults, 0 other remarks" in checked.stdout) == (0, True), checked.output
    agency.change("0101700001", status="Lưu kho")
    checked = runner.invoke(cli, ["source", "check", "--json", "--config", str(config)])
    assert checked.exit_code == 1
    assert [finding["level"] for finding in json.loads(checked.stdout)["findings"]] == ["fault"]
    wrong = runner.invoke(cli, ["source", "check", "other", "--config", str(config)])
    assert (wrong.exit_code, "known: ks" in wrong.output) == (2, True)
    again = runner.invoke(cli, ["source", "init", "ks", "--config", str(config)])
    assert again.exit_code == 0
    assert "env: MOTCUA_KS_URL" in again.stdout
