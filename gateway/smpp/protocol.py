"""Joins a :class:`Connection` to a Twisted transport. No SMPP is decided here.

Writes are joined: whatever is queued in one turn of the reactor leaves in one ``transport.write``. What arrives in one read is
handled before anything new is written, so that answers free the window first.

Memory is bounded against a peer that does not read. The transport asks us to pause when its buffer is full; from then on
octets stay in the connection, and when :data:`HELD_OCTETS_LIMIT` of them are there, reading stops too: a peer that wants answers
must take them. Windows bound what an honest peer can cause far below that limit, so two honest ends cannot block each other. A
peer that stays stuck is found by enquire_link and dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol as TypingProtocol
from typing import cast

import structlog
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway.smpp.connection import Connection
from gateway.smpp.events import Event
from gateway.smpp.ports import DelayedCall, ReactorTime, Transport
from gateway.smpp.timers import NEVER

log = structlog.get_logger()

#: Octets held back before reading stops. A window of 1000 long messages is a quarter of it.
HELD_OCTETS_LIMIT = 1 << 20
#: How long the last octets (unbind_resp, generic_nack) may take to leave before the connection is cut, in seconds.
LAST_WORDS_S = 5.0
#: A delayed call may come a rounding error before its deadline; this keeps it from being set again and again.
TICK_MIN_S = 0.001


#: Told of the octets that cross the wire: True for those written, False for those read.
Tap = Callable[[bool, bytes], None]


class EventSink(TypingProtocol):
    """Who owns the session: told of the connection, of its events in order, and of its end (the event SessionClosed)."""

    def connected(self, protocol: SmppProtocol) -> None: ...

    def handle(self, events: Sequence[Event]) -> None: ...


@implementer(IPushProducer)
class SmppProtocol(Protocol):
    """One connection of one session.

    Args:
        clock: the reactor, for its time and its delayed calls.
        connection: the sans-IO core, fresh.
        sink: the owner.
    """

    def __init__(self, clock: ReactorTime, connection: Connection, sink: EventSink) -> None:
        self.clock = clock
        self.connection = connection
        self._sink = sink
        self._wire: Transport | None = None
        self._flush_call: DelayedCall | None = None
        self._tick_call: DelayedCall | None = None
        self._tick_at = NEVER
        self._abort_call: DelayedCall | None = None
        self._full = False  # the transport's buffer is full
        self._reading_stopped: set[str] = set()
        self._in_read = False
        #: Tests and simulations: nothing is written while True; what would have been is thrown away.
        self.mute = False
        #: Captures and lists of PDUs; None costs nothing.
        self.tap: Tap | None = None

    # The owner's side

    def wake(self) -> None:
        """Something was queued in the connection: write it by the end of this turn."""
        if self._flush_call is None and not self._in_read:
            self._flush_call = self.clock.callLater(0, self._flush_later)

    def write_raw(self, data: bytes) -> None:
        """Write octets past the connection, after what is queued. For tests that need garbage."""
        self._flush()
        if self._wire is not None and not self.mute:
            if self.tap is not None:
                self.tap(True, data)
            self._wire.write(data)

    def close(self, detail: str = "") -> None:
        """End the session without unbind: write what is queued, close."""
        self._deliver(self.connection.close(detail))
        self._flush()

    def abort(self, detail: str = "") -> None:
        """End the session now; what is queued is lost."""
        self._deliver(self.connection.connection_lost(detail))
        if self._wire is not None:
            self._wire.abortConnection()

    def pause_reading(self, why: str) -> None:
        """Read nothing until every reason given to this method was taken back with :meth:`resume_reading`."""
        if not self._reading_stopped and self._wire is not None:
            self._wire.pauseProducing()
        self._reading_stopped.add(why)

    def resume_reading(self, why: str) -> None:
        """Take back one reason; harmless when it was not given."""
        if why in self._reading_stopped:
            self._reading_stopped.remove(why)
            if not self._reading_stopped and self._wire is not None:
                self._wire.resumeProducing()

    # The transport's side

    def connectionMade(self) -> None:
        self._wire = cast(Transport, self.transport)
        if ITCPTransport.providedBy(self.transport):
            self._wire.setTcpNoDelay(True)  # writes are joined here already; waiting for more only delays
        self._wire.registerProducer(self, True)
        self._sink.connected(self)
        self._flush()

    def dataReceived(self, data: bytes) -> None:
        if self.tap is not None:
            self.tap(False, data)
        self._in_read = True
        try:
            self._deliver(self.connection.receive_data(data, self.clock.seconds()))
        finally:
            self._in_read = False
        self._flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._wire = None
        detail = "" if reason.check(ConnectionDone) else reason.getErrorMessage()
        self._deliver(self.connection.connection_lost(detail))
        for call in (self._flush_call, self._tick_call, self._abort_call):
            if call is not None and call.active():
                call.cancel()
        self._flush_call = self._tick_call = self._abort_call = None

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self._full = True

    def resumeProducing(self) -> None:
        """The transport's buffer has room again."""
        self._full = False
        self._flush()

    def stopProducing(self) -> None:
        """The transport will take no more; connectionLost follows."""
        self._full = True

    # Inside

    def _deliver(self, events: list[Event]) -> None:
        if events:
            self._sink.handle(events)

    def _flush_later(self) -> None:
        self._flush_call = None
        self._flush()

    def _flush(self) -> None:
        """Write what is queued, unless the transport is full; close when the session has ended; set the next tick."""
        wire, connection = self._wire, self.connection
        if wire is None:
            return
        if connection.has_data:
            if self._full and not connection.closed:
                if connection.octets_held() > HELD_OCTETS_LIMIT:
                    self.pause_reading("held octets")
            else:
                data = connection.data_to_send()
                if not self.mute:
                    if self.tap is not None:
                        self.tap(True, data)
                    wire.write(data)
                self.resume_reading("held octets")
        if connection.closed:
            self._say_goodbye(wire)
        else:
            self._schedule_tick()

    def _say_goodbye(self, wire: Transport) -> None:
        if self._abort_call is None:
            self._abort_call = self.clock.callLater(LAST_WORDS_S, wire.abortConnection)
            # A registered producer would keep loseConnection waiting for it.
            wire.unregisterProducer()
            wire.loseConnection()

    def _schedule_tick(self) -> None:
        """Deadlines mostly move later; only an earlier one costs a new delayed call. A tick that comes too early is harmless."""
        at = self.connection.next_deadline()
        if at >= self._tick_at and self._tick_call is not None:
            return
        if self._tick_call is not None:
            self._tick_call.cancel()
            self._tick_call = None
        self._tick_at = at
        if at != NEVER:
            self._tick_call = self.clock.callLater(max(TICK_MIN_S, at - self.clock.seconds()), self._tick)

    def _tick(self) -> None:
        self._tick_call, self._tick_at = None, NEVER
        self._deliver(self.connection.on_tick(self.clock.seconds()))
        self._flush()
