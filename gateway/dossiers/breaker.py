"""A circuit breaker as a pure value: after some failures in a row a source is not asked for a while, then tried once."""

from __future__ import annotations

from dataclasses import dataclass

#: Failures in a row that open it. One may be chance; a citizen's deadline is spent by the third.
THRESHOLD = 3
#: How long it stays open before one request is let through, in seconds.
PAUSE_S = 10.0


@dataclass(slots=True)
class Breaker:
    """The state of one source. Times are seconds of any steady clock."""

    failures: int = 0
    open_until: float = 0.0
    trying: bool = False

    def allows(self, now: float) -> bool:
        """Whether a request may be made now. Each True is to be followed by ``succeeded`` or ``failed``."""
        if self.failures < THRESHOLD:
            return True
        if now < self.open_until or self.trying:
            return False
        self.trying = True
        return True

    def succeeded(self) -> None:
        self.failures, self.trying = 0, False

    def failed(self, now: float) -> None:
        self.failures += 1
        self.trying = False
        if self.failures >= THRESHOLD:
            self.open_until = now + PAUSE_S

    @property
    def is_open(self) -> bool:
        return self.failures >= THRESHOLD
