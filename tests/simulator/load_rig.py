"""A load as ESME on a clock that the test moves, over links that the test answers."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.task import Clock

from gateway.smpp.pdu import DeliverSm, Pdu, SubmitSm, SubmitSmResp, decode
from simulator.load.esme import EsmeLoad
from simulator.load.pace import Pace
from simulator.load.submit_pdus import Sender, SubmitBodies
from simulator.load.templates import NumberPattern, TextTemplate


class FakeLink:
    """A bound link with a window."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.up = True
        self.open: list[tuple[object, SubmitSm]] = []
        self.sent: list[SubmitSm] = []

    @property
    def free(self) -> int:
        return self.window - len(self.open) if self.up else 0

    def submit(self, body: bytes, token: object, now: float) -> None:
        header = (16 + len(body)).to_bytes(4, "big") + (4).to_bytes(4, "big") + bytes(8)
        pdu = decode(header + body)
        assert isinstance(pdu, SubmitSm)
        self.open.append((token, pdu))
        self.sent.append(pdu)

    def unbind(self) -> None:
        self.up = False


class LoadRig:
    """One load, begun."""

    def __init__(
        self,
        *,
        rate: float | None = None,
        count: int | None = None,
        duration_s: float | None = None,
        window: int = 10,
        text: str = "so {sequence}",
        to: str = "849########",
        receipts: bool = False,
        obey: bool = False,
        wait_s: float = 5.0,
    ) -> None:
        self.clock = Clock()
        self.ended = False
        rng = random.Random(1)
        bodies = SubmitBodies(Sender(receipts=receipts), TextTemplate(text, rng), NumberPattern(to, rng))
        self.load = EsmeLoad(
            self.clock,
            bodies,
            Pace(rate, None, duration_s),
            count=count,
            receipts=receipts,
            obey_throttling=obey,
            wait_s=wait_s,
            links=1,
            done=self._done,
        )
        self.link: Any = FakeLink(window)
        self.load.links.append(self.link)
        self.load.bound()
        self._ids = 0

    def _done(self) -> None:
        self.ended = True

    def answer(self, count: int | None = None, status: int = 0) -> list[str]:
        """Answer the oldest open submits, all of them unless told; their message ids."""
        taken = self.link.open[:count]
        del self.link.open[:count]
        ids = []
        for token, _ in taken:
            self._ids += 1
            ids.append(f"{self._ids:x}")
            self.load.settled(token, self._response(status, ids[-1]))
        self.load.handled()
        return ids

    @staticmethod
    def _response(status: int, message_id: str) -> Pdu:
        return SubmitSmResp(1, status, "" if status else message_id)

    def receipt(self, message_id: str, stat: str = "DELIVRD") -> None:
        text = (
            f"id:{message_id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:{stat} err:000 text:"
        )
        self.load.delivered(DeliverSm(esm_class=4, short_message=text.encode()))
        self.load.handled()

    def run(self, seconds: float, step_s: float = 0.01, answering: bool = True) -> None:
        """Let time pass; each step's submits are answered at its end."""
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            if answering:
                self.answer()
