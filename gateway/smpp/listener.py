"""For operators that connect to us: a listening port that looks like an endpoint to an :class:`EsmeClient`.

    listener = EsmeListener(server_endpoint, allowed=["203.113.0.0/16"])
    yield listener.start()
    client = EsmeClient(reactor, listener.endpoint, settings_with_peer_connects, handler, rng)

The operator opens the connection and sends outbind (SMPP 3.4 §2.2.1), or expects us to bind at once; which of the two is in
the client's settings. A connection is taken only from an address that is allowed, and only while a client waits for one:
anything else is closed before a single octet is read. One listener serves the clients of one account.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import structlog
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.protocol import Factory

from gateway.smpp.ports import ClientEndpoint, ServerEndpoint

log = structlog.get_logger()


class EsmeListener:
    """A port on which operators' SMSCs connect.

    Args:
        server_endpoint: where to listen; TLS is its business.
        allowed: networks or addresses that may connect ("10.1.2.0/24", "2001:db8::1"). None of them: nobody may.

    Raises:
        ValueError: an entry of ``allowed`` is no network.
    """

    def __init__(self, server_endpoint: ServerEndpoint, allowed: Iterable[str]) -> None:
        self._server_endpoint = server_endpoint
        self._allowed = tuple(ip_network(entry) for entry in allowed)
        self._waiting: deque[tuple[Any, Deferred[Any]]] = deque()
        self._port: Any = None
        self.refused_connections = 0

    def start(self) -> Deferred[Any]:
        """Listen. Fires with the listening port, or fails as the endpoint does."""
        return self._server_endpoint.listen(_ListenerFactory(self)).addCallback(self._started)

    def _started(self, port: Any) -> Any:
        self._port = port
        return port

    def stop(self) -> Deferred[None]:
        """Listen no more. Connections that were taken go on."""
        port, self._port = self._port, None
        return maybeDeferred(port.stopListening) if port is not None else maybeDeferred(lambda: None)

    def endpoint(self) -> ClientEndpoint:
        """The endpoint of one attempt: it "connects" when an SMSC does."""
        return _Incoming(self)

    def wait(self, factory: Any) -> Deferred[Any]:
        """Give the next good connection to ``factory``."""
        done: Deferred[Any] = Deferred(self._cancel)
        self._waiting.append((factory, done))
        return done

    def _cancel(self, done: Deferred[Any]) -> None:
        self._waiting = deque(entry for entry in self._waiting if entry[1] is not done)
        done.errback(CancelledError())

    def take(self, address: Any) -> Any:
        """The protocol of a connection from ``address``; None closes it."""
        if not self._is_allowed(str(getattr(address, "host", ""))):
            why = "not in the allow-list"
        elif not self._waiting:
            why = "no bind waits for it"
        else:
            factory, done = self._waiting.popleft()
            protocol = factory.buildProtocol(address)
            done.callback(protocol)
            return protocol
        self.refused_connections += 1
        log.warning("incoming_connection_refused", peer=str(getattr(address, "host", "?")), reason=why)
        return None

    def _is_allowed(self, host: str) -> bool:
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._allowed)


class _ListenerFactory(Factory):
    noisy = False

    def __init__(self, listener: EsmeListener) -> None:
        self._listener = listener

    def buildProtocol(self, addr: Any) -> Any:
        return self._listener.take(addr)


class _Incoming:
    """One wait for a connection, in the shape of a client endpoint."""

    def __init__(self, listener: EsmeListener) -> None:
        self._listener = listener

    def connect(self, protocolFactory: Any, /) -> Deferred[Any]:
        return self._listener.wait(protocolFactory)
