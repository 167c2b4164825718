"""``motcua-gateway outbox`` as the engineer on call meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner, Result
from mo_story_data import a_story

from gateway.cli import cli
from gateway.cli.outbox import WAITS_FOR, _age
from gateway.db import make_engine
from gateway.model import IncomingReceipt, MessageKind, MessageState, NewMessage, PartState
from gateway.store.nodes import register_node_txn
from gateway.store.outbox import insert_messages_txn
from gateway.store.outbox_story import OPEN_STATES
from gateway.store.schema import message, message_part
from gateway.store.waiting import keep_receipts_txn, orphan_receipts_txn

Run = Callable[..., Result]
NOW = datetime.now(UTC)  # ages below are told to the hour: a busy machine may take minutes from here to there
NUMBER = "84912000111"


def a_notice(code: str, state: MessageState, parts: int = 1) -> NewMessage:
    return NewMessage(
        source="khanh-son",
        receipt_code=code,
        kind=MessageKind.RESULT_READY,
        occasion="1",
        state=state,
        reason="",
        template_id="result_ready",
        template_version="rollout_2017",
        text=f"TB: Ho so ({code}) da co ket qua",
        coding="gsm7",
        parts=parts,
        source_addr="MotcuaSMS",
        destination_addr=NUMBER,
        route="viettel",
        priority=5,
        not_before=NOW,
        expires_at=NOW + timedelta(days=2),
        agency_name="xã Khánh Sơn",
    )


def a_receipt(smsc_message_id: str, at: datetime) -> IncomingReceipt:
    return IncomingReceipt(
        route="viettel",
        bind="v1",
        smsc_message_id=smsc_message_id,
        id_keys=(smsc_message_id,),
        state=PartState.DELIVERED,
        stat="DELIVRD",
        error="000",
        destination_addr=NUMBER,
        user_message_reference=None,
        done_at=None,
        received_at=at,
    )


@pytest.fixture
def run(sqlite_store_url: str, tmp_path: Path) -> Run:
    """Two messages in the queue, one accepted that was in doubt, one query with its reply, two receipts of nobody."""
    config = tmp_path / "gateway.yaml"
    bind = {"name": "v1", "host": "127.0.0.1", "system_id": "m"}
    source = {"url": f"sqlite:///{tmp_path}/agency.sqlite3"}
    config.write_text(
        yaml.safe_dump(
            {
                "store": {"url": sqlite_store_url},
                "operators": {"viettel": {"binds": [bind]}},
                "sources": {"khanh-son": source},
            }
        ),
        encoding="utf-8",
    )
    engine = make_engine(sqlite_store_url)
    with engine.execution_options(motcua_write=True).begin() as conn:
        a_story(conn, "viettel", NOW - timedelta(hours=1))  # its reply is queued, too
        old = NOW - timedelta(hours=7, minutes=5, seconds=30)
        insert_messages_txn(conn, [a_notice("0101700001", MessageState.QUEUED, 2)], old)
        insert_messages_txn(conn, [a_notice("0101700002", MessageState.QUEUED)], NOW)
        insert_messages_txn(conn, [a_notice("0101700003", MessageState.QUEUED)], NOW)
        accepted = conn.execute(sa.select(message.c.id).where(message.c.receipt_code == "0101700003")).scalar_one()
        values = {"state": "accepted", "state_at": NOW, "accepted_at": NOW, "possible_duplicate": True, "attempts": 2}
        conn.execute(sa.update(message).where(message.c.id == accepted).values(values))
        part = {"state": "accepted", "bind": "v1", "route": "viettel", "smsc_message_id": "3F6A", "id_key": "3f6a"}
        conn.execute(
            sa.insert(message_part).values(message_id=accepted, part=1, command_status=0, answered_at=NOW, **part)
        )
        register_node_txn(conn, "node-1", "life", NOW, NOW + timedelta(hours=1))
        register_node_txn(conn, "node-2", "life", NOW - timedelta(hours=2), NOW - timedelta(hours=1))
        keep_receipts_txn(conn, [a_receipt("old", NOW - timedelta(days=2)), a_receipt("new", NOW)], NOW)
        orphan_receipts_txn(conn, NOW - timedelta(days=1), 10)
    engine.dispose()

    def invoke(*arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(cli, ["outbox", *map(str, arguments), "--config", str(config)])
        assert result.exit_code == status, result.output
        return result

    return invoke


def test_status_shows_what_waits_and_how_long(run: Run) -> None:
    lines = [line.split() for line in run("status").output.splitlines()]
    [queued] = [line for line in lines if line[:2] == ["viettel", "queued"]]
    assert (queued[2:6], queued[7:]) == (["3", "4", "7", "h"], ["min", "the", "operator", "(bind,", "licence)"])
    assert [line for line in lines if line[:4] == ["viettel", "accepted", "1", "1"]]
    assert [line for line in lines if line[:2] == ["node-1", "alive"]]
    assert [line for line in lines if line[:4] == ["node-2", "ended", "1", "h"]]
    assert "Receipts that match no message yet: 1; given up as orphans: 1" in run("status").output


def test_status_for_programs(run: Run) -> None:
    found = json.loads(run("status", "--json").stdout)
    assert [(line["state"], line["messages"], line["parts"]) for line in found["queue"]] == [
        ("queued", 3, 4),
        ("accepted", 1, 1),
    ]
    assert (found["waiting_receipts"], found["orphan_receipts"]) == (1, 1)
    assert datetime.fromisoformat(found["queue"][0]["since"]) < NOW


def test_every_open_state_says_what_it_waits_for() -> None:
    assert {state.value for state in OPEN_STATES} == set(WAITS_FOR)


def test_the_life_of_a_message_by_code_number_and_id(run: Run) -> None:
    story = run("show", "--code", "0101700003").output
    for told in (
        "result_ready about 0101700003 (khanh-son), xã Khánh Sơn",
        "MotcuaSMS to 84912***111 by viettel",
        "text: TB: Ho so (0101700003) da co ket qua",
        "part 1 submit_sm_resp on v1: ESME_ROK, id 3F6A",
        "the handset may have it twice",
        "is accepted",
    ):
        assert told in story, story
    assert NUMBER not in story
    assert NUMBER in run("show", "--code", "0101700003", "--full").output
    by_number = [json.loads(line) for line in run("show", "--to", "0912000111", "--json").stdout.splitlines()]
    assert [one["receipt_code"] for one in by_number] == ["0101700003", "0101700002", "0101700001"]
    assert {one["destination_addr"] for one in by_number} == {"84912***111"}
    [again] = run("show", str(by_number[0]["id"]), "--json").stdout.splitlines()
    assert json.loads(again) == by_number[0]


def test_a_reply_names_its_query(run: Run) -> None:
    assert "answers query 1: motcua-gateway mo show 1" in run("show", "--to", "0905123456").output


def test_orphans_are_listed_with_masked_numbers(run: Run) -> None:
    rows = json.loads(run("orphans", "--format", "json").stdout)
    assert [(row["smsc_message_id"], row["status"], row["destination_addr"]) for row in rows] == [
        ("new", "waiting", "84912***111"),
        ("old", "orphan", "84912***111"),
    ]
    assert NUMBER in run("orphans", "--full").output
    assert len(run("orphans", "--limit", "1", "--format", "csv").stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("show",), 2, "name one message"),
        (("show", "1", "--code", "x"), 2, "name one message"),
        (("show", "--to", "xyz"), 2, "no telephone number"),
        (("show", "999"), 1, "no message with number 999"),
        (("show", "--code", "0"), 1, "no message about dossier 0"),
        (("show", "--to", "0905999999"), 1, "no message to this number in the last 90 days"),
    ],
)
def test_wrong_use_says_what_to_do(run: Run, arguments: tuple[str, ...], status: int, word: str) -> None:
    assert word in run(*arguments, status=status).output


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 00 min"), (90_000, "1 d 1 h")],
)
def test_ages(seconds: int, text: str) -> None:
    assert _age(timedelta(seconds=seconds)) == text
