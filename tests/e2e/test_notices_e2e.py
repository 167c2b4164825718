"""Notices from the agency's database to the handset, through processes as a user starts them."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from lab import Lab, wait_for


def codes(count: int, start: int = 0) -> list[str]:
    return [f"0101{number:06d}" for number in range(start, start + count)]


def test_a_result_reaches_each_citizen_once_with_the_official_text(lab: Lab) -> None:
    lab.configure()
    lab.start_simulator()
    daemon = lab.start_gateway()
    lab.add_dossiers(codes(30))
    wait_for("30 receipts", lambda: lab.states() == {"delivered": 30})
    submits = lab.record("submit")
    assert len(submits) == 30
    assert {entry["source"] for entry in submits} == {"MotcuaSMS"}
    texts = {entry["destination"]: entry["text"] for entry in submits}
    assert texts["84905000007"] == (
        "TB: Ho so cua quy ong/ba (MS: 0101000007) da duoc giai quyet xong. "
        "Moi ong/ba den Bo phan Mot cua TP Nha Trang de nhan ket qua"
    )
    assert daemon.terminate() == 0


def test_a_bad_number_is_rejected_with_its_reason_and_harms_nobody(lab: Lab) -> None:
    lab.configure()
    lab.start_simulator()
    lab.start_gateway()
    lab.add_dossiers(["0101000001"], phone="02583822382")
    lab.add_dossiers(["0101000002"])
    wait_for("one delivered, one rejected", lambda: lab.states() == {"delivered": 1, "rejected": 1})
    [row] = lab.rows("SELECT reason, destination_addr FROM message WHERE state = 'rejected'")
    assert row == {"reason": "phone:LANDLINE", "destination_addr": ""}


def test_a_mistake_within_the_hold_is_cancelled_and_told_in_the_conflicts(lab: Lab) -> None:
    lab.configure(notices={"hold_s": 3600})
    lab.start_simulator()
    lab.start_gateway()
    lab.add_dossiers(["0101000001"])
    wait_for("the held notice", lambda: lab.states() == {"held": 1})
    with closing(sqlite3.connect(lab.agency)) as connection, connection:
        connection.execute(
            "UPDATE ho_so SET buoc = 'Thẩm định hồ sơ', cap_nhat = datetime('now', '+7 hours', '+1 second')"
        )
    wait_for("the cancellation", lambda: lab.states() == {"cancelled": 1})
    assert lab.rows("SELECT receipt_code, kind FROM state_conflict") == [
        {"receipt_code": "0101000001", "kind": "result_ready"}
    ]
    assert lab.record("submit") == []


def test_receipts_that_come_before_their_responses_are_matched(lab: Lab) -> None:
    lab.configure(account={"receipts": {"early": 1.0, "early_by_s": 0.3, "delay": {"fixed": 0}}})
    lab.start_simulator()
    lab.start_gateway()
    lab.add_dossiers(codes(40))
    wait_for("40 delivered", lambda: lab.states() == {"delivered": 40})
    assert len(lab.record("submit")) == 40


def test_throttling_pauses_and_loses_nothing(lab: Lab) -> None:
    lab.configure(account={"tps": 20})
    lab.start_simulator()
    daemon = lab.start_gateway()
    lab.add_dossiers(codes(60))
    wait_for("60 delivered", lambda: lab.states() == {"delivered": 60})
    taken = [entry["destination"] for entry in lab.record("submit") if entry["message_id"]]
    assert sorted(taken) == sorted(set(taken))
    assert "throttled" in daemon.text()


def test_sigterm_drains_and_leaves_nothing_in_hand(lab: Lab) -> None:
    lab.configure(account={"latency": {"fixed": 0.2}}, bind={"window": 20})
    lab.start_simulator()
    daemon = lab.start_gateway()
    lab.add_dossiers(codes(400))
    wait_for("some submits", lambda: len(lab.record("submit")) >= 40)
    assert daemon.terminate() == 0
    left = lab.states()
    assert set(left) <= {"queued", "accepted", "delivered"}, left
    again = lab.start_gateway()
    wait_for("400 delivered", lambda: lab.states() == {"delivered": 400})
    taken = [entry["destination"] for entry in lab.record("submit") if entry["message_id"]]
    assert len(taken) == len(set(taken)) == 400
    assert again.terminate() == 0
