"""``preview`` says what the daemon then does, and writes nothing."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from agency_database import AgencyDatabase, InlineSourceDatabase
from click.testing import CliRunner
from inline_db import InlineDatabase
from poll_world import NOW, World, poll, stamp
from twisted.internet.task import Clock

from gateway.cli import cli
from gateway.clock import VIETNAM
from gateway.dossiers.source import Source
from gateway.jobs.preview import WHY, WHY_NOT, in_words
from gateway.model import MessageKind
from gateway.settings import SourceSettings
from gateway.store.schema import metadata


class Province:
    """One agency, its poller, and the command line over the same configuration."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.agency = AgencyDatabase(folder / "agency.sqlite3")
        self.store = InlineDatabase(store_url)
        self.world = World(self.store)
        self.config = folder / "gateway.yaml"
        self.values: dict[str, Any] = {
            "store": {"url": store_url},
            "operators": {"one": {"binds": [{"name": "one-1", "host": "127.0.0.1", "system_id": "x"}]}},
            "sources": {"ks": {"url": self.agency.url}},
        }
        self.source = Source(Clock(), "ks", SourceSettings(url=self.agency.url), InlineSourceDatabase)  # type: ignore[arg-type]
        self.poller = self.world.poller(self.source)

    def preview(self, at: datetime, *options: str) -> dict[str, Any]:
        self.config.write_text(yaml.safe_dump(self.values, allow_unicode=True), encoding="utf-8")
        result = CliRunner().invoke(
            cli,
            ["preview", "--config", str(self.config), "--at", at.astimezone(VIETNAM).isoformat(), "--json", *options],
        )
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def rows(self) -> list[Any]:
        return self.store.do(
            lambda conn: [tuple(row) for table in metadata.sorted_tables for row in conn.execute(sa.select(table))]
        )


@pytest.fixture
def province(tmp_path: Path, sqlite_store_url: str) -> Province:
    made = Province(tmp_path, sqlite_store_url)
    made.agency.add_many([{"receipt_code": f"01017{n:05}"} for n in range(10)])
    assert poll(made.poller) == "read"
    return made


def move(province: Province, code: str, **changes: Any) -> None:
    province.agency.change(code, updated_at=stamp(NOW + timedelta(seconds=30)), **changes)


def test_what_it_says_is_what_the_poll_then_makes(province: Province) -> None:
    at = NOW + timedelta(minutes=1)
    move(province, "0101700001", status="Đã xử lý xong")
    move(province, "0101700002", status="Chờ bổ sung", at_one_stop_shop=1)
    move(province, "0101700003", status="Chờ bổ sung")
    move(province, "0101700004", status="Đã xử lý xong", phone="02583822382")
    move(province, "0101700005", status="Đã xử lý xong", received_at="2026-03-04 08:00:00")
    move(province, "0101700006", status="Giao trả hồ sơ", return_by_post=1)
    before = province.rows()
    found = province.preview(at)
    assert province.rows() == before
    sent = {(line["code"], line["kind"]) for line in found["would_send"] if line["origin"] == "change"}
    assert sent == {("0101700001", "result_ready"), ("0101700002", "supplement_needed")}
    why = {line["code"]: line["reason"] for line in found["would_not_send"] if line["origin"] == "change"}
    assert why == {"0101700004": "phone:LANDLINE", "0101700005": "same_day", "0101700006": "by_post"}
    [line] = [line for line in found["would_send"] if line["code"] == "0101700001" and line["origin"] == "change"]
    assert (line["number"], line["route"], line["segments"]) == ("84905***456", "one", 1)
    assert datetime.fromisoformat(line["at"]) == at + timedelta(minutes=10)
    province.world.reactor.advance(60)
    assert poll(province.poller) == "read"
    made = {(code, kind) for code, kind, _, state in province.world.messages if state != "rejected"}
    assert made == sent


def test_the_evenings_apologies_are_for_dossiers_as_the_view_says_now(province: Province) -> None:
    move(province, "0101700001", status="Đã xử lý xong")
    move(province, "0101700002", clock_stopped=1)
    move(province, "0101700003", due_at="2026-03-09 17:00:00")
    found = province.preview(NOW)
    apologies = {line["code"] for line in found["would_send"] if line["origin"] == "apology"}
    assert apologies == {f"01017{n:05}" for n in (0, 4, 5, 6, 7, 8, 9)}
    [line] = [line for line in found["would_not_send"] if line["origin"] == "apology"]
    assert (line["code"], line["reason"]) == ("0101700002", "clock_stopped")
    evening = {datetime.fromisoformat(line["at"]) for line in found["would_send"] if line["origin"] == "apology"}
    assert evening == {datetime(2026, 3, 3, 10, 30, tzinfo=UTC)}
    late = province.preview(datetime(2026, 3, 3, 13, 1, tzinfo=UTC))  # 20:01: tomorrow's run, for the day after
    assert [line for line in late["would_send"] if line["origin"] == "apology"] == []


def test_what_waits_is_listed_and_what_a_change_takes_back(province: Province) -> None:
    move(province, "0101700001", status="Đã xử lý xong")
    province.world.reactor.advance(60)
    poll(province.poller)
    at = NOW + timedelta(minutes=2)
    [line] = [line for line in province.preview(at)["would_send"] if line["origin"] == "outbox"]
    assert (line["code"], line["reason"]) == ("0101700001", "the result is at the counter; waits: hold")
    province.agency.change("0101700001", status="Đang xử lý", updated_at=stamp(NOW + timedelta(seconds=90)))
    assert province.preview(at)["counts"]["cancelled"] == [{"what": "result_ready", "why": "reverted", "number": 1}]


def test_polled_dossiers_of_which_nothing_was_announced_are_explained(province: Province) -> None:
    province.agency.add(
        receipt_code="0101700090", status="Đã xử lý xong", updated_at=stamp(NOW), received_at="2026-03-04 08:00:00"
    )
    province.world.reactor.advance(60)
    poll(province.poller)
    found = province.preview(NOW + timedelta(minutes=2))
    assert [(line["code"], line["reason"]) for line in found["would_not_send"] if line["origin"] == "recent"] == [
        ("0101700090", "same_day")
    ]
    one = province.preview(NOW + timedelta(minutes=2), "--code", "0101700090")
    assert [line["code"] for line in one["would_not_send"]] == ["0101700090"]
    assert one["would_send"] == []


def test_without_a_store_everything_is_history(tmp_path: Path) -> None:
    province = Province(tmp_path, f"sqlite:///{tmp_path / 'none.sqlite3'}")
    province.agency.add(status="Đã xử lý xong")
    (tmp_path / "none.sqlite3").unlink(missing_ok=True)
    found = province.preview(NOW)
    assert found["would_send"] == []
    assert found["counts"]["would_not_send"] == [{"what": "result_ready", "why": "history", "number": 1}]
    assert not (tmp_path / "none.sqlite3").exists()


def test_a_source_that_is_down_does_not_hide_the_others(province: Province) -> None:
    province.values["sources"]["gone"] = {"url": "sqlite:////nowhere/x.sqlite3"}
    found = province.preview(NOW)
    assert list(found["failed_sources"]) == ["gone"]
    assert len(found["would_send"]) == 10


def test_numbers_in_full_are_for_those_who_may(province: Province) -> None:
    province.preview(NOW)
    refused = CliRunner().invoke(cli, ["preview", "--config", str(province.config), "--full"])
    assert (refused.exit_code, "reports.full_numbers" in refused.output) == (2, True)
    province.values["reports"] = {"full_numbers": [getpass.getuser()]}
    found = province.preview(NOW, "--full")
    assert {line["number"] for line in found["would_send"]} == {"84905123456"}


def test_it_speaks_in_words(province: Province) -> None:
    province.preview(NOW)
    result = CliRunner().invoke(
        cli, ["preview", "--config", str(province.config), "--at", "2026-03-03 10:00", "--text"]
    )
    assert "apology_due_tomorrow: 03/03 17:30 to 84905***456 by one" in result.output
    assert "TB: Ho so cua quy ong/ba (MS: 0101700000)" in result.output
    wrong = CliRunner().invoke(cli, ["preview", "--config", str(province.config), "--at", "gestern"])
    assert wrong.exit_code == 2
    assert set(WHY) == set(MessageKind)
    assert in_words("phone:LANDLINE") == "no notice can go to its number: LANDLINE"
    assert all(in_words(reason) == words for reason, words in WHY_NOT.items())
