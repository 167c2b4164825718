"""A bound session as the accounts see it: what it is, and what may be done to it."""

from __future__ import annotations

import struct
from typing import cast

import structlog

from gateway.smpp.constants import CommandId
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.pdu import Pdu
from gateway.smpp.server import SmscSession
from simulator.pdu_ring import Wire, WireTap
from simulator.settings import Mode

log = structlog.get_logger()

_DELIVER_SM = int(CommandId.DELIVER_SM)
_SUBMIT_SM_RESP = int(CommandId.SUBMIT_SM_RESP)
_pack_header = struct.Struct(">IIII").pack


class Link:
    """Wraps one :class:`SmscSession` after its bind. ``reply``, ``send`` and ``forget`` are the session's own.

    ``answer_submit`` and ``send_octets`` do the same for what comes thousands of times a second: octets in place of PDUs.
    """

    def __init__(self, session: SmscSession) -> None:
        self._session = session
        self._connection = session.connection
        self._wake = session.protocol.wake
        self.system_id = session.system_id
        self.interface_version = session.interface_version
        self.mode = cast(Mode, session.bind_type)
        self.peer = session.peer
        self.reply = session.reply
        self.send = session.send
        self.forget = session.forget
        tap = session.protocol.tap
        self.wire = tap.wire if isinstance(tap, WireTap) else Wire(session.peer)
        self.wire.system_id, self.wire.mode = session.system_id, session.bind_type
        self.silent = False

    @property
    def unanswered_requests(self) -> int:
        """submit_sm of the ESME that wait for their answer."""
        return self._session.unanswered_requests

    @property
    def free_window(self) -> int:
        connection = self._connection
        return connection.window.free if _DELIVER_SM in connection.session.sendable else 0

    @property
    def in_flight(self) -> int:
        """deliver_sm and data_sm that the ESME has not answered."""
        return self._session.in_flight

    def answer_submit(self, request: Pdu, status: int, message_id: str) -> None:
        """submit_sm_resp. An answer that nobody waits for any more is dropped, as by ``reply``."""
        body = message_id.encode("latin-1")
        octets = _pack_header(len(body) + 17, _SUBMIT_SM_RESP, status, request.sequence_number) + body + b"\0"
        try:
            self._connection.send_response_octets(octets, request)
        except LocalProtocolError as error:
            log.info("reply_dropped", peer=self.peer, reason=str(error))
            return
        self._wake()

    def send_octets(self, pdu: Pdu, body: bytes, token: object, now: float) -> None:
        """Send a request whose octets are put together already; ``pdu`` says of which kind they are.

        Raises :class:`LocalProtocolError`: the window is full, or the session takes none.
        """
        self._connection.send_request_octets(pdu, body, now, token)
        self._wake()

    def close(self) -> None:
        """Close without unbind."""
        self._session.close()

    def abort(self) -> None:
        """Cut, as a broken line does."""
        self._session.abort()

    def unbind(self) -> None:
        self._session.unbind()

    def write_raw(self, data: bytes) -> None:
        self._session.write_raw(data)

    def read_slowly(self, on: bool) -> None:
        """Slow reader: the ESME's octets wait in the operating system until they are taken."""
        protocol = self._session.protocol
        if on:
            protocol.pause_reading("now and then")
        else:
            protocol.resume_reading("now and then")

    def silence(self, on: bool) -> None:
        """Half-open: nothing is read, nothing is written, the connection stays."""
        self.silent = on
        self._session.mute(on)
        if on:
            self._session.pause_reading()
        else:
            self._session.resume_reading()
