"""How fast an operator may be sent to: the licence, and what an overloaded SMSC asks for.

:class:`Licence` keeps a log of what was sent in the last second, so that no sliding second ever holds more than the
licensed parts (invariant 6). Beside the log, tokens spread the parts over the second: a burst at its start would make a reply
wait for its end, and an SMSC that counts by tenths of a second would refuse.

:class:`Recovery` is one bind's answer to ESME_RTHROTTLED, ESME_RMSGQFUL and congestion_state: a pause, then half the
speed, then a tenth of the full speed more in each second (additive increase, as TCP does) until it is back.

Times are the reactor's seconds. Pure: nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque

#: The window is this much longer than the licensed second: parts leave evenly and may arrive less so. Costs half a percent.
MARGIN_S = 0.005
#: How much of a second's parts may leave at once after a silence. Also what a late timer may catch up: 50 ms of it. More
#: would come back as a burst in every second, because the log lets go of it all at once.
BURST = 0.05

#: First pause after a throttled submit, and the longest of several in a row, in seconds.
PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
#: Share of the goal that comes back in each second.
STEP = 0.1
#: congestion_state (SMPP 5.0 §4.8.4.18): from here the SMSC nears congestion; at the highest it is congested.
CONGESTION_NEAR, CONGESTION_FULL = 90, 100

#: The shortest wait that is answered: timers are no finer, and a sum of floats may stay a hair below its due.
SHORTEST_WAIT_S = 0.0005


class Licence:
    """The licensed parts per second of one system_id, on this node."""

    def __init__(self, parts_per_s: int) -> None:
        self._window_s = 1.0 + MARGIN_S
        self._log: deque[tuple[float, int]] = deque()
        self._used = 0
        self._leaving = 0  # spent, and perhaps not written yet
        self._not_before = float("-inf")
        self.parts_per_s = parts_per_s
        self._burst = max(2.0, parts_per_s * BURST)
        self._tokens = self._burst
        self._tokens_at: float | None = None
        self._available_at = float("nan")  # when _available was worked out; less what was spent since
        self._available = 0

    def set_limit(self, parts_per_s: int) -> None:
        """A new limit: the share of the licence changed with the number of nodes. 0: nothing may leave."""
        if parts_per_s != self.parts_per_s:
            self.parts_per_s = parts_per_s
            self._burst = max(2.0, parts_per_s * BURST)
            self._tokens = min(self._tokens, self._burst)
            self._available_at = float("nan")

    def hold_until(self, moment: float) -> None:
        """Send nothing before this: somebody else may have used the licence until now."""
        self._not_before = max(self._not_before, moment)
        self._available_at = float("nan")

    def available(self, now: float) -> int:
        """How many parts may leave now."""
        if now != self._available_at:  # asked for every message of a turn, which is one moment
            self._available_at, self._available = now, self._work_out(now)
        return max(0, self._available)

    def _work_out(self, now: float) -> int:
        if now < self._not_before:
            return 0
        self._forget(now)
        self._refill(now)
        return min(self.parts_per_s - self._used, int(self._tokens))

    def allows(self, now: float, parts: int) -> bool:
        """Whether one submit of so many parts may leave now. One that exceeds what may leave at once leaves alone."""
        if parts <= self.available(now):
            return True
        return parts > min(self.parts_per_s, self._burst) and self._used == 0 and self.available(now) > 0

    def spend(self, now: float, parts: int) -> None:
        """Parts leave."""
        if self._log and self._log[-1][0] == now:
            self._log[-1] = (now, self._log[-1][1] + parts)
        else:
            self._log.append((now, parts))
        self._used += parts
        self._tokens -= parts
        self._available -= parts
        self._leaving += parts

    def left(self, now: float) -> None:
        """What was spent since the last call has reached the socket by now.

        On a busy machine that is later than it was decided. The sliding second begins with the octets, not with the decision: two
        decisions a second apart may else arrive closer together.
        """
        parts, self._leaving = self._leaving, 0
        self._available_at = float("nan")
        rest = parts
        while rest and self._log:
            moment, count = self._log.pop()
            if count > rest:
                self._log.append((moment, count - rest))
            rest -= min(count, rest)
        if parts:
            self._log.append((now, parts))
            self._used += rest  # the log had let go of some of them already

    def wait_s(self, now: float, parts: int = 1) -> float | None:
        """When a submit of so many parts may leave, in seconds from now; None: never at this limit."""
        if self.parts_per_s <= 0:
            return None
        if self.allows(now, parts):
            return 0.0
        waits = [self._not_before - now, (min(parts, self._burst) - self._tokens) * self._window_s / self.parts_per_s]
        room = min(parts, self.parts_per_s)
        if parts > self._burst:
            room = self.parts_per_s  # it leaves alone
        used = self._used
        for moment, count in self._log:
            if used + room <= self.parts_per_s:
                break
            used -= count
            waits.append(moment + self._window_s - now)
        return max(SHORTEST_WAIT_S, *waits)

    def _forget(self, now: float) -> None:
        log, oldest = self._log, now - self._window_s
        while log and log[0][0] <= oldest:
            self._used -= log.popleft()[1]

    def _refill(self, now: float) -> None:
        since = now if self._tokens_at is None else self._tokens_at
        self._tokens = min(self._burst, self._tokens + (now - since) * self.parts_per_s / self._window_s)
        self._tokens_at = now


class Recovery:
    """The speed of one bind after its SMSC asked for less.

    The goal is the full speed, or twice what the SMSC lately took in its best second, if that is less: a licence far above
    what an SMSC carries must not make every recovery overshoot.
    """

    def __init__(self, full_parts_per_s: int) -> None:
        self.full = float(full_parts_per_s)
        self.throttled = False
        self._goal = self.full
        self._paused_until = float("-inf")
        self._pause_s = PAUSE_S
        self._refused_again = False  # nothing was accepted since the last pause began
        self._rate = self.full  # parts per second at _rate_at; grows from there
        self._rate_at = 0.0
        self._tokens = 0.0
        self._tokens_at = 0.0
        self._second = 0  # what the SMSC accepted in this second of the reactor's clock …
        self._in_second = 0
        self._peak = 0  # … and in the best one

    def on_accepted(self, now: float, parts: int) -> None:
        """The SMSC took parts: the pause was long enough, and the next one need not be longer."""
        if now >= self._paused_until:
            self._pause_s = PAUSE_S
            self._refused_again = False
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        self._in_second += parts
        self._peak = max(self._peak, self._in_second)

    def on_throttled(self, now: float) -> bool:
        """The SMSC refused a submit as too fast. True: this begins a pause; False: it is part of one."""
        if now < self._paused_until:
            return False  # an answer to what left before the pause
        again = self._refused_again and self.throttled and now - self._paused_until < self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S) if again else PAUSE_S
        self._refused_again = True
        self._slow_down(now)
        self._paused_until = self._rate_at = self._tokens_at = now + self._pause_s
        return True

    def on_congestion(self, now: float, level: int) -> bool:
        """A response names the SMSC's congestion_state. True: this slows the bind down."""
        if level >= CONGESTION_FULL:
            return self.on_throttled(now)
        if level < CONGESTION_NEAR or now < self._paused_until or (self.throttled and now - self._rate_at < 1.0):
            return False
        self._slow_down(now)
        return True

    def _slow_down(self, now: float) -> None:
        best = float(self._peak) if self._peak else self.full
        self._goal = min(self.full, max(2.0, 2 * best))
        self._rate = max(1.0, min(self.rate(now), best) / 2)
        self._rate_at = self._tokens_at = now
        self._tokens = 1.0
        self._peak = int(self._peak / 2)  # forgotten in time, if the SMSC stays slow
        self.throttled = True

    def rate(self, now: float) -> float:
        """Parts per second that the bind may send now, the pause aside."""
        return min(self.full, self._rate + max(0.0, now - self._rate_at) * max(1.0, self._goal * STEP))

    def recovered(self, now: float) -> bool:
        """True once, when the goal is reached."""
        if self.throttled and now >= self._paused_until and self.rate(now) >= self._goal:
            self.throttled = False
            self._rate = self.full
            return True
        return False

    def available(self, now: float) -> int | None:
        """How many parts may leave now; None: no limit of its own."""
        if not self.throttled:
            return None
        if now < self._paused_until:
            return 0
        rate = self.rate(now)
        self._tokens = min(max(2.0, rate * BURST), self._tokens + (now - self._tokens_at) * rate)
        self._tokens_at = now
        return max(0, int(self._tokens))

    def spend(self, parts: int) -> None:
        """Parts leave."""
        if self.throttled:
            self._tokens -= parts

    def wait_s(self, now: float) -> float:
        """When the next part may leave, in seconds from now."""
        if self.available(now) != 0:
            return 0.0
        pause = self._paused_until - now
        return max(SHORTEST_WAIT_S, pause if pause > 0 else (1 - self._tokens) / self.rate(now))

    def pause_left_s(self, now: float) -> float:
        """How much of a pause is left."""
        return max(0.0, self._paused_until - now)
