"""The simulator's shipped scenarios against the daemon: the same files that any vendor of an ESME may run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from lab import BIN, Lab

CHARGED = {
    "decision_tlv": {"tag": 0x1401, "type": "cstring"},
    "link_tlv": {"tag": 0x1402, "type": "cstring"},
    "outcome_statuses": {0x0405: "insufficient_balance"},
}
STATES = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT state FROM message').fetchall())"


def play(lab: Lab, scenario: str, *options: str) -> dict[str, Any]:
    """Play one with the daemon as the ESME under test; it must pass. Its result."""
    esme = shlex.join([str(BIN / "motcua-gateway"), "run", "--config", str(lab.gateway_config)])
    words = ["scenario", scenario, "--json", "--port", str(lab.smpp_port), "--esme", esme, *options]
    done = subprocess.run(
        [str(BIN / "motcua-simulator"), *words],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=lab.folder,
        check=False,
    )
    assert done.stdout, done.stderr
    [result] = json.loads(done.stdout)["scenarios"]
    failed = [step for step in result["steps"] if step["status"] in ("failed", "not_run")]
    assert result["passed"], json.dumps(failed, indent=1, ensure_ascii=False) + "\n".join(result["esme_output"][-20:])
    assert done.returncode == 0
    found: dict[str, Any] = result
    return found


def sends(lab: Lab, count: int) -> list[str]:
    """Options: notices in place of queries, because agencies have finished so many dossiers."""
    script = Path(__file__).with_name("add_dossiers.py")
    command = shlex.join([sys.executable, str(script), str(lab.agency), str(count)])
    return ["--set", f"send={command}", "--set", f"count={count}"]


def asks(lab: Lab) -> list[str]:
    """Options: what the daemon knows of its messages."""
    return ["--set", "ask=" + shlex.join([sys.executable, "-c", STATES, str(lab.folder / "gateway.sqlite3")])]


@pytest.fixture
def with_dossier(lab: Lab) -> Lab:
    """A laboratory whose agency knows the dossier that the scenarios ask for."""
    lab.configure()
    lab.add_dossiers(["0101701234"], ready=False)
    return lab


def test_hello(with_dossier: Lab) -> None:
    play(with_dossier, "hello", "--set", "answer=0101701234.*Tham dinh ho so")


def test_one_reply_to_an_mo_that_comes_three_times(with_dossier: Lab) -> None:
    play(with_dossier, "repeated-mo", "--set", "answer=Tham dinh ho so")
    assert len(with_dossier.rows("SELECT id FROM mo")) == 2


def test_a_receipt_before_its_response_is_matched(with_dossier: Lab) -> None:
    play(with_dossier, "early-receipt", *asks(with_dossier))
    assert with_dossier.states() == {"delivered": 1}


@pytest.mark.parametrize("form", ["both", "text", "tlv"])
def test_hexadecimal_ids_in_responses_and_decimal_ones_in_receipts(with_dossier: Lab, form: str) -> None:
    play(with_dossier, "hex-and-decimal-ids", "--set", f"form={form}", *asks(with_dossier))
    assert with_dossier.states() == {"delivered": 1}


def test_throttled_notices_keep_their_order_and_none_is_lost(lab: Lab) -> None:
    lab.configure(bind={"window": 1})
    play(lab, "throttled", *sends(lab, 20), "--set", "order=yes")


def test_a_full_queue_is_waited_for(lab: Lab) -> None:
    lab.configure()
    play(lab, "queue-full", *sends(lab, 30))


def test_a_cut_link_loses_nothing_and_what_is_doubled_is_marked(lab: Lab) -> None:
    lab.configure(bind={"window": 10})
    play(lab, "link-cut", *sends(lab, 40))
    marked = Counter(row["possible_duplicate"] for row in lab.rows("SELECT possible_duplicate FROM message"))
    assert sum(marked.values()) == 40
    assert lab.states() == {"delivered": 40}


def test_replies_are_not_sent_again_when_the_link_is_cut(with_dossier: Lab) -> None:
    """A charged reply without an answer waits for its receipt: nothing may come twice, whatever was in doubt."""
    play(with_dossier, "link-cut", "--set", "excuse=none", "--set", "count=5", "--set", "cut_at=5")


def test_the_smsc_restarts_twice(with_dossier: Lab) -> None:
    play(with_dossier, "smsc-restart", "--set", "answer=Tham dinh ho so")


def test_a_silent_link_is_noticed(lab: Lab) -> None:
    lab.configure(bind={"enquire_link_interval_s": 1.0, "response_timeout_s": 1.0})
    play(lab, "half-open", "--set", "notice=15s")


def test_long_unicode_queries_in_every_form(with_dossier: Lab) -> None:
    for form, order in (("udh8", "3,1,1,2"), ("udh16", "2,3,1,1"), ("sar", "3,3,2,1"), ("payload", "1,1")):
        play(with_dossier, "long-unicode", "--set", f"form={form}", "--set", f"order={order}")


def test_charges(lab: Lab) -> None:
    lab.configure(charging={"profiles": {"viettel": CHARGED}})
    text = lab.gateway_config.read_text(encoding="utf-8")
    lab.gateway_config.write_text(
        text.replace("    default: true\n", "    default: true\n    charging: viettel\n"), encoding="utf-8"
    )
    lab.add_dossiers(["0101701234"], ready=False)
    play(lab, "insufficient-balance")
    states = Counter(row["state"] for row in lab.rows("SELECT state FROM charge"))
    assert states == {"charged": 2, "insufficient_balance": 1}


def test_an_older_smsc(with_dossier: Lab) -> None:
    play(with_dossier, "operator-quirks")
    assert len(with_dossier.rows("SELECT id FROM mo")) == 1
