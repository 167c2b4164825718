"""The sender on a real store, with real SMPP clients on a network in memory: from a row to octets and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import mt_rig
import pytest
from inline_db import InlineDatabase
from smpp_wire import Network

from gateway.settings import OperatorSettings
from gateway.smpp.client import EsmeClient
from gateway.smpp.pdu import Pdu, SubmitSm, make_response
from gateway.smpp.server import SmscFactory, SmscSession, SmscSettings


class ScriptedSmsc:
    """An SMSC that keeps what it is asked until the test answers, or answers at once."""

    def __init__(self) -> None:
        self.sessions: list[SmscSession] = []
        self.binds: list[Any] = []
        self.open: list[tuple[SmscSession, SubmitSm]] = []
        self.submits: list[SubmitSm] = []
        self.delivered: list[tuple[object, int]] = []  # token, command_status of the ESME's answer
        self.at_once = False
        self.number = 0

    def on_connect(self, session: SmscSession) -> bool:
        return True

    def on_bind(self, session: SmscSession, bind: Any) -> int:
        self.binds.append(bind)
        return 0

    def on_bound(self, session: SmscSession) -> None:
        self.sessions.append(session)

    def on_request(self, session: SmscSession, request: Pdu) -> None:
        assert isinstance(request, SubmitSm)
        self.submits.append(request)
        self.open.append((session, request))
        if self.at_once:
            self.answer()

    def on_response(self, session: SmscSession, token: Any, response: Pdu) -> None:
        self.delivered.append((token, response.command_status))

    def on_expired(self, session: SmscSession, token: Any) -> None: ...

    def on_lost(self, session: SmscSession, reason: str, unanswered: Sequence[object]) -> None: ...

    def answer(self, status: int = 0, message_id: str | None = None, tlvs: Any = ()) -> str:
        """Answer the oldest open submit; its message_id."""
        session, request = self.open.pop(0)
        self.number += 1
        given = (message_id or f"id-{self.number}") if status == 0 else ""
        session.reply(make_response(request, status, message_id=given, tlvs=tlvs), request)
        return given


class WireEsme(EsmeClient):
    """The real client; its endpoint leads into the test's network."""

    network: ClassVar[Any]
    factory: ClassVar[Any]

    def __init__(self, clock: Any, endpoint_factory: Any, settings: Any, handler: Any, rng: Any) -> None:
        self.network.clock = clock
        super().__init__(clock, self.network.endpoint(self.factory(clock)), settings, handler, rng)

    def up(self) -> None:
        """The network brings it up."""


class WireRig(mt_rig.Rig):
    """The sender of operator "viettel", its SMSC, and the links between them."""

    smsc: ScriptedSmsc

    def turn(self, seconds: float = 0.0) -> None:
        self.network.pump()
        if seconds:
            self.network.run(seconds)
        self.box.now = self.clock.now()

    @property
    def network(self) -> Any:
        return WireEsme.network

    @property
    def session(self) -> SmscSession:
        """The newest session at the SMSC."""
        return self.smsc.sessions[-1]

    def deliver(self, pdu: Pdu, token: object = None) -> None:
        """The SMSC sends a receipt or a query on the newest session."""
        self.session.send(pdu, token)
        self.turn(0.05)


def wire_rig(
    monkeypatch: pytest.MonkeyPatch,
    db: InlineDatabase,
    settings: OperatorSettings | None = None,
    smsc_settings: SmscSettings | None = None,
) -> WireRig:
    """A rig whose binds are up."""
    smsc = ScriptedSmsc()
    factories: dict[int, SmscFactory] = {}

    def factory(clock: Any) -> SmscFactory:
        return factories.setdefault(id(clock), SmscFactory(clock, smsc, smsc_settings))

    monkeypatch.setattr(mt_rig, "FakeEsme", WireEsme)
    monkeypatch.setattr(WireEsme, "network", Network(), raising=False)
    monkeypatch.setattr(WireEsme, "factory", staticmethod(factory), raising=False)
    rig = WireRig(db, settings)
    rig.smsc = smsc
    rig.start()
    rig.turn()
    return rig
