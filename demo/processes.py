"""The simulator and the gateway as processes of their own, always stopped by their id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

#: Daemons get this long to end by themselves after SIGTERM. The gateway drains, which takes a second or two.
STOP_TIMEOUT_S = 10.0
LAST_LINES = 25


class DemoError(Exception):
    """The demonstration cannot go on."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def command(name: str) -> str:
    """The installed command beside this Python. Raises :class:`DemoError`."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise DemoError(f"{path} is missing: run 'make install' first")
    return str(path)


def wait_for(what: str, condition: Callable[[], bool], timeout_s: float, alive: Sequence[Daemon] = ()) -> None:
    """Look until a condition holds. Raises :class:`DemoError` when it does not in time, or a process has ended."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        for daemon in alive:
            daemon.must_run()
        if time.monotonic() > deadline:
            raise DemoError(f"waited {timeout_s:.0f} s in vain: {what}")
        time.sleep(0.05)


class Daemon:
    """One process with its output in a file."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        self._arguments = list(arguments)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C reaches the demonstration, which stops its processes in order
            )

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def must_run(self) -> None:
        """Raises :class:`DemoError`, with the end of the log, when the process has ended."""
        if self._process is not None and (status := self._process.poll()) is not None:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
            raise DemoError(
                "\n".join([f"{self.name} ended by itself with status {status}; the end of {self.log}:", *lines])
            )

    def stop(self) -> int | None:
        """SIGTERM, then SIGKILL when that is not heard. Returns the exit status; None when it was never started."""
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return process.returncode
