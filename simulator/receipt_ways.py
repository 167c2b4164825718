"""The ways by which receipts leave: at once, twice, never, behind a later one, after the ESME's next bind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.smpp.pdu import DeliverSm
from simulator.behaviours.fates import AFTER_RECONNECT, LOST, REORDERED, TWICE
from simulator.behaviours.faults import FaultKind, Faults
from simulator.counters import Counters
from simulator.mailbox import Mailbox, Outgoing
from simulator.messages import Accepted, Accepting
from simulator.receipts import ReceiptWriter
from simulator.record import quote
from simulator.settings import ReceiptSettings
from simulator.world import World

_A_RECEIPT = DeliverSm()  # stands for all that are octets already
_HELD_CHECK_S = 0.25  # how often a held receipt looks whether its fault is over


@dataclass(slots=True, eq=False)
class _Late:
    """A receipt that lets others go first."""

    accepted: Accepted
    stat: str
    error: str
    sent: bool = False


class ReceiptWays:
    """One account's receipts from their due time to their answer."""

    def __init__(
        self,
        name: str,
        settings: ReceiptSettings,
        world: World,
        writer: ReceiptWriter,
        faults: Faults,
        counters: Counters,
        mailbox_for: Callable[[str], Mailbox],
    ) -> None:
        self._name = name
        self._quoted_name = quote(name)
        self._settings = settings
        self._world = world
        self._writer = writer
        self._faults = faults
        self._counters = counters
        self._mailbox_for = mailbox_for
        self._late: list[_Late] = []
        self._until_bind: dict[str, list[_Late]] = {}

    def send(self, accepted: Accepted, stat: str, error: str, ways: int = 0) -> None:
        """A receipt is due."""
        if self._faults.any and self._stopped(accepted, stat, error, ways):
            return
        if ways:
            if ways & LOST:
                self._lose(accepted, stat)
                return
            if ways & AFTER_RECONNECT:
                self._until_bind.setdefault(accepted.system_id, []).append(_Late(accepted, stat, error))
                return
            if ways & REORDERED:
                late = _Late(accepted, stat, error)
                self._late.append(late)
                self._world.schedule.call_later(self._settings.reordered_within_s, self._post_late, late)
                return
        self._post(accepted, stat, error)
        if ways & TWICE:
            self._post(accepted, stat, error)
        if self._late:
            waiting, self._late = self._late, []
            for late in reversed(waiting):
                self._post_late(late)

    def bound(self, system_id: str) -> None:
        """An ESME that receives has bound: what waited for that leaves."""
        for late in self._until_bind.pop(system_id, ()):
            self._post_late(late)

    @property
    def held(self) -> int:
        """Receipts that wait for another one or for a bind."""
        return len(self._late) + sum(map(len, self._until_bind.values()))

    def _stopped(self, accepted: Accepted, stat: str, error: str, ways: int) -> bool:
        if self._faults.find(FaultKind.LOSE_RECEIPTS) is not None:
            self._lose(accepted, stat)
            return True
        if self._faults.find(FaultKind.HOLD_RECEIPTS) is not None:
            self._world.schedule.call_later(_HELD_CHECK_S, self.send, accepted, stat, error, ways)
            return True
        if self._faults.find(FaultKind.RECEIPTS_AFTER_BIND) is not None:
            self._until_bind.setdefault(accepted.system_id, []).append(_Late(accepted, stat, error))
            return True
        return False

    def _post_late(self, late: _Late) -> None:
        if not late.sent:
            late.sent = True
            if late in self._late:
                self._late.remove(late)
            self._post(late.accepted, late.stat, late.error)

    def _post(self, accepted: Accepted, stat: str, error: str) -> None:
        now = self._world.schedule.now()
        octets = self._writer.octets(accepted, stat, error, now)
        if octets is not None:
            outgoing = Outgoing("receipt", _A_RECEIPT, now, self._settled, (accepted, stat))
            outgoing.body, outgoing.tlvs = octets
        else:
            pdu = self._writer.build(accepted, stat, error, now)
            outgoing = Outgoing("receipt", pdu, now, self._settled, (accepted, stat))
            outgoing.pdu_before_34 = self._writer.build_before_34(accepted, stat, error, now)
        self._mailbox_for(accepted.system_id).post(outgoing)

    def _settled(self, outgoing: Outgoing, status: int | None) -> None:
        if status is None:
            self._counters.receipts_given_up += 1
        else:
            self._counters.receipts_answered += 1
        accepted, stat = outgoing.about
        self._note(accepted, stat, "given_up" if status is None else "answered", status, outgoing)

    def _lose(self, accepted: Accepted, stat: str) -> None:
        self._counters.receipts_lost += 1
        self._note(accepted, stat, "lost", None, None)

    def _note(self, accepted: Accepted, stat: str, outcome: str, status: int | None, outgoing: Outgoing | None) -> None:
        attempts, sent_at = (0, None) if outgoing is None else (outgoing.attempts, outgoing.sent_at)
        now = self._world.schedule.now()
        self._world.record.add_later(
            "receipt", now, self._members, accepted, accepted.pdu, stat, outcome, status, attempts, sent_at
        )

    def _members(
        self,
        accepted: Accepted,
        pdu: Accepting,
        stat: str,
        outcome: str,
        status: int | None,
        attempts: int,
        sent_at: float | None,
    ) -> str:
        """A receipt in the record. ``pdu``: as it was then; it may be replaced."""
        return (
            f'"account":{self._quoted_name},"system_id":{quote(accepted.system_id)},'
            f'"message_id":{quote(accepted.message_id.text)},"receipted_id":{quote(self._writer.receipted_id(accepted))},'
            f'"source":{quote(pdu.source_addr)},"destination":{quote(pdu.destination_addr)},'
            f'"stat":"{stat}","outcome":"{outcome}","status":{"null" if status is None else status},'
            f'"attempts":{attempts},"sent_at":{"null" if sent_at is None else f"{sent_at:.4f}"}'
        )
