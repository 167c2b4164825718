"""An orderly stop waits for each part, but not for ever, and harms nothing that is still under way."""

from __future__ import annotations

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import Clock

from gateway.app.gateway import within


def test_a_part_that_ends_in_time_is_waited_for() -> None:
    clock, work = Clock(), Deferred[str]()
    waiting = within(work, 5.0, clock)
    clock.advance(4.0)
    assert not waiting.called
    work.callback("done")
    assert waiting.called
    assert clock.getDelayedCalls() == []


def test_a_part_that_takes_too_long_goes_on() -> None:
    """A commit that is under way when the daemon stops: cancelled, it would be told as failed."""
    clock, commit = Clock(), Deferred[str]()
    results: list[object] = []
    commit.addBoth(results.append)
    waiting = within(DeferredList([commit]), 5.0, clock)
    clock.advance(5.0)
    assert waiting.called
    assert results == []
    commit.callback("committed")
    assert results == ["committed"]


def test_a_part_that_fails_ends_the_wait() -> None:
    clock, work = Clock(), Deferred[str]()
    waiting = within(work, 5.0, clock)
    work.errback(OSError("the port is gone"))
    assert waiting.called
    assert waiting.result is None
