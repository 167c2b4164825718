"""A bound session as the accounts see it: what it is, and what may be done to it."""

from __future__ import annotations

from typing import cast

from gateway.smpp.server import SmscSession
from simulator.pdu_ring import Wire, WireTap
from simulator.settings import Mode


class Link:
    """Wraps one :class:`SmscSession` after its bind. ``reply``, ``send`` and ``forget`` are the session's own: they are hot."""

    def __init__(self, session: SmscSession) -> None:
        self._session = session
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
        return self._session.free_window

    @property
    def in_flight(self) -> int:
        """deliver_sm and data_sm that the ESME has not answered."""
        return self._session.in_flight

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
