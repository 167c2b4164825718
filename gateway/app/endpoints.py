"""How binds reach their operators: endpoints made from the configuration, over TCP or TLS, outgoing or listening.

    endpoints = Endpoints(reactor)
    client = EsmeClient(reactor, endpoints(bind), ...)     # every attempt asks for an endpoint
    await endpoints.stop()                                 # listens no more

An attempt goes through all hosts of its bind, so that a dead one costs its share of the time limit and no more. It begins
after the host that was connected to last: when that link was lost, or its bind refused, the others come first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from twisted.internet.defer import CancelledError, Deferred, DeferredList, ensureDeferred, succeed
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    wrapClientTLS,
)
from twisted.internet.error import CannotListenError, ConnectingCancelledError
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory

from gateway.app.tls import client_options, server_options
from gateway.settings import BindSettings, split_host
from gateway.settings_smpp import ListenSettings
from gateway.smpp.listener import EsmeListener
from gateway.smpp.ports import ClientEndpoint, ServerEndpoint

log = structlog.get_logger()

#: A port that somebody else holds is tried again after this, in seconds.
LISTEN_AGAIN_S = 5.0

#: Sees each connection's protocol before its first octet: bind, protocol, address of the peer.
Watch = Callable[[BindSettings, Any, Any], None]


def unwatched(bind: BindSettings, protocol: Any, address: Any) -> None:
    """Nobody looks on."""


class Endpoints:
    """Makes the endpoints of all binds; holds the ports on which operators connect to us.

    Args:
        watch: told of every connection, before its first octet.
    """

    def __init__(self, reactor: Any, watch: Watch = unwatched) -> None:
        self._reactor = reactor
        self._watch = watch
        self._ports: dict[tuple[str, int], _Port] = {}

    def __call__(self, bind: BindSettings) -> Callable[[], ClientEndpoint]:
        """Gives the endpoint of each attempt to connect this bind."""
        if bind.listen is not None:
            port = self._port(bind, bind.listen)
            return lambda: _Watched(port, bind, self._watch)
        hosts = _Hosts(self._reactor, bind)
        return lambda: _Watched(hosts, bind, self._watch)

    def _port(self, bind: BindSettings, listen: ListenSettings) -> _Port:
        key = (listen.interface, listen.port)
        if key not in self._ports:
            self._ports[key] = _Port(self._reactor, bind, listen)
        return self._ports[key]

    def stop(self) -> Deferred[Any]:
        """Listen no more. Connections that are there go on."""
        ports, self._ports = self._ports, {}
        return DeferredList([port.stop() for port in ports.values()], consumeErrors=True)


class _Watched:
    """An endpoint whose protocols are shown to somebody. Under TLS these are the protocols inside."""

    def __init__(self, endpoint: ClientEndpoint, bind: BindSettings, watch: Watch) -> None:
        self._endpoint, self._bind, self._watch = endpoint, bind, watch

    def connect(self, protocolFactory: Any, /) -> Deferred[Any]:
        build = protocolFactory.buildProtocol

        def watched(address: Any) -> Any:
            protocol = build(address)
            if protocol is not None:
                self._watch(self._bind, protocol, address)
            return protocol

        protocolFactory.buildProtocol = watched
        return self._endpoint.connect(protocolFactory)


class _Hosts:
    """All hosts of one bind, as one endpoint."""

    def __init__(self, reactor: Any, bind: BindSettings) -> None:
        self._reactor, self._bind = reactor, bind
        self._hosts = [(bind.host, bind.port), *(split_host(entry, bind.port) for entry in bind.other_hosts)]
        self._next = 0

    def connect(self, protocolFactory: Any, /) -> Deferred[Any]:
        return ensureDeferred(self._connect(protocolFactory))

    async def _connect(self, factory: Any) -> Any:
        count, first = len(self._hosts), self._next
        for step in range(count):
            turn = (first + step) % count
            host, port = self._hosts[turn]
            try:
                protocol = await self._endpoint(host, port, count).connect(factory)
            except (CancelledError, ConnectingCancelledError):
                raise  # stopped, or out of time in all
            except Exception as error:
                if step == count - 1:
                    raise
                log.info("host_not_reached", bind=self._bind.name, host=host, port=port, reason=str(error))
                continue
            self._next = (turn + 1) % count
            return protocol
        raise AssertionError("a bind has a host")

    def _endpoint(self, host: str, port: int, count: int) -> Any:
        plain: Any = HostnameEndpoint(self._reactor, host, port, timeout=self._bind.session_init_timeout_s / count)
        tls = self._bind.tls
        if tls is None or not tls.enabled:
            return plain
        return wrapClientTLS(client_options(f"binds.{self._bind.name}.tls", tls, host), plain)


class _Port:
    """A port on which an operator connects, as an endpoint: it "connects" when the operator does."""

    def __init__(self, reactor: Any, bind: BindSettings, listen: ListenSettings) -> None:
        self._reactor, self._bind, self._listen = reactor, bind, listen
        self._listener: EsmeListener | None = None
        self._opening: Deferred[None] | None = None

    def connect(self, protocolFactory: Any, /) -> Deferred[Any]:
        if self._listener is None:
            # Raises what is wrong with the certificate; the client tells it and tries again.
            self._listener = EsmeListener(self._server(), self._listen.allow)
            self._opening = ensureDeferred(self._open(self._listener))
        return self._listener.wait(protocolFactory)

    async def _open(self, listener: EsmeListener) -> None:
        where = {"bind": self._bind.name, "interface": self._listen.interface, "port": self._listen.port}
        while self._listener is listener:
            try:
                await listener.start()
            except CannotListenError as error:
                log.error("port_not_opened", **where, reason=str(error.socketError), again_s=LISTEN_AGAIN_S)
                await deferLater(self._reactor, LISTEN_AGAIN_S)
            else:
                log.info("waiting_for_operator", **where)
                return

    def _server(self) -> ServerEndpoint:
        listen, tls = self._listen, self._bind.tls
        kind = TCP6ServerEndpoint if ":" in listen.interface else TCP4ServerEndpoint
        plain: ServerEndpoint = kind(self._reactor, listen.port, interface=listen.interface)
        if tls is None or not tls.enabled:
            return plain
        return _TlsServer(plain, server_options(f"binds.{self._bind.name}.tls", tls))

    def stop(self) -> Deferred[None]:
        listener, self._listener = self._listener, None
        if self._opening is not None and not self._opening.called:
            self._opening.addErrback(lambda failure: failure.trap(CancelledError) and None)
            self._opening.cancel()
        return listener.stop() if listener is not None else succeed(None)


class _TlsServer:
    """A server endpoint with TLS inside its connections; Twisted's own is for IPv4 only."""

    def __init__(self, endpoint: ServerEndpoint, options: Any) -> None:
        self._endpoint, self._options = endpoint, options

    def listen(self, protocolFactory: Any, /) -> Deferred[Any]:
        return self._endpoint.listen(TLSMemoryBIOFactory(self._options, False, protocolFactory))
