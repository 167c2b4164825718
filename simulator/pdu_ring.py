"""The newest PDUs of every connection, both ways, as they lay on the wire. Read by the page and by ``GET /pdus``.

Octets are kept as they were read or written, many PDUs in a piece: under load nobody looks at most of them, and what is malformed
shows as it came. Pieces are cut into PDUs, and numbered one by one, when somebody asks; until then they are only counted. What a PDU
says is worked out in ``control_pdus``.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator, Sized
from typing import NamedTuple, Protocol

from gateway.smpp.constants import HEADER_OCTETS
from gateway.smpp.trace import Address
from simulator.schedule import Schedule

_NOWHERE = Address("0.0.0.0", 0)
_LENGTH_OCTETS = 4
_length = struct.Struct(">I").unpack_from
_new = tuple.__new__  # a named tuple without its own __new__, which costs as much again


class Wire:
    """One connection and what is known of it so far; its entries see what its bind told later."""

    __slots__ = ("account", "held", "mode", "number", "ours", "peer", "received", "sent", "since", "system_id")

    def __init__(self, peer: str, since: float = 0.0, number: int = 0) -> None:
        self.peer = peer
        self.number = number  # of the connection, 1, 2, 3 … since the start
        self.ours: Callable[[], Address] = lambda: _NOWHERE  # this end's address
        self.held: list[tuple[float, bool, bytes, bool]] = []  # for captures of the account that it will bind to
        self.since = since  # the schedule's time of its beginning
        self.account = ""
        self.system_id = ""
        self.mode = ""
        self.received = 0  # PDUs
        self.sent = 0


class PduEntry(NamedTuple):
    """One PDU that crossed the wire, or octets that are none."""

    n: int  # 1, 2, 3 … since the start
    at: float
    wire: Wire
    sent: bool  # by the simulator
    octets: bytes
    framed: bool  # False: these octets are no PDU


class _Piece(NamedTuple):
    """Octets that crossed the wire together: whole PDUs, or one entry of octets that are none."""

    first: int  # the number of its first entry
    pdus: int  # how many
    at: float
    wire: Wire
    sent: bool
    octets: bytes
    framed: bool

    def entries(self) -> Iterator[PduEntry]:
        number, position = self.first, 0
        while position < len(self.octets):
            end = position + _length(self.octets, position)[0] if self.framed else len(self.octets)
            yield PduEntry(number, self.at, self.wire, self.sent, self.octets[position:end], self.framed)
            number, position = number + 1, end


class PduRing:
    """Numbers PDUs and keeps the newest; bounded by their count and by their octets."""

    def __init__(self, schedule: Schedule, entries: int, octets: int) -> None:
        self._schedule = schedule
        self._entries = entries
        self._octets_limit = octets
        self._octets = 0
        self._kept = 0  # entries in the pieces, at most one piece more than are shown
        self._pieces: deque[_Piece] = deque()
        self.count = 0
        #: Told of every entry; while somebody looks (a scenario).
        self.watcher: Callable[[PduEntry], None] | None = None

    @property
    def keeps(self) -> bool:
        """Whether tapping is worth its time."""
        return self._entries > 0

    def now(self) -> float:
        return self._schedule.now()

    def add(self, wire: Wire, sent: bool, octets: bytes, count: int, framed: bool = True) -> None:
        """Note octets that crossed the wire now and hold ``count`` whole PDUs; not ``framed``: one entry that is no PDU."""
        pieces = self._pieces
        piece: _Piece = _new(_Piece, (self.count + 1, count, self._schedule.now(), wire, sent, octets, framed))
        pieces.append(piece)
        self.count += count
        self._kept += count
        self._octets += len(octets)
        while pieces and (self._kept - pieces[0].pdus >= self._entries or self._octets > self._octets_limit):
            oldest = pieces.popleft()
            self._kept -= oldest.pdus
            self._octets -= len(oldest.octets)
        if self.watcher is not None:
            for entry in piece.entries():
                self.watcher(entry)

    @property
    def first_in_memory(self) -> int:
        """The number of the oldest entry that is still here; ``count + 1`` when there is none."""
        return self.count - min(self._kept, self._entries) + 1

    def after(self, number: int) -> Iterator[PduEntry]:
        """Entries with a higher number, oldest first."""
        first = max(number + 1, self.first_in_memory)
        for piece in self._pieces:
            if piece.first + piece.pdus > first:
                for entry in piece.entries():
                    if entry.n >= first:
                        yield entry

    def newest_first(self) -> Iterator[PduEntry]:
        """All entries."""
        first = self.first_in_memory
        for piece in reversed(self._pieces):
            for entry in reversed(list(piece.entries())):
                if entry.n >= first:
                    yield entry

    def get(self, number: int) -> PduEntry | None:
        """One entry, if it is still here."""
        return next((entry for entry in self.after(number - 1) if entry.n == number), None)


class _Stream:
    """One direction of a connection: counts whole PDUs and holds back the beginning of the next one."""

    __slots__ = ("in_step", "rest", "wanted")

    def __init__(self) -> None:
        self.rest = bytearray()
        self.wanted = 0  # with fewer octets in the rest, looking at it again is useless
        self.in_step = True


class Listener(Protocol):
    """Who else is told of what crosses the wire: captures."""

    @property
    def running(self) -> Sized: ...

    def note(self, wire: Wire, sent: bool, octets: bytes, framed: bool) -> None: ...


class WireTap:
    """A tap of :class:`gateway.smpp.protocol.SmppProtocol` that hands both streams of octets to the ring, whole PDUs at a time.

    Args:
        captures: told, too, while any runs.
        number: of the connection.
    """

    def __init__(
        self, ring: PduRing, peer: str, max_pdu_octets: int, captures: Listener | None = None, number: int = 0
    ) -> None:
        self.wire = Wire(peer, ring.now(), number)
        self._ring = ring
        self._captures = captures
        self._max_pdu_octets = max_pdu_octets
        self._sent = _Stream()
        self._received = _Stream()

    def __call__(self, sent: bool, data: bytes) -> None:
        stream = self._sent if sent else self._received
        if stream.rest:
            stream.rest += data
            if len(stream.rest) < stream.wanted:
                return
            data = bytes(stream.rest)
            stream.rest.clear()
        position = count = 0
        size = len(data)
        if stream.in_step:
            most = self._max_pdu_octets
            while size - position >= _LENGTH_OCTETS:
                (length,) = _length(data, position)
                if not HEADER_OCTETS <= length <= most:
                    stream.in_step = False  # from here on: what follows the last whole PDU is shown as octets
                    break
                if position + length > size:
                    stream.wanted = length
                    break
                position += length
                count += 1
            else:
                stream.wanted = _LENGTH_OCTETS
        if count:
            wire = self.wire
            if sent:
                wire.sent += count
            else:
                wire.received += count
            self._note(sent, data if position == size else data[:position], count, True)
        if position < size:
            if stream.in_step:
                stream.rest += data[position:]
            else:
                self._note(sent, data[position:], 1, False)

    def _note(self, sent: bool, octets: bytes, count: int, framed: bool) -> None:
        if self._ring.keeps:
            self._ring.add(self.wire, sent, octets, count, framed)
        if self._captures is not None and self._captures.running:
            self._captures.note(self.wire, sent, octets, framed)
