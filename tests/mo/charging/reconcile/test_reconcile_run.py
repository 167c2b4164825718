"""Import, comparison, export on both kinds of store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from gateway.clock import VIETNAM
from gateway.db import make_engine
from gateway.errors import GatewayError
from gateway.mo.charging.reconcile import importing
from gateway.mo.charging.reconcile.export import export
from gateway.mo.charging.reconcile.importing import Imported, Importer
from gateway.mo.charging.reconcile.report import Report, as_csv, as_json, as_table
from gateway.mo.charging.reconcile.run import Reconciler, settle
from gateway.mo.services import Services
from gateway.settings import ChargingSettings, FileFormat, QuerySettings
from gateway.store.ledger import charge_txn, journal_txn, ledger_totals_txn
from gateway.store.reconciliation import items, run_txn, totals_txn
from gateway.store.schema import charge, charge_journal, message, mo, operator_bad_line, operator_file, operator_row

NOW = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)
DAY = datetime(2026, 3, 5, 0, 0, tzinfo=VIETNAM)
SETTINGS = ChargingSettings()
SERVICES = Services(QuerySettings())


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    made = make_engine(store_url, readers=2)
    yield made
    made.dispose()


def ledger(engine: Engine, *rows: dict[str, Any]) -> None:
    """Answered queries, one an hour on 5 March; 84905000001 and so on."""
    with engine.execution_options(motcua_write=True).begin() as conn:
        for number, row in enumerate(rows, 1):
            values = {"phone": f"8490500000{number}", "at": DAY + timedelta(hours=number), "state": "charged", **row}
            conn.execute(
                mo.insert().values(
                    id=number,
                    dedupe_key=str(number),
                    route="one",
                    bind="b",
                    smsc_message_id=values.get("smsc_message_id", ""),
                    source_addr=values["phone"],
                    destination_addr="8083",
                    text="MCKH 010170123" + str(number),
                    octets=b"",
                    data_coding=0,
                    received_at=values["at"],
                    state=values.get("mo_state", "replied"),
                    service="mckh",
                    replied_at=values["at"] + timedelta(seconds=2),
                )
            )
            conn.execute(
                charge.insert().values(
                    mo_id=number,
                    route="one",
                    profile="tlv",
                    amount_vnd=values.get("amount_vnd", 1000),
                    decision="charge",
                    state=values["state"],
                    created_at=values["at"],
                    state_at=values["at"],
                )
            )
            conn.execute(
                message.insert().values(
                    id=number,
                    source="mo",
                    receipt_code=str(number),
                    kind="mo_reply",
                    occasion="",
                    state="delivered",
                    template_id="t",
                    template_version="1",
                    text="x",
                    coding="gsm7",
                    parts=1,
                    source_addr="8083",
                    destination_addr=values["phone"],
                    route="one",
                    priority=0,
                    not_before=values["at"],
                    created_at=values["at"],
                    state_at=values["at"],
                    mo_id=number,
                )
            )


def line(number: int, flag: int = 1, shift_s: int = 0, hour: int | None = None) -> str:
    at = DAY + timedelta(hours=hour or number, seconds=shift_s)
    return f"8490500000{number}:848083:MCKH:{at:%Y%m%d%H%M%S}:{at:%Y%m%d%H%M%S}:{flag}:1"


def take(
    engine: Engine, folder: Path, *lines: str, name: str = "f.txt", accept: bool = False, form: str = "viettel"
) -> Imported:
    path = folder / name
    path.write_text("".join(f"{one}\n" for one in lines), encoding="utf-8")
    return Importer(engine, "one", form, SETTINGS.reconciliation.formats[form], SETTINGS, NOW).run(
        path, accept_bad_lines=accept
    )


def compare(engine: Engine, **period: Any) -> tuple[dict[str, tuple[int, int, int]], list[Any]]:
    number = Reconciler(engine, "one", SERVICES, 300.0, NOW).run(period.get("since"), period.get("until"))
    with engine.connect() as conn:
        totals = {total.kind: (total.rows, total.ours_vnd, total.theirs_vnd) for total in totals_txn(conn, number)}
        return {kind: values for kind, values in totals.items() if values[0]}, list(items(conn, number))


def count(engine: Engine, table: sa.Table) -> int:
    with engine.connect() as conn:
        return int(conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_file_counts_once(engine: Engine, tmp_path: Path) -> None:
    first = take(engine, tmp_path, line(1), line(2))
    again = take(engine, tmp_path, line(1), line(2), name="the same under another name.txt")
    assert (first.rows, first.already, again.already, again.file_id) == (2, False, True, first.file_id)
    assert (count(engine, operator_file), count(engine, operator_row)) == (1, 2)


def test_bad_lines_are_all_told_and_nothing_is_imported(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)  # rows were written before the fault was met
    done = take(engine, tmp_path, line(1), line(2), line(3), "rubbish", line(4), "84905:1:2:3:4:5:6")
    assert done.file_id is None
    assert [number for number, _ in done.bad] == [4, 6]
    assert (count(engine, operator_file), count(engine, operator_row), count(engine, operator_bad_line)) == (0, 0, 0)
    with pytest.raises(GatewayError, match="no file of one"):
        compare(engine)


def test_bad_lines_may_be_accepted_and_stay_listed(engine: Engine, tmp_path: Path) -> None:
    done = take(engine, tmp_path, line(1), "rubbish", "", line(2), accept=True)
    assert (done.rows, done.bad_lines) == (2, 1)
    with engine.connect() as conn:
        [bad] = conn.execute(sa.select(operator_bad_line)).all()
        lines = list(conn.execute(sa.select(operator_row.c.line).order_by(operator_row.c.line)).scalars())
    assert (bad.line, lines) == (2, [1, 4])  # as an editor counts


def test_what_a_broken_import_left_does_not_count_and_is_removed(engine: Engine, tmp_path: Path) -> None:
    done = take(engine, tmp_path, line(1))
    with engine.execution_options(motcua_write=True).begin() as conn:
        conn.execute(operator_file.update().values(state="importing", touched_at=NOW - timedelta(minutes=5)))
    with pytest.raises(GatewayError, match="no file of one"):
        compare(engine)
    again = take(engine, tmp_path, line(1))
    assert again.file_id != done.file_id
    assert (count(engine, operator_file), count(engine, operator_row)) == (1, 1)


def test_an_import_that_is_under_way_is_left_alone(engine: Engine, tmp_path: Path) -> None:
    take(engine, tmp_path, line(1))
    with engine.execution_options(motcua_write=True).begin() as conn:
        conn.execute(operator_file.update().values(state="importing", touched_at=NOW - timedelta(seconds=5)))
    with pytest.raises(GatewayError, match="another process"):
        take(engine, tmp_path, line(1))
    assert count(engine, operator_row) == 1


def test_a_fault_of_the_store_leaves_nothing(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(importing, "finish_import_txn", broken)
    with pytest.raises(RuntimeError, match="disk"):
        take(engine, tmp_path, line(1))
    assert (count(engine, operator_file), count(engine, operator_row)) == (0, 0)


def test_a_file_with_octets_of_another_encoding(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_bytes(b"\xef\xbb\xbf" + line(1).encode() + b"\r\n" + b"\xff\xfe:\n")
    form = SETTINGS.reconciliation.formats["viettel"]
    done = Importer(engine, "one", "viettel", form, SETTINGS, NOW).run(path)
    assert done.bad == ((2, "octet 1 is not utf-8"),)


# -- comparison -------------------------------------------------------------------------------------------------------


def test_each_kind_of_difference(engine: Engine, tmp_path: Path) -> None:
    ledger(
        engine,
        {},  # 1 agrees
        {},  # 2 only ours
        {"state": "refunded"},  # 3 the operator charged all the same
        {"state": "insufficient_balance"},  # 4 flag 0: nobody paid, agrees
        {"amount_vnd": 2000},  # 5 another price
        {"mo_state": "ignored", "state": "not_charged"},  # 6 was never answered: not missed in the file
    )
    take(engine, tmp_path, line(1, shift_s=5), line(3), line(4, flag=0), line(5), line(7))
    totals, found = compare(engine)
    assert totals == {
        "matched": (2, 1000, 1000),
        "only_ours": (1, 1000, 0),
        "only_theirs": (1, 0, 1000),
        "different_amount": (1, 2000, 1000),
        "different_outcome": (1, 0, 1000),
    }
    assert [(item.kind, item.mo_id, item.line) for item in found] == [
        ("different_amount", 5, 4),
        ("different_outcome", 3, 2),
        ("only_ours", 2, None),
        ("only_theirs", None, 5),
    ]


def test_a_list_of_refunds_misses_no_charge(engine: Engine, tmp_path: Path) -> None:
    ledger(engine, {}, {"state": "refunded"}, {"state": "refunded"}, {})
    at = DAY + timedelta(hours=2)
    refund = "8083;8490500000{};{:%d/%m/%Y %H:%M:%S};;MCKH;05/03/2026;1000;KH"
    lines = (refund.format(2, at), refund.format(4, at + timedelta(hours=2)))
    take(engine, tmp_path, *lines, form="vinaphone")
    totals, _ = compare(engine)
    assert totals == {"matched": (1, 0, 0), "only_ours": (1, 0, 0), "different_outcome": (1, 1000, 0)}


def test_the_edges_of_a_period(engine: Engine, tmp_path: Path) -> None:
    """A pair counts in the period of our time, whatever the operator's clock says; nothing is counted twice."""
    midnight = DAY + timedelta(days=1)
    ledger(engine, {"at": midnight - timedelta(seconds=10)}, {"at": midnight + timedelta(seconds=10)})
    early = f"84905000001:8083:MCKH:{midnight + timedelta(seconds=5):%Y%m%d%H%M%S}::1:1"
    late = f"84905000002:8083:MCKH:{midnight - timedelta(seconds=5):%Y%m%d%H%M%S}::1:1"
    take(engine, tmp_path, early, late)
    first, found = compare(engine, since=DAY, until=midnight)
    second, more = compare(engine, since=midnight, until=midnight + timedelta(days=1))
    assert (first, second) == ({"matched": (1, 1000, 1000)}, {"matched": (1, 1000, 1000)})
    assert found + more == []


def test_the_same_id_under_another_number(engine: Engine, tmp_path: Path) -> None:
    ledger(engine, {"smsc_message_id": "m-1"}, {"smsc_message_id": "m-2"})
    rows = [
        ["id", "msisdn", "shortcode", "text", "received", "flag", "price"],
        ["m-1", "0905999999", "8083", "x", "2026-03-05 09:00:00", "1", "1000"],
        ["m-2", "0905999998", "8083", "x", "2026-03-05 09:00:00", "0", "1000"],
    ]
    take(engine, tmp_path, *("\t".join(row) for row in rows), form="vietnamobile")
    totals, found = compare(engine)
    assert totals == {"matched": (1, 1000, 1000), "different_outcome": (1, 1000, 0)}
    [item] = found
    assert (item.kind, item.mo_id, item.line, item.theirs) == ("different_outcome", 2, 3, "refunded")


def test_a_second_run_of_a_period_replaces_the_first(engine: Engine, tmp_path: Path) -> None:
    ledger(engine, {})
    take(engine, tmp_path, line(1), line(2))
    one = compare(engine)
    assert compare(engine) == one
    with engine.connect() as conn:
        run = run_txn(conn, None, "one")
        assert run is not None
        assert run_txn(conn, run.id - 1, None) is None


def test_the_operator_settles_what_the_ledger_left_open(engine: Engine, tmp_path: Path) -> None:
    ledger(engine, {"state": "unknown"}, {"state": "sent"}, {"state": "charged"})
    take(engine, tmp_path, line(1), line(2, flag=0), line(3, flag=0))
    _, found = compare(engine)
    assert settle(engine, found, NOW) == 2
    assert settle(engine, found, NOW) == 0
    with engine.connect() as conn:
        states = [row.state.value for number in (1, 2, 3) if (row := charge_txn(conn, number))]
        assert states == ["charged", "refunded", "charged"]  # a dispute is for people
        assert journal_txn(conn, 1)[-1].reason.startswith("reconciliation: file")
        assert ledger_totals_txn(conn).charged_vnd == 2000


def test_the_report_in_each_form(engine: Engine, tmp_path: Path) -> None:
    import csv
    import json

    ledger(engine, {}, {})
    take(engine, tmp_path, line(1), line(3))
    compare(engine)
    with engine.connect() as conn:
        run = run_txn(conn, None, None)
        assert run is not None
        report = Report.of(run, totals_txn(conn, run.id))
        found = list(items(conn, run.id))
    table = "\n".join(as_table(report, found, 0, full=False))
    assert "33.33 %" in table
    assert "84905000002" not in table
    assert "84905***002" in table
    values = json.loads("".join(as_json(report, found, full=True)))
    assert (values["rows"], values["difference_vnd"], len(values["items"])) == (3, 0, 2)
    assert values["kinds"]["matched"] == {"rows": 1, "share_percent": 33.3333, "ours_vnd": 1000, "theirs_vnd": 1000}
    rows = list(csv.DictReader(as_csv(found, full=True)))
    assert [(row["kind"], row["number"]) for row in rows] == [
        ("only_ours", "84905000002"),
        ("only_theirs", "84905000003"),
    ]


# -- export -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["viettel", "vietnamobile"])
def test_our_own_file_agrees_with_ourselves(engine: Engine, tmp_path: Path, name: str) -> None:
    ledger(engine, {}, {"state": "refunded"}, {"state": "insufficient_balance"}, {"state": "unknown"})
    form = SETTINGS.reconciliation.formats[name]
    out = tmp_path / "ours.txt"
    done = export(engine, "one", form, SERVICES, DAY, DAY + timedelta(days=1), out)
    assert (done.rows, done.left_out) == (3, {"unknown": 1})
    Importer(engine, "one", name, form, SETTINGS, NOW).run(out)
    totals, _ = compare(engine)
    assert totals["matched"][0] == 3
    assert totals["only_ours"][0] == 1


def test_a_list_of_refunds_holds_refunds_only(engine: Engine, tmp_path: Path) -> None:
    ledger(engine, {}, {"state": "refunded"})
    out = tmp_path / "ours.txt"
    form = SETTINGS.reconciliation.formats["vinaphone"]
    done = export(engine, "one", form, SERVICES, DAY, DAY + timedelta(days=1), out)
    assert (done.rows, done.left_out) == (1, {"charged": 1})
    assert out.read_text(encoding="utf-8") == (
        "8083;84905000002;05/03/2026 02:00:00;05/03/2026 02:00:02;MCKH 0101701232;05/03/2026;1000;MOTCUA\n"
    )


def test_an_export_that_breaks_leaves_the_old_file(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger(engine, {})
    out = tmp_path / "ours.txt"
    out.write_text("last month\n", encoding="utf-8")

    def broken(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.mo.charging.reconcile.layout.Layout.write", broken)
    with pytest.raises(GatewayError, match="No space left"):
        export(engine, "one", FORM, SERVICES, DAY, DAY + timedelta(days=1), out)
    assert out.read_text(encoding="utf-8") == "last month\n"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


FORM: FileFormat = SETTINGS.reconciliation.formats["viettel"]


# -- laws -------------------------------------------------------------------------------------------------------------

STATES = st.sampled_from(["charged", "refunded", "not_charged", "insufficient_balance", "unknown", "sent"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STATES, max_size=8), st.lists(st.tuples(st.integers(1, 9), st.integers(0, 1)), max_size=8))
def test_totals_are_the_sums_of_both_sides_and_the_ledger_stays_balanced(
    sqlite_store_url: str, tmp_path: Path, states: list[str], lines: list[tuple[int, int]]
) -> None:
    engine = make_engine(sqlite_store_url, readers=2)
    with engine.execution_options(motcua_write=True).begin() as conn:
        for table in (message, charge_journal, charge, mo, operator_row, operator_file):
            conn.execute(sa.delete(table))
    ledger(engine, *({"state": state} for state in states))
    with engine.execution_options(motcua_write=True).begin() as conn:
        for number, state in enumerate(states, 1):
            values = {"mo_id": number, "at": NOW, "to_state": state, "amount_vnd": 1000 * (state == "charged")}
            conn.execute(charge_journal.insert().values(**values))
    # one line that is surely alone: an empty file has nothing to compare
    take(engine, tmp_path, line(1, hour=23), *(line(number, flag) for number, flag in lines))
    number = Reconciler(engine, "one", SERVICES, 300.0, NOW).run(DAY, DAY + timedelta(days=1))
    with engine.connect() as conn:
        totals = totals_txn(conn, number)
        found = list(items(conn, number))
    assert sum(total.ours_vnd for total in totals) == 1000 * states.count("charged")
    assert sum(total.theirs_vnd for total in totals) == 1000 * (1 + sum(flag for _, flag in lines))
    pairs = {total.kind: total.rows for total in totals}
    both = pairs["matched"] + pairs["different_amount"] + pairs["different_outcome"]
    assert both + pairs["only_ours"] == len(states)
    assert both + pairs["only_theirs"] == 1 + len(lines)
    assert sum(pairs.values()) - pairs["matched"] == len(found)
    settled = settle(engine, found, NOW)
    with engine.connect() as conn:
        assert ledger_totals_txn(conn).balanced
    open_pairs = [item for item in found if item.theirs is not None and item.ours in ("unknown", "sent")]
    assert settled == len(open_pairs)
    engine.dispose()
