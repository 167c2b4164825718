"""Looking on at binds: who sees which connection's PDUs, and the files that a bind's ``trace`` setting asks for.

A tap (:attr:`gateway.smpp.protocol.SmppProtocol.tap`) is set on a connection only while somebody looks, so that a bind that
nobody traces pays nothing. What looks on must never harm what it looks at: a fault ends the trace, not the link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, ref

import structlog

from gateway.clock import VIETNAM
from gateway.settings import BindSettings, GatewaySettings
from gateway.settings_smpp import TraceSettings, VendorTlv
from gateway.smpp.constants import CommandId
from gateway.smpp.errors import UnrecoverablePduError
from gateway.smpp.fields import Kind, TlvRow
from gateway.smpp.framing import Framer
from gateway.smpp.pcap import FILE_HEADER, Capture
from gateway.smpp.tlv import STANDARD_TLVS, TlvRegistry
from gateway.smpp.trace import Address, Traced, line, masked, without_password

log = structlog.get_logger()

Sink = Callable[[Traced], None]
_KNOWN_COMMANDS = frozenset(int(command) for command in CommandId)
_KINDS = {"integer": Kind.INTEGER, "cstring": Kind.C_OCTET_STRING, "octets": Kind.OCTET_STRING}
_MOST_OCTETS = 65_536


class Tracing:
    """Every connection of every bind, and who looks on.

    Args:
        now: seconds since 1970, for the times of PDUs.
    """

    def __init__(self, settings: GatewaySettings, now: Callable[[], float]) -> None:
        self.now = now
        self._sinks: dict[str, list[Sink]] = {}
        self._taps: dict[str, WeakKeyDictionary[Any, _Tap]] = {}
        self._counts: dict[str, int] = {}
        self._files: list[TraceFiles] = []
        for operator in settings.operators.values():
            for bind in operator.binds:
                self._sinks[bind.name], self._taps[bind.name] = [], WeakKeyDictionary()
                if bind.trace is not None:
                    files = TraceFiles(bind, bind.trace, registry_of(settings, bind))
                    self._files.append(files)
                    self._sinks[bind.name].append(files.write)
                    log.warning("bind_traced", bind=bind.name, full=bind.trace.full)

    @property
    def binds(self) -> Sequence[str]:
        """Names of the binds that can be traced."""
        return list(self._sinks)

    def watch(self, bind: BindSettings, protocol: Any, address: Any) -> None:
        """A connection of this bind begins (see :class:`gateway.app.endpoints.Endpoints`)."""
        number = self._counts[bind.name] = self._counts.get(bind.name, 0) + 1
        tap = _Tap(self, bind.name, number, protocol)
        self._taps[bind.name][protocol] = tap
        if self._sinks[bind.name]:
            protocol.tap = tap

    def add(self, bind: str, sink: Sink) -> None:
        """Show this bind's PDUs to ``sink`` from now on; in a connection that is there already, from the next whole PDU."""
        self._sinks[bind].append(sink)
        for protocol, tap in list(self._taps[bind].items()):
            if protocol.tap is None:
                tap.out_of_step()
                protocol.tap = tap

    def remove(self, bind: str, sink: Sink) -> None:
        """No more of them."""
        if sink in self._sinks[bind]:
            self._sinks[bind].remove(sink)
        if not self._sinks[bind]:
            for protocol in list(self._taps[bind]):
                protocol.tap = None

    def show(self, bind: str, traced: Traced) -> None:
        """A PDU crossed the wire (called by the taps)."""
        for sink in list(self._sinks[bind]):
            try:
                sink(traced)
            except Exception:
                log.exception("trace_failed", bind=bind)
                self.remove(bind, sink)

    def close(self) -> None:
        """Close the files."""
        for files in self._files:
            files.close()


class _Tap:
    """Cuts one connection's octets into PDUs."""

    def __init__(self, tracing: Tracing, bind: str, number: int, protocol: Any) -> None:
        self._tracing, self._bind, self._number = tracing, bind, number
        self._protocol = ref(protocol)  # the table of taps must not keep connections alive
        self._framers: dict[bool, Framer | None] = {True: Framer(_MOST_OCTETS), False: Framer(_MOST_OCTETS)}

    def out_of_step(self) -> None:
        """Octets may have passed unseen: wait for a read that begins with a header."""
        self._framers = {True: None, False: None}

    def __call__(self, sent: bool, data: bytes) -> None:
        transport: Any = getattr(self._protocol(), "transport", None)
        ours, theirs = _address(transport.getHost()), _address(transport.getPeer())
        at = self._tracing.now()
        for octets in self._cut(sent, data):
            self._tracing.show(self._bind, Traced(at, self._number, sent, ours, theirs, without_password(octets)))

    def _cut(self, sent: bool, data: bytes) -> Iterator[bytes]:
        framer = self._framers[sent]
        if framer is None:
            if not _begins_a_pdu(data):
                return
            framer = self._framers[sent] = Framer(_MOST_OCTETS)
        held = framer.buffered_octets
        try:
            yield from framer.feed(data)
        except UnrecoverablePduError as fault:
            self._framers[sent] = None
            yield from fault.frames
            rest = data[max(0, sum(map(len, fault.frames)) - held) :]
            if rest:
                yield rest


def _begins_a_pdu(data: bytes) -> bool:
    if len(data) < 16 or not 16 <= int.from_bytes(data[:4], "big") <= _MOST_OCTETS:
        return False
    return int.from_bytes(data[4:8], "big") in _KNOWN_COMMANDS


def _address(address: Any) -> Address:
    return Address(str(getattr(address, "host", "")), int(getattr(address, "port", 0)))


class Shower:
    """Makes lines of PDUs, as the bind reads them; masked unless ``full``."""

    def __init__(self, bind: BindSettings, registry: TlvRegistry, *, full: bool) -> None:
        self._alphabet = bind.default_alphabet
        self._registry = registry
        self._full = full

    def safe(self, traced: Traced) -> Traced:
        """The PDU as it may be shown."""
        return traced if self._full else traced._replace(octets=masked(traced.octets))

    def line(self, traced: Traced) -> str:
        """Time and PDU; ``traced`` as :meth:`safe` gave it."""
        at = datetime.fromtimestamp(traced.at, VIETNAM).isoformat(timespec="microseconds")
        return f"{at} {line(traced, alphabet=self._alphabet, tlvs=self._registry)}"


class TraceFiles:
    """The files of a bind's ``trace`` setting."""

    def __init__(self, bind: BindSettings, trace: TraceSettings, registry: TlvRegistry) -> None:
        self._shower = Shower(bind, registry, full=trace.full)
        self._capture = Capture()
        limits = (trace.rotate_octets, trace.keep)
        self._lines = None if trace.file is None else RotatingFile(trace.file, *limits)
        self._packets = None if trace.pcap is None else RotatingFile(trace.pcap, *limits, header=FILE_HEADER)

    def write(self, traced: Traced) -> None:
        """Raises OSError when the disk does not take it."""
        safe = self._shower.safe(traced)
        if self._lines is not None:
            self._lines.write(self._shower.line(safe).encode() + b"\n")
        if self._packets is not None:
            self._packets.write(self._capture.packets(safe))

    def close(self) -> None:
        for file in (self._lines, self._packets):
            if file is not None:
                file.close()


class RotatingFile:
    """Appends whole records; past its limit the file becomes FILE.1, that one FILE.2, and the oldest goes.

    Files are readable for their user only: they hold citizens' messages.
    """

    def __init__(self, path: Path, limit_octets: int, keep: int, header: bytes = b"") -> None:
        self._path, self._limit, self._keep, self._header = path, limit_octets, keep, header
        self._file: Any = None
        self._octets = 0

    def write(self, record: bytes) -> None:
        """Raises OSError."""
        if self._file is None:
            self._open()
        if self._octets + len(record) > self._limit and self._octets > len(self._header):
            self._rotate()
        self._file.write(record)
        self._file.flush()
        self._octets += len(record)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab")
        self._path.chmod(0o600)
        self._octets = self._path.stat().st_size
        if self._octets == 0:
            self._file.write(self._header)
            self._octets = len(self._header)

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._keep, 0, -1):
            older = self._path if number == 1 else self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def registry_of(settings: GatewaySettings, bind: BindSettings) -> TlvRegistry:
    """The TLVs that this bind's lines name. Two vendors may use one tag: a name that the bind itself uses comes first."""
    rows: dict[int, TlvRow] = {}
    for vendor in sorted(settings.vendor_tlvs, key=lambda row: row.name not in bind.tlvs):
        if vendor.tag not in rows and STANDARD_TLVS.by_tag(vendor.tag) is None:
            rows[vendor.tag] = _row(vendor)
    return TlvRegistry(rows.values())


def _row(vendor: VendorTlv) -> TlvRow:
    size = vendor.octets if vendor.type == "integer" else 65_535
    return TlvRow(vendor.name, vendor.tag, _KINDS[vendor.type], size if vendor.type == "integer" else 0, size)
