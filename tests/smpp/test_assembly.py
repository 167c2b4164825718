"""Long messages joined in memory (conformance row C12)."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.text import Assembler, Concatenation, IncomingPart, join_text

SENDER = "84905123456"


def part(
    number: int, total: int = 3, text: bytes | None = None, reference: int = 7, form: str = "udh8"
) -> Concatenation:
    return Concatenation(reference, total, number, text if text is not None else f"<{number}>".encode(), form)  # type: ignore[arg-type]


def add(
    assembler: Assembler, concatenation: Concatenation, now: float = 0.0, sender: str = SENDER, scope: str = "viettel"
) -> str | None:
    whole = assembler.add(scope, sender, "8083", concatenation, 0, now)
    return None if whole is None else join_text(whole)


def test_c12_in_order() -> None:
    assembler = Assembler()
    assert [add(assembler, part(number)) for number in (1, 2, 3)] == [None, None, "<1><2><3>"]


def test_c12_out_of_order() -> None:
    assembler = Assembler()
    assert [add(assembler, part(number)) for number in (3, 1, 2)] == [None, None, "<1><2><3>"]


def test_c12_duplicates_change_nothing() -> None:
    assembler = Assembler()
    assert [add(assembler, part(number)) for number in (2, 2, 1, 2, 3)] == [None, None, None, None, "<1><2><3>"]


def test_c12_a_duplicate_after_the_end_opens_no_new_message() -> None:
    assembler = Assembler(timeout_s=300)
    for number in (1, 2, 3):
        add(assembler, part(number))
    assert add(assembler, part(2), now=10) is None
    assert assembler.on_tick(1000) == []
    assert len(assembler) == 0


def test_c12_interleaved_senders_references_forms_and_scopes() -> None:
    assembler = Assembler()
    streams = [
        {"sender": "84905000001"},
        {"sender": "84905000002"},
        {"sender": "84905000001", "scope": "vinaphone"},
    ]
    for stream in streams:
        assert add(assembler, part(1, total=2), **stream) is None
    assert add(assembler, part(1, total=2, reference=8), sender="84905000001") is None
    assert add(assembler, part(1, total=2, form="sar"), sender="84905000001") is None
    for stream in streams:
        assert add(assembler, part(2, total=2), **stream) == "<1><2>"
    assert add(assembler, part(2, total=2, reference=8), sender="84905000001") == "<1><2>"
    assert add(assembler, part(2, total=2, form="sar"), sender="84905000001") == "<1><2>"


def test_c12_a_missing_part_times_out_visibly() -> None:
    assembler = Assembler(timeout_s=300)
    add(assembler, part(1), now=100)
    add(assembler, part(3), now=350)
    assert assembler.next_deadline() == 400
    assert assembler.on_tick(399.9) == []
    (incomplete,) = assembler.on_tick(400)
    assert incomplete.reason == "timeout"
    assert incomplete.key.source_addr == SENDER
    assert incomplete.first_at == 100
    assert incomplete.parts == {1: IncomingPart(b"<1>", 0), 3: IncomingPart(b"<3>", 0)}
    assert assembler.on_tick(401) == []
    assert assembler.next_deadline() is None


def test_a_reference_used_again_for_another_text() -> None:
    assembler = Assembler()
    add(assembler, part(1, text=b"old"))
    assert add(assembler, part(1, text=b"new")) is None
    assert [add(assembler, part(number)) for number in (2, 3)] == [None, "new<2><3>"]
    (incomplete,) = assembler.on_tick(0)
    assert incomplete.reason == "reference_reused"
    assert incomplete.parts == {1: IncomingPart(b"old", 0)}


def test_a_reference_used_again_after_the_end() -> None:
    assembler = Assembler()
    for text in (b"one", b"two"):
        for number in (1, 2, 3):
            whole = add(assembler, part(number, text=text if number == 1 else None))
        assert whole == text.decode() + "<2><3>"
    assert assembler.on_tick(0) == []


def test_memory_is_bounded_in_all() -> None:
    assembler = Assembler(max_parts=5)
    for number in range(20):
        add(assembler, part(1), now=number, sender=f"8490500{number:04}")
        assert len(assembler) <= 5
    given_up = assembler.on_tick(19)
    assert [incomplete.key.source_addr for incomplete in given_up] == [f"8490500{number:04}" for number in range(15)]
    assert {incomplete.reason for incomplete in given_up} == {"limit"}


def test_memory_is_bounded_per_sender() -> None:
    assembler = Assembler(max_parts_per_sender=4)
    add(assembler, part(1), sender="84905999999")
    for reference in range(50):
        add(assembler, part(1, reference=reference))
    assert len(assembler) == 5
    assert {incomplete.key.source_addr for incomplete in assembler.on_tick(0)} == {SENDER}


def test_a_message_longer_than_the_limit_is_given_up() -> None:
    assembler = Assembler(max_parts_per_sender=2)
    assert [add(assembler, part(number)) for number in (1, 2, 3)] == [None, None, "<1><2><3>"]
    assert len(assembler) == 0
    assert [add(assembler, part(number, total=5)) for number in (1, 2, 3)] == [None, None, None]
    assert [incomplete.reason for incomplete in assembler.on_tick(0)] == ["limit"]


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_any_order_with_duplicates_gives_each_message_once(seed: int, messages: int) -> None:
    rng = random.Random(seed)
    expected = {}
    stream = []
    for message in range(messages):
        total = rng.randint(2, 12)
        texts = [f"{message}.{number};" for number in range(1, total + 1)]
        expected[message] = "".join(texts)
        for number, text in enumerate(texts, start=1):
            stream += [(message, number, total, text)] * rng.randint(1, 3)
    rng.shuffle(stream)
    assembler = Assembler()
    finished = {}
    for message, number, total, text in stream:
        whole = add(assembler, part(number, total=total, text=text.encode(), reference=message))
        if whole is not None:
            assert message not in finished
            finished[message] = whole
    assert finished == expected
    assert assembler.on_tick(0) == []
