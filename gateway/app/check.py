"""``motcua-gateway check``: tries out what a configuration names, without sending anything.

Every part is tried even when an earlier one has faults: an engineer wants the whole list at once.
"""

from __future__ import annotations

import errno
import os
import random
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from gateway.app.endpoints import Endpoints
from gateway.app.prepare import agency_name_faults, startup_faults
from gateway.dossiers.source import Source
from gateway.errors import ConfigError, GatewayError
from gateway.mt.operator import CONNECTIONS, esme_settings
from gateway.settings import BindSettings, GatewaySettings
from gateway.settings_smpp import ListenSettings
from gateway.smpp.client import EsmeClient
from gateway.smpp.constants import CommandStatus, status_name
from gateway.store import migrate

#: How often a trial looks whether its attempt has failed, in seconds.
LOOK_S = 0.05
#: Tells the outcome of one part: its name and its faults.
Show = Callable[[str, list[ConfigError]], None]


def run_check(settings: GatewaySettings, show: Show, *, offline: bool) -> None:
    """Check everything, telling each part's outcome as it is known. Runs the reactor to its end."""
    show("configuration", [*startup_faults(settings), *agency_name_faults(settings)])
    if offline:
        return
    from twisted.internet import reactor as installed

    reactor: Any = installed
    crash: list[Failure] = []

    def start() -> None:
        work = Deferred.fromCoroutine(_check_all(reactor, settings, show))
        work.addErrback(crash.append)
        work.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    if crash:
        crash[0].raiseException()


async def _check_all(reactor: Any, settings: GatewaySettings, show: Show) -> None:
    show("store", _store_faults(settings))
    sources = [(name, _check_source(reactor, name, settings)) for name in settings.sources]
    named = [
        (route, index, bind)
        for route, operator in settings.operators.items()
        for index, bind in enumerate(operator.binds)
    ]
    paths = [f"operators.{route}.binds.{index}" for route, index, _ in named]
    # Ports first: as soon as a trial listens, the others' would seem taken.
    taken = [
        port_fault(f"{path}.listen", bind.listen) if bind.listen is not None else None
        for path, (_, _, bind) in zip(paths, named, strict=True)
    ]
    endpoints = Endpoints(reactor)
    binds = [
        (*one, succeed([fault]) if fault is not None else _check_bind(reactor, endpoints, path, one[2]))
        for one, path, fault in zip(named, paths, taken, strict=True)
    ]
    for name, source_work in sources:
        show(f"sources.{name}", await source_work)
    for route, index, bind, bind_work in binds:
        show(f"operators.{route}.binds.{index} ({bind.name})", await bind_work)
    await endpoints.stop()


def _store_faults(settings: GatewaySettings) -> list[ConfigError]:
    try:
        revision = migrate.current(settings.store.url)
    except GatewayError as error:
        return [ConfigError("store.url", str(error), "Correct the URL, or start the database server")]
    if revision not in (None, migrate.head()):
        what = f"the database has schema {revision}, this program needs {migrate.head()}"
        return [ConfigError("store.url", what, "Run 'motcua-gateway db upgrade'")]
    return []


def _check_source(reactor: Any, name: str, settings: GatewaySettings) -> Deferred[list[ConfigError]]:
    async def check() -> list[ConfigError]:
        try:
            source = Source(reactor, name, settings.sources[name])
        except ConfigError as error:
            return [error]
        try:
            return await source.check()
        finally:
            source.close()

    return Deferred.fromCoroutine(check())


def _check_bind(reactor: Any, endpoints: Endpoints, path: str, bind: BindSettings) -> Deferred[list[ConfigError]]:
    async def check() -> list[ConfigError]:
        faults: list[ConfigError] = []
        for suffix, bind_type in CONNECTIONS[bind.mode]:
            trial = _Trial(reactor, path, bind)
            client = EsmeClient(
                reactor,
                endpoints(bind),
                esme_settings(bind, bind_type, suffix),
                trial,
                random.Random(0),
            )
            trial.start(client)
            fault = await trial.done
            await client.stop(2.0)
            if fault is not None:
                faults.append(fault)
        return faults

    return Deferred.fromCoroutine(check())


def port_fault(path: str, listen: ListenSettings) -> ConfigError | None:
    """What keeps us from listening there, known at once: the daemon itself would try again and again."""
    family = socket.AF_INET6 if ":" in listen.interface else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the daemon: only a listener is in the way
            probe.bind((listen.interface, listen.port))
            probe.listen(1)
    except OSError as error:
        remedies = {
            errno.EADDRINUSE: "Stop what listens there (the daemon itself, when it runs), or choose another port",
            errno.EADDRNOTAVAIL: "Name an address of this machine as 'interface'",
            errno.EACCES: "Choose a port from 1024 on, or give the daemon the right to this one",
        }
        where = f"[{listen.interface}]" if family == socket.AF_INET6 else listen.interface
        remedy = remedies.get(error.errno or 0, "Correct 'interface' and 'port'")
        return ConfigError(path, f"cannot listen on {where}:{listen.port}: {os.strerror(error.errno or 0)}", remedy)
    return None


class _Trial:
    """Watches one attempt to bind."""

    def __init__(self, reactor: Any, path: str, bind: BindSettings) -> None:
        self._path, self._bind = path, bind
        self._reactor = reactor
        self._client: EsmeClient | None = None
        self._limit_s = bind.session_init_timeout_s * 2
        self._timer: Any = None
        self._look_call = LoopingCall(self._look)
        self._look_call.clock = reactor
        self.done: Deferred[ConfigError | None] = Deferred()

    def start(self, client: EsmeClient) -> None:
        self._client = client
        self._timer = self._reactor.callLater(self._limit_s, self._finish, self._silent())
        client.start()
        self._look_call.start(LOOK_S, now=False)

    def _look(self) -> None:
        """An attempt that failed before it was a bind is told by the client's state only."""
        if self._client is not None and self._client.state == "waiting":
            self._finish(self._lost(self._client.last_error))

    def _finish(self, fault: ConfigError | None) -> None:
        if self.done.called:
            return
        self._look_call.stop()
        if self._timer.active():
            self._timer.cancel()
        self.done.callback(fault)

    def _silent(self) -> ConfigError:
        if self._bind.listen is not None:
            return ConfigError(
                f"{self._path}.listen",
                f"no operator connected to port {self._bind.listen.port} and was bound within {self._limit_s:.0f} s",
                "Ask the operator whether it connects to this address, and look at 'allow' and the firewall",
            )
        return ConfigError(
            self._path,
            f"{self._bind.address} does not answer the bind within {self._limit_s:.0f} s",
            "Ask the operator whether this address is an SMSC and whether yours is allowed to connect",
        )

    def _lost(self, reason: str) -> ConfigError:
        remedy = "Check host, port, TLS and the way there (firewall, VPN); the daemon would keep trying"
        return ConfigError(self._path, f"{self._bind.address}: {reason}", remedy)

    def on_bound(self, client: EsmeClient) -> None:
        self._finish(None)

    def on_bind_refused(self, client: EsmeClient, status: int) -> None:
        remedies = {
            int(CommandStatus.ESME_RINVPASWD): "Correct 'password'",
            int(CommandStatus.ESME_RINVSYSID): "Correct 'system_id'",
            int(CommandStatus.ESME_RINVSYSTYP): "Correct 'system_type'",
            int(
                CommandStatus.ESME_RALYBND
            ): "The account is bound already: stop the daemon that holds it, or ask for one more bind",
        }
        remedy = remedies.get(status, "Check system_id, password and mode with the operator")
        self._finish(ConfigError(self._path, f"the SMSC refused the bind with {status_name(status)}", remedy))

    def on_unbound(self, client: EsmeClient, reason: str, unanswered: Any, never_sent: Any) -> None:
        self._finish(self._lost(reason))

    def on_response(self, client: EsmeClient, token: Any, response: Any) -> None:
        """A trial sends nothing that is answered."""

    def on_expired(self, client: EsmeClient, token: Any) -> None:
        """A trial sends nothing that expires."""

    def on_late_response(self, client: EsmeClient, token: Any, response: Any) -> None:
        """A trial sends nothing that is answered."""

    def on_request(self, client: EsmeClient, request: Any) -> None:
        """Left unanswered: the SMSC keeps the message for the daemon."""
