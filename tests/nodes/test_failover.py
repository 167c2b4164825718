"""The primary crashes in mid-flow, the standby is promoted: the daemons go on by themselves, and nothing committed is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import wait_for
from nodes_lab import NodesLab, events
from postgres_pair import PostgresPair

from gateway.store import migrate

#: Continuous integration must not pass because a peer is missing.
IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
WINDOW = 20
NODES = ("a", "b")


@pytest.fixture
def pair() -> Iterator[PostgresPair]:
    try:
        servers = PostgresPair()
    except FileNotFoundError as error:
        if IN_CI:
            raise
        pytest.skip(str(error))
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


@pytest.fixture
def lab(tmp_path: Path, pair: PostgresPair) -> Iterator[NodesLab]:
    migrate.upgrade(pair.url)
    laboratory = NodesLab(tmp_path, pair.url)
    yield laboratory
    laboratory.stop()


def test_daemons_survive_the_failover_of_their_store(lab: NodesLab, pair: PostgresPair) -> None:
    lab.configure(licence_parts_per_s=60, account={"latency": {"fixed": 0.05}}, bind={"window": WINDOW}, lease_s=3.0)
    lab.start_simulator()
    for name in NODES:
        lab.start_node(name)
    lab.wait_until_shared(*NODES)
    handsets = lab.announce(240)
    wait_for("the middle of the work", lambda: lab.taken(handsets).total() >= 80)
    pair.crash_primary()
    for name in NODES:
        wait_for(f"node {name} to notice", lambda name=name: events(lab.nodes[name], "not_recorded"))
    sent = len(lab.record("submit"))
    pair.promote()
    lab.reconnect()

    lab.wait_until_ended(handsets)
    lab.check_each_once(handsets, doubts=True)
    marked = [row for row in lab.messages(handsets) if row["possible_duplicate"]]
    assert len(marked) <= WINDOW * len(NODES)
    assert len(lab.record("submit")) > sent, "most of it left after the failover"
    lab.check_licence(60)
    for name in NODES:
        assert lab.nodes[name].terminate() == 0, "the same process all the time"
