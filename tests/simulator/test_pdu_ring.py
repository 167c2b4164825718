"""The ring of PDUs and the tap that fills it."""

from __future__ import annotations

from simulator_rig import Rig
from twisted.internet.task import Clock

from gateway.smpp.pdu import EnquireLink, SubmitSm, encode
from simulator.pdu_ring import PduRing, WireTap
from simulator.schedule import Schedule


def ring(entries: int = 100, octets: int = 100_000) -> PduRing:
    return PduRing(Schedule(Clock()), entries, octets)


def test_pdus_in_pieces_are_one_entry_each() -> None:
    pdus = ring()
    tap = WireTap(pdus, "127.0.0.1:1", 65_536)
    frames = [encode(SubmitSm(sequence_number=1, short_message=b"a")), encode(EnquireLink(2))]
    stream = b"".join(frames)
    for octet in range(len(stream)):
        tap(False, stream[octet : octet + 1])
    tap(True, stream)
    assert [(entry.n, entry.sent, entry.octets) for entry in pdus.after(0)] == [
        (1, False, frames[0]),
        (2, False, frames[1]),
        (3, True, frames[0]),
        (4, True, frames[1]),
    ]
    assert (tap.wire.received, tap.wire.sent) == (2, 2)


def test_what_is_no_pdu_is_kept_as_octets_after_the_whole_ones() -> None:
    pdus = ring()
    tap = WireTap(pdus, "127.0.0.1:1", 65_536)
    good, garbage = encode(EnquireLink(1)), b"\x00\x00\x00\x0bno PDU"
    tap(False, good[:9])
    tap(False, good[9:] + garbage)
    tap(False, b"more")
    assert [(entry.octets, entry.framed) for entry in pdus.after(0)] == [
        (good, True),
        (garbage, False),
        (b"more", False),
    ]


def test_it_is_bounded_by_entries_and_by_octets() -> None:
    pdus = ring(entries=3)
    tap = WireTap(pdus, "p", 65_536)
    for number in range(5):
        tap(False, encode(EnquireLink(number)))
    assert [entry.n for entry in pdus.after(0)] == [3, 4, 5]
    assert [entry.n for entry in pdus.after(4)] == [5]
    assert pdus.first_in_memory == 3
    assert pdus.get(2) is None
    assert pdus.get(6) is None
    assert (found := pdus.get(4)) is not None
    assert found.n == 4
    assert [entry.n for entry in pdus.newest_first()] == [5, 4, 3]
    small = ring(octets=40)
    tap = WireTap(small, "p", 65_536)
    for number in range(3):
        tap(False, encode(EnquireLink(number)))  # 16 octets each
    assert [entry.n for entry in small.after(0)] == [2, 3]


def test_a_simulator_notes_both_ways_and_whose_they_are() -> None:
    rig = Rig()
    esme = rig.bound(system_id="motcua")
    esme.submitted()
    entries = list(rig.simulator.world.pdus.after(0))
    assert [(entry.sent, entry.octets[7]) for entry in entries] == [(False, 9), (True, 9), (False, 4), (True, 4)]
    assert {(entry.wire.account, entry.wire.system_id, entry.wire.mode) for entry in entries} == {
        ("acc", "motcua", "transceiver")
    }


def test_without_entries_nothing_is_tapped() -> None:
    rig = Rig({"control": {"pdu_entries": 0}})
    rig.bound().submitted()
    assert rig.simulator.world.pdus.count == 0
    assert rig.simulator.status()["accounts"][0]["binds"][0]["pdus_received"] == 0
