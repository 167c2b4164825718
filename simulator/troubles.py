"""Troubles of links: cuts, unbinds, garbage, half-open, slow reading; on demand and by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.smpp.constants import EsmClass, TlvTag
from gateway.smpp.pdu import AlertNotification, DeliverSm, Tlv, UnknownPdu, encode
from simulator.behaviours.faults import ActiveFault, FaultKind, Faults
from simulator.counters import Counters
from simulator.settings import DisturbanceSettings
from simulator.world import World

_GLIMPSE_S = 0.002  # how long a slow reader looks: one read of the socket
_SEQUENCE_NUMBER = 0x3FFFFFF0  # of PDUs that no window knows: no real one gets there

_BAD_BODY = b"\0\1\1" + b"9" * 40  # a service_type, then a source_addr of 40 octets that does not end
_ODD_TLVS = (
    Tlv(0x3ABC, b"vendor"),
    Tlv(0x0006, b""),  # empty
    Tlv(TlvTag.USER_MESSAGE_REFERENCE, b"\1"),  # one octet short
    Tlv(TlvTag.USER_MESSAGE_REFERENCE, b"\0\2"),  # repeated
    Tlv(0xFFFE, b"\0" * 200),
)


def _octets(kind: FaultKind) -> bytes:
    """What is written for a fault that is garbage."""
    if kind is FaultKind.GARBAGE_LENGTH:
        return bytes.fromhex("7fffffff 00000005 00000000 00000001")
    if kind is FaultKind.GARBAGE_COMMAND:
        return encode(UnknownPdu(_SEQUENCE_NUMBER, 0, 0x00010203, b"what is this"))
    if kind is FaultKind.GARBAGE_BODY:
        return encode(UnknownPdu(_SEQUENCE_NUMBER + 1, 0, 0x00000005, _BAD_BODY))
    if kind is FaultKind.GARBAGE_TLV:
        text = DeliverSm(_SEQUENCE_NUMBER + 2, source_addr="84905123456", destination_addr="8083", tlvs=_ODD_TLVS)
        return encode(text._replace(esm_class=int(EsmClass(0)), short_message=b"TLVs that nobody knows"))
    if kind is FaultKind.HALF_PDU:
        whole = encode(DeliverSm(_SEQUENCE_NUMBER + 3, source_addr="84905123456", destination_addr="8083"))
        return whole[: len(whole) // 2]
    if kind is FaultKind.ALERT:
        return encode(AlertNotification(_SEQUENCE_NUMBER + 4, source_addr="84905123456", esme_addr="8083"))
    return bytes.fromhex("0000000bdeadbeef") + b"this is no PDU"  # command_length 11: below any header


class Troubled(Protocol):
    """What may be done to a session."""

    def abort(self) -> None: ...

    def unbind(self) -> None: ...

    def write_raw(self, data: bytes) -> None: ...

    def silence(self, on: bool) -> None: ...

    def read_slowly(self, on: bool) -> None: ...


class Troubles:
    """Does them to an account's sessions. ``sessions`` is the account's own list, as it is at the time."""

    def __init__(
        self,
        name: str,
        settings: DisturbanceSettings,
        world: World,
        faults: Faults,
        counters: Counters,
        sessions: Sequence[Troubled],
    ) -> None:
        self._settings = settings
        self._schedule = world.schedule
        self._faults = faults
        self._counters = counters
        self._sessions = sessions
        self._rng = world.rng(name, "lifetimes")
        self._reading_slowly = False

    def bound(self, session: Troubled) -> None:
        """A session is up: what the settings have in store for it begins, and the faults that are on."""
        settings = self._settings
        if settings.cut_after is not None:
            self._schedule.call_later(settings.cut_after.draw(self._rng), self._cut, session)
        if settings.unbind_after is not None:
            self._schedule.call_later(settings.unbind_after.draw(self._rng), self._if_up, session, session.unbind)
        if settings.slow_reader_s is not None or self._faults.find(FaultKind.SLOW_READER) is not None:
            self._read_slowly()

    def order(self, fault: ActiveFault) -> None:
        """A fault was ordered."""
        kind = fault.kind
        if kind is FaultKind.SLOW_READER:
            self._read_slowly()
            return
        if kind is FaultKind.SILENCE and fault.until is not None:
            self._schedule.call_later(fault.until - self._schedule.now(), self.cleared)
        if not kind.at_once and kind is not FaultKind.SILENCE:
            return
        for session in list(self._sessions):
            if kind is FaultKind.CUT:
                self._cut(session)
            elif kind is FaultKind.UNBIND:
                session.unbind()
            elif kind is FaultKind.SILENCE:
                session.silence(True)
            else:
                session.write_raw(_octets(kind))

    def cleared(self) -> None:
        """Faults may be over: links that are still up work again."""
        if self._faults.find(FaultKind.SILENCE) is None:
            for session in list(self._sessions):
                session.silence(False)

    def _cut(self, session: Troubled) -> None:
        if session in self._sessions:
            self._counters.links_cut += 1
            session.abort()

    def _if_up(self, session: Troubled, act: Callable[[], None]) -> None:
        if session in self._sessions:
            act()

    # Slow reading: a glimpse now and then, for as long as the fault is on.

    @property
    def _glimpse_every_s(self) -> float | None:
        fault = self._faults.find(FaultKind.SLOW_READER)
        return fault.by_s if fault is not None else self._settings.slow_reader_s

    def _read_slowly(self) -> None:
        if not self._reading_slowly:
            self._reading_slowly = True
            self._look_away()

    def _look_away(self) -> None:
        every_s = self._glimpse_every_s
        for session in list(self._sessions):
            session.read_slowly(every_s is not None)
        if every_s is None or not self._sessions:
            self._reading_slowly = False
        else:
            self._schedule.call_later(every_s, self._look)

    def _look(self) -> None:
        for session in list(self._sessions):
            session.read_slowly(False)
        self._schedule.call_later(_GLIMPSE_S, self._look_away)
