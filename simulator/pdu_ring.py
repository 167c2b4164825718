"""The newest PDUs of every connection, both ways, as they lay on the wire. Read by the page and by ``GET /pdus``.

Octets are kept, not PDUs: under load nobody looks at most of them, and what is malformed shows as it came. What a PDU says
is worked out in ``control_pdus`` when somebody asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from gateway.smpp.errors import UnrecoverablePduError
from gateway.smpp.framing import Framer
from simulator.schedule import Schedule


class Wire:
    """One connection and what is known of it so far; its entries see what its bind told later."""

    __slots__ = ("account", "mode", "peer", "received", "sent", "since", "system_id")

    def __init__(self, peer: str, since: float = 0.0) -> None:
        self.peer = peer
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


class PduRing:
    """Numbers PDUs and keeps the newest; bounded by their count and by their octets."""

    def __init__(self, schedule: Schedule, entries: int, octets: int) -> None:
        self._schedule = schedule
        self._entries = entries
        self._octets_limit = octets
        self._octets = 0
        self._newest: deque[tuple[int, float, Wire, bool, bytes, bool]] = (
            deque()
        )  # as PduEntry, which costs more to make
        self.count = 0
        #: Told of every PDU, before it is acted upon; while somebody looks (a scenario).
        self.watcher: Callable[[PduEntry], None] | None = None

    @property
    def keeps(self) -> bool:
        """Whether tapping is worth its time."""
        return self._entries > 0

    def now(self) -> float:
        return self._schedule.now()

    def add(self, wire: Wire, sent: bool, frames: Sequence[bytes], framed: bool = True) -> None:
        """Note what crossed the wire now. Hot: four PDUs for each message, so plain tuples, and the time is read once."""
        newest, number, at, octets = self._newest, self.count, self._schedule.now(), self._octets
        for frame in frames:
            number += 1
            newest.append((number, at, wire, sent, frame, framed))
            octets += len(frame)
        self.count = number
        if self.watcher is not None:
            for index, frame in enumerate(frames, start=number - len(frames) + 1):
                self.watcher(PduEntry(index, at, wire, sent, frame, framed))
        while len(newest) > self._entries or (octets > self._octets_limit and newest):
            octets -= len(newest.popleft()[4])
        self._octets = octets

    @property
    def first_in_memory(self) -> int:
        """The number of the oldest entry that is still here; ``count + 1`` when there is none."""
        return self.count - len(self._newest) + 1

    def after(self, number: int) -> Iterator[PduEntry]:
        """Entries with a higher number, oldest first."""
        return map(PduEntry._make, islice(self._newest, max(0, number + 1 - self.first_in_memory), None))

    def newest_first(self) -> Iterator[PduEntry]:
        return map(PduEntry._make, reversed(self._newest))

    def get(self, number: int) -> PduEntry | None:
        """One entry, if it is still here."""
        index = number - self.first_in_memory
        return PduEntry._make(self._newest[index]) if 0 <= index < len(self._newest) else None


class WireTap:
    """A tap of :class:`gateway.smpp.protocol.SmppProtocol` that cuts both streams of octets into PDUs for the ring."""

    def __init__(self, ring: PduRing, peer: str, max_pdu_octets: int) -> None:
        self.wire = Wire(peer, ring.now())
        self._ring = ring
        self._framers = {True: Framer(max_pdu_octets), False: Framer(max_pdu_octets)}

    def __call__(self, sent: bool, data: bytes) -> None:
        framer = self._framers[sent]
        held = framer.buffered_octets
        try:
            frames: Sequence[bytes] = framer.feed(data)
            rest = b""
        except UnrecoverablePduError as fault:
            frames = fault.frames
            # Out of step from here on: what follows the last whole PDU is shown as octets.
            rest = data[max(0, sum(map(len, frames)) - held) :]
        wire = self.wire
        if sent:
            wire.sent += len(frames)
        else:
            wire.received += len(frames)
        self._ring.add(wire, sent, frames)
        if rest:
            self._ring.add(wire, sent, (rest,), framed=False)
