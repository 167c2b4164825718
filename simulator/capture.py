"""Captures: PDUs as they lay on the wire, into a pcap for Wireshark and into a log for people. Costs nothing while none runs.

A capture is of one account or of all. What a connection says before its bind names the account is held back until then. Files turn over
at their size limit: FILE, then FILE.1, FILE.2 …, the highest number is the oldest.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any

import structlog

from gateway.smpp.pcap import FILE_HEADER, Capture
from gateway.smpp.text import DefaultAlphabet
from gateway.smpp.trace import Address, Traced, line, masked, without_password
from simulator.errors import RequestError, SimulatorError
from simulator.pdu_ring import Wire
from simulator.schedule import Schedule
from simulator.settings import CaptureSettings

log = structlog.get_logger()

_FLUSH_S = 0.5
_HELD = 64  # pieces of a connection that has not bound; more are forgotten
_VIETNAM = timezone(timedelta(hours=7))
_length = struct.Struct(">I").unpack_from


class _TurningFile:
    """A file of bounded size, readable for its owner only."""

    def __init__(self, path: Path, head: bytes, most_octets: int, keep: int) -> None:
        self.path = path
        self._head = head
        self._most = most_octets
        self._keep = keep
        self._size = 0
        self._file = self._open()

    def _open(self) -> IO[bytes]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = open(self.path, "wb", opener=_for_owner)  # noqa: SIM115 - it stays open
        file.write(self._head)
        self._size = len(self._head)
        return file

    def write(self, octets: bytes) -> None:
        """Raises OSError."""
        if self._size + len(octets) > self._most and self._size > len(self._head):
            self._file.close()
            for number in range(self._keep, 0, -1):
                older = self.path.with_name(f"{self.path.name}.{number}")
                newer = self.path if number == 1 else self.path.with_name(f"{self.path.name}.{number - 1}")
                if newer.exists():
                    newer.replace(older)
            self._file = self._open()
        self._file.write(octets)
        self._size += len(octets)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Recording:
    """One capture that runs.

    Raises:
        OSError: a file cannot be written.
    """

    def __init__(self, number: int, account: str | None, settings: CaptureSettings, alphabet: Any) -> None:
        self.number = number
        self.account = account
        self.settings = settings
        self.pdus = 0
        self.failed = ""
        self._alphabet = alphabet
        self._packets = Capture()
        turning = (settings.rotate_octets, settings.keep)
        self._pcap = None if settings.pcap is None else _TurningFile(settings.pcap, FILE_HEADER, *turning)
        self._log = None if settings.log is None else _TurningFile(settings.log, b"", *turning)

    def note(self, traced: Traced, account: str) -> None:
        """One PDU. Raises OSError."""
        if not self.settings.full:
            traced = traced._replace(octets=masked(without_password(traced.octets)))
        self.pdus += 1
        if self._pcap is not None:
            self._pcap.write(self._packets.packets(traced))
        if self._log is not None:
            at = datetime.fromtimestamp(traced.at, _VIETNAM).isoformat(timespec="microseconds")
            alphabet: DefaultAlphabet = self._alphabet(account)
            self._log.write(f"{at} {account or '-'} {line(traced, alphabet=alphabet)}\n".encode())

    def files(self) -> Iterator[_TurningFile]:
        """Those that it writes."""
        yield from (file for file in (self._pcap, self._log) if file is not None)

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        return {
            "id": self.number,
            "account": self.account,
            "pcap": None if self.settings.pcap is None else str(self.settings.pcap),
            "log": None if self.settings.log is None else str(self.settings.log),
            "full": self.settings.full,
            "pdus": self.pdus,
            "failed": self.failed,
        }


class Captures:
    """All that run.

    Args:
        schedule: for the time and for flushing.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._count = 0
        self._flushing = False
        #: Set by the simulator: what data_coding 0 means to an account, by its name.
        self.alphabet: Any = lambda _account: "gsm7"
        self.running: dict[int, Recording] = {}
        self._connections = 0

    def next_connection(self) -> int:
        """A number for a new connection."""
        self._connections += 1
        return self._connections

    def start(self, settings: CaptureSettings, account: str | None) -> Recording:
        """Begin one; ``account`` None: of all. Raises :class:`SimulatorError`."""
        paths = [path for path in (settings.pcap, settings.log) if path is not None]
        taken = {file.path for one in self.running.values() for file in one.files()}
        for path in paths:
            if path in taken:
                raise RequestError("capture", f"{path} is being written by another capture", "Stop it, or name another")
        try:
            recording = Recording(self._count + 1, account, settings, self.alphabet)
        except OSError as error:
            what = f"cannot be written ({error.strerror})"
            raise SimulatorError(f"capture {error.filename}", what, "Name another file, or free this one") from error
        self._count += 1
        self.running[recording.number] = recording
        log.info("capture_started", capture=recording.number, account=account or "all", files=[str(p) for p in paths])
        if not self._flushing:
            self._flushing = True
            self._schedule.call_later(_FLUSH_S, self._flush)
        return recording

    def stop(self, number: int) -> Recording:
        """End one; its files are complete. Raises :class:`RequestError`."""
        recording = self.running.pop(number, None)
        if recording is None:
            raise RequestError("capture", f"no capture {number} is running", "GET /capture lists those that run")
        self._close(recording)
        return recording

    def close(self) -> None:
        """End all."""
        for number in list(self.running):
            self.stop(number)

    def note(self, wire: Wire, sent: bool, octets: bytes, framed: bool) -> None:
        """Octets that crossed the wire: whole PDUs, or, not ``framed``, none."""
        at = self._schedule.now()
        if not wire.account and any(one.account is not None for one in self.running.values()):
            if len(wire.held) < _HELD:
                wire.held.append((at, sent, octets, framed))
            self._write(wire, [(at, sent, octets, framed)], [one for one in self.running.values() if not one.account])
            return
        if wire.held:
            held, wire.held = wire.held, []
            self._write(wire, held, [one for one in self.running.values() if one.account == wire.account])
        wanted = [one for one in self.running.values() if one.account in (None, wire.account)]
        self._write(wire, [(at, sent, octets, framed)], wanted)

    def _write(
        self, wire: Wire, pieces: Sequence[tuple[float, bool, bytes, bool]], recordings: Sequence[Recording]
    ) -> None:
        for at, sent, octets, framed in pieces:
            for frame in _frames(octets) if framed else (octets,):
                traced = Traced(at, wire.number, sent, wire.ours(), _address(wire.peer), frame)
                for recording in recordings:
                    try:
                        recording.note(traced, wire.account)
                    except OSError as error:
                        self._fail(recording, error)

    def _fail(self, recording: Recording, error: OSError) -> None:
        if self.running.pop(recording.number, None) is not None:
            recording.failed = error.strerror or str(error)
            log.error("capture_failed", capture=recording.number, reason=recording.failed)
            self._close(recording)

    def _close(self, recording: Recording) -> None:
        for file in recording.files():
            try:
                file.close()
            except OSError as error:
                log.error("capture_failed", capture=recording.number, reason=error.strerror)
        log.info("capture_stopped", capture=recording.number, pdus=recording.pdus)

    def _flush(self) -> None:
        self._flushing = bool(self.running)
        for recording in list(self.running.values()):
            try:
                for file in recording.files():
                    file.flush()
            except OSError as error:
                self._fail(recording, error)
        if self._flushing:
            self._schedule.call_later(_FLUSH_S, self._flush)


def _for_owner(path: str, flags: int) -> int:
    number = os.open(path, flags, 0o600)
    os.fchmod(number, 0o600)  # it may have been there, for others to read
    return number


def _frames(octets: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(octets):
        end = position + _length(octets, position)[0]
        yield octets[position:end]
        position = end


def _address(peer: str) -> Address:
    host, _, port = peer.rpartition(":")
    return Address(host, int(port))
