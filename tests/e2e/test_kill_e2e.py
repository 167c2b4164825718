"""SIGKILL in mid-flow, restart, and count at the simulator: invariants 1, 2, 3 and 7 of the design."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from lab import Lab, wait_for

WINDOW = 20
MESSAGES = 300


def final(lab: Lab) -> bool:
    states = lab.states()
    return sum(states.values()) == MESSAGES and set(states) <= {"delivered", "undelivered", "rejected", "expired"}


def check_nothing_lost_or_doubled(lab: Lab, kills: int) -> None:
    """Compare the store with what the simulator accepted."""
    taken = Counter(entry["destination"] for entry in lab.record("submit") if entry["message_id"])
    rows = lab.rows("SELECT destination_addr, state, possible_duplicate FROM message")
    marked = {row["destination_addr"] for row in rows if row["possible_duplicate"]}
    lost = [row for row in rows if not taken[row["destination_addr"]]]
    doubled = {number for number, times in taken.items() if times > 1}
    assert lost == []
    assert doubled <= marked, doubled - marked
    assert len(marked) <= WINDOW * kills
    assert lab.states() == {"delivered": MESSAGES}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sigkill_loses_nothing_and_doubles_only_what_is_marked(
    lab_on: Callable[[str], Lab], store_url: str, seed: int
) -> None:
    lab = lab_on(store_url)
    lab.configure(
        account={"latency": {"fixed": 0.03}, "receipts": {"delay": {"fixed": 0.02}}},
        bind={"window": WINDOW},
    )
    lab.start_simulator()
    daemon = lab.start_gateway()
    lab.add_dossiers(f"0101{number:06d}" for number in range(MESSAGES))
    moments = sorted(random.Random(seed).sample(range(10, 260), 2))
    for moment in moments:
        wait_for(f"{moment} submits", lambda moment=moment: len(lab.record("submit")) >= moment)
        daemon.kill()
        daemon = lab.start_gateway()
    wait_for("every message's end", lambda: final(lab))
    check_nothing_lost_or_doubled(lab, kills=len(moments))
    assert daemon.terminate() == 0


def test_a_link_cut_in_mid_flow_loses_nothing(lab: Lab) -> None:
    lab.configure(
        account={
            "latency": {"fixed": 0.03},
            "disturbances": {"cut_at": [50, 120]},
            "receipts": {"delay": {"fixed": 0.1}},
        },
        bind={"window": WINDOW},
    )
    lab.start_simulator()
    daemon = lab.start_gateway()
    lab.add_dossiers(f"0101{number:06d}" for number in range(MESSAGES))
    wait_for("every message's end", lambda: final(lab))
    check_nothing_lost_or_doubled(lab, kills=2)
    assert daemon.text().count("bind_down") >= 2


def test_the_simulators_end_is_survived(lab: Lab) -> None:
    lab.configure(account={"latency": {"fixed": 0.03}}, bind={"window": WINDOW})
    simulator = lab.start_simulator()
    lab.start_gateway()
    lab.add_dossiers(f"0101{number:06d}" for number in range(MESSAGES))
    wait_for("50 submits", lambda: len(lab.record("submit")) >= 50)
    simulator.terminate()
    lab.start_simulator()
    # Receipts of what the first simulator took died with it: those messages stay accepted, or in doubt and resent.
    wait_for(
        "nothing left to send",
        lambda: set(lab.states()) <= {"accepted", "delivered"} and sum(lab.states().values()) == MESSAGES,
    )
    taken = Counter(entry["destination"] for entry in lab.record("submit") if entry["message_id"])
    marked = {row["destination_addr"] for row in lab.rows("SELECT * FROM message") if row["possible_duplicate"]}
    assert len(taken) == MESSAGES
    assert {number for number, times in taken.items() if times > 1} <= marked
