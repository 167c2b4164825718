"""The life of an ESME as one machine: which of its few states it is in, and what makes it leave.

idle: made, not started. connecting: TCP (or, for an operator that connects to us, waiting for it). binding: the bind
is sent or about to be, its answer is not here. bound: messages flow. waiting: between two attempts. draining: asked to
stop; open answers are awaited, then unbind, then the connection ends. stopped: ended, and may be started again.

The machine only decides; the :class:`Actions` do. Reasons and tokens stay with whoever implements them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder


class Life(Protocol):
    """What can happen."""

    def start(self) -> None:
        """The owner wants the bind up."""

    def stop(self) -> None:
        """The owner wants it down, cleanly."""

    def connected(self) -> None:
        """The connection is there."""

    def failed(self) -> None:
        """The attempt to connect came to nothing."""

    def accepted(self) -> None:
        """The SMSC accepted the bind."""

    def lost(self) -> None:
        """The session ended, for whichever reason."""

    def retry(self) -> None:
        """The wait is over."""


class Actions(Protocol):
    """What must be done about it."""

    def enter(self, state: str) -> None:
        """A new state, by its name; before the action that goes with it."""

    def connect(self) -> None: ...

    def cancel_attempt(self) -> None: ...

    def bind(self) -> None: ...

    def announce_bound(self) -> None: ...

    def wait(self) -> None:
        """Tell the owner what is lost, and set the time of the next attempt."""

    def drain(self) -> None: ...

    def finish(self) -> None:
        """Tell whoever waits for the end."""


def _build() -> Callable[[Actions], Life]:
    machine = TypeMachineBuilder(Life, Actions)  # type: ignore[type-abstract]

    def entering(name: str) -> Callable[[Life, Actions], str]:
        def enter(_life: Life, actions: Actions) -> str:
            actions.enter(name)
            return name

        enter.__name__ = f"enter_{name}"
        return enter

    idle = machine.state("idle")
    connecting = machine.state("connecting", entering("connecting"))
    binding = machine.state("binding", entering("binding"))
    bound = machine.state("bound", entering("bound"))
    waiting = machine.state("waiting", entering("waiting"))
    draining = machine.state("draining", entering("draining"))
    stopped = machine.state("stopped", entering("stopped"))

    idle.upon(Life.start).to(connecting)(_connect)
    idle.upon(Life.stop).to(stopped)(_finish)

    connecting.upon(Life.connected, nodata=True).to(binding)(_bind)
    connecting.upon(Life.failed, nodata=True).to(waiting)(_wait)
    connecting.upon(Life.stop, nodata=True).to(stopped)(_cancel_attempt)

    binding.upon(Life.accepted, nodata=True).to(bound)(_announce_bound)
    binding.upon(Life.lost, nodata=True).to(waiting)(_wait)
    binding.upon(Life.stop, nodata=True).to(draining)(_drain)

    bound.upon(Life.lost, nodata=True).to(waiting)(_wait)
    bound.upon(Life.stop, nodata=True).to(draining)(_drain)

    waiting.upon(Life.retry, nodata=True).to(connecting)(_connect)
    waiting.upon(Life.stop, nodata=True).to(stopped)(_finish)

    draining.upon(Life.lost, nodata=True).to(stopped)(_finish)

    stopped.upon(Life.start, nodata=True).to(connecting)(_connect)
    stopped.upon(Life.stop, nodata=True).loop()(_finish)

    # Asked twice, or told too late: nothing to do.
    for state in (connecting, binding, bound, waiting, draining):
        state.upon(Life.start).loop().returns(None)
    for state in (waiting, stopped):
        state.upon(Life.lost).loop().returns(None)
        state.upon(Life.failed).loop().returns(None)
    draining.upon(Life.stop).loop().returns(None)
    draining.upon(Life.accepted).loop().returns(None)
    return machine.build()


def _connect(_life: Life, actions: Actions) -> None:
    actions.connect()


def _cancel_attempt(_life: Life, actions: Actions) -> None:
    actions.cancel_attempt()
    actions.finish()


def _bind(_life: Life, actions: Actions) -> None:
    actions.bind()


def _announce_bound(_life: Life, actions: Actions) -> None:
    actions.announce_bound()


def _wait(_life: Life, actions: Actions) -> None:
    actions.wait()


def _drain(_life: Life, actions: Actions) -> None:
    actions.drain()


def _finish(_life: Life, actions: Actions) -> None:
    actions.finish()


make_life = _build()
