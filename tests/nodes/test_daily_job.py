"""The apology at 17:30 with three daemons that all want to make it: exactly once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

from lab import wait_for
from nodes_lab import NodesLab, events

from gateway.clock import VIETNAM, set_file_clock

COUNT = 40


def test_three_nodes_race_for_the_apology_and_it_is_made_once(nodes_lab: NodesLab) -> None:
    lab = nodes_lab
    clock = lab.folder / "clock.json"
    today = datetime.now(VIETNAM).replace(hour=17, minute=29, second=0, microsecond=0)
    set_file_clock(clock, today)
    lab.configure(notices={"apology": {"enabled": True}}, clock={"business_file": str(clock)})
    lab.add_dossiers((f"0101{number:06d}" for number in range(COUNT)), ready=False)
    tomorrow = (today + timedelta(days=1)).strftime("%Y-%m-%d 16:00:00")
    with closing(sqlite3.connect(lab.agency)) as connection, connection:
        connection.execute("UPDATE ho_so SET hen_tra = ?", (tomorrow,))
    lab.start_simulator()
    for name in "abc":
        lab.start_node(name)
    lab.wait_until_shared(*"abc")
    wait_for("the agency's dossiers", lambda: lab.rows("SELECT count(*) AS n FROM dossier")[0]["n"] == COUNT)
    assert lab.rows("SELECT * FROM job_run") == []

    set_file_clock(clock, today.replace(second=59))
    handsets = [f"84905{number:06d}" for number in range(COUNT)]
    lab.wait_until_ended(handsets)
    wait_for("the end of the run", lambda: [row["state"] for row in lab.rows("SELECT * FROM job_run")] == ["done"])

    lab.check_each_once(handsets)
    assert {row["kind"] for row in lab.messages(handsets)} == {"apology_due_tomorrow"}
    started = {name: len(events(process, "job_started")) for name, process in lab.nodes.items()}
    assert sorted(started.values()) == [0, 0, 1]
    [run] = lab.rows("SELECT * FROM job_run")
    assert started[run["node"]] == 1
    assert f"made={COUNT}" in run["detail"]
