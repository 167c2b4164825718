"""The licence holds in every sliding second and is used; an overloaded SMSC is given a rest. On a virtual clock."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mt.throttle import Licence, Recovery


def most_in_a_second(log: list[tuple[float, int]]) -> int:
    """The most parts in any second that ends with a part: no other second holds more."""
    most = inside = start = 0
    for moment, parts in log:
        inside += parts
        while log[start][0] <= moment - 1.0:
            inside -= log[start][1]
            start += 1
        most = max(most, inside)
    return most


def send_greedily(licence: Licence, until: float, late: random.Random | None = None) -> list[tuple[float, int]]:
    """Send whenever it is allowed; wake when the licence says, or a little later."""
    now, log = 0.0, []
    while now < until:
        while licence.allows(now, 1):
            licence.spend(now, 1)
            log.append((now, 1))
        wait = licence.wait_s(now)
        assert wait is not None
        assert wait > 0
        now += wait + (late.uniform(0, 0.02) if late else 0.0)
    return log


@pytest.mark.parametrize("limit", [1, 2, 7, 10, 50, 200, 1000])
def test_no_sliding_second_exceeds_the_licence_and_99_percent_are_used(limit: int) -> None:
    log = send_greedily(Licence(limit), 30.0)
    assert most_in_a_second(log) <= limit
    assert len(log) >= 0.99 * limit * 30


@pytest.mark.parametrize("limit", [20, 200])
def test_late_timers_cost_little(limit: int) -> None:
    log = send_greedily(Licence(limit), 30.0, random.Random(4))
    assert most_in_a_second(log) <= limit
    assert len(log) >= 0.95 * limit * 30


@settings(max_examples=200)
@given(
    st.integers(min_value=1, max_value=30),
    st.lists(st.tuples(st.floats(min_value=0, max_value=0.7), st.integers(min_value=1, max_value=40)), max_size=60),
)
def test_whatever_is_asked_the_licence_holds(limit: int, asked: list[tuple[float, int]]) -> None:
    licence, now, log = Licence(limit), 0.0, []
    for gap, wanted in asked:
        now += gap
        got = min(wanted, licence.available(now))
        if got:
            licence.spend(now, got)
            log.append((now, got))
    assert most_in_a_second(log) <= limit


def test_parts_are_spread_over_the_second() -> None:
    """A reply that comes behind a backlog waits for a slot, not for the next second."""
    log = send_greedily(Licence(50), 5.0)
    steady = [moment for moment, _ in log if moment > 2]
    gaps = [later - sooner for sooner, later in itertools.pairwise(steady)]
    assert max(gaps) < 0.06


def test_parts_of_one_submit_leave_together_or_alone() -> None:
    licence = Licence(4)
    assert licence.allows(0.0, 2)
    licence.spend(0.0, 2)
    assert not licence.allows(0.5, 3), "more than may leave at once, and something left a moment ago"
    wait = licence.wait_s(0.5, 3)
    assert wait is not None
    assert licence.allows(0.5 + wait + 1e-9, 3)
    assert 0.5 + wait >= 1.0


def test_shares_of_nodes_and_silence_at_the_start() -> None:
    licence = Licence(10)
    licence.hold_until(1.0)
    assert licence.available(0.99) == 0
    assert licence.wait_s(0.5) == pytest.approx(0.5)
    assert licence.available(1.0) > 0
    licence.set_limit(0)
    assert licence.available(2.0) == 0
    assert licence.wait_s(2.0) is None
    licence.set_limit(5)
    assert most_in_a_second([(0.0, 0), *send_greedily(licence, 6.0)]) <= 5


def test_a_smaller_share_counts_what_left_under_the_larger() -> None:
    licence = Licence(10)
    for step in range(10):
        licence.spend(step / 20, 1)
    licence.set_limit(5)
    assert licence.available(0.6) == 0
    assert licence.available(1.2) <= 5


# -- recovery ----------------------------------------------------------------------------------------------------------


def test_a_throttled_bind_pauses_then_recovers_by_steps() -> None:
    recovery = Recovery(50)
    assert recovery.available(0.0) is None
    recovery.on_accepted(0.5, 50)
    assert recovery.on_throttled(10.0)
    assert recovery.available(10.9) == 0
    assert recovery.wait_s(10.4) == pytest.approx(0.6)
    assert recovery.rate(11.0) == pytest.approx(25)
    assert recovery.rate(13.0) == pytest.approx(35)
    assert not recovery.recovered(15.9)
    assert recovery.recovered(16.0)
    assert not recovery.recovered(16.1)
    assert recovery.available(16.1) is None


def test_answers_to_what_left_before_the_pause_do_not_prolong_it() -> None:
    recovery = Recovery(50)
    assert recovery.on_throttled(10.0)
    assert not recovery.on_throttled(10.1)
    assert not recovery.on_throttled(10.9)
    assert recovery.pause_left_s(10.9) == pytest.approx(0.1)


def test_throttled_again_and_again_the_pause_doubles_up_to_half_a_minute() -> None:
    recovery, now, pauses = Recovery(50), 10.0, []
    for _ in range(7):
        assert recovery.on_throttled(now)
        pauses.append(recovery.pause_left_s(now))
        now += pauses[-1] + 0.01
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 30, 30])


def test_the_goal_is_what_the_smsc_can_carry() -> None:
    """A licence of 100,000 on an SMSC that takes 40 a second: recovery heads for 80, not for 100,000."""
    recovery = Recovery(100_000)
    recovery.on_accepted(5.2, 25)
    recovery.on_accepted(5.9, 15)
    recovery.on_throttled(6.0)
    assert recovery.rate(7.0) == pytest.approx(20)
    assert recovery.rate(8.0) == pytest.approx(28)


def test_speed_after_the_pause_is_kept() -> None:
    recovery = Recovery(100)
    recovery.on_throttled(0.0)
    sent, now = 0, 1.0
    while now < 2.0:
        while recovery.available(now):
            recovery.spend(1)
            sent += 1
        now += 0.01
    assert 48 <= sent <= 60


def test_congestion_state_slows_down_before_it_refuses() -> None:
    recovery = Recovery(100)
    assert not recovery.on_congestion(1.0, 89)
    assert recovery.on_congestion(1.0, 90)
    assert recovery.pause_left_s(1.0) == 0
    assert recovery.rate(1.0) == pytest.approx(50)
    assert not recovery.on_congestion(1.5, 95), "once a second at most"
    assert recovery.on_congestion(2.5, 100)
    assert recovery.pause_left_s(2.5) > 0


def test_an_smsc_that_takes_every_second_submit_is_not_paused_ever_longer() -> None:
    recovery, now = Recovery(50), 10.0
    for _ in range(6):
        assert recovery.on_throttled(now)
        pause_s = recovery.pause_left_s(now)
        assert pause_s <= 2.0
        now += pause_s + 0.01
        recovery.on_accepted(now, 1)
