"""What arrives on another node than it belongs to: receipts, early ones among them, and the parts of one long MO."""

from __future__ import annotations

from collections import Counter

import pytest
from lab import wait_for
from nodes_lab import NodesLab

#: Half of the receipts come before their submit_sm_resp, which is held back for so long.
EARLY, EARLY_BY_S = 0.5, 0.3
HANDSET = "84905999999"
#: Three parts in UCS-2.
QUERY = "MCKH 0101000001 " + "xin cho biết hồ sơ của tôi đã có kết quả chưa, tôi cần biết sớm; " * 2


@pytest.fixture
def lab(nodes_lab: NodesLab) -> NodesLab:
    """One node may only send, the two others only receive."""
    receipts = {"delay": {"fixed": 0.05}, "early": EARLY, "early_by_s": EARLY_BY_S}
    nodes_lab.configure(account={"receipts": receipts})
    nodes_lab.start_simulator()
    nodes_lab.start_node("sends", mode="transmitter")
    nodes_lab.start_node("hears-1", mode="receiver")
    nodes_lab.start_node("hears-2", mode="receiver")
    nodes_lab.wait_until_shared("sends", "hears-1", "hears-2")
    return nodes_lab


def test_receipts_and_parts_of_a_query_find_their_message_across_nodes(lab: NodesLab) -> None:
    handsets = lab.announce(60)
    lab.wait_until_ended(handsets)
    lab.check_each_once(handsets)
    assert set(lab.senders(handsets)) == {"sends-1"}
    answered = {entry["message_id"]: entry["at"] for entry in lab.record("submit")}
    receipts = wait_for(
        "the answers to all receipts", lambda: [lab.record("receipt")] if len(lab.record("receipt")) >= 60 else []
    )[0]
    assert {entry["outcome"] for entry in receipts} == {"answered"}
    assert {entry["message_id"] for entry in receipts} == set(answered)
    assert lab.rows("SELECT * FROM waiting_receipt") == []
    rows = lab.rows("SELECT answered_at, final_at FROM message_part")
    early = sum(row["final_at"] <= row["answered_at"] for row in rows)
    assert 0 < early < len(rows), "both kinds came"

    sent = lab.simulator.post("mo", body={"from": HANDSET, "to": "8083", "text": QUERY, "wait_s": 30})
    assert len(sent["parts"]) == 3
    assert {part["status"] for part in sent["parts"]} == {0}
    wait_for("the reply", lambda: lab.taken([HANDSET])[HANDSET])
    [query] = lab.rows("SELECT * FROM mo")
    assert (query["state"], query["text"]) == ("replied", QUERY)
    parts = Counter(row["bind"] for row in lab.rows("SELECT * FROM mo_part"))
    assert sorted(parts.items()) in ([("hears-1-1", 1), ("hears-2-1", 2)], [("hears-1-1", 2), ("hears-2-1", 1)])
    [reply] = lab.wait_until_ended([HANDSET])
    assert (reply["mo_id"], reply["state"]) == (query["id"], "delivered")
    assert len(lab.rows("SELECT * FROM charge")) == 1
