"""One operator's sender on a real store, a virtual clock and fake SMPP clients."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from fake_esme import FakeEsme
from inline_db import InlineDatabase
from messages import NOW
from outbox_driver import Outbox
from twisted.internet.task import Clock

from gateway.mt.hooks import ReplyHooks
from gateway.mt.lane import Lane
from gateway.mt.operator import OperatorLink, make_binds
from gateway.settings import OperatorSettings
from gateway.smpp.pdu import DataSm, DeliverSm

NODE = "node-1/a"


class WallClock:
    """Wall and business time that follow the reactor's clock."""

    def __init__(self, reactor: Clock) -> None:
        self._reactor = reactor
        self.business_offset = timedelta(0)

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self._reactor.seconds())

    def business_now(self) -> datetime:
        return self.now() + self.business_offset


class FakeLease:
    """A lease that the test gives and takes."""

    def __init__(self, node: str = NODE) -> None:
        self.node = node
        self.is_held = True

    def held(self, now: float) -> bool:
        return self.is_held


def operator_settings(*binds: dict[str, Any], **changes: Any) -> OperatorSettings:
    """Settings with a licence far away and one bind "b1" of window 10, unless told otherwise."""
    many = [
        {"name": f"b{number}", "host": "smsc", "system_id": "motcua", **bind}
        for number, bind in enumerate(binds or ({},), start=1)
    ]
    return OperatorSettings.model_validate({"licence_parts_per_s": 10_000, "binds": many, **changes})


class Rig:
    """The sender of operator "viettel"."""

    def __init__(self, db: InlineDatabase, settings: OperatorSettings | None = None, hooks: ReplyHooks | None = None):
        self.reactor = Clock()
        self.clock = WallClock(self.reactor)
        self.db = db
        self.box = Outbox(db)
        self.settings = settings or operator_settings()
        self.hooks = hooks or ReplyHooks()
        self.queries: list[tuple[str, str, Any]] = []
        self.lease = FakeLease()
        self.boot()

    def boot(self) -> None:
        """A new life of the sender, as after a restart; clients are not up yet."""
        self.lane = Lane(
            self.reactor, self.clock, self.db, "viettel", make_binds(self.settings), self.lease, self.hooks
        )
        self.link = OperatorLink(
            self.reactor,
            self.clock,
            self.settings,
            self.lane,
            self._on_query,
            lambda bind: lambda: None,  # type: ignore[arg-type, return-value]
            random.Random(1),
            make_client=FakeEsme,
        )
        self.clients: dict[str, FakeEsme] = {
            client.name: client for client in self.link._settings if isinstance(client, FakeEsme)
        }

    @property
    def esme(self) -> FakeEsme:
        """The only client, or the first."""
        return next(iter(self.clients.values()))

    def start(self, *names: str) -> Rig:
        """Start the sender and bring these binds up (all)."""
        self.lane.start()
        self.link.start()
        for name in names or tuple(self.clients):
            self.clients[name].up()
        self.turn()
        return self

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, in steps of at most 5 ms, and everything happen that is due."""
        end = self.reactor.seconds() + seconds
        for _ in range(6):
            self.reactor.advance(0)
        while self.reactor.seconds() < end - 1e-9:
            self.reactor.advance(min(0.005, end - self.reactor.seconds()))
        self.box.now = self.clock.now()

    def add(self, *codes: str, **changes: Any) -> list[int]:
        ids = self.box.add(*codes, **changes)
        self.lane.wake()
        self.turn()
        return ids

    def states(self, ids: list[int]) -> list[str]:
        return [self.box.state(number) for number in ids]

    def _on_query(self, route: str, bind: Any, pdu: DeliverSm | DataSm, answer: Any) -> None:
        self.queries.append((route, bind.name, pdu))
        answer(0)
