"""What passes through the gateway in a storm: notices of dossiers, long messages in the outbox, queries from handsets."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from fault_plan import Act
from lab import Lab
from messages import new_message

from gateway.model import MessageState, NewMessage
from gateway.store.outbox import insert_messages_txn
from simulator.control_client import ControlClient

#: Between two tries to put messages into a store that is in trouble, in seconds.
AGAIN_S = 0.3
#: Handsets whose numbers begin so have no balance.
WITHOUT_BALANCE = "849069"


class Traffic:
    """Makes it, and remembers what it made."""

    def __init__(
        self, seed: int, lab: Lab, control: ControlClient, engine: sa.Engine, note: Callable[..., None]
    ) -> None:
        self.dossiers: list[str] = []  # receipt codes
        self.inserted: list[str] = []
        self.queries: list[dict[str, Any]] = []
        self.query_deliveries = 0  # an entry of the record for each part and copy
        self._lab, self._control, self._engine, self._note = lab, control, engine, note
        self._rng = random.Random(f"faults/{seed}/traffic")
        self._waiting: list[NewMessage] = []
        self._next_try = 0.0

    def act(self, act: Act) -> None:
        """Do what the plan says."""
        if act.kind == "notices":
            first = len(self.dossiers)
            codes = [f"0101{number:06d}" for number in range(first, first + act.count)]
            self.dossiers += self._lab.add_dossiers(codes)
        elif act.kind == "long":
            for _ in range(act.count):
                code = f"L{len(self.inserted) + len(self._waiting):05d}"
                self._waiting.append(self._long_message(code, act.parts))
            self._insert()
        else:
            for _ in range(act.count):
                self._query(act.parts, act.copies)

    @property
    def all_inserted(self) -> bool:
        return not self._waiting

    def keep(self) -> None:
        """Try again what the store did not take: called often."""
        if self._waiting and time.monotonic() >= self._next_try:
            self._insert()

    def _long_message(self, code: str, parts: int) -> NewMessage:
        """Every piece of its text is its own. Some handsets get more than one of them."""
        words = [f"{code}-{number}" for number in range((parts * 153 - 20) // 9)]
        number = (
            f"84907{self._rng.randrange(12):06d}" if self._rng.random() < 0.3 else f"84907{int(code[1:]) + 100:06d}"
        )
        return new_message(
            code,
            source="direct",
            state=MessageState.QUEUED,
            text=" ".join(words)[: parts * 153 - 10],
            parts=parts,
            destination_addr=number,
            not_before=datetime(2020, 1, 1, tzinfo=UTC),
        )

    def _insert(self) -> None:
        """Put long messages into the outbox. While the store is in trouble they wait: the key allows a second try."""
        self._next_try = time.monotonic() + AGAIN_S
        items = list(self._waiting)
        try:
            with self._engine.begin() as connection:
                insert_messages_txn(connection, items, datetime.now(UTC))
        except sa.exc.SQLAlchemyError as error:
            self._note("not_inserted", why=str(error.__cause__ or error).strip().splitlines()[0][:80])
            return
        self._waiting = []
        self.inserted += [item.receipt_code for item in items]

    def _query(self, parts: int, copies: int) -> None:
        serial = len(self.queries)
        number = f"84906{self._rng.choice((1, 2, 3, 9))}{serial:05d}"
        text = self._rng.choice(("MCKH 0101000001", "MCKH 0101000003", "MCKH 0199999999", "MCKH", "xin chao"))
        if parts > 1:
            text += " xin cho biet ho so cua toi dang o buoc nao" * 5
        body = {"from": number, "to": "8083", "text": text, "copies": copies, "wait_s": 0}
        sent = self._control.post("mo", body=body)
        self.query_deliveries += copies * len(sent["parts"])
        self.queries.append({"number": number, "ids": [part["message_id"] for part in sent["parts"]], "text": text})
