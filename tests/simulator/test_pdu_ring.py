"""The ring of PDUs and the tap that fills it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
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


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=40),
    st.lists(st.integers(1, 60), min_size=1, max_size=30),
    st.integers(1, 12),
    st.integers(0, 45),
)
def test_however_the_octets_come_every_pdu_has_its_number(
    pdus: list[tuple[bool, int]], cuts: list[int], kept: int, after: int
) -> None:
    """The two streams in pieces of any size: what the ring shows are the newest whole PDUs, in the order of their ends."""
    held = ring(entries=kept)
    tap = WireTap(held, "p", 65_536)
    waiting = {True: b"", False: b""}
    ends: list[tuple[bool, bytes]] = []
    for number, (sent, size) in enumerate(pdus):
        frame = encode(SubmitSm(sequence_number=number + 1, short_message=b"x" * size))
        ends.append((sent, frame))
        waiting[sent] += frame
        turn = 0
        while waiting[sent]:  # whole frames at the end of each round, so that the order of ends is that of the list
            cut = cuts[(number + turn) % len(cuts)]
            tap(sent, waiting[sent][:cut])
            waiting[sent] = waiting[sent][cut:]
            turn += 1
    expected = [(index, sent, frame) for index, (sent, frame) in enumerate(ends, start=1)]
    shown = expected[-kept:]
    assert held.count == len(expected)
    assert held.first_in_memory == (shown[0][0] if shown else 1)
    found = [(entry.n, entry.sent, entry.octets) for entry in held.after(after)]
    assert found == [one for one in shown if one[0] > after]
    assert [entry.n for entry in held.newest_first()] == [one[0] for one in reversed(shown)]
    assert [(entry.octets if entry else None) for entry in map(held.get, range(1, len(expected) + 2))] == [
        one[2] if one in shown else None for one in expected
    ] + [None]


def test_many_pdus_in_one_piece_are_cut_when_somebody_asks() -> None:
    held = ring(entries=3)
    tap = WireTap(held, "p", 65_536)
    frames = [encode(EnquireLink(number)) for number in range(1, 6)]
    tap(False, b"".join(frames) + frames[0][:7])
    assert [(entry.n, entry.octets) for entry in held.after(0)] == [(3, frames[2]), (4, frames[3]), (5, frames[4])]
    tap(False, frames[0][7:])
    assert [entry.n for entry in held.after(0)] == [4, 5, 6]
    assert tap.wire.received == 6
