"""``motcua-gateway reconcile`` and ``mo show`` as a person at a terminal meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from mo_story_data import a_story

from gateway.cli import cli
from gateway.db import make_engine

Run = Callable[..., Result]
AT = datetime(2026, 3, 5, 3, 0, tzinfo=UTC)  # 10:00 in Vietnam
LINE = "84905123456:848083:MCKH:20260305100003:20260305100005:1:1\n"


@pytest.fixture
def run(sqlite_store_url: str, tmp_path: Path) -> Run:
    """A province with one query, charged, and its configuration."""
    config = tmp_path / "gateway.yaml"
    bind = {"name": "v1", "host": "127.0.0.1", "system_id": "m"}
    config.write_text(
        yaml.safe_dump({"store": {"url": sqlite_store_url}, "operators": {"viettel": {"binds": [bind]}}}),
        encoding="utf-8",
    )
    engine = make_engine(sqlite_store_url)
    with engine.execution_options(motcua_write=True).begin() as conn:
        a_story(conn, "viettel", AT)
    engine.dispose()

    def invoke(*arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(cli, [*map(str, arguments), "--config", str(config)])
        assert result.exit_code == status, result.output
        return result

    return invoke


def test_a_month_from_the_file_to_the_report(run: Run, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.txt", tmp_path / "ours.txt"
    theirs.write_text(LINE + LINE.replace("84905123456", "84905000001"), encoding="utf-8")
    arguments = ("reconcile", "import", theirs, "--format", "viettel", "--operator", "viettel")
    assert "2 rows imported" in run(*arguments).output
    assert "imported before" in run(*arguments).output
    compared = run("reconcile", "run", "--operator", "viettel").output
    assert "50.00 %" in compared
    assert "84905***001" in compared
    report = json.loads(run("reconcile", "report", "--json").stdout)
    assert {kind: values["rows"] for kind, values in report["kinds"].items() if values["rows"]} == {
        "matched": 1,
        "only_theirs": 1,
    }
    assert "84905000001" in run("reconcile", "report", "--format", "csv", "--full").stdout
    period = ("--from", "2026-03-01", "--to", "2026-04-01")
    exported = run("reconcile", "export", ours, "--format", "viettel", "--operator", "viettel", *period)
    assert "1 rows, 1,000 VND" in exported.output
    assert ours.read_text(encoding="utf-8") == "84905123456:848083:MCKH:20260305100000:20260305100001:1:1\n"


def test_bad_lines_are_named(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(LINE + "rubbish\n", encoding="utf-8")
    arguments = ("reconcile", "import", path, "--format", "viettel", "--operator", "viettel")
    refused = run(*arguments, status=1).output
    assert "bad.txt:2: 1 columns, not 7" in refused
    assert "nothing imported" in refused
    assert "1 bad lines left out" in run(*arguments, "--accept-bad-lines").output


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("reconcile", "import", "none.txt", "--format", "viettel", "--operator", "viettel"), 1, "cannot be read"),
        (("reconcile", "import", "x", "--format", "gold", "--operator", "viettel"), 2, "known: vietnamobile"),
        (("reconcile", "import", "x", "--format", "viettel", "--operator", "gold"), 2, "known: viettel"),
        (("reconcile", "run", "--operator", "viettel"), 1, "reconcile import"),
        (("reconcile", "report"), 1, "reconcile run"),
        (("mo", "show"), 2, "by its ID"),
        (("mo", "show", "9"), 1, "no query 9"),
        (("mo", "show", "--from", "Nam"), 2, "no telephone number"),
        (("mo", "show", "--from", "0905999999"), 1, "no query of this number"),
    ],
)
def test_wrong_use_says_what_to_do(run: Run, arguments: tuple[str, ...], status: int, word: str) -> None:
    assert word in run(*arguments, status=status).output


def test_the_life_of_one_query(run: Run) -> None:
    story = run("mo", "show", "1").output
    for told in (
        "84905***456 to 8083, by v1 (viettel)",
        "SMSC id m-77, data_coding 0x00",
        "text: MCKH 0101701234",
        "read as: OK 0101701234, service mckh",
        "found in khanh-son in 12 ms; answer mo_reply_status",
        "names the query by m-77",
        "part 1 submit_sm_resp on v1: ESME_ROK, id s-1",
        "part 1 receipt: DELIVRD err:000",
        "(new) -> pending",
        "decided -> charged, decision charge, +1,000 VND",
        "Outcome: charged: the citizen paid",
    ):
        assert told in story, story
    assert "84905123456" not in story
    assert "84905123456" in run("mo", "show", "1", "--full").output


def test_the_life_of_one_query_for_programs(run: Run) -> None:
    [one] = run("mo", "show", "--from", "0905123456", "--json").stdout.splitlines()
    values = json.loads(one)
    assert (values["source_addr"], values["charge"]["state"]) == ("84905***456", "charged")
    assert [line["to_state"] for line in values["journal"]] == ["pending", "decided", "charged"]
    assert values["replies"][0]["parts"][0]["smsc_message_id"] == "s-1"
    assert values["received_at"] == "2026-03-05T10:00:00+07:00"
