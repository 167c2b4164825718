"""A node that is killed with the default lease: everything of it goes on elsewhere within half a minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lab import wait_for
from nodes_lab import NodesLab, events

from gateway.settings import GatewaySettings

#: What is promised.
TAKEOVER = timedelta(seconds=30)
IN_HAND = 12


def test_work_sources_and_licence_of_a_killed_node_are_taken_over_within_thirty_seconds(nodes_lab: NodesLab) -> None:
    lab = nodes_lab
    assert GatewaySettings.model_fields["lease_s"].default == 20.0
    lab.configure(bind={"window": IN_HAND, "response_timeout_s": 60.0})
    lab.start_simulator()
    lab.start_node("first", without=["lease_s"])
    lab.wait_until_shared("first")
    # The operator takes its messages and never answers: as many as its window holds are in hand.
    lab.simulator.post("fault", "viettel", body={"fault": "drop-answers"})
    handsets = lab.announce(IN_HAND)
    wait_for("a full window", lambda: len(lab.record("submit")) == IN_HAND)
    lab.start_node("second", without=["lease_s"])
    wait_for("the second node", lambda: len(lab.rows("SELECT * FROM node")) == 2)
    killed_at = datetime.now(UTC)
    lab.nodes["first"].kill()
    assert {row["node"] for row in lab.rows("SELECT node FROM source_cursor")} == {"first"}
    lab.simulator.delete("fault", "viettel")
    later = lab.announce(30)  # nobody reads the agency's database now

    lab.wait_until_ended(later)
    lab.check_each_once(later)
    assert set(lab.senders(later)) == {"second-1"}
    accepted = max(row["accepted_at"] for row in lab.messages(later))
    assert accepted - killed_at <= TAKEOVER
    wait_for("the takeover", lambda: {row["state"] for row in lab.messages(handsets)} != {"sending"})
    taken_over = [row for row in lab.rows("SELECT * FROM node") if row["alive_until"] > datetime.now(UTC)]
    assert [row["name"] for row in taken_over] == ["second"]

    # In doubt since the takeover, then settled by the receipts, or sent once more and marked.
    rows = lab.wait_until_ended(handsets)
    assert {row["state"] for row in rows} == {"delivered"}
    lab.check_each_once(handsets, doubts=True)
    [lapsed] = events(lab.nodes["second"], "leases_lapsed")
    assert lapsed["messages"] == IN_HAND
    assert datetime.fromisoformat(lapsed["timestamp"]) - killed_at <= TAKEOVER
