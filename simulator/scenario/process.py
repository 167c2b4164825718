"""Programs that a scenario starts: the ESME under test, and commands. They are ended by their own id."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from simulator.errors import SimulatorError

_KEPT_LINES = 200
_LINE_OCTETS = 10_000  # a program without line ends must not fill the memory


class Program(ProcessProtocol):
    """One program that runs.

    Args:
        on_line: told of every line that it writes, on either stream.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.code: int | None = None  # of its exit; below 0: the signal that ended it
        self._on_line = on_line
        self._rests: dict[int, bytes] = {}
        self._waiters: list[Deferred[int]] = []

    @classmethod
    def start(
        cls, reactor: Any, command: Sequence[str], env: Mapping[str, str], on_line: Callable[[str], None], where: str
    ) -> Program:
        """Start it where the scenario was started. Raises :class:`SimulatorError` when there is no such program."""
        program = cls(on_line)
        if not command:
            raise SimulatorError(where, "the command is empty", "Write a program and its arguments")
        found = shutil.which(command[0])
        if found is None:
            raise SimulatorError(where, f"there is no program '{command[0]}'", "Correct the command, or install it")
        reactor.spawnProcess(program, found, list(command), env={**os.environ, **env})
        return program

    @property
    def running(self) -> bool:
        return self.code is None

    def signal(self, name: str) -> None:
        """Send "TERM" or "KILL"; harmless when it has ended."""
        transport: Any = self.transport
        try:
            if self.running and transport is not None:
                transport.signalProcess(name)
        except ProcessExitedAlready:
            return

    def ended(self) -> Deferred[int]:
        """Fires with the exit code, at once when it has ended. May be cancelled."""
        waiter: Deferred[int] = Deferred(self._waiters.remove)
        if self.code is not None:
            waiter.callback(self.code)
        else:
            self._waiters.append(waiter)
        return waiter

    # Twisted's side

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        *lines, rest = (self._rests.get(childFD, b"") + data).split(b"\n")
        if len(rest) > _LINE_OCTETS:
            lines, rest = [*lines, rest], b""
        self._rests[childFD] = rest
        for line in lines:
            self._line(line)

    def processEnded(self, reason: Failure) -> None:
        for rest in self._rests.values():
            if rest:
                self._line(rest)
        self._rests.clear()
        value: Any = reason.value
        self.code = -int(value.signal) if value.signal else int(value.exitCode or 0)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(self.code)

    def _line(self, octets: bytes) -> None:
        line = octets.decode("utf-8", "replace").rstrip("\r")
        self.lines.append(line)
        self._on_line(line)
