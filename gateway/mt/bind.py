"""One bind as the sender sees it: a window, a licence, and the speed that its SMSC allows."""

from __future__ import annotations

from typing import Protocol

from gateway.mt.throttle import Licence, Recovery
from gateway.settings import BindSettings
from gateway.smpp.pdu import Pdu

#: A parked bind gets one more try after this: somebody may have mended the account meanwhile, in seconds.
PARKED_S = 300.0
#: A pause longer than this sends what is in hand back to the queue, where other binds and nodes find it, in seconds.
LONG_PAUSE_S = 1.0


class Submitter(Protocol):
    """The part of :class:`gateway.smpp.client.EsmeClient` that sends."""

    @property
    def bound(self) -> bool: ...

    @property
    def free_window(self) -> int: ...

    @property
    def tlvs_allowed(self) -> bool: ...

    def submit(self, pdu: Pdu, token: object) -> None: ...


class Bind:
    """A bind that can submit. ``client`` is set once, by its operator."""

    def __init__(self, settings: BindSettings, licence: Licence) -> None:
        self.settings = settings
        self.name = settings.name
        self.licence = licence
        self.recovery = Recovery(licence.parts_per_s)
        self.client: Submitter | None = None
        self.parked_until = float("-inf")
        self.parked_reason = ""
        #: Submits that may be given in this turn of the sender.
        self.room = 0

    def park(self, now: float, reason: str) -> None:
        """Submit nothing for a while: the bind is not what it should be."""
        self.parked_until, self.parked_reason = now + PARKED_S, reason

    def unpark(self) -> None:
        """Submit again: the bind came up anew."""
        self.parked_until, self.parked_reason = float("-inf"), ""

    def ready(self, now: float) -> bool:
        """Whether messages may wait for this bind: it is up, and not out for long."""
        return (
            self.client is not None
            and self.client.bound
            and now >= self.parked_until
            and self.recovery.pause_left_s(now) <= LONG_PAUSE_S
        )

    def begin_turn(self, now: float) -> None:
        """Work out ``room``."""
        if self.client is None or now < self.parked_until:
            self.room = 0
            return
        room = self.client.free_window
        allowed = self.recovery.available(now) if room else None
        self.room = room if allowed is None else min(room, allowed)

    def speed(self, now: float) -> float:
        """Parts per second that may leave here for now."""
        return min(float(self.licence.parts_per_s), self.recovery.rate(now))

    def wait_s(self, now: float, parts: int) -> float | None:
        """When this bind can take so many parts, in seconds; None: not before something else happens."""
        if self.client is None or now < self.parked_until or not self.client.free_window:
            return None
        licence = self.licence.wait_s(now, parts)
        return None if licence is None else max(licence, self.recovery.wait_s(now))
