"""The timers of a session as one value: session_init, enquire_link and inactivity (SMPP 3.4 §7.2, 5.0 §2.7).

The fourth, the response timer, belongs to each request and lives in :mod:`gateway.smpp.window`.

There is no clock here. The owner says what happened and when (``bound(now)``, ``received(now)``, ``transaction(now)``), asks
:meth:`Timers.next_deadline` when to come again, and calls :meth:`Timers.on_tick`. Calling too early or too often is harmless.

* session_init: from the connection to the bind. A peer that connects and says nothing may not hold a connection for ever.
* enquire_link: once bound, from the last PDU that the peer sent. Sending is no sign of life; only what arrives is.
* inactivity: once bound, from the last transaction in either direction. enquire_link is no transaction, or it would never run out.
"""

from __future__ import annotations

from enum import Enum

NEVER = float("inf")


class Due(Enum):
    """What a tick found."""

    SESSION_INIT = "session_init"  # not bound in time: close
    ENQUIRE_LINK = "enquire_link"  # silence: ask whether the peer is alive
    INACTIVITY = "inactivity"  # nothing to do for long: unbind


class Timers:
    """When the session must act next. All times are seconds of the owner's clock.

    Args:
        session_init_timeout_s: from ``now`` to the bind.
        enquire_link_interval_s: of silence; None never asks.
        inactivity_timeout_s: without a transaction; None stays bound.
    """

    __slots__ = ("_asked", "_enquire_s", "_heard_at", "_inactivity_s", "_init_at", "_intervals", "_used_at")

    def __init__(
        self,
        now: float,
        session_init_timeout_s: float,
        enquire_link_interval_s: float | None,
        inactivity_timeout_s: float | None,
    ) -> None:
        self._init_at = now + session_init_timeout_s
        self._intervals = (enquire_link_interval_s or NEVER, inactivity_timeout_s or NEVER)
        self._enquire_s = self._inactivity_s = NEVER
        self._heard_at = self._used_at = now
        self._asked = False

    @property
    def heard_at(self) -> float:
        """When the peer last sent a whole PDU."""
        return self._heard_at

    def bound(self, now: float) -> None:
        """The session is bound: session_init stops, inactivity starts."""
        self._init_at = NEVER
        self._enquire_s, self._inactivity_s = self._intervals
        self._heard_at = self._used_at = now
        self._asked = False

    def received(self, now: float) -> None:
        """The peer sent at least one whole PDU."""
        self._heard_at = now
        self._asked = False

    def transaction(self, now: float) -> None:
        """A request other than enquire_link went either way."""
        self._used_at = now

    def ended(self) -> None:
        """The session is being unbound: nothing is due any more but what the owner waits for."""
        self._init_at = self._enquire_s = self._inactivity_s = NEVER

    def on_tick(self, now: float) -> list[Due]:
        """What is due at ``now``. enquire_link is due once per silence, inactivity once."""
        due = []
        if now >= self._init_at:
            self._init_at = NEVER
            due.append(Due.SESSION_INIT)
        if now >= self._used_at + self._inactivity_s:
            self._inactivity_s = NEVER
            due.append(Due.INACTIVITY)
        elif not self._asked and now >= self._heard_at + self._enquire_s:
            self._asked = True
            due.append(Due.ENQUIRE_LINK)
        return due

    def next_deadline(self) -> float:
        """When :meth:`on_tick` may have something to say; infinity when it never will."""
        enquire_at = NEVER if self._asked else self._heard_at + self._enquire_s
        return min(self._init_at, enquire_at, self._used_at + self._inactivity_s)
