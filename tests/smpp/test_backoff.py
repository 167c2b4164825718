"""Waits between attempts: they grow, stay in range, and start over after a bind that held."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.backoff import Backoff


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(1.0, 60.0, random.Random(1))
    ranges = [(1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (30, 60), (30, 60)]
    for low, high in ranges:
        assert low <= backoff.next_wait_s() <= high


def test_a_bind_that_held_long_enough_starts_over() -> None:
    backoff = Backoff(1.0, 60.0, random.Random(1))
    for _ in range(4):
        backoff.next_wait_s()
    backoff.held(15.9)
    assert backoff.longest_s == 16.0
    backoff.held(16.0)
    assert backoff.next_wait_s() <= 2.0


def test_credentials_wait_the_longest_and_do_not_count() -> None:
    backoff = Backoff(1.0, 60.0, random.Random(1))
    assert 30.0 <= backoff.slow_wait_s() <= 60.0
    assert backoff.next_wait_s() <= 2.0


@given(st.floats(0.01, 10.0), st.floats(1.0, 100.0), st.integers(0, 200), st.randoms(use_true_random=False))
def test_no_wait_leaves_its_range(min_s: float, factor: float, failures: int, rng: random.Random) -> None:
    backoff = Backoff(min_s, min_s * factor, rng)
    for _ in range(failures):
        backoff.next_wait_s()
    for wait_s in (backoff.next_wait_s(), backoff.slow_wait_s()):
        assert min_s <= wait_s <= min_s * factor
