"""A simulator without sockets: a clock for its reactor, string transports for its ESMEs."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from gateway.smpp.framing import Framer
from gateway.smpp.pdu import (
    BindTransceiver,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    decode,
    encode,
)
from simulator.config_file import parse_settings
from simulator.simulator import Simulator

START = 1_767_600_000.0  # 2026-01-05 15:00:00 in Vietnam
HANDSET = "84905123456"


class FakePort:
    def __init__(self, number: int) -> None:
        self.number = number
        self.listening = True

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.number)

    def stopListening(self) -> None:
        self.listening = False


class FakeReactor(Clock):
    """Time that the test moves, and ports that only remember their factories."""

    def __init__(self) -> None:
        super().__init__()
        self.rightNow = START
        self.factories: dict[int, Any] = {}

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> FakePort:
        number = port or 40_000 + len(self.factories)
        self.factories[number] = factory
        return FakePort(number)


class Esme:
    """The other end of one connection."""

    def __init__(self, reactor: FakeReactor, port: int) -> None:
        self.reactor = reactor
        self.transport = StringTransport()
        self.protocol = reactor.factories[port].buildProtocol(IPv4Address("TCP", "127.0.0.1", 50_000))
        self.refused = self.protocol is None
        if not self.refused:
            self.protocol.makeConnection(self.transport)
        self.answer_with: int | None = 0  # command_status of deliver_sm_resp; None: silence
        self.received: list[Pdu] = []
        self._framer = Framer()
        self._sequence = 0

    @property
    def closed(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.disconnected)

    def send(self, pdu: Pdu) -> int:
        """Send a request; its sequence_number."""
        self._sequence += 1
        self.write(encode(pdu._replace(sequence_number=self._sequence)))
        return self._sequence

    def write(self, octets: bytes) -> None:
        self.protocol.dataReceived(octets)
        self.read()

    def read(self) -> list[Pdu]:
        """Take what the simulator wrote, answering its requests; all that is new."""
        fresh: list[Pdu] = []
        self.reactor.advance(0)
        while self.transport.value():
            frames = self._framer.feed(self.transport.value())
            self.transport.clear()
            for pdu in map(decode, frames):
                fresh.append(pdu)
                self._answer(pdu)
            self.reactor.advance(0)
        self.received += fresh
        return fresh

    def _answer(self, pdu: Pdu) -> None:
        if self.closed:
            return
        if isinstance(pdu, EnquireLink):
            self.protocol.dataReceived(encode(EnquireLinkResp(pdu.sequence_number)))
        elif isinstance(pdu, DeliverSm | DataSm) and self.answer_with is not None:
            response = DeliverSmResp if isinstance(pdu, DeliverSm) else DataSmResp
            self.protocol.dataReceived(encode(response(pdu.sequence_number, self.answer_with)))

    def bind(self, pdu_class: Any = BindTransceiver, system_id: str = "esme", password: str = "", **fields: Any) -> int:
        """Bind; the command_status of the answer."""
        number = self.send(pdu_class(system_id=system_id, password=password, **fields))
        return self.response(number).command_status

    def response(self, number: int) -> Pdu:
        """The answer to a request of ours."""
        found = [pdu for pdu in self.received if pdu.sequence_number == number and pdu.command_id & 0x80000000]
        assert len(found) == 1, f"answers to {number}: {found}"
        return found[0]

    def unanswered(self, number: int) -> bool:
        return not any(pdu.sequence_number == number and pdu.command_id & 0x80000000 for pdu in self.received)

    def submit(self, text: bytes = b"Xin chao", **fields: Any) -> int:
        values: dict[str, Any] = {
            "source_addr_ton": 5,
            "source_addr": "MotcuaSMS",
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "destination_addr": HANDSET,
            "registered_delivery": 1,
            "short_message": text,
        }
        return self.send(SubmitSm(**{**values, **fields}))

    def submitted(self, text: bytes = b"Xin chao", **fields: Any) -> SubmitSmResp:
        """Submit and take the answer, which must be there at once."""
        response = self.response(self.submit(text, **fields))
        assert isinstance(response, SubmitSmResp)
        return response

    def delivered(self) -> list[DeliverSm | DataSm]:
        """Every deliver_sm and data_sm so far."""
        return [pdu for pdu in self.received if isinstance(pdu, DeliverSm | DataSm)]

    def lose(self) -> None:
        """The link goes down."""
        from twisted.internet.error import ConnectionLost
        from twisted.python.failure import Failure

        self.protocol.connectionLost(Failure(ConnectionLost()))


class Rig:
    """A started simulator and its clock."""

    def __init__(self, values: dict[str, Any] | None = None, **account: Any) -> None:
        values = dict(values or {})
        if account or "accounts" not in values:
            values["accounts"] = {"acc": {"port": 2775, **account}}
        values.setdefault("seed", 1)
        self.reactor = FakeReactor()
        self.simulator = Simulator(self.reactor, parse_settings(values))
        self.simulator.start()
        self.esmes: list[Esme] = []

    @property
    def account(self) -> Any:
        return next(iter(self.simulator.accounts.values()))

    def esme(self, port: int = 2775) -> Esme:
        """A connected ESME, not bound."""
        esme = Esme(self.reactor, port)
        self.esmes.append(esme)
        return esme

    def bound(self, port: int = 2775, **fields: Any) -> Esme:
        esme = self.esme(port)
        assert esme.bind(**fields) == 0
        return esme

    def advance(self, seconds: float, step_s: float = 0.05) -> None:
        """Let time pass in steps; ESMEs answer what they are sent."""
        for _ in range(max(1, round(seconds / step_s))):
            self.reactor.advance(step_s)
            for esme in self.esmes:
                esme.read()

    def record(self, event: str) -> list[dict[str, Any]]:
        import json

        entries = [json.loads(line) for line in self.simulator.world.record.lines()]
        return [entry for entry in entries if entry["event"] == event]

    def inbox(self, number: str = HANDSET) -> list[Any]:
        return self.simulator.world.inbox.messages(number)
