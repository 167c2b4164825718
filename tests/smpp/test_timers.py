"""The timers: what is due when, and when to ask again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.timers import NEVER, Due, Timers


def make_timers(enquire: float | None = 30.0, inactivity: float | None = None) -> Timers:
    return Timers(100.0, 10.0, enquire, inactivity)


def test_session_init_is_due_once_if_nothing_is_bound() -> None:
    timers = make_timers()
    assert timers.next_deadline() == 110.0
    assert timers.on_tick(109.9) == []
    assert timers.on_tick(110.0) == [Due.SESSION_INIT]
    assert timers.on_tick(200.0) == []


def test_an_unbound_session_is_not_probed() -> None:
    timers = Timers(100.0, 1000.0, 30.0, 40.0)
    assert timers.on_tick(500.0) == []
    timers.received(500.0)
    assert timers.next_deadline() == 1100.0


def test_silence_is_probed_once_until_the_peer_is_heard() -> None:
    timers = make_timers()
    timers.bound(105.0)
    assert timers.next_deadline() == 135.0
    assert timers.on_tick(135.0) == [Due.ENQUIRE_LINK]
    assert timers.next_deadline() == NEVER
    assert timers.on_tick(1000.0) == []
    timers.received(1001.0)
    assert timers.heard_at == 1001.0
    assert timers.on_tick(1030.9) == []
    assert timers.on_tick(1031.0) == [Due.ENQUIRE_LINK]


def test_sending_is_no_sign_of_life() -> None:
    timers = make_timers()
    timers.bound(100.0)
    timers.transaction(129.0)
    assert timers.on_tick(130.0) == [Due.ENQUIRE_LINK]


def test_inactivity_counts_from_the_last_transaction_and_not_from_enquire_link() -> None:
    timers = make_timers(enquire=30.0, inactivity=50.0)
    timers.bound(100.0)
    timers.transaction(110.0)
    assert timers.on_tick(130.0) == [Due.ENQUIRE_LINK]
    timers.received(131.0)
    assert timers.on_tick(159.9) == []
    assert timers.on_tick(160.0) == [Due.INACTIVITY]
    assert timers.on_tick(1000.0) == [Due.ENQUIRE_LINK], "inactivity is due once"


def test_nothing_is_due_after_the_end() -> None:
    timers = make_timers(inactivity=20.0)
    timers.bound(100.0)
    timers.ended()
    assert timers.on_tick(10_000.0) == []
    assert timers.next_deadline() == NEVER


def test_timers_that_are_off_never_come() -> None:
    timers = make_timers(enquire=None, inactivity=None)
    timers.bound(100.0)
    assert timers.next_deadline() == NEVER
    assert timers.on_tick(1e9) == []


@given(st.lists(st.tuples(st.sampled_from(["received", "transaction", "tick"]), st.floats(0.0, 50.0)), max_size=40))
def test_before_the_deadline_nothing_is_due(steps: list[tuple[str, float]]) -> None:
    timers = make_timers(enquire=30.0, inactivity=70.0)
    timers.bound(100.0)
    now = 100.0
    for what, passed in steps:
        now += passed
        if what == "tick":
            deadline = timers.next_deadline()
            due = timers.on_tick(now)
            assert bool(due) == (now >= deadline)
        else:
            getattr(timers, what)(now)
