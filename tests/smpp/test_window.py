"""The window: each token comes back once, numbers never collide, memory is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.constants import MAX_SEQUENCE_NUMBER, CommandId
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.pdu import EnquireLink, QuerySm, SubmitSm
from gateway.smpp.window import CONTROL, REMEMBER_LIMIT, REMEMBER_S, Window

SUBMIT = SubmitSm(destination_addr="84905123456", short_message=b"hello")
SUBMIT_RESP = int(CommandId.SUBMIT_SM_RESP)
QUERY_RESP = int(CommandId.QUERY_SM_RESP)
NACK = int(CommandId.GENERIC_NACK)


def test_numbers_start_at_one_and_rise() -> None:
    window = Window(3, 10.0)
    assert [window.add(SUBMIT, token, 0.0) for token in "abc"] == [1, 2, 3]


def test_full_window_refuses_and_stays_as_it_was() -> None:
    window = Window(2, 10.0)
    window.add(SUBMIT, "a", 0.0)
    window.add(SUBMIT, "b", 0.0)
    with pytest.raises(LocalProtocolError, match="window of 2 is full"):
        window.add(SUBMIT, "c", 0.0)
    assert len(window) == 2
    assert window.free == 0
    assert window.take(1, SUBMIT_RESP) == (SUBMIT, "a")
    assert window.add(SUBMIT, "c", 0.0) == 3


def test_requests_of_the_session_take_no_place() -> None:
    window = Window(1, 10.0)
    window.add(SUBMIT, "a", 0.0)
    number = window.add(EnquireLink(), CONTROL, 0.0)
    assert (len(window), window.free) == (1, 0)
    assert window.take(number, int(CommandId.ENQUIRE_LINK_RESP)) == (EnquireLink(), CONTROL)
    window.take(1, SUBMIT_RESP)
    assert window.free == 1


def test_an_answer_of_another_kind_settles_nothing() -> None:
    window = Window(5, 10.0)
    number = window.add(SUBMIT, "a", 0.0)
    assert window.take(number, QUERY_RESP) is None
    assert window.take(number + 1, SUBMIT_RESP) is None
    assert window.take(number, SUBMIT_RESP) == (SUBMIT, "a")
    assert window.take(number, SUBMIT_RESP) is None


def test_generic_nack_settles_anything() -> None:
    window = Window(5, 10.0)
    number = window.add(QuerySm(), "a", 0.0)
    assert window.take(number, NACK) == (QuerySm(), "a")


def test_requests_expire_in_order_and_are_remembered_once() -> None:
    window = Window(5, 10.0)
    window.add(SUBMIT, "a", 0.0)
    window.add(SUBMIT, "b", 3.0)
    assert window.next_deadline() == 10.0
    assert window.expire(9.9) == []
    assert window.expire(10.0) == [(1, SUBMIT, "a")]
    assert window.next_deadline() == 13.0
    assert window.take(1, SUBMIT_RESP) is None
    assert window.take_late(1) == ("a",)
    assert window.take_late(1) is None


def test_the_oldest_deadline_follows_answers() -> None:
    window = Window(5, 10.0)
    window.add(SUBMIT, "a", 0.0)
    window.add(SUBMIT, "b", 3.0)
    window.take(1, SUBMIT_RESP)
    assert window.next_deadline() == 13.0
    window.take(2, SUBMIT_RESP)
    assert window.next_deadline() == float("inf")


def test_expired_numbers_are_forgotten_after_a_while() -> None:
    window = Window(5, 10.0)
    window.add(SUBMIT, "a", 0.0)
    window.expire(10.0)
    window.expire(10.0 + REMEMBER_S)
    assert window.take_late(1) is None


def test_expired_numbers_are_bounded() -> None:
    window = Window(REMEMBER_LIMIT * 2, 1.0)
    for token in range(REMEMBER_LIMIT + 500):
        window.add(SUBMIT, token, 0.0)
    window.expire(1.0)
    assert window.remembered == REMEMBER_LIMIT
    assert window.take_late(500) is None, "the oldest went first"
    assert window.take_late(501) == (500,)


def test_expired_requests_of_the_session_are_not_remembered() -> None:
    window = Window(5, 10.0)
    window.add(EnquireLink(), CONTROL, 0.0)
    assert window.expire(10.0) == [(1, EnquireLink(), CONTROL)]
    assert window.remembered == 0
    assert (len(window), window.free) == (0, 5)


def test_numbers_wrap_and_skip_the_pending_and_the_expired() -> None:
    window = Window(10, 10.0, first=1)
    window.add(SUBMIT, "pending", 5.0)  # 1
    window.add(SUBMIT, "expired", 5.0)  # 2
    window.take(1, SUBMIT_RESP)
    window.expire(15.0)
    window.add(SUBMIT, "held", 15.0)  # 3
    window._next = MAX_SEQUENCE_NUMBER
    assert window.add(SUBMIT, "last", 15.0) == MAX_SEQUENCE_NUMBER
    assert window.add(SUBMIT, "first", 15.0) == 1
    assert window.add(SUBMIT, "next", 15.0) == 4, "2 is remembered, 3 is pending"


def test_drain_gives_the_callers_tokens_back_oldest_first() -> None:
    window = Window(5, 10.0)
    window.add(SUBMIT, "a", 0.0)
    window.add(EnquireLink(), CONTROL, 0.0)
    window.add(SUBMIT, "b", 0.0)
    assert window.drain() == [(1, "a"), (3, "b")]
    assert (len(window), window.free, window.next_deadline()) == (0, 5, float("inf"))


def test_a_window_made_smaller_has_no_room_until_it_fits() -> None:
    window = Window(5, 10.0)
    for token in range(4):
        window.add(SUBMIT, token, 0.0)
    window.size = 2
    assert window.free == 0
    for number in (1, 2, 3):
        window.take(number, SUBMIT_RESP)
    assert window.free == 1


@given(
    st.lists(
        st.one_of(
            st.just(("add", 0)),
            st.tuples(st.just("answer"), st.integers(1, 60)),
            st.tuples(st.just("pass"), st.integers(1, 8)),
        ),
        max_size=120,
    ),
    st.integers(1, 8),
)
def test_every_token_comes_back_exactly_once(steps: list[tuple[str, int]], size: int) -> None:
    """Whatever happens in whatever order: answered, expired or drained, but once; late at most once, and only after expiry."""
    window = Window(size, 10.0)
    now = 0.0
    given_out, returned, late = [], [], []
    open_numbers: set[int] = set()
    for what, amount in steps:
        if what == "add" and window.free:
            number = window.add(SUBMIT, len(given_out), now)
            assert number not in open_numbers
            open_numbers.add(number)
            given_out.append(len(given_out))
        elif what == "answer":
            taken = window.take(amount, SUBMIT_RESP)
            if taken is not None:
                returned.append(taken[1])
                open_numbers.discard(amount)
            else:
                found = window.take_late(amount)
                late += [] if found is None else [found[0]]
        elif what == "pass":
            now += amount
            for number, _request, token in window.expire(now):
                returned.append(token)
                open_numbers.discard(number)
        assert len(window) == len(open_numbers) <= size
    returned += [token for _number, token in window.drain()]
    assert sorted(map(int, map(str, returned))) == given_out
    assert len(set(late)) == len(late)
