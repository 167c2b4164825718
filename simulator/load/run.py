"""One load from its start to its report: the reactor, the line of progress, the end."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Protocol, TextIO

import click
from twisted.internet.defer import Deferred

from simulator.errors import SimulatorError
from simulator.load.report import report_lines

_PROGRESS_S = 1.0
_LEAVE_S = 2.0  # for unbind and its answer
_LEAVE_LOOK_S = 0.02


class Load(Protocol):
    """What both roles have in common."""

    fault: SimulatorError | None

    @property
    def complete(self) -> bool: ...

    @property
    def gone(self) -> bool: ...

    @property
    def total(self) -> int: ...

    def stop(self) -> None: ...

    def leave(self) -> None: ...

    def progress(self) -> str: ...

    def as_dict(self) -> dict[str, Any]: ...


class LoadRun:
    """Runs a reactor until the load is done or somebody presses Ctrl-C."""

    def __init__(self, reactor: Any, progress: bool, stream: TextIO | None = None) -> None:
        self._reactor = reactor
        self._stream = stream or sys.stderr
        self._on_terminal = self._stream.isatty()
        self._progress = progress or self._on_terminal
        self._load: Load | None = None
        self._last_total = 0
        self._width = 0

    def done(self) -> None:
        """The load's own end."""
        self._reactor.callLater(0, self._stop)

    def run(self, load: Load) -> None:
        """Until the end. Raises :class:`SimulatorError`: it could not begin."""
        self._load = load
        self._reactor.addSystemEventTrigger("before", "shutdown", self._shut_down)
        if self._progress:
            self._reactor.callLater(_PROGRESS_S, self._tell)
        self._reactor.run()
        if self._width:
            print(file=self._stream)
        if load.fault is not None:
            raise load.fault

    def _stop(self) -> None:
        if self._reactor.running:
            self._reactor.stop()

    def _shut_down(self) -> Deferred[None]:
        """Leave in an orderly way, but not for long."""
        assert self._load is not None
        load = self._load
        load.stop()
        load.leave()
        left: Deferred[None] = Deferred()

        def look(tries: int) -> None:
            if load.gone or not tries:
                left.callback(None)
            else:
                self._reactor.callLater(_LEAVE_LOOK_S, look, tries - 1)

        look(round(_LEAVE_S / _LEAVE_LOOK_S))
        return left

    def _tell(self) -> None:
        assert self._load is not None
        total = self._load.total
        line = f"{total - self._last_total:,}/s, {self._load.progress()}"
        self._last_total = total
        if self._on_terminal:
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()
        self._reactor.callLater(_PROGRESS_S, self._tell)


def print_report(load: Load, as_json: bool, cpu_began_s: float) -> None:
    """On standard output."""
    report = load.as_dict()
    report["own_cpu_s"] = round(time.process_time() - cpu_began_s, 3)
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        for line in report_lines(report):
            click.echo(line)
