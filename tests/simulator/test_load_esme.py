"""The load as ESME: rate, window, times from the intended moment, receipts, throttling, the end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from load_rig import LoadRig

from gateway.smpp.text import parse_concatenation


def test_messages_leave_at_the_rate_and_differ() -> None:
    rig = LoadRig(rate=100, count=50)
    rig.run(0.25)
    assert 25 <= rig.load.sent <= 27
    rig.run(1.0)
    assert rig.ended
    assert rig.load.sent == 50
    assert [pdu.short_message for pdu in rig.link.sent[:3]] == [b"so 1", b"so 2", b"so 3"]
    assert [pdu.destination_addr for pdu in rig.link.sent[:3]] == ["84900000000", "84900000001", "84900000002"]
    assert {pdu.registered_delivery for pdu in rig.link.sent} == {0}
    report = rig.load.as_dict()
    assert (report["messages"], report["answered"], report["unanswered"], report["complete"]) == (50, 50, 0, True)
    assert report["sent_per_s"] == pytest.approx(100, rel=0.05)
    assert report["statuses"] == {"ESME_ROK": 50}


def test_a_duration_ends_it() -> None:
    rig = LoadRig(rate=100, duration_s=0.3)
    rig.run(1.0)
    assert rig.ended
    assert rig.load.sent == 30
    unlimited = LoadRig(duration_s=0.3)
    unlimited.run(1.0)
    assert unlimited.ended
    assert unlimited.load.sent == 10 * 30  # a window for each step until the time is over


def test_the_window_is_never_exceeded() -> None:
    rig = LoadRig(count=25, window=10)
    assert len(rig.link.open) == 10
    rig.answer(3)
    assert (len(rig.link.open), rig.load.sent) == (10, 13)


def test_a_stall_counts_for_every_message_that_it_held_up() -> None:
    """Nothing is answered for a second at 100 a second: with times from sending only the window's ten would be slow."""
    rig = LoadRig(rate=100, count=300, window=10)
    rig.run(1.0)
    rig.run(1.0, answering=False)
    assert rig.load.sent - rig.load.answered == 10
    rig.run(5.0)
    assert rig.load.sent == 300
    answers = rig.load.as_dict()["answer_ms"]
    assert answers["max"] >= 1000
    assert answers["p90"] >= 500  # of 300, a hundred were due in the stall
    assert rig.load.as_dict()["most_behind_ms"] >= 900
    easy = LoadRig(rate=100, count=300, window=10)
    easy.run(5.0)
    assert easy.load.as_dict()["answer_ms"]["max"] <= 25


def test_receipts_are_matched_whatever_base_they_are_written_in() -> None:
    rig = LoadRig(count=12, window=12, receipts=True)
    assert {pdu.registered_delivery for pdu in rig.link.sent} == {1}
    ids = rig.answer()
    rig.clock.advance(1.0)
    for message_id in ids[:6]:
        rig.receipt(str(int(message_id, 16)))  # decimal under a hexadecimal response
    rig.receipt(ids[6].zfill(10), "UNDELIV")
    for message_id in ids[7:10]:
        rig.receipt(message_id)
    rig.receipt("ffffff")
    assert not rig.ended
    rig.run(6.0)
    assert rig.ended
    report = rig.load.as_dict()
    assert (report["receipts"]["received"], report["receipts"]["missing"]) == (10, 2)
    assert report["receipts"]["states"] == {"DELIVRD": 9, "UNDELIV": 1}
    assert report["receipt_ms"]["p50"] == pytest.approx(1000, rel=0.01)
    assert report["receipts"]["unmatched"] >= 1
    assert not report["complete"]


def test_a_receipt_before_its_response_counts() -> None:
    rig = LoadRig(count=1, receipts=True)
    rig.receipt("1")
    rig.answer()
    rig.run(0.1)
    report = rig.load.as_dict()
    assert (report["receipts"]["received"], report["receipts"]["early"], report["complete"]) == (1, 1, True)


def test_refused_messages_are_answered_and_owe_no_receipt() -> None:
    rig = LoadRig(count=4, receipts=True)
    rig.answer(2, status=0x0B)
    for message_id in rig.answer():
        rig.receipt(message_id)
    rig.run(0.1)
    report = rig.load.as_dict()
    assert report["statuses"] == {"ESME_ROK": 2, "ESME_RINVDSTADR": 2}
    assert (report["receipts"]["awaited"], report["complete"]) == (2, True)


def test_throttling_is_counted_and_obeyed_when_asked() -> None:
    proud = LoadRig(count=5)
    proud.answer(status=0x58)
    proud.run(0.1)
    assert (proud.load.as_dict()["throttled"], proud.load.as_dict()["sent_again"], proud.ended) == (5, 0, True)
    obedient = LoadRig(count=5, obey=True)
    obedient.answer(2, status=0x58)
    obedient.answer()
    assert obedient.load.sent == 5  # nothing leaves in the pause
    obedient.run(0.3)
    report = obedient.load.as_dict()
    assert obedient.ended
    assert (report["throttled"], report["sent_again"], report["sent"]) == (2, 2, 7)
    assert (report["statuses"]["ESME_ROK"], report["complete"]) == (5, True)
    assert report["answer_ms"]["count"] == 5
    assert report["answer_ms"]["max"] >= 100  # from when it should have left, the pause included


def test_a_pause_grows_while_throttling_goes_on() -> None:
    rig = LoadRig(count=1, obey=True)
    left: list[float] = []
    for _ in range(4):
        while not rig.link.open:
            rig.clock.advance(0.01)
        left.append(rig.clock.seconds())
        rig.answer(status=0x58)
    waits = [round(later - earlier, 1) for earlier, later in pairwise(left)]
    assert waits == [0.1, 0.2, 0.4]


def test_what_is_never_answered_is_missing_and_a_late_answer_is_not() -> None:
    rig = LoadRig(count=3, wait_s=1.0)
    rig.answer(1)
    (slow, _), (never, _) = rig.link.open
    rig.load.gave_up(slow)
    rig.load.gave_up(never)
    rig.load.answered_late(slow, rig._response(0, "1"))
    rig.run(2.0, answering=False)
    report = rig.load.as_dict()
    assert rig.ended
    assert (report["answered"], report["unanswered"], report["complete"]) == (2, 1, False)


def test_without_links_it_ends() -> None:
    rig = LoadRig(rate=10, count=100)
    rig.run(0.3, answering=False)
    rig.link.up = False
    rig.load.lost(rig.link, "connection lost", [token for token, _ in rig.link.open])
    assert rig.ended
    report = rig.load.as_dict()
    assert (report["links_lost"], report["complete"]) == (["connection lost"], False)
    assert report["unanswered"] == report["sent"]


def test_long_texts_go_in_parts_and_the_rate_counts_them() -> None:
    rig = LoadRig(rate=100, count=3, window=100, text="Hồ sơ {sequence} " + "đã có kết quả " * 8)
    rig.run(1.0)
    places = [parse_concatenation(pdu) for pdu in rig.link.sent]
    assert [(place.part, place.total) for place in places if place] == [(1, 2), (2, 2)] * 3
    assert {pdu.data_coding for pdu in rig.link.sent} == {8}
    assert [pdu.destination_addr for pdu in rig.link.sent[:4]] == ["84900000000"] * 2 + ["84900000001"] * 2
    report = rig.load.as_dict()
    assert (report["messages"], report["sent"], report["complete"]) == (3, 6, True)


def test_a_constant_text_is_cut_once_and_goes_to_every_number() -> None:
    rig = LoadRig(count=3, text="Ho so da co ket qua")
    rig.run(0.1)
    assert [pdu.destination_addr for pdu in rig.link.sent] == ["84900000000", "84900000001", "84900000002"]
    assert {pdu.short_message for pdu in rig.link.sent} == {b"Ho so da co ket qua"}
