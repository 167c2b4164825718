"""A network in memory for tests of the SMPP shell: a virtual clock, transports that are joined by hand, no socket, no sleep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.smpp.framing import Framer
from gateway.smpp.pdu import Pdu, decode


class MemoryTransport:
    """One end of a connection. Octets wait in ``outbox`` until the link carries them."""

    def __init__(self, host: str = "192.0.2.1") -> None:
        self.outbox = bytearray()
        self.writes: list[bytes] = []
        self.buffer_limit = 64 * 1024
        self.protocol: Any = None
        self.producer: Any = None
        self.full = False
        self.reading = True
        self.closing = False
        self.aborted = False
        self.host = host
        self.port = 2775

    def write(self, data: bytes) -> None:
        if self.closing:
            return
        self.writes.append(data)
        self.outbox += data
        if self.producer is not None and len(self.outbox) > self.buffer_limit and not self.full:
            self.full = True
            self.producer.pauseProducing()

    def take(self, limit: int | None = None) -> bytes:
        """Remove octets, as the network would."""
        count = len(self.outbox) if limit is None else min(limit, len(self.outbox))
        data = bytes(self.outbox[:count])
        del self.outbox[:count]
        if self.full and not self.outbox and self.producer is not None:
            self.full = False
            self.producer.resumeProducing()
        return data

    def loseConnection(self) -> None:
        # As in Twisted, a registered producer would keep the connection open.
        assert self.producer is None, "unregisterProducer first"
        self.closing = True

    def abortConnection(self) -> None:
        self.closing = self.aborted = True
        self.outbox.clear()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def getPeer(self) -> MemoryTransport:
        return self


class Link:
    """Two protocols joined."""

    def __init__(self, client: Any, server: Any) -> None:
        self.ends = [MemoryTransport(), MemoryTransport()]
        self.protocols = [client, server]
        self.open = True
        #: The network swallows octets silently: a cable that was pulled.
        self.dead = False

    def connect(self) -> None:
        for end, protocol in zip(self.ends, self.protocols, strict=True):
            end.protocol = protocol
            protocol.makeConnection(end)

    def pump(self) -> bool:
        """Carry what can be carried; whether anything moved."""
        if not self.open or self.dead:
            return False
        moved = False
        for here, there, protocol in (
            (self.ends[0], self.ends[1], self.protocols[1]),
            (self.ends[1], self.ends[0], self.protocols[0]),
        ):
            if here.outbox and there.reading and self.open:
                moved = True
                protocol.dataReceived(here.take())
        for here in self.ends:
            if self.open and here.closing and not here.outbox:
                self.cut(ConnectionAborted() if here.aborted else ConnectionDone())
                moved = True
        return moved

    def cut(self, error: Exception | None = None) -> None:
        """The connection is gone, for both ends."""
        if self.open:
            self.open = False
            for protocol in self.protocols:
                protocol.connectionLost(Failure(error or ConnectionLost()))


class Network:
    """Connects endpoints to server factories over a virtual clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.links: list[Link] = []
        self.attempts: list[float] = []
        self.refusing = False
        self.hanging = False

    def endpoint(self, factory: Any) -> Callable[[], MemoryEndpoint]:
        """An endpoint factory as EsmeClient takes one."""
        return lambda: MemoryEndpoint(self, factory)

    @property
    def link(self) -> Link:
        """The newest connection."""
        return self.links[-1]

    def pump(self) -> None:
        """Run all that is due now, until nothing moves."""
        for _ in range(10_000):
            self.clock.advance(0)
            moved = [link.pump() for link in list(self.links)]
            due = any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls())
            if not any(moved) and not due:
                return
        raise AssertionError("the network does not come to rest")

    def run(self, seconds: float) -> None:
        """Let time pass, call by call."""
        end = self.clock.seconds() + seconds
        self.pump()
        while True:
            times = [call.getTime() for call in self.clock.getDelayedCalls() if call.getTime() <= end]
            if not times:
                break
            self.clock.advance(max(0.0, min(times) - self.clock.seconds()))
            self.pump()
        self.clock.advance(max(0.0, end - self.clock.seconds()))
        self.pump()


class MemoryEndpoint:
    def __init__(self, network: Network, factory: Any) -> None:
        self._network = network
        self._factory = factory

    def connect(self, factory: Any) -> Deferred[Any]:
        network = self._network
        network.attempts.append(network.clock.seconds())
        if network.hanging:
            return Deferred()
        if network.refusing:
            return fail(ConnectionRefusedError())
        address = MemoryTransport()
        server = self._factory.buildProtocol(address)
        client = factory.buildProtocol(address)
        if server is None:
            return fail(ConnectionRefusedError())
        link = Link(client, server)
        network.links.append(link)
        link.connect()
        return succeed(client)


class RawPeer:
    """A server protocol that does nothing by itself: the test reads PDUs and writes octets."""

    def __init__(self) -> None:
        self.octets = bytearray()
        self.transport: Any = None
        self.lost = False

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport

    def dataReceived(self, data: bytes) -> None:
        self.octets += data

    def connectionLost(self, reason: Any) -> None:
        self.lost = True

    def pdus(self) -> list[Pdu]:
        """All PDUs that came since the last call."""
        found = read_pdus(bytes(self.octets))
        self.octets.clear()
        return found


class RawFactory:
    """Gives each connection a :class:`RawPeer`."""

    def __init__(self) -> None:
        self.peers: list[RawPeer] = []

    def buildProtocol(self, _address: Any) -> RawPeer:
        self.peers.append(RawPeer())
        return self.peers[-1]

    @property
    def peer(self) -> RawPeer:
        return self.peers[-1]


def read_pdus(octets: bytes) -> list[Pdu]:
    """Whole PDUs from octets; none may be cut."""
    framer = Framer()
    found = [decode(frame) for frame in framer.feed(octets)]
    assert framer.buffered_octets == 0
    return found
