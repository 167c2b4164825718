"""``motcua-gateway retention`` as an administrator meets it, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner, Result
from messages import new_message

from gateway.cli import cli
from gateway.db import make_engine
from gateway.model import MessageState
from gateway.store import jobs, outbox
from gateway.store.schema import job_run, message

Run = Callable[..., Result]
NOW = datetime.now(UTC)
BIND = {"name": "v1", "host": "127.0.0.1", "system_id": "x"}


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    made = make_engine(store_url, readers=1)
    yield made
    made.dispose()


@pytest.fixture
def run(store_url: str, tmp_path: Path) -> Run:
    settings = {
        "store": {"url": store_url},
        "operators": {"viettel": {"binds": [BIND]}},
        "retention": {"rows": 2, "pause_s": 0, "number_key": "a secret of enough length"},
    }
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return lambda *arguments: CliRunner().invoke(cli, ["retention", *arguments, "--config", str(path)])


@pytest.fixture
def filled(engine: sa.Engine) -> None:
    with engine.begin() as conn:
        for at, codes in ((NOW - timedelta(days=100), "12345"), (NOW, "678")):
            items = [new_message(code, state=MessageState.DELIVERED) for code in codes]
            outbox.insert_messages_txn(conn, items, at)


def texts(engine: sa.Engine) -> list[str]:
    with engine.connect() as conn:
        return list(conn.execute(sa.select(message.c.text)).scalars())


def line(result: Result, step: str) -> list[str]:
    return next(one.split() for one in result.output.splitlines() if one.startswith(step))


@pytest.mark.usefixtures("filled")
def test_a_dry_run_counts_and_changes_nothing(run: Run, engine: sa.Engine) -> None:
    result = run("run", "--dry-run")
    assert result.exit_code == 0, result.output
    assert line(result, "anonymise_messages")[1] == "5"
    assert line(result, "purge_messages")[1] == "0"
    assert "" not in texts(engine)


@pytest.mark.usefixtures("filled")
def test_a_run_does_it_and_is_listed(run: Run, engine: sa.Engine) -> None:
    assert line(run("status"), "anonymise_messages")[-1] == "never"
    result = run("run")
    assert result.exit_code == 0, result.output
    assert line(result, "anonymise_messages")[1:3] == ["5", "rows:"]
    assert texts(engine).count("") == 5
    with engine.connect() as conn:
        [listed] = jobs.runs_txn(conn, NOW - timedelta(days=1))
    assert (listed.job, listed.state, listed.detail) == ("retention", jobs.RunState.DONE, "done by hand")
    status = json.loads(run("status", "--json").output)
    steps = {one["step"]: one for one in status["steps"]}
    assert steps["anonymise_messages"]["changed"] == 5
    assert steps["anonymise_messages"]["finished"].startswith(f"{datetime.now(UTC):%Y-}")
    assert steps["purge_queries"]["before"] < steps["purge_messages"]["before"] < steps["anonymise_messages"]["before"]
    assert (status["months"] == []) is (engine.dialect.name == "sqlite")
    assert status["months_without_partition"] == []


def test_messages_without_a_partition_are_told(postgres_store_url: str, tmp_path: Path) -> None:
    settings = {"store": {"url": postgres_store_url}, "operators": {"viettel": {"binds": [BIND]}}}
    path = tmp_path / "postgresql.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    engine = make_engine(postgres_store_url)
    with engine.begin() as conn:
        outbox.insert_messages_txn(conn, [new_message("1")], datetime(2031, 5, 1, tzinfo=UTC))
    engine.dispose()
    result = CliRunner().invoke(cli, ["retention", "status", "--config", str(path)])
    assert "messages without one: [203105]. Check the nodes' clocks" in result.output


def test_a_run_of_the_daemon_is_not_disturbed(run: Run, engine: sa.Engine) -> None:
    with engine.begin() as conn:
        now = datetime.now(UTC)
        jobs.claim_run_txn(conn, "retention", now, "node-1", now, now + timedelta(minutes=1))
    result = run("run")
    assert result.exit_code == 1
    assert "node-1 is at it since" in result.output
    with engine.begin() as conn:
        conn.execute(sa.update(job_run).values(lease_until=datetime.now(UTC) - timedelta(seconds=1)))
    assert run("run").exit_code == 0  # that node has died


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    settings = {"store": {"url": f"sqlite:///{tmp_path}/x/y.sqlite3"}, "operators": {"viettel": {"binds": [BIND]}}}
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    result = CliRunner().invoke(cli, ["retention", "status", "--config", str(path)])
    assert result.exit_code == 1
    assert "db upgrade" in result.output
