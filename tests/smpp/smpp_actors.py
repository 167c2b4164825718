"""Owners for both ends: they record what they are told and do as they were set."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from smpp_wire import Network

from gateway.smpp.client import BindType, EsmeClient, EsmeSettings
from gateway.smpp.pdu import DeliverSm, Pdu, SubmitSm, make_response
from gateway.smpp.server import SmscFactory, SmscSession, SmscSettings

SUBMIT = SubmitSm(source_addr="MotcuaSMS", destination_addr="84905123456", short_message=b"hello")
DELIVER = DeliverSm(source_addr="84905123456", destination_addr="8083", short_message=b"MCKH 0101701234")


class EsmeOwner:
    """An EsmeHandler that records."""

    def __init__(self) -> None:
        self.bound = 0
        self.unbound: list[tuple[str, Sequence[object], Sequence[object]]] = []
        self.responses: list[tuple[object, Pdu]] = []
        self.expired: list[object] = []
        self.late: list[tuple[object, Pdu]] = []
        self.requests: list[Pdu] = []
        self.refused: list[int] = []
        self.states: list[str] = []
        self.answer_requests = True
        self.when_bound: Callable[[EsmeClient], None] = lambda client: None
        self.when_answered: Callable[[EsmeClient], None] = lambda client: None

    def on_bound(self, client: EsmeClient) -> None:
        self.bound += 1
        self.states.append(client.state)
        self.when_bound(client)

    def on_unbound(
        self, client: EsmeClient, reason: str, unanswered: Sequence[object], never_sent: Sequence[object]
    ) -> None:
        self.unbound.append((reason, unanswered, never_sent))
        self.states.append(client.state)

    def on_response(self, client: EsmeClient, token: Any, response: Pdu) -> None:
        self.responses.append((token, response))
        self.when_answered(client)

    def on_expired(self, client: EsmeClient, token: Any) -> None:
        self.expired.append(token)

    def on_late_response(self, client: EsmeClient, token: Any, response: Pdu) -> None:
        self.late.append((token, response))

    def on_request(self, client: EsmeClient, request: Pdu) -> None:
        self.requests.append(request)
        if self.answer_requests and isinstance(request, DeliverSm):
            client.reply(make_response(request), request)

    def on_bind_refused(self, client: EsmeClient, status: int) -> None:
        self.refused.append(status)

    @property
    def tokens(self) -> list[object]:
        return [token for token, _response in self.responses]


class SmscOwner:
    """An SmscHandler that records, accepts, and answers submit_sm with rising ids."""

    def __init__(self) -> None:
        self.sessions: list[SmscSession] = []
        self.binds: list[Any] = []
        self.bind_status: Any = 0
        self.welcome = True
        self.answer_requests = True
        self.requests: list[Pdu] = []
        self.responses: list[tuple[object, Pdu]] = []
        self.expired: list[object] = []
        self.lost: list[tuple[str, Sequence[object]]] = []
        self.when_connected: Callable[[SmscSession], None] = lambda session: None

    @property
    def session(self) -> SmscSession:
        return self.sessions[-1]

    def on_connect(self, session: SmscSession) -> bool:
        self.sessions.append(session)
        self.when_connected(session)
        return self.welcome

    def on_bind(self, session: SmscSession, bind: Any) -> Any:
        self.binds.append(bind)
        return self.bind_status

    def on_bound(self, session: SmscSession) -> None: ...

    def on_request(self, session: SmscSession, request: Pdu) -> None:
        self.requests.append(request)
        if self.answer_requests:
            session.reply(answer(request, str(len(self.requests))), request)

    def on_response(self, session: SmscSession, token: Any, response: Pdu) -> None:
        self.responses.append((token, response))

    def on_expired(self, session: SmscSession, token: Any) -> None:
        self.expired.append(token)

    def on_lost(self, session: SmscSession, reason: str, unanswered: Sequence[object]) -> None:
        self.lost.append((reason, unanswered))


def answer(request: Pdu, message_id: str) -> Pdu:
    """ESME_ROK, with a message_id where there is room for one."""
    if isinstance(request, SubmitSm):
        return make_response(request, message_id=message_id)
    return make_response(request)


SETTINGS = EsmeSettings(name="test", bind_type=BindType.TRANSCEIVER, system_id="motcua", password="secret")


class Scene:
    """An ESME and an SMSC on a network in memory; nothing has started."""

    def __init__(self, smsc: SmscSettings | None = None, **settings: Any) -> None:
        self.network = Network()
        self.esme = EsmeOwner()
        self.smsc = SmscOwner()
        self.factory = SmscFactory(self.network.clock, self.smsc, smsc)
        self.settings = replace(SETTINGS, **settings)
        self.client = EsmeClient(
            self.network.clock, self.network.endpoint(self.factory), self.settings, self.esme, random.Random(7)
        )

    def bind(self) -> Scene:
        self.client.start()
        self.network.pump()
        assert self.client.bound
        return self

    def run(self, seconds: float) -> None:
        self.network.run(seconds)

    def submit(self, *tokens: object) -> None:
        for token in tokens:
            self.client.submit(SUBMIT, token)
