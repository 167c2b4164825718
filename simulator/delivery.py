"""What happens to a message after it was accepted: it reaches its handset or fails, and the ESME gets its receipts."""

from __future__ import annotations

import random
from collections.abc import Callable

from gateway.smpp.pdu import DataSm, SubmitSm
from simulator.behaviours.fates import Fate
from simulator.behaviours.faults import FaultKind, Faults
from simulator.behaviours.message_ids import MessageIds
from simulator.counters import Counters
from simulator.errors import RequestError
from simulator.inbox import ReceivedPart
from simulator.mailbox import Mailbox, Outgoing
from simulator.phones import international
from simulator.receipts import Accepted, ReceiptWriter
from simulator.record import quote
from simulator.settings import AccountSettings
from simulator.world import World

_HELD_CHECK_S = 0.25  # how often a held receipt looks whether its fault is over
_WANTED_MASK = 0x03  # 5.2.17 registered_delivery: SMSC delivery receipt requested
_WANTED_ON_FAILURE = 2
_WANTED_ON_SUCCESS = 3  # 5.0 4.7.21
_INTERMEDIATE_WANTED = 0x10


class Delivery:
    """One account's way from the SMSC to the handset and back."""

    def __init__(
        self,
        name: str,
        settings: AccountSettings,
        world: World,
        ids: MessageIds,
        faults: Faults,
        counters: Counters,
        mailbox_for: Callable[[str], Mailbox],
    ) -> None:
        self._name = name
        self._quoted_name = quote(name)
        self._settings = settings.receipts
        self._alphabet = settings.default_alphabet
        self._world = world
        self._faults = faults
        self._counters = counters
        self._mailbox_for = mailbox_for
        self._rng: random.Random = world.rng(name, "receipts")
        self._writer = ReceiptWriter(settings.receipts, ids)
        self.under_way = 0

    def begin(self, accepted: Accepted, fate: Fate) -> bool:
        """Let a message run towards its fate. True: its receipt leaves at once, before its submit_sm_resp."""
        self.under_way += 1
        settings = self._settings
        pdu = accepted.pdu
        early = settings.early > 0 and _wants(pdu, fate.state) and self._rng.random() < settings.early
        if early:
            self._finish(accepted, fate)
            return True
        if (
            settings.intermediate > 0
            and pdu.registered_delivery & _INTERMEDIATE_WANTED
            and self._rng.random() < settings.intermediate
        ):
            self._world.schedule.call_later(fate.delay_s / 2, self._send, accepted, "ENROUTE", "000")
        self._world.schedule.call_later(fate.delay_s, self._finish, accepted, fate)
        return False

    def _finish(self, accepted: Accepted, fate: Fate) -> None:
        self.under_way -= 1
        pdu = accepted.pdu
        if fate.state == "DELIVRD":
            self._counters.reached_handsets += 1
            part = ReceivedPart(self._world.schedule.now(), self._name, accepted.message_id.text, pdu, self._alphabet)
            self._world.inbox.receive(_handset(pdu.destination_addr), part)
        if not _wants(pdu, fate.state):
            return
        settings = self._settings
        if settings.lost > 0 and self._rng.random() < settings.lost:
            self._lose(accepted, fate.state)
            return
        self._send(accepted, fate.state, fate.error)
        if settings.doubled > 0 and self._rng.random() < settings.doubled:
            self._send(accepted, fate.state, fate.error)

    def _send(self, accepted: Accepted, stat: str, error: str) -> None:
        if self._faults.any:
            if self._faults.find(FaultKind.LOSE_RECEIPTS) is not None:
                self._lose(accepted, stat)
                return
            if self._faults.find(FaultKind.HOLD_RECEIPTS) is not None:
                self._world.schedule.call_later(_HELD_CHECK_S, self._send, accepted, stat, error)
                return
        now = self._world.schedule.now()
        outgoing = Outgoing(
            kind="receipt",
            pdu=self._writer.build(accepted, stat, error, now),
            posted_at=now,
            settled=self._settled,
            pdu_before_34=self._writer.build_before_34(accepted, stat, error, now),
            about=(accepted, stat),
        )
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
        pdu = accepted.pdu
        sent_at = "null" if outgoing is None else f"{outgoing.sent_at:.4f}"
        self._world.record.add_json(
            "receipt",
            f'"account":{self._quoted_name},"system_id":{quote(accepted.system_id)},'
            f'"message_id":{quote(accepted.message_id.text)},"receipted_id":{quote(self._writer.receipted_id(accepted))},'
            f'"source":{quote(pdu.source_addr)},"destination":{quote(pdu.destination_addr)},'
            f'"stat":"{stat}","outcome":"{outcome}","status":{"null" if status is None else status},'
            f'"attempts":{0 if outgoing is None else outgoing.attempts},"sent_at":{sent_at}',
        )


def _wants(pdu: SubmitSm | DataSm, stat: str) -> bool:
    wanted = pdu.registered_delivery & _WANTED_MASK
    if wanted == _WANTED_ON_FAILURE:
        return stat != "DELIVRD"
    if wanted == _WANTED_ON_SUCCESS:
        return stat == "DELIVRD"
    return wanted != 0


def _handset(destination_addr: str) -> str:
    """The handset of an address; what is no number keeps its name, so that nothing vanishes."""
    if destination_addr.isdigit() and not destination_addr.startswith("0"):
        return destination_addr
    try:
        return international(destination_addr)
    except RequestError:
        return destination_addr
