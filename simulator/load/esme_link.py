"""One bind of the load as ESME: the sans-IO connection, its transport, and what comes over it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from twisted.internet.protocol import Factory

from gateway.smpp.connection import Connection, SessionSettings
from gateway.smpp.constants import CommandId, CommandStatus, status_description, status_name
from gateway.smpp.events import (
    BindRefused,
    Bound,
    Event,
    LateResponse,
    RequestExpired,
    RequestReceived,
    ResponseReceived,
    SessionClosed,
)
from gateway.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DataSm,
    DataSmResp,
    DeliverSm,
    Pdu,
    SubmitSm,
)
from gateway.smpp.ports import ReactorTime
from gateway.smpp.protocol import SmppProtocol
from gateway.smpp.session import Role
from simulator.errors import SimulatorError

BindMode = Literal["transceiver", "transmitter", "receiver"]
_BINDS = {"transceiver": BindTransceiver, "transmitter": BindTransmitter, "receiver": BindReceiver}
_A_SUBMIT = SubmitSm()  # stands for all: their octets are put together elsewhere
_DELIVER_SM_RESP = int(CommandId.DELIVER_SM_RESP)
_pack_header = struct.Struct(">IIII").pack
_REMEDIES = {
    int(CommandStatus.ESME_RINVPASWD): "Correct --password",
    int(CommandStatus.ESME_RINVSYSID): "Correct --system-id",
    int(CommandStatus.ESME_RALYBND): "End the other binds of this account, or give fewer --binds",
    int(CommandStatus.ESME_RBINDFAIL): "Try another --mode or --interface-version, or ask whether the account may bind",
}


class LoadOwner(Protocol):
    """Who sends over the links."""

    def bound(self) -> None: ...

    def failed(self, error: SimulatorError) -> None: ...

    def lost(self, link: EsmeLink, reason: str, tokens: Sequence[object]) -> None: ...

    def settled(self, token: object, response: Pdu) -> None: ...

    def gave_up(self, token: object) -> None: ...

    def answered_late(self, token: object, response: Pdu) -> None: ...

    def delivered(self, pdu: DeliverSm | DataSm) -> None: ...

    def handled(self) -> None: ...


class EsmeLink:
    """One bind.

    Args:
        clock: the reactor.
        owner: told of everything.
        target: "host:port", for messages.
    """

    def __init__(
        self,
        clock: ReactorTime,
        owner: LoadOwner,
        target: str,
        *,
        mode: BindMode,
        system_id: str,
        password: str,
        interface_version: int,
        settings: SessionSettings,
    ) -> None:
        self._clock = clock
        self._owner = owner
        self._target = target
        self.mode = mode
        self._bind: Any = _BINDS[mode](system_id=system_id, password=password, interface_version=interface_version)
        self.connection = Connection(Role.ESME, settings, clock.seconds())
        self.protocol = SmppProtocol(clock, self.connection, self)
        self.up = False

    @property
    def free(self) -> int:
        """How many submits may leave now."""
        return self.connection.window.free if self.up and self.mode != "receiver" else 0

    def submit(self, body: bytes, token: object, now: float) -> None:
        """Queue one submit_sm; all of a turn leave in one write."""
        self.connection.send_request_octets(_A_SUBMIT, body, now, token)
        self.protocol.wake()

    def unbind(self) -> None:
        """Leave in an orderly way."""
        if self.up:
            self.connection.unbind(self._clock.seconds())
            self.protocol.wake()

    # Called by the protocol

    def connected(self, protocol: SmppProtocol) -> None:
        self.connection.bind(self._bind, self._clock.seconds())

    def handle(self, events: Sequence[Event]) -> None:
        owner = self._owner
        for event in events:
            kind = type(event)
            if kind is ResponseReceived:
                assert isinstance(event, ResponseReceived)
                owner.settled(event.token, event.response)
            elif kind is RequestReceived:
                assert isinstance(event, RequestReceived)
                self._on_request(event.pdu)
            else:
                self._on_rare(event)
        owner.handled()

    def _on_request(self, pdu: Pdu) -> None:
        if type(pdu) is DeliverSm:
            octets = _pack_header(17, _DELIVER_SM_RESP, 0, pdu.sequence_number) + b"\0"
            self.connection.send_response_octets(octets, pdu)
            self._owner.delivered(pdu)
        elif isinstance(pdu, DataSm):
            self.connection.send_response(DataSmResp(pdu.sequence_number), pdu)
            self._owner.delivered(pdu)

    def _on_rare(self, event: Event) -> None:
        if isinstance(event, RequestExpired):
            self._owner.gave_up(event.token)
        elif isinstance(event, LateResponse):
            self._owner.answered_late(event.token, event.response)
        elif isinstance(event, Bound):
            self.up = True
            self._owner.bound()
        elif isinstance(event, BindRefused):
            status = event.command_status
            what = f"the bind was refused with {status_name(status)} ({status_description(status)})"
            self._fail(what, _REMEDIES.get(status, "Compare system_id, password and mode with the SMSC's account"))
        elif isinstance(event, SessionClosed):
            reason = event.reason.value + (f": {event.detail}" if event.detail else "")
            if self.up:
                self.up = False
                self._owner.lost(self, reason, (*event.unanswered, *event.never_sent))
            else:
                self._fail(f"the bind was not answered ({reason})", "Is an SMSC behind this port, and without TLS?")

    def _fail(self, what: str, remedy: str) -> None:
        self._owner.failed(SimulatorError(self._target, what, remedy))


class EsmeLinkFactory(Factory):
    """Gives a link's protocol to the endpoint that connects."""

    noisy = False

    def __init__(self, make: Callable[[], EsmeLink]) -> None:
        self._make = make

    def buildProtocol(self, addr: object) -> SmppProtocol:
        return self._make().protocol
