"""A TCP proxy between two peers that keeps what passed, for tshark to judge: is every octet on the wire SMPP as others read it?"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.smpp.pcap import FILE_HEADER, Capture
from gateway.smpp.trace import Address, Traced

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
CHUNK_OCTETS = 65536
#: tshark's "error" (expert.severity); warnings and notes are about TCP, which is made up here.
ERROR_SEVERITY = 0x00800000


class SeenPdu(NamedTuple):
    """One PDU as tshark reads it."""

    command_id: int
    sequence_number: int
    tlv_tags: tuple[int, ...]


class WireTap:
    """Listens on ``port`` and forwards to the target on loopback; both directions are kept in the order of their coming."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._seen: list[Traced] = []
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                peer, peer_address = self._listener.accept()
            except OSError:
                return  # closed by stop()
            number += 1
            try:
                target = socket.create_connection(("127.0.0.1", self._target), timeout=10)
            except OSError:
                peer.close()  # the peer sees what it would see without us: nobody is there
                continue
            target.settimeout(None)
            with self._lock:
                self._sockets += [peer, target]
            ours, theirs = Address("127.0.0.1", self._target), Address(*peer_address)
            self._start(self._pump, peer, target, number, False, ours, theirs)
            self._start(self._pump, target, peer, number, True, ours, theirs)

    def _pump(
        self, source: socket.socket, to: socket.socket, number: int, sent: bool, ours: Address, theirs: Address
    ) -> None:
        try:
            while octets := source.recv(CHUNK_OCTETS):
                with self._lock:
                    self._seen.append(Traced(time.time(), number, sent, ours, theirs, octets))
                to.sendall(octets)
        except OSError:  # reset: both directions are over
            with contextlib.suppress(OSError):
                to.shutdown(socket.SHUT_RDWR)
            return
        with contextlib.suppress(OSError):  # the other direction was faster
            to.shutdown(socket.SHUT_WR)

    def stop(self) -> None:
        with self._lock:
            sockets = list(self._sockets)
        for one in sockets:
            with contextlib.suppress(OSError):  # not connected any more
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def dissect(self, folder: Path) -> list[SeenPdu]:
        """Every PDU that passed, as tshark reads it. Fails when tshark finds anything malformed or in error."""
        path = folder / f"wire-{self.port}.pcap"
        capture = Capture()
        with self._lock:
            path.write_bytes(FILE_HEADER + b"".join(capture.packets(traced) for traced in self._seen))
        return _read(path, self._target)


def require_tshark() -> str:
    """The program. Skips on a developer's machine without it, fails in CI."""
    found = shutil.which("tshark")
    if found is None:
        missing = "tshark is not installed: apt-get install tshark"
        if IN_CI:
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def _read(path: Path, port: int) -> list[SeenPdu]:
    fields = [
        "smpp.command_id",
        "smpp.sequence_number",
        "smpp.opt_param_tag",
        "_ws.malformed",
        "_ws.expert.severity",
        "_ws.expert.message",
    ]
    command = [require_tshark(), "-r", str(path), "-d", f"tcp.port=={port},smpp", "-T", "json"]
    for field in fields:
        command += ["-e", field]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    found: list[SeenPdu] = []
    for packet in json.loads(output):
        layers: dict[str, list[str]] = packet["_source"]["layers"]
        severities = [int(severity, 0) for severity in layers.get("_ws.expert.severity", [])]
        assert "_ws.malformed" not in layers, (path, layers)
        assert max(severities, default=0) < ERROR_SEVERITY, (path, layers)
        tags = tuple(int(tag, 16) for tag in layers.get("smpp.opt_param_tag", []))
        commands = layers.get("smpp.command_id", [])
        for command_id, number in zip(commands, layers.get("smpp.sequence_number", []), strict=True):
            # Several PDUs of one packet share its list of tags: tshark does not say whose they are.
            found.append(SeenPdu(int(command_id, 16), int(number), tags))
    return found


@contextmanager
def wire_tap(target_port: int) -> Iterator[WireTap]:
    tap = WireTap(target_port)
    try:
        yield tap
    finally:
        tap.stop()
