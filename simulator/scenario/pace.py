"""Waiting in a scenario: for a Deferred or for time to pass, until somebody says that it cannot go on."""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from simulator.scenario.results import Failure
from simulator.schedule import Schedule

T = TypeVar("T")


class Halted(Exception):
    """The scenario cannot go on: something that must always hold was broken, the ESME ended, the time is over."""


class Pace:
    """What the steps wait by. ``failure``: why the scenario cannot go on; None while it can."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._waiting: Deferred[Any] | None = None
        self._over = False
        self.failure: Failure | None = None

    def stop(self, failure: Failure) -> None:
        """It cannot go on. Whoever waits is told in the next turn: not in the middle of a PDU's handling."""
        if self.failure is None and not self._over:
            self.failure = failure
            self._schedule.call_later(0, self._wake)

    def finish(self) -> None:
        """It is over; from now on nothing can stop it."""
        self._over = True

    async def wait(self, deferred: Deferred[T]) -> T:
        """Wait for it. Raises :class:`Halted`, and then the Deferred is cancelled."""
        if self.failure is not None:
            deferred.addErrback(lambda failure: failure.trap(CancelledError))
            deferred.cancel()
            raise Halted
        self._waiting = deferred
        try:
            return await deferred
        except CancelledError:
            raise Halted from None
        finally:
            self._waiting = None

    async def sleep(self, seconds: float) -> None:
        """Let time pass. Raises :class:`Halted`."""
        passed: Deferred[None] = Deferred()
        self._schedule.call_later(seconds, lambda: None if passed.called else passed.callback(None))
        await self.wait(passed)

    def check(self) -> None:
        """Raises :class:`Halted` when it cannot go on."""
        if self.failure is not None:
            raise Halted

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
