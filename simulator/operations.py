"""query_sm, cancel_sm, replace_sm: what an ESME asks about messages that it submitted. SMPP 3.4 §4.8, §4.9, §4.10."""

from __future__ import annotations

import structlog

from gateway.smpp.constants import CommandStatus, EsmClass, MessageStateCode, status_name
from gateway.smpp.pdu import (
    CancelSm,
    CancelSmResp,
    Pdu,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    ReplaceSmResp,
    SubmitSm,
    make_response,
)
from gateway.smpp.receipt import STATES_BY_WORD
from simulator.answers import Submitter
from simulator.behaviours.base import NEVER, Submission
from simulator.behaviours.fates import Fates
from simulator.delivery import Delivery
from simulator.messages import Accepted
from simulator.smpp_time import format_absolute, parse_time
from simulator.world import World

log = structlog.get_logger()

_UDHI = int(EsmClass.UDHI)


class Operations:
    """One account's counter for questions about earlier messages. All of them are answered at once."""

    def __init__(self, name: str, world: World, delivery: Delivery, fates: Fates) -> None:
        self._name = name
        self._world = world
        self._delivery = delivery
        self._fates = fates

    def take(self, session: Submitter, request: Pdu) -> None:
        """Answer one; a request that this SMSC does not offer (broadcast_sm) gets ESME_RINVCMDID."""
        if isinstance(request, QuerySm):
            answer: Pdu = self._query(session, request)
        elif isinstance(request, CancelSm):
            answer = CancelSmResp(request.sequence_number, self._cancel(session, request))
        elif isinstance(request, ReplaceSm):
            answer = ReplaceSmResp(request.sequence_number, self._replace(session, request))
        else:
            answer = make_response(request, CommandStatus.ESME_RINVCMDID)
        session.reply(answer, request)
        about = {
            "account": self._name,
            "system_id": session.system_id,
            "operation": request.command_id.name.lower() if hasattr(request.command_id, "name") else "unknown",
            "message_id": getattr(request, "message_id", ""),
            "status": int(answer.command_status),
        }
        self._world.record.add("operation", about)
        log.debug("operation_answered", **{**about, "status": status_name(answer.command_status)})

    def _query(self, session: Submitter, request: QuerySm) -> QuerySmResp:
        found = self._delivery.messages.find(request.message_id, session.system_id)
        number = request.sequence_number
        if not found:
            return QuerySmResp(number, CommandStatus.ESME_RINVMSGID)
        if len(found) > 1 or found[0].pdu.source_addr != request.source_addr:
            # 4.8: the source must be that of the message; and of many destinations there is no one state.
            return QuerySmResp(number, CommandStatus.ESME_RQUERYFAIL)
        message = found[0]
        state = STATES_BY_WORD.get(message.state, MessageStateCode.UNKNOWN)
        final_date = "" if message.en_route else format_absolute(message.final_at)
        error = int(message.error) & 0xFF if message.error.isdigit() else 0
        return QuerySmResp(number, 0, request.message_id, final_date, int(state), error)

    def _cancel(self, session: Submitter, request: CancelSm) -> int:
        if request.message_id:
            found = self._delivery.messages.find(request.message_id, session.system_id)
            if not found:
                return CommandStatus.ESME_RINVMSGID
            if found[0].pdu.source_addr != request.source_addr:
                return CommandStatus.ESME_RCANCELFAIL
        else:  # 4.9: without an id all that are under way from this source to this destination
            found = [one for one in self._delivery.messages.newest_first() if _fits(one, session, request)]
        waiting = [message for message in found if message.en_route]
        for message in waiting:
            self._delivery.cancel(message)
        return CommandStatus.ESME_ROK if waiting else CommandStatus.ESME_RCANCELFAIL

    def _replace(self, session: Submitter, request: ReplaceSm) -> int:
        found = self._delivery.messages.find(request.message_id, session.system_id)
        if not found:
            return CommandStatus.ESME_RINVMSGID
        message = found[0]
        pdu = message.pdu
        if (
            len(found) > 1
            or not message.en_route
            or not isinstance(pdu, SubmitSm)
            or pdu.source_addr != request.source_addr
            or pdu.esm_class & _UDHI  # one part of a long message cannot be another text
        ):
            return CommandStatus.ESME_RREPLACEFAIL
        now = self._world.schedule.now()
        try:
            scheduled_at = parse_time(request.schedule_delivery_time, now) if request.schedule_delivery_time else 0.0
        except ValueError:
            return CommandStatus.ESME_RINVSCHED
        try:
            expires_at = parse_time(request.validity_period, now) if request.validity_period else NEVER
        except ValueError:
            return CommandStatus.ESME_RINVEXPIRY
        fate = self._fates.draw(Submission(pdu, now, 0, 0, None))
        self._delivery.replace(message, request, fate, scheduled_at, expires_at)
        return CommandStatus.ESME_ROK


def _fits(message: Accepted, session: Submitter, request: CancelSm) -> bool:
    pdu = message.pdu
    return (
        message.system_id == session.system_id
        and pdu.source_addr == request.source_addr
        and pdu.destination_addr == request.destination_addr
        and request.service_type in ("", pdu.service_type)
    )
