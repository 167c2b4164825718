"""The simulator as one object: accounts, ports, control interface. Started and stopped by the command line or by a test."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError

from gateway.smpp.connection import SessionSettings
from gateway.smpp.server import SmscFactory, SmscSettings
from gateway.smpp.text import DefaultAlphabet
from simulator.account import Account
from simulator.capture import Captures
from simulator.control import control_site
from simulator.errors import RequestError, SimulatorError
from simulator.inbox import Inbox
from simulator.mo import Mo, MoRequest
from simulator.mo_book import MoBook
from simulator.pdu_ring import PduRing
from simulator.record import Record
from simulator.schedule import Schedule
from simulator.settings import SimulatorSettings
from simulator.smsc import Smsc, TappedFactory
from simulator.world import World

log = structlog.get_logger()

_MO_KEPT = 10_000  # whose outcome can still be asked for
_PDU_OCTETS = 16 << 20  # of the PDUs in memory: a flood of the longest ones must not fill it


class ListeningPort(Protocol):
    """What is used of a listening port."""

    def getHost(self) -> Any: ...

    def stopListening(self) -> Any: ...


class Reactor(Protocol):
    """What is used of Twisted's reactor."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: Any, /, *args: object, **kwargs: object) -> Any: ...

    def listenTCP(self, port: int, factory: Any, backlog: int = ..., interface: str = ...) -> ListeningPort: ...


@dataclass(eq=False)
class _Desk:
    """One SMPP port: who is served there, and what listens."""

    accounts: list[Account]
    factory: SmscFactory
    listener: Any  # the factory, or TLS around it
    listening: ListeningPort


class Simulator:
    """An SMSC with its handsets.

    Args:
        reactor: time and listening; a test passes its own.
        settings: validated. Without a seed in them one is drawn.
    """

    def __init__(self, reactor: Reactor, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.seed = settings.seed if settings.seed is not None else random.SystemRandom().randrange(1_000_000)
        self._reactor = reactor
        schedule = Schedule(reactor)
        self.world = World(
            settings,
            self.seed,
            schedule,
            Record(settings.record, schedule),
            Inbox(settings.inbox),
            PduRing(schedule, settings.control.pdu_entries, _PDU_OCTETS),
            Captures(schedule),
        )
        self.accounts = {name: Account(name, account, self.world) for name, account in settings.accounts.items()}
        self.ports: dict[str, int] = {}  # account: the port it listens on
        self.control_port = 0
        self.page_port = 0  # the same as control_port, unless the settings say otherwise
        self.started_at = schedule.now()
        self._listening: list[ListeningPort] = []
        self._desks: list[_Desk] = []
        self._factories: list[SmscFactory] = []
        self.mos = MoBook(_MO_KEPT)
        self._mo_count = 0

    # Life

    def start(self) -> None:
        """Listen on every port. Raises :class:`SimulatorError` naming the one that is taken; then nothing is left open."""
        self.world.record.open()
        try:
            self._start_captures()
            for accounts in self._by_port():
                self._listen_smpp(accounts)
            self._listen_control()
        except SimulatorError:
            self.stop()
            raise
        log.info("simulator_started", ports=self.ports, control_port=self.control_port, seed=self.seed)

    def stop(self) -> Deferred[Any]:
        """Close everything; the record is complete when this returns."""
        closing = [maybeDeferred(port.stopListening) for port in self._listening]
        self._listening = []
        for factory in self._factories:
            for session in list(factory.sessions):
                session.abort()
        self.world.captures.close()
        self.world.record.close()
        self.world.schedule.stop()
        return DeferredList(closing, consumeErrors=True)

    def _start_captures(self) -> None:
        self.world.captures.alphabet = self.alphabet
        of_accounts = [(name, account.capture) for name, account in self.settings.accounts.items()]
        for name, wanted in [(None, self.settings.capture), *of_accounts]:
            if wanted.wanted:
                self.world.captures.start(wanted, name)

    def _by_port(self) -> list[list[Account]]:
        groups: dict[int | str, list[Account]] = {}
        for account in self.accounts.values():
            # Port 0 takes a free one: each such account has its own.
            groups.setdefault(account.settings.port or account.name, []).append(account)
        return list(groups.values())

    def _listen_smpp(self, accounts: list[Account]) -> None:
        limits = self.settings.sessions
        settings = SmscSettings(
            max_connections=limits.max_connections,
            max_unbound=limits.max_connections,
            session=SessionSettings(
                window=limits.deliver_window,
                response_timeout_s=limits.response_timeout_s,
                enquire_link_interval_s=limits.enquire_link_interval_s,
                session_init_timeout_s=limits.session_init_timeout_s,
                inactivity_timeout_s=limits.inactivity_timeout_s,
                # The accounts' own windows decide; this one only bounds memory.
                incoming_window=2 * max(account.settings.window for account in accounts) + 100,
                max_pdu_octets=limits.max_pdu_octets,
            ),
        )
        factory = TappedFactory(
            self._reactor, Smsc(accounts, self.world.record), settings, self.world.pdus, self.world.captures
        )
        self._factories.append(factory)
        names = ", ".join(account.name for account in accounts)
        first = accounts[0]
        listener: Any = factory
        if first.settings.tls is not None:
            from twisted.protocols.tls import TLSMemoryBIOFactory  # only who asks for TLS pays for OpenSSL

            from simulator.tls import server_options

            options: Any = server_options(first.settings.tls, f"accounts.{first.name}.tls")
            listener = TLSMemoryBIOFactory(options, isClient=False, wrappedFactory=listener)
            listener.noisy = False
        port = self._listen(first.settings.port, listener, self.settings.host, f"accounts.{first.name}.port", "--port")
        self._desks.append(_Desk(accounts, factory, listener, self._listening[-1]))
        for account in accounts:
            self.ports[account.name] = port
        log.debug("listening", port=port, accounts=names)

    def _listen_control(self) -> None:
        control = self.settings.control
        site = control_site(self)
        self.control_port = self.page_port = self._listen(
            control.port, site, control.host, "control.port", "--control-port"
        )
        if control.page_port is not None and control.page_port != control.port:
            self.page_port = self._listen(control.page_port, site, control.host, "control.page_port", "--page-port")
        if control.host not in ("127.0.0.1", "localhost", "::1"):
            log.warning("control_open_to_network", host=control.host)

    def _listen(self, port: int, factory: Any, host: str, where: str, option: str) -> int:
        try:
            listening = self._reactor.listenTCP(port, factory, backlog=200, interface=host)
        except CannotListenError as error:
            reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
            raise SimulatorError(
                where,
                f"cannot listen on {host}:{port} ({reason})",
                f"Stop the program that has it, or choose another port with {option} or in the configuration",
            ) from error
        self._listening.append(listening)
        return int(listening.getHost().port)

    # Outages

    def interrupt(self, account: Account, seconds: float, *, unbind: bool) -> None:
        """The SMSC is away for so long: its sessions end, its port refuses connections. Accounts of the same port share that."""
        desk = next(desk for desk in self._desks if account in desk.accounts)
        if desk.listening not in self._listening:
            return  # it is away already
        self._listening.remove(desk.listening)
        desk.listening.stopListening()
        log.info("outage_began", account=account.name, seconds=seconds)
        for session in list(desk.factory.sessions):
            if unbind and session.bound:
                session.unbind()
            else:
                session.abort()
        self.world.schedule.call_later(seconds, self._resume, desk, account.name)

    def _resume(self, desk: _Desk, name: str) -> None:
        port = self._listen(self.ports[name], desk.listener, self.settings.host, f"accounts.{name}.port", "--port")
        desk.listening = self._listening[-1]
        log.info("outage_ended", account=name, port=port)

    # Asked for by the control interface

    def account(self, name: str) -> Account:
        """An account by its name. Raises :class:`RequestError`."""
        if name not in self.accounts:
            raise RequestError("account", f"there is no account '{name}'", f"It is one of: {', '.join(self.accounts)}")
        return self.accounts[name]

    def account_of_phone(self, phone: str) -> Account:
        """The operator of a handset: the longest prefix; else an account with an ESME that receives; else the first."""
        matches = [
            (len(prefix), account)
            for account in self.accounts.values()
            for prefix in account.settings.prefixes
            if phone.startswith(prefix)
        ]
        if matches:
            return max(matches, key=lambda match: match[0])[1]
        accounts = list(self.accounts.values())
        return next((account for account in accounts if account.has_receiver), accounts[0])

    def send_mo(self, request: MoRequest, account_name: str | None = None) -> Mo:
        """A handset sends. Raises :class:`RequestError`."""
        account = self.account(account_name) if account_name else self.account_of_phone(request.phone)
        self._mo_count += 1
        mo = account.mo.send(self._mo_count, request)
        self.mos.add(mo)
        return mo

    def mo(self, number: int) -> Mo:
        """An MO sent earlier. Raises :class:`RequestError`."""
        mo = self.mos.get(number)
        if mo is None:
            raise RequestError("mo", f"there is no MO {number}", f"The newest {_MO_KEPT} are kept")
        return mo

    def alphabet(self, name: str) -> DefaultAlphabet:
        """What data_coding 0 means to an account; before a bind, the standard's."""
        account = self.accounts.get(name)
        return account.settings.default_alphabet if account is not None else "gsm7"

    def status(self) -> dict[str, Any]:
        """The state of everything, for the control API."""
        return {
            "seed": self.seed,
            "uptime_s": round(self.world.schedule.now() - self.started_at, 3),
            "control_port": self.control_port,
            "page_port": self.page_port,
            "record": {
                "path": str(self.settings.record.path) if self.settings.record.path else None,
                "entries": self.world.record.count,
            },
            "handsets": len(self.world.inbox.numbers()),
            "accounts": [
                {**account.as_dict(), "port": self.ports.get(name, account.settings.port)}
                for name, account in self.accounts.items()
            ],
        }
