"""What handsets show: long texts in every form, copies, missing parts, bounds."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.pdu import SubmitSm
from gateway.smpp.text import choose_coding, segment
from simulator.inbox import Inbox, InboxMessage, ReceivedPart
from simulator.settings import InboxSettings

HANDSET = "84905123456"


def parts_of(text: str, form: Any = "udh8", reference: int = 1, sender: str = "MotcuaSMS") -> list[SubmitSm]:
    return [
        SubmitSm(
            source_addr=sender,
            destination_addr=HANDSET,
            data_coding=piece.data_coding,
            esm_class=piece.esm_class_bits,
            short_message=piece.short_message,
            tlvs=piece.tlvs,
        )
        for piece in segment(text, choose_coding(text), form=form, reference=reference)
    ]


def shown(*pdus: SubmitSm, settings: InboxSettings | None = None) -> list[InboxMessage]:
    inbox = Inbox(settings or InboxSettings())
    for number, pdu in enumerate(pdus):
        inbox.receive(HANDSET, ReceivedPart(float(number), "acc", str(number), pdu, "gsm7"))
    return inbox.messages(HANDSET)


@given(
    form=st.sampled_from(["udh8", "udh16", "sar", "payload"]),
    text=st.text(st.sampled_from("aà€{[ễđ😀 \n"), min_size=1, max_size=400),
    seed=st.integers(),
)
def test_a_long_text_is_whole_in_any_order(form: str, text: str, seed: int) -> None:
    parts = parts_of(text, form)
    random.Random(seed).shuffle(parts)
    (message,) = shown(*parts)
    assert message.text == text
    assert (message.missing, message.copy, message.parts) == ((), 1, len(parts))


def test_a_missing_part_is_visible() -> None:
    first, _, third = parts_of("a" * 153 + "b" * 153 + "c" * 20)
    (message,) = shown(first, third)
    assert message.missing == (2,)
    assert message.text == "a" * 153 + "[…]" + "c" * 20


def test_what_came_twice_is_visible() -> None:
    text = "Moi ong/ba den nhan ket qua. " * 8
    messages = shown(*parts_of(text), *parts_of(text, reference=2), *parts_of("khac"))
    assert [(message.text == text, message.copy) for message in messages] == [(True, 1), (True, 2), (False, 1)]


def test_a_repeated_part_opens_a_copy_that_lacks_the_others() -> None:
    first, second = parts_of("x" * 200)
    messages = shown(first, second, second)
    assert [(message.copy, message.missing) for message in messages] == [(1, ()), (1, (1,))]


def test_senders_and_references_do_not_mix() -> None:
    one, other = parts_of("a" * 200, reference=1), parts_of("b" * 200, reference=2)
    third = parts_of("c" * 200, reference=1, sender="8083")
    messages = shown(one[0], other[0], third[0], third[1], other[1], one[1])
    assert {message.text[0] for message in messages} == {"a", "b", "c"}
    assert all(not message.missing and len(set(message.text)) == 1 for message in messages)


def test_octets_that_are_no_text_are_shown_in_hex() -> None:
    (message,) = shown(SubmitSm(source_addr="x", data_coding=4, short_message=b"\x01\xff"))
    assert message.text == "01ff"


def test_memory_is_bounded() -> None:
    assert len(shown(*parts_of("x") * 10, settings=InboxSettings(parts_per_handset=3))) == 3
    inbox = Inbox(InboxSettings(parts=5))
    for number in range(20):
        inbox.receive(f"849050000{number:02d}", ReceivedPart(0.0, "acc", "1", SubmitSm(short_message=b"x"), "gsm7"))
    assert inbox.numbers() == [f"849050000{number:02d}" for number in range(15, 20)]
    assert inbox.received == 20
