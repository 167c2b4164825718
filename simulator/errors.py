"""Errors of the simulator. Each says what is wrong, where, and what to do."""

from __future__ import annotations


class SimulatorError(Exception):
    """The simulator cannot do what was asked."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        super().__init__(f"{where}: {what}. {remedy}")
        self.where = where
        self.what = what
        self.remedy = remedy


class ConfigFaults(SimulatorError):
    """The configuration has faults; the simulator does not start."""

    def __init__(self, faults: list[SimulatorError]) -> None:
        self.faults = faults
        self.args = ("\n".join(str(fault) for fault in faults),)


class RequestError(SimulatorError):
    """A request to the control interface asks for something that is not there or makes no sense (HTTP 400)."""
