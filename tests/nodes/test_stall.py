"""A node stands still past its lease and goes on: it sends nothing of what others have taken over."""

from __future__ import annotations

from lab import wait_for
from nodes_lab import NodesLab, events, go_on, pause

LEASE_S = 2.0


def test_a_node_that_was_stopped_gives_back_what_it_had_in_hand(nodes_lab: NodesLab) -> None:
    lab = nodes_lab
    lab.configure(lease_s=LEASE_S)
    lab.start_simulator()
    for name in ("stalls", "goes-on"):
        lab.start_node(name)
    lab.wait_until_shared("stalls", "goes-on")
    stalled = lab.nodes["stalls"]

    # Every submit is refused as too fast, so what a node has claimed waits in its hands for the pause to end.
    lab.simulator.post("fault", "viettel", body={"fault": "throttle"})
    handsets = lab.announce(40)
    wait_for("a pause of the node", lambda: events(stalled, "throttled"))
    pause(stalled)
    claimed = {
        row["destination_addr"]
        for row in lab.messages(handsets)
        if row["state"] == "sending" and row["node"].startswith("stalls/")
    }
    assert claimed
    assert lab.taken(handsets).total() == 0
    lab.simulator.delete("fault", "viettel")

    # The other takes over: what may have left is in doubt, then sent once more.
    rows = lab.wait_until_ended(handsets)
    assert {row["destination_addr"] for row in rows if row["possible_duplicate"]} == claimed
    submits = len(lab.record("submit"))
    go_on(stalled)
    wait_for("the node to notice", lambda: events(stalled, "lease_had_lapsed"))
    wait_for("the node to take part again", lambda: len(events(stalled, "licence_shared")) == 2)
    assert len(lab.record("submit")) == submits
    assert lab.taken(handsets) == dict.fromkeys(handsets, 1)

    # And it works on: alone, for which of two is quicker is chance.
    assert lab.nodes["goes-on"].terminate() == 0
    more = lab.announce(20)
    lab.wait_until_ended(more)
    lab.check_each_once(more)
    assert set(lab.senders(more)) == {"stalls-1"}
