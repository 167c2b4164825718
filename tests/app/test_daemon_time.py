"""The daemon's timers under a wall clock that jumps."""

from __future__ import annotations

import time

import pytest
from twisted.internet.selectreactor import SelectReactor

from gateway.app.daemon import use_steady_time


def test_a_wall_clock_that_is_set_back_delays_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    reactor = SelectReactor()
    use_steady_time(reactor)
    called: list[str] = []
    reactor.callLater(0.0, called.append, "timer")
    an_hour_ago = time.time() - 3600.0
    monkeypatch.setattr(time, "time", lambda: an_hour_ago)
    reactor.runUntilCurrent()
    assert called == ["timer"]
    assert reactor.callLater(5.0, called.append, "later").getTime() == pytest.approx(time.monotonic() + 5.0, abs=1.0)
    for call in reactor.getDelayedCalls():
        call.cancel()
