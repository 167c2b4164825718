"""A citizen's query from handset to reply and charge, with the daemon killed in between: invariants 4 and 8."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from lab import BIN, PATIENCE_S, Lab, wait_for

PROFILE = {
    "decision_tlv": {"tag": 0x1401, "type": "cstring"},
    "link_tlv": {"tag": 0x1402, "type": "cstring"},
    "outcome_statuses": {0x0405: "insufficient_balance"},
}
ACCOUNT = {
    "charging": {
        "shortcodes": ["8083"],
        "decision_tlv": {"tag": 0x1401},
        "link_tlv": {"tag": 0x1402},
        "balances": {"84905999999": 300},
    }
}


def configure(lab: Lab) -> None:
    lab.configure(account=ACCOUNT, charging={"profiles": {"viettel": PROFILE}})
    text = lab.gateway_config.read_text(encoding="utf-8")
    lab.gateway_config.write_text(
        text.replace("    default: true\n", "    default: true\n    charging: viettel\n"), encoding="utf-8"
    )


def mo_command(lab: Lab, text: str, number: str) -> list[str]:
    control = f"http://127.0.0.1:{lab.control_port}"
    return ["motcua-simulator", "mo", "--control", control, "--from", number, "--to", "8083", text]


def inbox(lab: Lab, number: str) -> list[dict[str, Any]]:
    control = f"http://127.0.0.1:{lab.control_port}"
    done = lab.run("motcua-simulator", "inbox", "--control", control, "--json", number, check=False)
    shown: dict[str, Any] = json.loads(done.stdout or "{}")
    return list(shown.get("messages", []))


def charges(lab: Lab) -> list[tuple[str, str | None, int]]:
    rows = lab.rows("SELECT state, decision, amount_vnd FROM charge ORDER BY mo_id")
    return [(row["state"], row["decision"], row["amount_vnd"]) for row in rows]


def test_each_kind_of_query_gets_its_reply_and_its_charge(lab: Lab) -> None:
    configure(lab)
    lab.start_simulator()
    lab.start_gateway()
    lab.add_dossiers(["0101701234"], ready=False)
    lab.run(*mo_command(lab, "MCKH 0101701234", "84905111111"))
    lab.run(*mo_command(lab, "MCKH 0101709999", "84905222222"))
    lab.run(*mo_command(lab, "MCKH", "84905333333"))
    lab.run(*mo_command(lab, "MCKH 0101701234", "84905999999"))
    settled = {"charged", "not_charged", "insufficient_balance"}
    wait_for("four outcomes", lambda: len(charges(lab)) == 4 and {row[0] for row in charges(lab)} <= settled)
    assert charges(lab) == [
        ("charged", "charge", 1000),
        ("charged", "charge", 1000),
        ("not_charged", "no_charge", 1000),
        ("insufficient_balance", "charge", 1000),
    ]
    [reply] = wait_for("the reply", lambda: inbox(lab, "84905111111"))
    assert reply["text"] == (
        "Ho so cua quy Ong/Ba (0101701234) hien dang o buoc Tham dinh ho so, trang thai ho so: Dung han."
    )
    assert "0101709999" in inbox(lab, "84905222222")[0]["text"]
    assert "MCKH" in inbox(lab, "84905333333")[0]["text"]
    assert inbox(lab, "84905999999") == []  # the operator refused it: no balance


def test_a_repeated_delivery_is_answered_and_charged_once(lab: Lab) -> None:
    configure(lab)
    lab.start_simulator()
    lab.start_gateway()
    lab.add_dossiers(["0101701234"], ready=False)
    command = mo_command(lab, "MCKH 0101701234", "84905111111")
    lab.run(*command, "--copies", "4")
    wait_for("four deliveries", lambda: len(lab.record("mo")) == 4)
    wait_for("the charge", lambda: charges(lab) == [("charged", "charge", 1000)])
    replies = [entry for entry in lab.record("submit") if entry["destination"] == "84905111111"]
    assert len(replies) == 1


def test_queries_survive_sigkill_with_one_reply_and_one_charge_each(lab: Lab) -> None:
    configure(lab)
    lab.start_simulator()
    daemon = lab.start_gateway()
    lab.add_dossiers(["0101701234"], ready=False)
    numbers = [f"849051{number:05d}" for number in range(24)]
    senders = []
    for index, number in enumerate(numbers):
        command = mo_command(lab, "MCKH 0101701234", number)
        senders.append(subprocess.Popen([str(BIN / command[0]), *command[1:]], stdout=subprocess.DEVNULL))
        if index in (8, 16):
            wait_for("some replies", lambda index=index: len(lab.record("submit")) >= index // 2)
            daemon.kill()
            daemon = lab.start_gateway()
    for sender in senders:
        sender.wait(PATIENCE_S)
    wait_for("24 queries", lambda: len(lab.rows("SELECT id FROM mo")) == len(numbers))
    wait_for("every reply", lambda: all(row["state"] == "replied" for row in lab.rows("SELECT state FROM mo")))
    open_states = {"pending", "decided", "sent"}
    wait_for("every outcome", lambda: not {row[0] for row in charges(lab)} & open_states)
    taken = [entry["destination"] for entry in lab.record("submit") if entry["message_id"]]
    assert len(taken) == len(set(taken))  # replies are never resent blindly
    assert len(charges(lab)) == len(numbers)
    in_doubt = lab.rows("SELECT id FROM message WHERE state = 'unknown'")
    assert len(taken) + len(in_doubt) >= len(numbers)
