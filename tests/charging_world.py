"""A citizen, a simulated operator and the gateway's own sender, receiver and ledger, on one virtual clock without sockets.

Only the SMPP client is a fake: what it is given goes to the simulator as octets, and the simulator's PDUs come back through it.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from fake_esme import FakeEsme
from inline_db import InlineDatabase
from simulator_rig import HANDSET, Esme
from simulator_rig import Rig as SimulatorRig
from twisted.internet.defer import Deferred, succeed

from gateway.dossiers.federation import LookupAnswer, LookupResult
from gateway.mo.charging.profiles import Charging, log_settled
from gateway.mo.charging.validate import charging_faults
from gateway.mo.receiver import Receiver
from gateway.mo.replies import Replies
from gateway.model import Dossier, DossierState
from gateway.mt.hooks import ReplyHooks
from gateway.mt.lane import Lane
from gateway.mt.operator import OperatorLink, make_binds
from gateway.settings import parse_settings
from gateway.store.mo_story import MoStory, mo_story_txn
from gateway.templates.registry import Registry
from simulator.mo import MoRequest

CODE = "0101701234"
FOUND = f"MCKH {CODE}"
BAD_SYNTAX = "MCKH xin chao"


class _Wall:
    """Wall and business time, of the simulator's reactor."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._reactor.seconds(), UTC)

    business_now = now


class _Lease:
    node = "node-1/a"

    def held(self, now: float) -> bool:
        return True


class World:
    """One operator "one" with one bind.

    Args:
        profile: a profile's name, shipped or one of ``overrides``.
        operator: the simulator's charging section.
        account: further settings of the simulator's account.
    """

    def __init__(
        self,
        db: InlineDatabase,
        profile: str,
        operator: dict[str, Any],
        *,
        overrides: dict[str, Any] | None = None,
        bind: dict[str, Any] | None = None,
        account: dict[str, Any] | None = None,
    ) -> None:
        self.db = db
        self.simulator = SimulatorRig(charging=operator, **(account or {}))
        self.link: Esme = self.simulator.bound()
        self.settings = parse_settings(
            {
                "operators": {
                    "one": {
                        "charging": profile,
                        "licence_parts_per_s": 1000,
                        "binds": [{"name": "one-1", "host": "smsc", "system_id": "motcua", **(bind or {})}],
                    }
                },
                "charging": {"profiles": {profile: overrides} if overrides else {}},
            }
        )
        assert charging_faults(self.settings) == []
        reactor, clock = self.simulator.reactor, _Wall(self.simulator.reactor)
        charging = Charging(self.settings.charging, self.settings.operators)
        hooks = ReplyHooks(charging.decorate, charging.outcome_txn, charging.receipt_txn, log_settled)
        self.lane = Lane(
            reactor,
            clock,
            db,
            "one",
            make_binds(self.settings.operators["one"]),
            _Lease(),
            hooks,  # type: ignore[arg-type]
        )
        self.operator = OperatorLink(
            reactor,
            clock,
            self.settings.operators["one"],
            self.lane,
            lambda *arguments: self.receiver.on_deliver(*arguments),
            lambda bind: lambda: None,  # type: ignore[arg-type, return-value]
            random.Random(1),
            make_client=FakeEsme,
        )
        self.receiver = Receiver(
            reactor,
            db,
            clock,
            self.settings,
            charging,
            self._lookup,
            Replies(Registry.load(), self.settings),
            lambda route: self.lane.wake(),
        )
        [client] = self.operator._settings
        assert isinstance(client, FakeEsme)
        self.client = client
        self._taken = 0  # of the simulator's deliveries
        self._numbers: list[int] = []  # sequence numbers of submits at the simulator, without an answer here
        self.lane.start()
        self.operator.start()
        client.up()
        self.pump()

    @staticmethod
    def _lookup(code: str, deadline_s: float) -> Deferred[LookupAnswer]:
        if code != CODE:
            return succeed(LookupAnswer(LookupResult.NOT_FOUND))
        dossier = Dossier("a", code, "A", "A", DossierState.PROCESSING, "", "Thẩm định", False, False, None)
        return succeed(LookupAnswer(LookupResult.FOUND, dossier, "a"))

    # -- what happens -------------------------------------------------------------------------------------------

    def ask(self, text: str = FOUND) -> None:
        """The citizen sends a query."""
        self.simulator.simulator.send_mo(MoRequest(HANDSET, "8083", text))
        self.pump(answers=False)

    def pump(self, *, answers: bool = True) -> None:
        """Carry PDUs both ways until nothing moves; without ``answers`` submit_sm_resp stay on the way."""
        for _ in range(8):
            self.simulator.reactor.advance(0.01)
            while len(self._numbers) < len(self.client.open):
                self._numbers.append(self.link.send(self.client.open[len(self._numbers)][1]))
            self.link.read()
            delivered = self.link.delivered()
            fresh, self._taken = delivered[self._taken :], len(delivered)
            for pdu in fresh:
                self.client.deliver(pdu)
            while answers and self._numbers:
                token, _ = self.client.open.pop(0)
                self.operator.on_response(self.client, token, self.link.response(self._numbers.pop(0)))

    def lose_answer(self) -> Any:
        """The submit_sm_resp is not there in time; returns what it answers, for :meth:`late_answer`."""
        return self.client.expire(), self._numbers.pop(0)

    def late_answer(self, lost: Any) -> None:
        token, number = lost
        self.operator.on_late_response(self.client, token, self.link.response(number))
        self.pump()

    def receipts_come(self) -> None:
        """The simulator's receipts reach their time."""
        self.simulator.advance(2.0)
        self.pump(answers=False)

    # -- what can be seen ---------------------------------------------------------------------------------------

    @property
    def story(self) -> MoStory:
        """The only query."""
        story = self.db.do(mo_story_txn, 1)
        assert story is not None
        return story

    @property
    def state(self) -> str:
        """Of its ledger row."""
        charge = self.story.charge
        assert charge is not None
        return charge.state.value

    @property
    def booked(self) -> list[str]:
        """The outcomes in the operator's books."""
        return [entry.outcome for entry in self.simulator.account.charging.entries]

    @property
    def balance(self) -> int:
        balance: int = self.simulator.account.charging.balance(HANDSET)
        return balance
