"""One listening port: finds the account of each bind and hands it what comes over its sessions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog

from gateway.smpp.constants import CommandStatus, status_name
from gateway.smpp.pdu import Pdu
from gateway.smpp.ports import ReactorTime
from gateway.smpp.server import BindPdu, SmscFactory, SmscSession, SmscSettings
from gateway.smpp.trace import Address
from simulator.account import Account
from simulator.capture import Captures
from simulator.link import Link
from simulator.mailbox import Outgoing
from simulator.pdu_ring import PduRing, WireTap
from simulator.record import Record

log = structlog.get_logger()


class Smsc:
    """The handler of one port's sessions."""

    def __init__(self, accounts: Sequence[Account], record: Record) -> None:
        self._by_system_id = {account.settings.system_id: account for account in accounts}
        self._record = record
        self._accepted: dict[SmscSession, Account] = {}  # bind accepted, its answer under way
        self._links: dict[SmscSession, tuple[Account, Link]] = {}

    def on_connect(self, session: SmscSession) -> bool:
        return True

    def on_bind(self, session: SmscSession, bind: BindPdu) -> int:
        account = self._by_system_id.get(bind.system_id) or self._by_system_id.get("*")
        status = CommandStatus.ESME_RINVSYSID if account is None else account.judge_bind(bind)
        if account is not None and status == 0:
            self._accepted[session] = account
            return 0
        if account is not None:
            account.counters.binds_refused += 1
        about = {"account": account.name if account else "", "system_id": bind.system_id, "peer": session.peer}
        self._record.add("bind_refused", {**about, "status": int(status)})
        log.warning("bind_refused", **about, status=status_name(status))
        return int(status)

    def on_bound(self, session: SmscSession) -> None:
        account = self._accepted.pop(session)
        link = Link(session)
        link.wire.account = account.name
        self._links[session] = (account, link)
        account.bound(link)

    def on_request(self, session: SmscSession, request: Pdu) -> None:
        found = self._links.get(session)
        if found is None:
            return  # its link was cut while this PDU waited behind the one that did it
        account, link = found
        account.request(link, request)

    def on_response(self, session: SmscSession, token: Any, response: Pdu) -> None:
        found = self._links.get(session)
        if found is not None and isinstance(token, Outgoing):
            found[0].answered(found[1], token, response.command_status)

    def on_expired(self, session: SmscSession, token: Any) -> None:
        found = self._links.get(session)
        if found is not None and isinstance(token, Outgoing):
            found[0].expired(found[1], token)

    def on_lost(self, session: SmscSession, reason: str, unanswered: Sequence[object]) -> None:
        self._accepted.pop(session, None)
        found = self._links.pop(session, None)
        if found is not None:
            found[0].lost(found[1], reason, [token for token in unanswered if isinstance(token, Outgoing)])


class TappedFactory(SmscFactory):
    """Every connection's octets also go to the ring of PDUs and to captures."""

    def __init__(
        self, clock: ReactorTime, handler: Smsc, settings: SmscSettings, pdus: PduRing, captures: Captures
    ) -> None:
        super().__init__(clock, handler, settings)
        self._pdus = pdus
        self._captures = captures

    def make_session(self, addr: Any, outgoing: bool) -> SmscSession:
        """As its base; with a tap."""
        session = super().make_session(addr, outgoing)
        if self._pdus.keeps or self._captures.running:
            most = self.settings.session.max_pdu_octets
            tap = WireTap(self._pdus, session.peer, most, self._captures, self._captures.next_connection())
            tap.wire.ours = partial(_own_address, session)
            session.protocol.tap = tap
        return session


def _own_address(session: SmscSession) -> Address:
    transport: Any = session.protocol.transport
    here = transport.getHost()
    return Address(getattr(here, "host", "0.0.0.0"), getattr(here, "port", 0))
