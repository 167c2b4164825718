"""Framing: any cutting of the stream gives the same PDUs; a stream out of step is noticed (conformance C15)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pdu_strategies import pdus

from gateway.smpp.constants import CommandStatus
from gateway.smpp.errors import UnrecoverablePduError
from gateway.smpp.framing import Framer
from gateway.smpp.pdu import EnquireLink, SubmitSm, UnknownPdu, decode, encode

LINK = encode(EnquireLink(5))


@given(st.lists(pdus, min_size=1, max_size=6), st.data())
def test_any_cutting_gives_the_same_pdus(sent: list[SubmitSm], data: st.DataObject) -> None:
    stream = b"".join(encode(pdu) for pdu in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    framer = Framer()
    received = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += framer.feed(stream[start:end])
    assert [decode(frame) for frame in received] == sent
    assert framer.buffered_octets == 0


def test_one_octet_at_a_time() -> None:
    framer = Framer()
    stream = encode(SubmitSm(7, short_message=b"xin chao")) + LINK
    received = [frame for octet in stream for frame in framer.feed(bytes([octet]))]
    assert b"".join(received) == stream
    assert len(received) == 2


def test_ten_pdus_in_one_segment_and_half_of_the_next() -> None:
    framer = Framer()
    assert framer.feed(LINK * 10 + LINK[:8]) == [LINK] * 10
    assert framer.buffered_octets == 8
    assert framer.feed(LINK[8:]) == [LINK]


def test_frames_are_immutable_octets() -> None:
    framer = Framer()
    assert [type(frame) for frame in [*framer.feed(LINK + LINK[:3]), *framer.feed(LINK[3:])]] == [bytes, bytes]


def test_nothing_gives_nothing() -> None:
    framer = Framer()
    assert framer.feed(b"") == []
    assert framer.feed(LINK[:5]) == framer.feed(b"") == []
    assert framer.feed(LINK[5:]) == [LINK]


@pytest.mark.parametrize("length", [0, 1, 15, 65537, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_impossible_length_is_unrecoverable(length: int) -> None:
    framer = Framer()
    with pytest.raises(UnrecoverablePduError, match=f"command_length {length}") as caught:
        framer.feed(LINK + struct.pack(">IIII", length, 4, 0, 99) + LINK)
    assert caught.value.frames == (LINK,)
    assert caught.value.command_status == CommandStatus.ESME_RINVCMDLEN
    assert (caught.value.command_id, caught.value.sequence_number) == (4, 99)


def test_an_impossible_length_is_noticed_before_the_rest_arrives() -> None:
    framer = Framer()
    assert framer.feed(b"\xff\xff\xff") == []
    with pytest.raises(UnrecoverablePduError) as caught:
        framer.feed(b"\xff")
    assert (caught.value.command_id, caught.value.sequence_number) == (0, 0)
    assert framer.buffered_octets == 0


def test_after_the_fault_nothing_is_taken_and_no_frame_comes_twice() -> None:
    framer = Framer()
    with pytest.raises(UnrecoverablePduError):
        framer.feed(LINK + bytes(16))
    for _ in range(2):
        with pytest.raises(UnrecoverablePduError) as caught:
            framer.feed(LINK)
        assert caught.value.frames == ()
    assert framer.buffered_octets == 0


def test_the_limit_itself_is_allowed() -> None:
    largest = encode(UnknownPdu(1, 0, 0x777, bytes(100 - 16)))
    assert Framer(max_octets=100).feed(largest) == [largest]
    with pytest.raises(UnrecoverablePduError):
        Framer(max_octets=99).feed(largest)


def test_an_unfinished_pdu_holds_no_more_than_the_limit() -> None:
    framer = Framer()
    header = struct.pack(">IIII", 65536, 4, 0, 1)
    framer.feed(header)
    for _ in range(65):
        framer.feed(bytes(1000))
        assert framer.buffered_octets < 65536
    assert len(framer.feed(bytes(520))) == 1
    # Zeros after the PDU are no length: the stream is out of step, and the buffer is dropped.
    with pytest.raises(UnrecoverablePduError):
        framer.feed(bytes(4))
    assert framer.buffered_octets == 0


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_garbage_is_frames_or_the_fault_and_memory_stays_bounded(pieces: list[bytes]) -> None:
    framer = Framer(max_octets=64)
    for piece in pieces:
        try:
            frames = framer.feed(piece)
        except UnrecoverablePduError as error:
            frames = list(error.frames)
        assert all(struct.unpack(">I", frame[:4]) == (len(frame),) for frame in frames)
        assert framer.buffered_octets < 64
