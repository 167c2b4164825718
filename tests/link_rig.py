"""Binds as the configuration describes them, over real sockets: operators' ports, and one bind of ours."""

from __future__ import annotations

import random
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.protocols.tls import TLSMemoryBIOFactory

from gateway.app.endpoints import Endpoints, Watch, unwatched
from gateway.app.tls import server_options
from gateway.mt.operator import esme_settings
from gateway.settings import BindSettings
from gateway.settings_smpp import TlsSettings
from gateway.smpp.client import BindType, EsmeClient
from gateway.smpp.pdu import SubmitSm, make_response
from gateway.smpp.server import SmscFactory, SmscSession


class Owner:
    """Owner of an ESME: nothing is sent."""

    def on_bound(self, client: EsmeClient) -> None: ...
    def on_unbound(self, client: EsmeClient, reason: str, unanswered: Any, never_sent: Any) -> None: ...
    def on_response(self, client: EsmeClient, token: Any, response: Any) -> None: ...
    def on_expired(self, client: EsmeClient, token: Any) -> None: ...
    def on_late_response(self, client: EsmeClient, token: Any, response: Any) -> None: ...
    def on_request(self, client: EsmeClient, request: Any) -> None: ...
    def on_bind_refused(self, client: EsmeClient, status: int) -> None: ...


class Smsc:
    """Takes every bind; sends outbind where it opens the connection."""

    def __init__(self) -> None:
        self.binds: list[str] = []
        self.sessions: list[SmscSession] = []
        self.outbind: tuple[str, str] | None = None

    def on_connect(self, session: SmscSession) -> bool:
        self.sessions.append(session)
        if self.outbind is not None:
            session.outbind(*self.outbind)
        return True

    def on_bind(self, session: SmscSession, bind: Any) -> int:
        self.binds.append(bind.system_id)
        return 0

    def on_bound(self, session: SmscSession) -> None: ...

    def on_request(self, session: SmscSession, request: Any) -> None:
        if isinstance(request, SubmitSm):
            session.reply(make_response(request, message_id="3f6a"), request)

    def on_response(self, session: SmscSession, token: Any, response: Any) -> None: ...
    def on_expired(self, session: SmscSession, token: Any) -> None: ...
    def on_lost(self, session: SmscSession, reason: str, unanswered: Any) -> None: ...


class Line:
    """Operators' ports and one bind of ours."""

    def __init__(self, watch: Watch = unwatched) -> None:
        self.endpoints = Endpoints(reactor, watch)
        self.client: EsmeClient | None = None
        self.ports: list[Any] = []
        self._awaited: tuple[tuple[str, ...], Deferred[str]] | None = None

    @pytest_twisted.inlineCallbacks
    def smsc(self, tls: TlsSettings | None = None, port: int = 0) -> Any:
        """An SMSC on a port of its own, as (port number, Smsc)."""
        smsc = Smsc()
        factory: Any = SmscFactory(reactor, smsc)
        if tls is not None:
            factory = TLSMemoryBIOFactory(server_options("smsc", tls), False, factory)
        listening = yield TCP4ServerEndpoint(reactor, port, interface="127.0.0.1").listen(factory)
        self.ports.append(listening)
        return listening.getHost().port, smsc

    def bind(self, **values: Any) -> EsmeClient:
        """A bind as the configuration says, connecting."""
        base = {
            "name": "line",
            "host": "127.0.0.1",
            "system_id": "motcua",
            "reconnect_min_s": 0.05,
            "reconnect_max_s": 0.1,
        }
        bind = BindSettings.model_validate({**base, **values})
        settings = esme_settings(bind, BindType.TRANSCEIVER)
        client = EsmeClient(reactor, self.endpoints(bind), settings, Owner(), random.Random(7))
        enter = client.enter

        def watched(state: str) -> None:
            enter(state)
            if self._awaited is not None and state in self._awaited[0]:
                (_states, done), self._awaited = self._awaited, None
                done.callback(state)

        client.enter = watched  # type: ignore[method-assign]
        self.client = client
        reactor.callLater(0, client.start)  # type: ignore[attr-defined]
        return client

    def until(self, *states: str) -> Deferred[str]:
        """Fires when the client enters one of these states."""
        done: Deferred[str] = Deferred()
        self._awaited = (states, done)
        return done.addTimeout(20, reactor)  # type: ignore[arg-type]

    @pytest_twisted.inlineCallbacks
    def close(self) -> Any:
        self._awaited = None
        if self.client is not None:
            yield self.client.stop(2.0)
        yield self.endpoints.stop()
        for port in self.ports:
            yield port.stopListening()
