"""Requests to the control interface without a socket."""

from __future__ import annotations

import json
from typing import Any

from simulator_rig import Rig
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport


class Answer:
    """One HTTP answer, as it went over the wire."""

    def __init__(self, octets: bytes) -> None:
        head, _, self.body = octets.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.code = int(first.split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if self.headers.get("transfer-encoding") == "chunked":
            self.body = _unchunked(self.body)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Asks the control interface of a rig."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.factory = rig.reactor.factories[rig.simulator.control_port]

    def ask(self, method: str, path: str, body: Any = None, host: str = "127.0.0.1:2780", **headers: str) -> Answer:
        """One request on a connection of its own; header names with _ for -."""
        return Answer(self.begin(method, path, body, host, **headers).value())

    def begin(
        self, method: str, path: str, body: Any = None, host: str = "127.0.0.1:2780", **headers: str
    ) -> StringTransport:
        """The same; the transport, on which more may come."""
        octets = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        fields = {"Host": host, "Content-Length": str(len(octets)), "Connection": "close"}
        if body is not None:
            fields["Content-Type"] = "application/json"
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value)]
        transport = StringTransport(IPv4Address("TCP", "127.0.0.1", 2780), IPv4Address("TCP", "127.0.0.1", 50_001))
        channel = self.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 50_001))
        channel.makeConnection(transport)
        channel.dataReceived("\r\n".join(lines).encode() + b"\r\n\r\n" + octets)
        self.rig.reactor.advance(0)
        transport.channel = channel  # type: ignore[attr-defined]
        return transport

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("POST", path, body, **headers)


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return whole


def events(octets: bytes) -> list[tuple[str, Any]]:
    """The Server-Sent Events in an answer so far."""
    body = Answer(octets).text
    found = []
    for block in body.split("\n\n"):
        if block:
            name, data = block.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found
