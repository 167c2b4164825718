"""What happens to a message after it was accepted: it waits, reaches its handset or fails, and its receipts are due."""

from __future__ import annotations

from collections.abc import Callable

from gateway.smpp.constants import EsmClass, TlvTag
from gateway.smpp.pdu import ReplaceSm, SubmitSm, tlv
from gateway.smpp.text import DefaultAlphabet
from simulator.behaviours.base import NEVER
from simulator.behaviours.fates import EARLY, INTERMEDIATE, Fate
from simulator.behaviours.faults import Faults
from simulator.behaviours.message_ids import MessageIds
from simulator.counters import Counters
from simulator.errors import RequestError
from simulator.inbox import ReceivedPart
from simulator.mailbox import Mailbox
from simulator.messages import Accepted, Accepting, Messages
from simulator.phones import international
from simulator.receipt_ways import ReceiptWays
from simulator.receipts import ReceiptWriter
from simulator.settings import AccountSettings
from simulator.world import World

_new = tuple.__new__  # a named tuple without its own __new__, which costs as much again
_MODE_MASK = 0x03  # 5.2.12 esm_class: messaging mode
_DATAGRAM = 1
_WANTED_MASK = 0x03  # 5.2.17 registered_delivery: SMSC delivery receipt requested
_WANTED_ON_FAILURE = 2
_WANTED_ON_SUCCESS = 3  # 5.0 4.7.21
_INTERMEDIATE_WANTED = 0x10
_UDHI = int(EsmClass.UDHI)
_PAYLOAD = int(TlvTag.MESSAGE_PAYLOAD)


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
        self._settings = settings.receipts
        self._alphabet: DefaultAlphabet = settings.default_alphabet
        self._validity_s = settings.receipts.validity_s
        self._schedule = world.schedule
        self._inbox = world.inbox
        self._counters = counters
        writer = ReceiptWriter(settings.receipts, ids)
        self.receipts = ReceiptWays(name, settings.receipts, world, writer, faults, counters, mailbox_for)
        self.messages = Messages(world.settings.messages.kept)
        self.under_way = 0

    def begin(self, accepted: Accepted, fate: Fate, scheduled_at: float = 0.0) -> bool:
        """Let a message run towards its fate. True: its receipt leaves at once, before its submit_sm_resp."""
        self.under_way += 1
        self.messages.add(accepted)
        if fate.ways & EARLY and _wants(accepted.pdu, fate.state):
            self._finish(accepted, 0, fate)
            return True
        self._set(accepted, fate, accepted.at, scheduled_at)
        return False

    def _set(self, accepted: Accepted, fate: Fate, now: float, scheduled_at: float) -> None:
        """Set the calls that lead to the final state."""
        schedule, turn = self._schedule, accepted.turn
        start = now
        if scheduled_at > now:
            start = scheduled_at
            accepted.state = "SCHEDULED"
            schedule.call_later(start - now, self._leave, accepted, turn)
        due = start + fate.delay_s
        if accepted.expires_at == NEVER:
            accepted.expires_at = start + self._validity_s
        if due > accepted.expires_at:
            due = accepted.expires_at
            fate = Fate("EXPIRED", self._settings.errors.get("EXPIRED", "000"), due - start, fate.ways)
        if fate.ways & INTERMEDIATE and accepted.pdu.registered_delivery & _INTERMEDIATE_WANTED:
            schedule.call_later((start + due) / 2 - now, self._intermediate, accepted, turn)
        schedule.call_later(due - now, self._finish, accepted, turn, fate)

    def _leave(self, accepted: Accepted, turn: int) -> None:
        if accepted.turn == turn:
            accepted.state = "ENROUTE"

    def _intermediate(self, accepted: Accepted, turn: int) -> None:
        if accepted.turn == turn:
            self.receipts.send(accepted, "ENROUTE", "000")

    def _finish(self, accepted: Accepted, turn: int, fate: Fate) -> None:
        if accepted.turn != turn:
            return
        pdu = accepted.pdu
        now = self._schedule.now()
        state, error, _, ways = fate
        if state == "DELIVRD":
            self._counters.reached_handsets += 1
            part = _new(ReceivedPart, (now, self._name, accepted.message_id.text, pdu, self._alphabet))
            self._inbox.receive(handset(pdu.destination_addr), part)
        self._end(accepted, state, error, ways, now)

    def _end(self, accepted: Accepted, state: str, error: str, ways: int, now: float) -> None:
        self.under_way -= 1
        accepted.turn += 1
        accepted.state, accepted.error, accepted.final_at = state, error, now
        if accepted.waiting is not None:
            accepted.waiting(accepted)
        if _wants(accepted.pdu, state):
            self.receipts.send(accepted, state, error, ways)

    def cancel(self, accepted: Accepted) -> None:
        """cancel_sm, or replaced by a later submit_sm: it is DELETED. Only while it is en route."""
        self._end(accepted, "DELETED", self._settings.errors.get("DELETED", "000"), 0, self._schedule.now())

    def replace(self, accepted: Accepted, by: ReplaceSm, fate: Fate, scheduled_at: float, expires_at: float) -> None:
        """replace_sm: another text, and perhaps other times; its way begins anew. Only while it is en route."""
        pdu = accepted.pdu
        assert isinstance(pdu, SubmitSm)
        payload = tlv(by, _PAYLOAD)
        others = tuple(one for one in pdu.tlvs if one.tag != _PAYLOAD)
        accepted.pdu = pdu._replace(
            short_message=by.short_message,
            registered_delivery=by.registered_delivery,
            sm_default_msg_id=by.sm_default_msg_id,
            esm_class=pdu.esm_class & ~_UDHI,  # the new text is one part
            tlvs=others if payload is None else (*others, *(one for one in by.tlvs if one.tag == _PAYLOAD)),
        )
        accepted.turn += 1
        accepted.state = "ENROUTE"
        if expires_at != NEVER:
            accepted.expires_at = expires_at
        self._set(accepted, fate, self._schedule.now(), scheduled_at)


def _wants(pdu: Accepting, stat: str) -> bool:
    if pdu.esm_class & _MODE_MASK == _DATAGRAM:
        return False  # 2.10.1: neither stored nor receipted
    wanted = pdu.registered_delivery & _WANTED_MASK
    if wanted == _WANTED_ON_FAILURE:
        return stat != "DELIVRD"
    if wanted == _WANTED_ON_SUCCESS:
        return stat == "DELIVRD"
    return wanted != 0


def handset(destination_addr: str) -> str:
    """The handset of an address, in international digits; what is no number keeps its name, so that nothing vanishes."""
    if destination_addr.isdigit() and not destination_addr.startswith("0"):
        return destination_addr
    try:
        return international(destination_addr)
    except RequestError:
        return destination_addr
