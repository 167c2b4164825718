"""Many timers behind one call of the reactor."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from simulator.schedule import Schedule


@given(st.lists(st.floats(0, 10), max_size=50))
def test_calls_come_in_order_and_not_early(delays: list[float]) -> None:
    clock = Clock()
    schedule = Schedule(clock)
    called: list[tuple[float, float, int]] = []
    for number, delay in enumerate(delays):
        schedule.call_later(delay, lambda d=delay, n=number: called.append((clock.seconds(), d, n)))
        assert len(clock.getDelayedCalls()) <= 1
    clock.pump([0.1] * 110)
    assert [(delay, number) for _, delay, number in called] == sorted((d, n) for n, d in enumerate(delays))
    assert all(at >= delay - 0.002 for at, delay, _ in called)
    assert all(at <= delay + 0.102 for at, delay, _ in called)
    assert not clock.getDelayedCalls()


def test_a_call_may_make_calls() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    called: list[float] = []

    def again() -> None:
        called.append(clock.seconds())
        if len(called) < 3:
            schedule.call_later(1.0, again)

    schedule.call_later(1.0, again)
    clock.pump([0.5] * 8)
    assert called == [1.0, 2.0, 3.0]


def test_an_exception_stops_nothing_else() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    called: list[str] = []
    schedule.call_later(1.0, lambda: 1 / 0)
    schedule.call_later(1.0, called.append, "second")
    schedule.call_later(2.0, called.append, "third")
    clock.pump([1.0, 1.0])
    assert called == ["second", "third"]


def test_after_stop_nothing_is_called() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    called: list[str] = []
    schedule.call_later(1.0, called.append, "never")
    schedule.stop()
    schedule.call_later(1.0, called.append, "never")
    clock.advance(5)
    assert called == []
    assert not clock.getDelayedCalls()
