"""The licensed second begins when the octets leave, which on a busy machine is later than the decision."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.mt.throttle import MARGIN_S, Licence


def test_a_late_write_holds_the_next_ones_back() -> None:
    licence = Licence(2)
    assert licence.available(0.0) == 2
    licence.spend(0.0, 2)
    licence.left(0.4)  # the machine was busy
    assert licence.available(1.0 + 2 * MARGIN_S) == 0
    assert licence.available(1.4 + 2 * MARGIN_S) == 2


def test_nothing_spent_is_nothing_left() -> None:
    licence = Licence(2)
    licence.left(5.0)
    assert licence.available(5.0) == 2


@given(st.lists(st.tuples(st.floats(0.0, 0.5), st.floats(0.0, 0.3)), min_size=1, max_size=60), st.integers(1, 20))
def test_however_late_the_writes_no_second_of_them_exceeds_the_licence(
    steps: list[tuple[float, float]], limit: int
) -> None:
    licence, now = Licence(limit), 0.0
    left: list[float] = []
    for pause, delay in steps:
        now += pause
        room = licence.available(now)
        if room:
            licence.spend(now, room)
            now += delay
            licence.left(now)
            left += [now] * room
    for moment in left:
        assert sum(moment <= other < moment + 1.0 for other in left) <= limit
