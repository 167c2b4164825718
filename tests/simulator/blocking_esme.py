"""An ESME for tests that have no reactor."""

from __future__ import annotations

import socket

from gateway.smpp.pdu import Pdu, decode, encode


class BlockingEsme:
    """A plain socket that speaks SMPP, one PDU at a time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._sequence = 0

    def ask(self, pdu: Pdu) -> Pdu:
        self._sequence += 1
        self.send(pdu._replace(sequence_number=self._sequence))
        return self.read()

    def send(self, pdu: Pdu) -> None:
        self._socket.sendall(encode(pdu))

    def read(self) -> Pdu:
        head = self._exactly(4)
        return decode(head + self._exactly(int.from_bytes(head, "big") - 4))

    def closed(self) -> bool:
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._socket.close()

    def _exactly(self, count: int) -> bytes:
        octets = b""
        while len(octets) < count:
            more = self._socket.recv(count - len(octets))
            assert more, "the link is gone"
            octets += more
        return octets
