"""One account: who may bind, the sessions it has, and what joins its submits, receipts, MO and faults."""

from __future__ import annotations

from typing import Any

import structlog

from gateway.smpp.constants import CommandStatus, status_name
from gateway.smpp.pdu import BindReceiver, BindTransceiver, BindTransmitter, DataSm, Pdu, SubmitMulti, SubmitSm
from simulator.behaviours.base import Gate
from simulator.behaviours.chain import build_chain
from simulator.behaviours.charging import Charging
from simulator.behaviours.faults import ActiveFault, FaultKind, Faults
from simulator.behaviours.message_ids import MessageIds
from simulator.counters import Counters
from simulator.delivery import Delivery
from simulator.link import Link
from simulator.mailbox import Mailbox, Outgoing
from simulator.mo import MoDesk
from simulator.multi import MultiSubmits
from simulator.operations import Operations
from simulator.settings import AccountSettings, Mode
from simulator.submits import Submits
from simulator.troubles import Troubles
from simulator.world import World

log = structlog.get_logger()

BindPdu = BindTransmitter | BindReceiver | BindTransceiver
_MODES: dict[type, Mode] = {
    BindTransmitter: "transmitter",
    BindReceiver: "receiver",
    BindTransceiver: "transceiver",
}


def mode_of(pdu: BindPdu) -> Mode:
    """transmitter, receiver or transceiver."""
    return _MODES[type(pdu)]


class Account:
    """One ESME's contract with this SMSC, at work."""

    def __init__(self, name: str, settings: AccountSettings, world: World) -> None:
        self.name = name
        self.settings = settings
        self.counters = Counters()
        self.faults = Faults(world.schedule.now)
        self.sessions: list[Link] = []
        self.charging = Charging(settings.charging) if settings.charging is not None else None
        self._world = world
        start = settings.message_ids.start
        ids = MessageIds(
            settings.message_ids,
            int(world.schedule.now() * 1_000_000) if start is None else start,
            world.rng(name, f"ids/{start if start is not None else world.schedule.now()}"),
        )
        self._retry_rng = world.rng(name, "retry")
        self._boxes: dict[str, Mailbox] = {}
        self._unclaimed = self._new_box()  # MO that came before any ESME did, where any system_id is taken
        last: list[Gate] = [self.charging] if self.charging is not None else []
        chain = build_chain(settings, self.faults, last, lambda concern: world.rng(name, concern))
        self.delivery = Delivery(name, settings, world, ids, self.faults, self.counters, self._box)
        self.submits = Submits(name, settings, world, chain, ids, self.delivery, self.counters)
        self._multi = MultiSubmits(settings, self.submits, chain, ids, self.counters)
        self._operations = Operations(name, world, self.delivery, self.submits.fates)
        self._troubles = Troubles(name, settings.disturbances, world, self.faults, self.counters, self.sessions)
        self.mo = MoDesk(name, settings, world, ids, self.charging, self.counters, self._post_mo)

    # Binds

    @property
    def takes_any_system_id(self) -> bool:
        return self.settings.system_id == "*"

    def judge_bind(self, pdu: BindPdu) -> int:
        """The command_status of a bind. SMPP 3.4 §4.1."""
        settings = self.settings
        if self.faults.find(FaultKind.REFUSE_BINDS) is not None:
            return CommandStatus.ESME_RBINDFAIL
        if settings.password not in ("*", pdu.password):
            return CommandStatus.ESME_RINVPASWD
        if mode_of(pdu) not in settings.modes or pdu.interface_version not in settings.versions:
            return CommandStatus.ESME_RBINDFAIL
        if len(self.sessions) >= settings.max_binds:
            return CommandStatus.ESME_RALYBND
        return CommandStatus.ESME_ROK

    def bound(self, session: Link) -> None:
        """A session is up."""
        self.sessions.append(session)
        self.counters.binds += 1
        self._world.record.add("bind", self._about(session))
        log.info("esme_bound", **self._about(session))
        if session.mode != "transmitter":
            box = self._box(session.system_id)
            box.bound(session)
            box.adopt(self._unclaimed)
            self.delivery.receipts.bound(session.system_id)
        self._troubles.bound(session)

    def lost(self, session: Link, reason: str, unanswered: list[Outgoing]) -> None:
        """A session is gone."""
        if session in self.sessions:
            self.sessions.remove(session)
        self.submits.answers.forget(session)
        self._box(session.system_id).lost(session, unanswered)
        self._world.record.add("unbind", {**self._about(session), "reason": reason, "unanswered": len(unanswered)})
        log.info("esme_gone", **self._about(session), reason=reason, unanswered=len(unanswered))

    # PDUs

    def request(self, session: Link, pdu: Pdu) -> None:
        """A request of a bound session: submit_sm most of all."""
        if type(pdu) is SubmitSm or type(pdu) is DataSm:
            self.submits.take(session, pdu)
        elif isinstance(pdu, SubmitMulti):
            self._multi.take(session, pdu)
        else:
            self._operations.take(session, pdu)

    def answered(self, session: Link, outgoing: Outgoing, status: int) -> None:
        self._box(session.system_id).answered(session, outgoing, status)

    def expired(self, session: Link, outgoing: Outgoing) -> None:
        self._box(session.system_id).expired(session, outgoing)

    # Faults

    def order(self, fault: ActiveFault) -> int:
        """Switch a fault on, or do it at once. Returns how many sessions it hit at once."""
        hit = list(self.sessions)
        log.info("fault_ordered", account=self.name, fault=fault.kind.value, sessions=len(hit))
        self._world.record.add("fault", {"account": self.name, "fault": fault.kind.value, "until": fault.until})
        if not fault.kind.at_once:
            self.faults.switch_on(fault)
        self._troubles.order(fault)
        return len(hit)

    def clear_faults(self, kind: FaultKind | None = None) -> None:
        """This fault off; without one, everything back to what the configuration says."""
        self.faults.clear(kind)
        self._troubles.cleared()
        log.info("faults_cleared", account=self.name)

    # State

    @property
    def has_receiver(self) -> bool:
        return any(session.mode != "transmitter" for session in self.sessions)

    def waiting(self) -> int:
        """MO and receipts that no ESME has answered for good."""
        return len(self._unclaimed) + sum(len(box) for box in self._boxes.values()) + self.delivery.receipts.held

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        now = self._world.schedule.now()
        return {
            "account": self.name,
            "port": self.settings.port,
            "system_id": self.settings.system_id,
            "charging": self.charging is not None,
            "limits": {"window": self.settings.window, "tps": self.settings.tps, "max_binds": self.settings.max_binds},
            "binds": [self._bind_as_dict(session) for session in self.sessions],
            "waiting": self.waiting(),
            "under_way": self.delivery.under_way,
            "counters": self.counters.as_dict(now),
            "faults": [
                {
                    "fault": fault.kind.value,
                    "seconds_left": None if fault.until is None else round(fault.until - now, 3),
                    "count_left": fault.left,
                    **({"status": status_name(fault.status)} if fault.kind is FaultKind.STATUS else {}),
                }
                for fault in self.faults.active()
            ],
        }

    def _about(self, session: Link) -> dict[str, Any]:
        return {
            "account": self.name,
            "system_id": session.system_id,
            "mode": session.mode,
            "version": f"0x{session.interface_version:02X}",
            "peer": session.peer,
        }

    def _bind_as_dict(self, session: Link) -> dict[str, Any]:
        return {
            **self._about(session),
            "state": "silent" if session.silent else "bound",
            "since": round(session.wire.since, 4),
            "submits_open": session.unanswered_requests,
            "delivers_open": session.in_flight,
            "delivers_window": session.in_flight + session.free_window,
            "pdus_received": session.wire.received,
            "pdus_sent": session.wire.sent,
        }

    def _new_box(self) -> Mailbox:
        settings = self.settings.mo
        return Mailbox(
            self._world.schedule,
            lambda: settings.retry.draw(self._retry_rng),
            settings.keep_s,
            settings.kept,
            self._world.settings.sessions.unanswered_limit,
        )

    def _box(self, system_id: str) -> Mailbox:
        box = self._boxes.get(system_id)
        if box is None:
            box = self._boxes[system_id] = self._new_box()
        return box

    def _post_mo(self, outgoing: Outgoing) -> None:
        if not self.takes_any_system_id:
            self._box(self.settings.system_id).post(outgoing)
            return
        # Any ESME may have it: the one that bound last, which is the one somebody is working with.
        for session in reversed(self.sessions):
            if session.mode != "transmitter":
                self._box(session.system_id).post(outgoing)
                return
        self._unclaimed.post(outgoing)
