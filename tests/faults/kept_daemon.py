"""The daemon under a service manager's eyes: what ends is started again, and every life leaves its testimony."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

from lab import Lab, Process

#: As ``RestartSec`` of a service manager: after an end that nobody ordered.
RESTART_S = 0.3


class Life:
    """One process of the daemon."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.killed = False
        self.claimed_at_end: int | None = None

    def testimony(self) -> dict[str, Any]:
        """What the judge wants to know of it."""
        events, started, in_doubt = [], False, 0
        for line in self.process.text().splitlines():
            try:
                event = json.loads(line[line.index("{") :])
            except ValueError:
                continue  # the last line of a process that was killed, or what the interpreter says
            started = started or event.get("event") == "gateway_started"
            if event.get("event") == "node_started":
                in_doubt = event.get("in_doubt", 0)
            if event.get("level") in ("error", "critical"):
                events.append(event)
        return {
            "killed": self.killed,
            "exit_status": self.process.popen.poll(),
            "started": started,
            "in_doubt": in_doubt,
            "claimed_at_end": self.claimed_at_end,
            "events": events,
        }


class KeptDaemon:
    """Starts it, kills it, starts it again.

    Args:
        claimed: how many messages are being sent, by the store; None when it cannot be asked.
        note: takes the history.
    """

    def __init__(self, lab: Lab, claimed: Callable[[], int | None], note: Callable[..., None]) -> None:
        self._lab, self._claimed, self._note = lab, claimed, note
        self.lives: list[Life] = []
        self._back_at: float | None = None

    @property
    def life(self) -> Life:
        return self.lives[-1]

    @property
    def pid(self) -> int:
        return self.life.process.popen.pid

    @property
    def alive(self) -> bool:
        return bool(self.lives) and self.life.process.popen.poll() is None

    @property
    def bound(self) -> bool:
        return self.alive and "bind_up" in self.life.process.text()

    def start(self) -> None:
        self._back_at = None
        self.lives.append(Life(self._lab.start_gateway(ready=False)))
        self._note("daemon_started", life=len(self.lives))

    def keep(self) -> None:
        """Look after it: called often."""
        if self.alive:
            return
        now = time.monotonic()
        if self._back_at is None:
            self._note("daemon_ended", life=len(self.lives), status=self.life.process.popen.poll())
            self._back_at = now + RESTART_S
        elif now >= self._back_at:
            self.start()

    def kill(self, back_in_s: float) -> None:
        """SIGKILL. Dead already: it only comes back later."""
        if self.alive:
            self.life.process.kill()
            self.life.killed = True
            self.life.claimed_at_end = self._claimed()
            self._note("daemon_killed", life=len(self.lives), claimed=self.life.claimed_at_end)
        self._back_at = time.monotonic() + back_in_s

    def signal(self, number: int) -> None:
        if self.alive:
            os.kill(self.pid, number)

    def end(self) -> int:
        """SIGTERM; the exit status."""
        status = self.life.process.terminate()
        self._note("daemon_stopped", life=len(self.lives), status=status)
        return status
