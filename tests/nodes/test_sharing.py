"""Three daemons on one PostgreSQL: the work and the licence are shared, also while a node dies (invariants 2, 3, 6)."""

from __future__ import annotations

from datetime import UTC, datetime

from lab import wait_for
from nodes_lab import NodesLab, most_within

LEASE_S = 2.5
#: Ten parts a second for each of three, fifteen for each of two.
LICENCE = 30
WINDOW = 20


def three_nodes(lab: NodesLab) -> None:
    account = {"latency": {"fixed": 0.03}}
    lab.configure(licence_parts_per_s=LICENCE, account=account, bind={"window": WINDOW}, lease_s=LEASE_S)
    lab.start_simulator()
    for name in "abc":
        lab.start_node(name)
    lab.wait_until_shared(*"abc")


def test_three_nodes_share_work_and_licence_and_two_go_on_when_one_is_killed(nodes_lab: NodesLab) -> None:
    lab = nodes_lab
    three_nodes(lab)

    # The claims pass each other over: everything once, and everybody has a share of it.
    handsets = lab.announce(60)
    lab.wait_until_ended(handsets)
    lab.check_each_once(handsets)
    senders = lab.senders(handsets)
    assert set(senders) == {"a-1", "b-1", "c-1"}
    assert min(senders.values()) >= 60 / 3 / 2, senders

    # One dies with a full share of the licence and messages in hand.
    more = lab.announce(180)
    wait_for("the third node's work", lambda: lab.senders(more)["c-1"] >= 5)
    lab.nodes["c"].kill()
    lab.wait_until_ended(more)
    lab.check_each_once(more, doubts=True)
    marked = [row for row in lab.messages(more) if row["possible_duplicate"]]
    assert len(marked) <= WINDOW
    lab.check_licence(LICENCE)
    alone = [most_within(lab.left(name), 1.0) for name in "abc"]
    assert alone[2] <= LICENCE / 3
    assert max(alone) > LICENCE / 3, "two nodes use the share of the third"
    for row in lab.rows("SELECT name, alive_until FROM node"):
        assert (row["name"] == "c") == (row["alive_until"] < datetime.now(UTC))
