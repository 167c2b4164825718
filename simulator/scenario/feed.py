"""Turns what the simulator notes anyway (PDUs, record, handsets, books) into events of a scenario's journal."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

from gateway.smpp.constants import RESPONSE_BIT, command_name
from gateway.smpp.errors import RemoteProtocolError
from gateway.smpp.pdu import DataSm, Pdu, SubmitMulti, SubmitSm, decode
from simulator.mo import Mo
from simulator.pdu_ring import PduEntry
from simulator.scenario.events import (
    BindRefused,
    Bound,
    Charged,
    HandsetText,
    MoAnswered,
    PduSeen,
    ReceiptAnswered,
    Submitted,
    Unbound,
)
from simulator.scenario.journal import Journal
from simulator.simulator import Simulator

_NO_ANSWER = 0xFFFFFFFF  # no command_status, and above all of them: the worst
_UNJUDGED = 20_000  # submits whose record entry is awaited
_MESSAGES = frozenset({"submit_sm", "data_sm", "submit_multi"})


class Feed:
    """Watches one simulator from its start to its end."""

    def __init__(self, simulator: Simulator, journal: Journal) -> None:
        self._simulator = simulator
        self._journal = journal
        self._submits: OrderedDict[tuple[str, int], list[tuple[str, Pdu]]] = OrderedDict()  # system_id, sequence_number
        self._unanswered: dict[
            tuple[str, int], list[Submitted]
        ] = {}  # peer, sequence_number; several of a submit_multi
        self._shown: set[tuple[str, ...]] = set()  # handset and message_ids of texts that were told
        self._booked: dict[str, int] = {}  # lines of each account's books that were told
        #: submit_sm without an answer, of each connection; and whose account it is.
        self.open: dict[str, set[int]] = {}

    def start(self) -> None:
        """From now on everything is noted."""
        world = self._simulator.world
        world.pdus.watcher = self._pdu
        world.record.watcher = self._recorded
        world.inbox.watchers.append(self._handset)

    def stop(self) -> None:
        """No more."""
        world = self._simulator.world
        world.pdus.watcher = None
        world.record.watcher = None
        if self._handset in world.inbox.watchers:
            world.inbox.watchers.remove(self._handset)

    def follow(self, mo: Mo, step: str) -> None:
        """Note the answer of an MO when it is settled."""
        mo.when_settled().addCallback(self._answered, step)

    # PDUs

    def _pdu(self, entry: PduEntry) -> None:
        if not entry.framed:
            return
        command_id = int.from_bytes(entry.octets[4:8], "big")
        try:
            pdu: Pdu | None = decode(entry.octets)
        except RemoteProtocolError:
            pdu = None
        command = command_name(command_id)
        number = int.from_bytes(entry.octets[12:16], "big")
        event = PduSeen(
            at=entry.at,
            account=entry.wire.account,
            direction="out" if entry.sent else "in",
            system_id=entry.wire.system_id,
            peer=entry.wire.peer,
            command=command,
            status=int.from_bytes(entry.octets[8:12], "big"),
            sequence_number=number,
            pdu=pdu,
        )
        if not entry.sent and command in _MESSAGES and pdu is not None:
            self.open.setdefault(event.peer, set()).add(number)
            self._submits.setdefault((event.system_id, number), []).append((event.peer, pdu))
            if len(self._submits) > _UNJUDGED:
                self._submits.popitem(last=False)
        elif entry.sent and command_id & RESPONSE_BIT:
            self.open.get(event.peer, set()).discard(number)
            for submitted in self._unanswered.pop((event.peer, number), ()):
                submitted.answered_at = event.at
        self._journal.add(event)

    def _pdu_of(self, entry: dict[str, Any]) -> tuple[str, SubmitSm | DataSm | None]:
        """The PDU that a line of the record is about, and where it came from."""
        waiting = self._submits.get((entry["system_id"], entry["sequence_number"]), [])
        for index, (peer, pdu) in enumerate(waiting):
            if isinstance(pdu, SubmitMulti):
                return peer, None  # one line for each of its destinations
            if isinstance(pdu, SubmitSm | DataSm) and pdu.destination_addr == entry["destination"]:
                del waiting[index]
                if not waiting:
                    del self._submits[entry["system_id"], entry["sequence_number"]]
                return peer, pdu
        return "", None

    # The record

    def _recorded(self, line: str) -> None:
        entry = json.loads(line)
        noted = getattr(self, f"_note_{entry['event']}", None)
        if noted is not None:
            noted(entry)
        if entry["event"] in ("submit", "mo"):
            self._note_charges(entry.get("account", ""))

    def _note_bind(self, entry: dict[str, Any]) -> None:
        self._journal.add(
            Bound(
                at=entry["at"],
                account=entry["account"],
                system_id=entry["system_id"],
                mode=entry["mode"],
                version=int(entry["version"], 16),
                peer=entry["peer"],
            )
        )

    def _note_bind_refused(self, entry: dict[str, Any]) -> None:
        self._journal.add(
            BindRefused(
                at=entry["at"],
                account=entry["account"],
                system_id=entry["system_id"],
                status=entry["status"],
                peer=entry["peer"],
            )
        )

    def _note_unbind(self, entry: dict[str, Any]) -> None:
        self.open.pop(entry["peer"], None)
        for key in [key for key in self._unanswered if key[0] == entry["peer"]]:
            del self._unanswered[key]
        self._journal.add(
            Unbound(
                at=entry["at"],
                account=entry["account"],
                system_id=entry["system_id"],
                mode=entry["mode"],
                reason=entry["reason"],
                peer=entry["peer"],
            )
        )

    def _note_submit(self, entry: dict[str, Any]) -> None:
        peer, pdu = self._pdu_of(entry)
        _, parts, part = entry["udh"] or (0, 1, 1)
        submitted = Submitted(
            at=entry["at"],
            account=entry["account"],
            system_id=entry["system_id"],
            pdu=pdu,
            source_addr=entry["source"],
            destination_addr=entry["destination"],
            text=entry["text"],
            part=part,
            parts=parts,
            data_coding=entry["data_coding"],
            registered_delivery=entry["registered_delivery"],
            status=entry["status"],
            message_id=entry["message_id"],
            outcome=entry["outcome"],
        )
        if entry["outcome"] == "answered":
            self._unanswered.setdefault((peer, entry["sequence_number"]), []).append(submitted)
        else:
            self.open.get(peer, set()).discard(entry["sequence_number"])
        self._journal.add(submitted)

    def _note_receipt(self, entry: dict[str, Any]) -> None:
        self._journal.add(
            ReceiptAnswered(
                at=entry["at"],
                account=entry["account"],
                system_id=entry["system_id"],
                message_id=entry["message_id"],
                receipted_id=entry["receipted_id"],
                source_addr=entry["source"],
                destination_addr=entry["destination"],
                stat=entry["stat"],
                outcome=entry["outcome"],
                status=_NO_ANSWER if entry["status"] is None else entry["status"],
                attempts=entry["attempts"],
            )
        )

    def _note_charges(self, account: str) -> None:
        charging = self._simulator.accounts[account].charging if account in self._simulator.accounts else None
        if charging is None:
            return
        entries = list(charging.entries)
        for entry in entries[self._booked.get(account, 0) :]:
            self._journal.add(
                Charged(
                    at=entry.at,
                    account=account,
                    phone=entry.phone,
                    shortcode=entry.shortcode,
                    mo_id=entry.mo_id,
                    decision=entry.decision,
                    outcome=entry.outcome,
                    amount_vnd=entry.amount_vnd,
                    balance_vnd=entry.balance_vnd,
                    status=entry.status,
                )
            )
        self._booked[account] = len(entries)

    # Handsets

    def _handset(self, number: str) -> None:
        for message in self._simulator.world.inbox.messages(number):
            key = (number, *message.message_ids)  # the destinations of a submit_multi share their id
            if message.missing or key in self._shown:
                continue
            self._shown.add(key)
            self._journal.add(
                HandsetText(
                    at=message.at,
                    account=message.account,
                    to=number,
                    sender=message.sender,
                    text=message.text,
                    parts=message.parts,
                    copy=message.copy,
                    data_coding=message.data_coding,
                    message_ids=message.message_ids,
                )
            )

    def _answered(self, mo: Mo, step: str) -> None:
        statuses = [_NO_ANSWER if part.status is None else part.status for part in mo.parts if not part.withheld]
        self._journal.add(
            MoAnswered(
                at=self._simulator.world.schedule.now(),
                account=mo.account,
                step=step,
                source_addr=mo.request.phone,
                destination_addr=mo.request.to,
                text=mo.request.text,
                state=mo.state,
                status=max(statuses, default=_NO_ANSWER),
                attempts=sum(part.attempts for part in mo.parts),
                message_id=mo.parts[0].message_id,
            )
        )
