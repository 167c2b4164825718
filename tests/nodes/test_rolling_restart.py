"""A new version on every node, one after the other, under load: nothing lost, nothing twice, nothing even in doubt."""

from __future__ import annotations

from lab import wait_for
from nodes_lab import NodesLab

LICENCE = 60
#: Waits in the outbox whenever a node is stopped: some seconds of work.
BACKLOG = 150


def test_nodes_are_restarted_one_by_one_under_load(nodes_lab: NodesLab) -> None:
    lab = nodes_lab
    lab.configure(licence_parts_per_s=LICENCE, account={"latency": {"fixed": 0.05}}, lease_s=3.0)
    lab.start_simulator()
    for name in "abc":
        lab.start_node(name)
    lab.wait_until_shared(*"abc")
    handsets: list[str] = []
    for name in "abc":
        new = lab.announce(BACKLOG)
        handsets += new
        wait_for("work of the node", lambda name=name, new=new: lab.senders(new)[f"{name}-1"] >= 10)
        assert lab.nodes[name].terminate() == 0, lab.nodes[name].text()
        assert {row["state"] for row in lab.messages(new)} >= {"queued"}, "stopped in the middle of the work"
        lab.start_node(name)
        lab.wait_until_shared(name)
    rows = lab.wait_until_ended(handsets)
    lab.check_each_once(handsets)
    lab.check_licence(LICENCE)
    assert {row["attempts"] for row in rows} == {1}
