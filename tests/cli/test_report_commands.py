"""Reports and templates from the command line."""

from __future__ import annotations

import csv
import getpass
import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner
from messages import new_message

from gateway.cli import cli
from gateway.db import make_engine
from gateway.model import MessageKind, MessageState
from gateway.store.outbox import insert_messages_txn
from gateway.store.reports import Scope, by_agency, conflicts_txn, coverage_txn, notices_txn, number_fields_txn, total
from gateway.store.schema import dossier, message, state_conflict, supplement_violation

M, K = MessageState, MessageKind
NOW = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MARCH = Scope(datetime(2026, 2, 28, 17, 0, tzinfo=UTC), datetime(2026, 3, 31, 17, 0, tzinfo=UTC))


def a_row(code: str, **changes: Any) -> dict[str, Any]:
    values = {
        "source": "qn",
        "receipt_code": code,
        "agency_code": "KS",
        "agency_name": "UBND huyện Khánh Sơn",
        "procedure_code": "1.004203",
        "procedure_name": "Cấp đổi",
        "state": "processing",
        "status_raw": "Đang xử lý",
        "step_name": "Thẩm định",
        "at_one_stop_shop": False,
        "clock_stopped": False,
        "return_by_post": False,
        "phone_raw": "0905123456",
        "phone_recorded_at": None,
        "received_at": NOW,
        "finished_at": None,
        "row_hash": "x",
        "first_seen_at": NOW,
        "seen_at": NOW,
        "state_since": NOW,
    }
    return {**values, **changes}


def fill(url: str) -> None:
    """Two agencies; notices in every state."""
    rows = [
        a_row("1", finished_at=NOW, state="result_ready"),
        a_row("2", finished_at=NOW, state="returned", phone_raw="02583822382"),
        a_row("3", state="result_ready", phone_raw=""),  # the view does not say when
        a_row("4", phone_raw="0582123456", phone_recorded_at=date(2020, 1, 1)),
        a_row(
            "5", agency_code="NT", agency_name="Nha Trang", procedure_code="2.1", finished_at=NOW, phone_raw="0905 123"
        ),
        a_row("6", received_at=NOW - 90 * DAY, finished_at=NOW - 60 * DAY, state="returned"),
        a_row("7", received_at=NOW + DAY, phone_raw="=cmd|' /C calc'!A0"),
    ]
    made = {"agency_code": "KS", "agency_name": "UBND huyện Khánh Sơn", "procedure_code": "1.004203"}
    new = [
        new_message("1", **made, parts=2),
        new_message("2", **made, state=M.REJECTED, reason="phone:LANDLINE", destination_addr="", route="", parts=0),
        new_message("4", **made, kind=K.SUPPLEMENT_NEEDED),
        new_message("4", **made, kind=K.APOLOGY_DUE_TOMORROW),
        new_message("3", **made, occasion="2"),
        new_message("9", source="mo", kind=K.MO_REPLY),
    ]
    engine = make_engine(url, readers=1)
    with engine.begin() as conn:
        conn.execute(sa.insert(dossier), rows)
        ids = insert_messages_txn(conn, new, NOW)
        for at, values in enumerate(
            [
                {"state": "delivered", "accepted_at": NOW, "attempts": 1},
                {},
                {"state": "undelivered", "reason": "UNDELIV:001", "accepted_at": NOW, "attempts": 1},
                {"state": "cancelled", "reason": "overtaken"},
                {"state": "rejected", "reason": "ESME_RINVDSTADR", "attempts": 1},
                {"state": "delivered", "accepted_at": NOW, "attempts": 1},
            ]
        ):
            if values:
                conn.execute(sa.update(message).where(message.c.id == ids[at]).values(**values))
        conflict = {
            "source": "qn",
            "receipt_code": "1",
            "agency_code": "KS",
            "kind": "result_ready",
            "detail": "",
            "at": NOW,
        }
        conn.execute(
            sa.insert(state_conflict),
            [{**conflict, "what": "cancelled_in_hold"}, {**conflict, "what": "repeated_entry", "at": NOW - 60 * DAY}],
        )
        violation = {"source": "qn", "receipt_code": "4", "agency_code": "KS", "procedure_code": "1.004203"}
        conn.execute(
            sa.insert(supplement_violation), {**violation, "request_no": 2, "what": "repeated", "at": NOW, "told": 1}
        )
    engine.dispose()


@pytest.fixture
def filled(store_url: str) -> str:
    fill(store_url)
    return store_url


def read(url: str) -> sa.Connection:
    return make_engine(url, readers=1, read_only=True).connect()


def test_notices_against_dossiers(filled: str) -> None:
    with read(filled) as conn:
        rows = notices_txn(conn, MARCH, {"viettel": 300.0, "": None})
    ks, nt = rows
    assert (ks.agency_code, ks.procedure_code, ks.procedure_name) == ("KS", "1.004203", "Cấp đổi")
    assert (ks.received, ks.resolved, ks.due) == (5, 3, 5)
    assert (ks.sent, ks.accepted, ks.delivered, ks.failed, ks.cancelled, ks.waiting) == (3, 2, 1, 3, 1, 0)
    assert ks.reasons == {"phone:LANDLINE": 1, "UNDELIV:001": 1, "ESME_RINVDSTADR": 1}
    assert (ks.segments, ks.cost_vnd) == (3, 900.0)
    assert (nt.agency_code, nt.received, nt.resolved, nt.due, nt.cost_vnd) == ("NT", 1, 1, 0, 0.0)
    # every notice that was due is in exactly one column
    assert ks.due == ks.delivered + ks.failed + ks.cancelled + ks.blocked + ks.waiting
    whole = total(by_agency(rows))
    assert (whole.received, whole.due, whole.segments) == (6, 5, 3)


def test_a_cost_that_is_not_known_is_not_zero(filled: str) -> None:
    with read(filled) as conn:
        assert notices_txn(conn, MARCH, {})[0].cost_vnd is None


def test_scope_by_agency_procedure_kind_and_time(filled: str) -> None:
    def agencies(scope: Scope, kind: str | None = None) -> list[tuple[str, int, int]]:
        with read(filled) as conn:
            return [(row.agency_code, row.received, row.due) for row in notices_txn(conn, scope, {}, kind)]

    assert agencies(Scope(MARCH.start, MARCH.end, agency="NT")) == [("NT", 1, 0)]
    assert agencies(Scope(MARCH.start, MARCH.end, procedure="2.1")) == [("NT", 1, 0)]
    assert agencies(MARCH, "supplement_needed") == [("KS", 5, 1), ("NT", 1, 0)]
    assert agencies(Scope(NOW - 100 * DAY, NOW - 80 * DAY)) == [("KS", 1, 0)]
    assert agencies(Scope(NOW + 10 * DAY, NOW + 20 * DAY)) == []


def test_coverage(filled: str) -> None:
    with read(filled) as conn:
        ks, nt = coverage_txn(conn, MARCH)
    assert (ks.resolved, ks.announced, ks.accepted, ks.delivered, ks.bad_number, ks.silent) == (3, 3, 1, 1, 1, 0)
    assert (nt.resolved, nt.announced, nt.silent) == (1, 0, 1)


def test_conflicts_and_number_fields(filled: str) -> None:
    with read(filled) as conn:
        assert [row.what for row in conflicts_txn(conn, MARCH)] == ["cancelled_in_hold"]
        assert conflicts_txn(conn, Scope(MARCH.start, MARCH.end, procedure="2.1")) == []
        codes = [item.receipt_code for item in number_fields_txn(conn, MARCH)]
    assert codes == ["1", "2", "3", "4", "7", "5"]


# --- the command line ----------------------------------------------------------------------------------------------


class Commands:
    def __init__(self, folder: Path, url: str) -> None:
        fill(url)
        self.config = folder / "gateway.yaml"
        self.values: dict[str, Any] = {
            "store": {"url": url},
            "operators": {
                "viettel": {"price_per_part_vnd": 300, "binds": [{"name": "v", "host": "127.0.0.1", "system_id": "x"}]}
            },
        }
        self.write()

    def write(self) -> None:
        self.config.write_text(yaml.safe_dump(self.values), encoding="utf-8")

    def __call__(self, *words: str, status: int = 0) -> str:
        result = CliRunner().invoke(cli, [*words, "--config", str(self.config)])
        assert result.exit_code == status, result.output
        return result.output

    def report(self, *words: str, status: int = 0) -> str:
        return self("report", *words, "--from", "2026-03-01", "--to", "31/03/2026", status=status)


@pytest.fixture
def commands(tmp_path: Path, sqlite_store_url: str) -> Commands:
    return Commands(tmp_path, sqlite_store_url)


def test_notices_in_every_format(commands: Commands, tmp_path: Path) -> None:
    table = commands.report("notices")
    assert "UBND huyện Khánh Sơn" in table
    assert "Tổng cộng" in table
    found = json.loads(commands.report("notices", "--format", "json"))
    assert [row["due"] for row in found] == [5, 0, 5]
    assert found[0]["cost_vnd"] == 900
    rows = list(csv.reader(io.StringIO(commands.report("notices", "--format", "csv"))))
    assert rows[0][:3] == ["Mã cơ quan", "Cơ quan", "Mã TTHC"]
    assert len(rows) == 4
    path = tmp_path / "notices.xlsx"
    commands.report("notices", "--by", "agency", "--format", "xlsx", "--output", str(path))
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    values = list(sheet.values)
    assert values[0][:4] == ("Mã cơ quan", "Cơ quan", "Tiếp nhận", "Giải quyết")
    assert values[1][:4] == ("KS", "UBND huyện Khánh Sơn", 5, 3)
    assert "needs --output" in commands.report("notices", "--format", "xlsx", status=2)


def test_a_csv_file_opens_in_a_spreadsheet_with_its_letters_and_without_formulas(
    commands: Commands, tmp_path: Path
) -> None:
    commands.values["reports"] = {"full_numbers": [getpass.getuser()]}
    commands.write()
    path = tmp_path / "numbers.csv"
    commands.report("numbers", "--detail", "--full", "--format", "csv", "--output", str(path))
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    rows = {row[3]: row for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")))}
    assert rows["2"][4:7] == ["02583822382", "LANDLINE", "Số điện thoại bàn"]
    assert rows["7"][4].startswith("'=cmd")


def test_numbers_are_masked_and_grouped(commands: Commands) -> None:
    found = json.loads(commands.report("numbers", "--format", "json"))
    ks = {**found[0]}
    assert {key: ks[key] for key in ("total", "good", "missing", "landline", "wrong", "ambiguous")} == {
        "total": 5,
        "good": 1,
        "missing": 1,
        "landline": 1,
        "wrong": 1,
        "ambiguous": 1,
    }
    detail = {
        row["receipt_code"]: row["phone"]
        for row in json.loads(commands.report("numbers", "--detail", "--format", "json"))
    }
    assert detail["2"] == "0258***382"
    assert detail["7"] == "(text)"
    assert "1" not in detail
    assert "reports.full_numbers" in commands.report("numbers", "--full", status=2)


def test_coverage_conflicts_and_violations(commands: Commands) -> None:
    [ks, _] = json.loads(commands.report("coverage", "--format", "json"))
    assert ks["percent"] == 33.3
    assert "cancelled_in_hold" in commands.report("conflicts")
    [counted] = json.loads(commands.report("conflicts", "--summary", "--format", "json"))
    assert counted["number"] == 1
    [violation] = json.loads(commands.report("violations", "--format", "json"))
    assert (violation["request_no"], violation["what"], violation["told"]) == (2, "repeated", 1)
    assert "(không có dữ liệu)" in commands.report("conflicts", "--agency", "X")


def test_wrong_periods_and_stores(commands: Commands, tmp_path: Path) -> None:
    assert "is no day" in commands("report", "notices", "--from", "heute", status=2)
    assert "is before" in commands("report", "notices", "--from", "2026-03-02", "--to", "2026-03-01", status=2)
    commands.values["store"] = {"url": f"sqlite:///{tmp_path / 'none.sqlite3'}"}
    commands.write()
    assert "motcua-gateway db upgrade" in commands.report("notices", status=1)


# --- templates -----------------------------------------------------------------------------------------------------


def test_templates_in_the_operators_form(commands: Commands) -> None:
    rows = json.loads(commands("templates", "export", "--version", "rollout_2017", "--format", "json"))
    form = {row["id"]: row for row in rows}["apology_due_tomorrow"]
    assert form["sender"] == "MotcuaSMS"
    assert form["text"].startswith("TB: Ho so cua quy ong/ba (MS: {1}) chua co ket qua vao ngay {2}")
    assert form["text"].isascii()
    assert form["placeholders"].startswith("{1} Mã số biên nhận: 40; {2} Ngày hẹn trả: 10; {3} Tên cơ quan: 100")
    assert (form["segments"], form["segments_most"], form["cost_vnd"]) == (2, 3, 900)
    assert "no text has that id" in commands("templates", "export", "--version", "1999", status=2)


def test_lint_passes_the_shipped_texts_with_and_without_accents(commands: Commands) -> None:
    assert ", 0 faults" in commands("templates", "lint", "--at", "2026-03-01")
    commands.values["notices"] = {"accents": "keep"}
    commands.write()
    assert ", 0 faults" in commands("templates", "lint")


@pytest.mark.parametrize(
    ("notices", "part"),
    [
        ({"max_parts": 1}, "takes 2 parts, 1 are allowed"),
        ({"accents": "keep", "max_parts": 3}, "takes 4 parts, 3 are allowed"),
        ({"template_version": "1999"}, "no template version '1999'"),
        ({"enabled": ["receipt_issued", "mo_reply"]}, "there is no template 'mo_reply'"),
    ],
)
def test_lint_refuses_what_cannot_fit(commands: Commands, notices: dict[str, Any], part: str) -> None:
    commands.values["notices"] = notices
    commands.write()
    assert part in commands("templates", "lint", status=1)


def test_lint_refuses_an_agencys_name_that_is_too_long(commands: Commands) -> None:
    commands.values["agencies"] = {"KS": {"name": "Ủy ban nhân dân " * 8}}
    commands.write()
    assert "the registered maximum is 100" in commands("templates", "lint", status=1)


def test_lint_refuses_a_folder_with_a_gap_or_a_fault(commands: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()

    def write(name: str, dates: str, text: str = "Ho so {Mã số biên nhận} xong") -> None:
        (folder / f"{name}.yaml").write_text(
            f"version: {name}\n{dates}\nplaceholders: [{{name: Mã số biên nhận, field: code, max: 40}}]\n"
            f"templates: [{{id: result_ready, text: '{text}'}}]\n",
            encoding="utf-8",
        )

    write("rollout_2017", "valid_from: 2017-08-15\nvalid_to: 2018-01-01")
    write("later", "valid_from: 2019-01-01")
    commands.values["notices"] = {"enabled": ["result_ready"]}
    commands.write()
    assert "result_ready has no text between 2018-01-01 and 2019-01-01" in commands(
        "templates", "lint", "--dir", str(folder), status=1
    )
    write("later", "valid_from: 2019-01-01", "Ho so {Tên lạ} xong")
    assert "unknown placeholder {Tên lạ}" in commands("templates", "lint", "--dir", str(folder), status=1)
