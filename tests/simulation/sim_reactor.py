"""A virtual reactor: time that jumps from one event to the next, and TCP in memory with latency and cuts.

:class:`VirtualReactor` is the world's. Each life of a gateway process gets a :class:`Life`, which looks like a reactor and
goes silent when the process is killed: its delayed calls never come, and its connections are gone.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any

import structlog
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.python.failure import Failure
from zope.interface import implementer

log = structlog.get_logger()

START_S = 1_000_000.0
#: How long octets are under way when nothing is wrong, in seconds.
QUICK_S = (0.001, 0.02)
_IDLE, _DONE, _CANCELLED = 0, 1, 2


class VirtualCall:
    """One delayed call (IDelayedCall)."""

    __slots__ = ("_state", "args", "function", "kwargs", "time")

    def __init__(self, time: float, function: Any, args: Any, kwargs: Any) -> None:
        self.time, self.function, self.args, self.kwargs = time, function, args, kwargs
        self._state = _IDLE

    def active(self) -> bool:
        return self._state == _IDLE

    def cancel(self) -> None:
        from twisted.internet.error import AlreadyCalled, AlreadyCancelled

        if self._state == _CANCELLED:
            raise AlreadyCancelled
        if self._state == _DONE:
            raise AlreadyCalled
        self._state = _CANCELLED

    def getTime(self) -> float:
        return self.time

    def run(self) -> None:
        self._state = _DONE
        self.function(*self.args, **self.kwargs)


class VirtualReactor:
    """Events in the order of their times; those of one time in the order in which they were asked for."""

    def __init__(self) -> None:
        self._now = START_S
        self._heap: list[tuple[float, int, VirtualCall]] = []
        self._count = 0

    def seconds(self) -> float:
        return self._now

    def callLater(self, delay: float, function: Callable[..., Any], *args: Any, **kwargs: Any) -> VirtualCall:
        call = VirtualCall(self._now + max(0.0, delay), function, args, kwargs)
        self._count += 1
        heapq.heappush(self._heap, (call.time, self._count, call))
        return call

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.callLater(0, function, *args, **kwargs)

    def run_until(self, end: float) -> None:
        """Let everything happen that is due until then."""
        heap = self._heap
        while heap and heap[0][0] <= end:
            at, _, call = heapq.heappop(heap)
            if call.active():
                self._now = at
                call.run()
        self._now = max(self._now, end)


class _Resolver:
    """Every name is an address already."""

    def resolveHostName(self, receiver: Any, hostName: str, portNumber: int = 0, *_: Any, **__: Any) -> Any:
        receiver.resolutionBegan(self)
        receiver.addressResolved(IPv4Address("TCP", hostName, portNumber))
        receiver.resolutionComplete()
        return receiver


@implementer(IReactorPluggableNameResolver)
class Life:
    """The reactor as one process sees it, until :meth:`kill`."""

    def __init__(self, reactor: VirtualReactor, network: Network, name: str, on_turn: Callable[[str], None]) -> None:
        self._reactor, self._network, self.name = reactor, network, name
        self._on_turn = on_turn
        self.dead = False
        self.nameResolver = _Resolver()
        self.links: list[Link] = []

    def seconds(self) -> float:
        return self._reactor.seconds()

    def callLater(self, delay: float, function: Callable[..., Any], *args: Any, **kwargs: Any) -> VirtualCall:
        return self._reactor.callLater(delay, self._alive, function, args, kwargs)

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.callLater(0, function, *args, **kwargs)

    def _alive(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        if not self.dead:
            self._on_turn(self.name)
            try:
                function(*args, **kwargs)
            except Exception:  # as the reactor does: logged, and the process goes on
                log.exception("reactor_call_failed", function=repr(function))

    def installNameResolver(self, resolver: Any) -> Any:
        raise NotImplementedError

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        return self._network.connect(self, port, factory, timeout)

    def kill(self) -> None:
        """SIGKILL: nothing of this process runs again. What it has written is on its way."""
        self.dead = True
        for link in self.links:
            link.process_died()


class Network:
    """Connects processes to the operators' ports."""

    def __init__(self, reactor: VirtualReactor, rng: random.Random) -> None:
        self.reactor, self._rng = reactor, rng
        self.latency_s = QUICK_S
        self._ports: dict[int, Any] = {}
        self.unreachable: dict[int, str] = {}  # port: "refused" or "silent"
        self.links: list[Link] = []
        self.on_written: Callable[[str, int, bytes], None] = lambda life, port, data: None

    def listen(self, port: int, factory: Any) -> None:
        self._ports[port] = factory

    def delay_s(self) -> float:
        return self._rng.uniform(*self.latency_s)

    def connect(self, life: Life, port: int, factory: Any, timeout: float) -> Any:
        connector = _Connector()
        factory.startedConnecting(connector)
        fate = self.unreachable.get(port, "")

        def finish() -> None:
            if connector.stopped or life.dead:
                return
            if fate:
                error = ConnectTimeoutError() if fate == "silent" else ConnectionRefusedError()
                factory.clientConnectionFailed(connector, Failure(error))
                return
            client = factory.buildProtocol(IPv4Address("TCP", "10.0.0.1", port))
            if client is None:
                return
            link = Link(self, life, port)
            server = self._ports[port].buildProtocol(IPv4Address("TCP", "10.0.9.9", 40_000 + len(self.links)))
            self.links.append(link)
            life.links.append(link)
            link.open(client, server)

        life.callLater(timeout if fate == "silent" else self.delay_s(), finish)
        return connector

    def of_port(self, port: int) -> list[Link]:
        """The connections to an operator that are open now."""
        return [link for link in self.links if link.port == port and not link.cut_off]


class _Connector:
    stopped = False

    def stopConnecting(self) -> None:
        self.stopped = True

    disconnect = stopConnecting


class Link:
    """One TCP connection."""

    def __init__(self, network: Network, life: Life, port: int) -> None:
        self.network, self.life, self.port = network, life, port
        self.silent = False  # half-open: octets vanish, the connection stays
        self.cut_off = False
        self.client, self.server = End(self, True), End(self, False)

    def open(self, client: Any, server: Any) -> None:
        self.client.protocol, self.server.protocol = client, server
        server.makeConnection(self.server)
        client.makeConnection(self.client)

    def cut(self) -> None:
        """The line breaks: what is under way is lost, and both sides hear of it."""
        if not self.cut_off:
            self.cut_off = True
            for end in (self.client, self.server):
                end.lost(ConnectionLost())

    def process_died(self) -> None:
        """The gateway's process was killed: its system closes the socket after what was written."""
        self.client.gone = True
        if not self.cut_off:
            self.client.send(None)


class End:
    """One end of a connection (ITransport)."""

    def __init__(self, link: Link, is_client: bool) -> None:
        self._link, self._is_client = link, is_client
        self.protocol: Any = None
        self.gone = False
        self._closing = False
        self._paused = False
        self._kept: list[bytes | None] = []
        self._arrives = 0.0

    @property
    def _other(self) -> End:
        return self._link.server if self._is_client else self._link.client

    # -- the protocol's side ------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self.gone or self._closing:
            return
        if self._is_client:
            self._link.network.on_written(self._link.life.name, self._link.port, data)
        self.send(data)

    def loseConnection(self) -> None:
        if not self._closing and not self.gone:
            self._closing = True
            self.send(None)
            self._later(0.0, self.lost, ConnectionDone())

    def abortConnection(self) -> None:
        if not self.gone:
            self._link.cut_off = True
            self._other.soon_lost()
            self._later(0.0, self.lost, ConnectionLost())

    def soon_lost(self) -> None:
        self._later(self._link.network.delay_s(), self.lost, ConnectionLost())

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Nothing is ever full here."""

    def unregisterProducer(self) -> None:
        """See registerProducer."""

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        kept, self._kept = self._kept, []
        for data in kept:
            self._later(0.0, self.receive, data)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Always so here."""

    def getPeer(self) -> Any:
        return IPv4Address("TCP", "10.0.0.1", self._link.port)

    getHost = getPeer

    # -- the wire -----------------------------------------------------------------------------------------------

    def _later(self, delay_s: float, function: Any, *args: Any) -> None:
        self._link.network.reactor.callLater(delay_s, function, *args)

    def send(self, data: bytes | None) -> None:
        """Octets on their way, in order; None: the end of the stream."""
        network = self._link.network
        now = network.reactor.seconds()
        self._arrives = max(self._arrives, now + network.delay_s())
        if not (self._link.silent and data is not None):
            self._later(self._arrives - now, self._other.receive, data)

    def receive(self, data: bytes | None) -> None:
        if self.gone or (self._link.cut_off and data is not None) or (self._is_client and self._link.life.dead):
            return
        if self._paused:
            self._kept.append(data)
        elif data is None:
            self._link.cut_off = True
            self.lost(ConnectionDone())
        elif not self._link.silent:
            if self._is_client:
                self._link.life._on_turn(self._link.life.name)
            self.protocol.dataReceived(data)

    def lost(self, reason: Exception) -> None:
        if self.gone or (self._is_client and self._link.life.dead):
            return
        self.gone = True
        self.protocol.connectionLost(Failure(reason))
