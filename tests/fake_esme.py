"""An SMPP client that does what the test says, with the window of a real one."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed

from gateway.smpp.client import EsmeClient, EsmeSettings
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.pdu import DeliverSmResp, Pdu, SubmitSm, SubmitSmResp, Tlv, encode, make_response
from gateway.smpp.ports import ReactorTime


class FakeEsme(EsmeClient):
    """Drop-in for :class:`EsmeClient`: ``up``, ``down``, ``answer`` and ``expire`` play link and SMSC."""

    made: list[FakeEsme]

    def __init__(
        self,
        clock: ReactorTime,
        endpoint_factory: Callable[[], Any],
        settings: EsmeSettings,
        handler: Any,
        rng: random.Random,
    ) -> None:
        super().__init__(clock, endpoint_factory, settings, handler, rng)
        self.open: list[tuple[Any, SubmitSm]] = []  # tokens without an answer, oldest first
        self.sent: list[tuple[float, SubmitSm]] = []
        self.replies: list[Pdu] = []
        self.is_up = False
        self.knows_tlvs = True
        self.number = 0
        self.stopped = False

    def start(self) -> None:
        self.state = "connecting"

    def stop(self, timeout_s: float = 10.0) -> Deferred[None]:
        self.is_up, self.stopped = False, True
        return succeed(None)

    @property
    def bound(self) -> bool:
        return self.is_up

    @property
    def free_window(self) -> int:
        return self.settings.window - len(self.open) if self.is_up else 0

    @property
    def in_flight(self) -> int:
        return len(self.open)

    @property
    def tlvs_allowed(self) -> bool:
        return self.knows_tlvs

    def submit(self, pdu: Pdu, token: object) -> None:
        if not self.free_window:
            raise LocalProtocolError("not bound, or the window is full")
        encode(pdu)  # a field that does not fit is refused, as by the real one
        assert isinstance(pdu, SubmitSm)
        self.open.append((token, pdu))
        self.sent.append((self.clock.seconds(), pdu))

    def reply(self, response: Pdu, request: Pdu | None = None) -> bool:
        self.replies.append(response)
        return self.is_up

    def acknowledge(self, request: Pdu, command_status: int) -> bool:
        return self.reply(make_response(request, command_status), request)

    # -- what the test plays --------------------------------------------------------------------------------------

    def up(self) -> None:
        self.is_up, self.state = True, "bound"
        self._handler.on_bound(self)

    def down(self, never_sent: int = 0) -> None:
        """Lose the link; the last ``never_sent`` submits had not left."""
        tokens = [token for token, _ in self.open]
        split = len(tokens) - never_sent
        self.open, self.is_up, self.state = [], False, "waiting"
        self._handler.on_unbound(self, "connection lost", tokens[:split], tokens[split:])

    def end(self, state: str) -> None:
        """The session is over, and the bind is in this state now."""
        self.is_up, self.state = False, state
        self._handler.on_unbound(self, "unbound", [], [])

    def answer(
        self, status: int = 0, count: int | None = None, tlvs: tuple[Tlv, ...] = (), message_id: str | None = None
    ) -> list[str]:
        """Answer the oldest ``count`` open submits (all of them); returns the ids given."""
        ids = []
        for _ in range(len(self.open) if count is None else count):
            token, _ = self.open.pop(0)
            self.number += 1
            given = (message_id or f"{self.name}-{self.number}") if status == 0 else ""
            response = SubmitSmResp(command_status=status, message_id=given, tlvs=tlvs)
            self._handler.on_response(self, token, response)
            ids.append(given)
        return ids

    def expire(self) -> Any:
        """The oldest open submit gets no answer in time; returns its token, for :meth:`answer_late`."""
        token, _ = self.open.pop(0)
        self._handler.on_expired(self, token)
        return token

    def answer_late(self, token: Any, status: int = 0, message_id: str = "late") -> None:
        response = SubmitSmResp(command_status=status, message_id=message_id if status == 0 else "")
        self._handler.on_late_response(self, token, response)

    def deliver(self, request: Pdu) -> None:
        self._handler.on_request(self, request)

    @property
    def reply_statuses(self) -> list[int]:
        return [reply.command_status for reply in self.replies if isinstance(reply, DeliverSmResp)]

    @property
    def texts(self) -> list[str]:
        return [pdu.short_message.decode("latin-1") for _, pdu in self.sent]
