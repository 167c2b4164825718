"""Which query is which line."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.mo.charging.reconcile.matching import Ours, Pair, Theirs, match

A, B, C = "84901", "84902", "84903"


def ours(number: str = A, at: float = 0.0, mo_id: int = 1, **values: Any) -> Ours:
    given_values = {"state": "charged", "amount_vnd": 1000, "smsc_message_id": "", "text": "MCKH1", "shortcode": "8083"}
    return Ours(number=number, at=at, mo_id=mo_id, expected=True, **{**given_values, **values})


def theirs(number: str = A, at: float = 0.0, line: int = 1, **values: Any) -> Theirs:
    given_values = {
        "outcome": "charged",
        "amount_vnd": 1000,
        "smsc_message_id": "",
        "text": "MCKH",
        "shortcode": "8083",
    }
    return Theirs(number=number, at=at, file_id=1, line=line, **{**given_values, **values})


def found(one: list[Ours], other: list[Theirs], tolerance_s: float = 300.0) -> set[tuple[int | None, int | None]]:
    pairs: list[Pair] = list(match(one, other, tolerance_s))
    return {(own.mo_id if own else None, line.line if line else None) for own, line in pairs}


def test_every_number_of_either_side_comes_up() -> None:
    assert found([ours(A), ours(C, mo_id=2)], [theirs(B), theirs(C, line=2)]) == {(1, None), (None, 1), (2, 2)}
    assert found([], []) == set()
    assert found([ours(A)], []) == {(1, None)}
    assert found([], [theirs(A), theirs(B, line=2)]) == {(None, 1), (None, 2)}


def test_within_the_tolerance_and_not_beyond() -> None:
    assert found([ours(at=0)], [theirs(at=300)]) == {(1, 1)}
    assert found([ours(at=0)], [theirs(at=301)]) == {(1, None), (None, 1)}
    assert found([ours(at=0), ours(at=1000, mo_id=2)], [theirs(at=301), theirs(at=1001, line=2)]) == {
        (1, None),
        (None, 1),
        (2, 2),
    }


def test_texts_must_agree() -> None:
    assert found([ours(text="MCKH1")], [theirs(text="MCKH2")]) == {(1, None), (None, 1)}
    assert found([ours()], [theirs(text="")]) == {(1, 1)}
    assert found([ours()], [theirs(shortcode="9029")]) == {(1, None), (None, 1)}
    assert found([ours()], [theirs(shortcode="")]) == {(1, 1)}


def test_the_id_wins_over_time_and_text() -> None:
    one = [ours(at=0, mo_id=1, smsc_message_id="x"), ours(at=9000, mo_id=2, smsc_message_id="y")]
    other = [theirs(at=0, line=1, smsc_message_id="y"), theirs(at=9000, line=2, smsc_message_id="x", text="OTHER")]
    assert found(one, other) == {(1, 2), (2, 1)}


def test_the_nearest_in_time_first() -> None:
    one = [ours(at=0), ours(at=100, mo_id=2)]
    assert found(one, [theirs(at=90)]) == {(1, None), (2, 1)}
    assert found(one, [theirs(at=95), theirs(at=105, line=2)]) == {(2, 1), (1, 2)}


def test_a_line_that_stands_twice_is_theirs_alone_the_second_time() -> None:
    assert found([ours()], [theirs(), theirs(line=2)]) == {(1, 1), (None, 2)}


def test_a_number_with_very_many_queries_takes_bounded_time() -> None:
    one = [ours(at=index, mo_id=index) for index in range(2000)]
    other = [theirs(at=index, line=index) for index in range(2000)]
    assert all(None not in pair for pair in found(one, other, tolerance_s=1e6))


SIDES = st.lists(
    st.tuples(st.sampled_from([A, B, C]), st.integers(0, 50), st.sampled_from(["", "x", "y"]), st.booleans()),
    max_size=12,
)


@given(SIDES, SIDES, st.integers(0, 30))
def test_each_row_comes_up_exactly_once_and_pairs_are_allowed(one: Any, other: Any, tolerance_s: int) -> None:
    left = sorted(
        ours(number, at, index, smsc_message_id=smsc_id, text="MCKH1" if long else "MCKH2")
        for index, (number, at, smsc_id, long) in enumerate(one)
    )
    right = sorted(
        theirs(number, at, index, smsc_message_id=smsc_id, text="MCKH1" if long else "MCKH")
        for index, (number, at, smsc_id, long) in enumerate(other)
    )
    pairs = list(match(left, right, tolerance_s))
    assert sorted(own.mo_id for own, _ in pairs if own) == list(range(len(one)))
    assert sorted(line.line for _, line in pairs if line) == list(range(len(other)))
    for own, line in pairs:
        if own is not None and line is not None:
            assert own.number == line.number
            same_id = bool(line.smsc_message_id) and own.smsc_message_id == line.smsc_message_id
            assert same_id or (abs(own.at - line.at) <= tolerance_s and own.text.startswith(line.text))
