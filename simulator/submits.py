"""One account's counter for submit_sm: judged by the behaviours, noted in the books, answered. SMPP 3.4 §4.4."""

from __future__ import annotations

import json
from collections.abc import Callable

import structlog

from gateway.smpp.constants import EsmClass, TlvTag
from gateway.smpp.pdu import DataSm, SubmitSm, tlv_int
from gateway.smpp.text import decode_text, parse_concatenation, user_data
from simulator.answers import Answers, Submitter
from simulator.behaviours.base import NEVER, Submission
from simulator.behaviours.chain import Chain
from simulator.behaviours.fates import Fates
from simulator.behaviours.message_ids import MessageId, MessageIds
from simulator.counters import Counters
from simulator.delivery import Delivery
from simulator.messages import Accepted
from simulator.record import quote
from simulator.settings import AccountSettings
from simulator.world import World

log = structlog.get_logger()

_USER_MESSAGE_REFERENCE = int(TlvTag.USER_MESSAGE_REFERENCE)  # plain numbers: looking up an enum's member is slow
_UDHI = int(EsmClass.UDHI)


class Submits:
    """Takes submit_sm and data_sm of an account's sessions."""

    def __init__(
        self,
        name: str,
        settings: AccountSettings,
        world: World,
        chain: Chain,
        ids: MessageIds,
        delivery: Delivery,
        counters: Counters,
    ) -> None:
        self._name = name
        self._quoted_name = quote(name)
        self._debug = world.settings.log.level == "debug"
        self._settings = settings
        self._world = world
        self._chain = chain
        self._ids = ids
        self.fates = Fates(settings.receipts, world.rng(name, "fates"))
        self._delivery = delivery
        self._counters = counters
        #: Told of every submit when it is judged; while somebody counts them (a load).
        self.watcher: Callable[[Submission], None] | None = None
        self.answers = Answers(world.schedule, chain.congestion)

    def take(self, session: Submitter, pdu: SubmitSm | DataSm) -> None:
        """Handle one submit_sm or data_sm."""
        submission = self.submission(session, pdu)
        self._chain.run(submission)
        if submission.ignored:
            self._counters.requests_dropped += 1
            session.forget(pdu)
            self.note(session, submission, None, "request_dropped")
            return
        accepted = self.accept(session, submission)
        if submission.cut:
            self._counters.links_cut += 1
            self.note(session, submission, accepted, "link_cut")
            log.info("link_cut", account=self._name, system_id=session.system_id, submit=submission.ordinal)
            session.abort()
        elif submission.answered:
            self.note(session, submission, accepted, "answered")
            self.answers.give(session, submission, "" if accepted is None else accepted.message_id.text, accepted)
        else:
            self._counters.answers_dropped += 1
            session.forget(pdu)
            self.note(session, submission, accepted, "answer_dropped")

    def submission(self, session: Submitter, pdu: SubmitSm | DataSm) -> Submission:
        """Count one, and make what the behaviours judge."""
        now = self._world.schedule.now()
        self._counters.submit(now)
        concatenation = parse_concatenation(pdu) if pdu.tlvs or pdu.esm_class & _UDHI else None
        return Submission(pdu, now, self._counters.submits, self.answers.open(session), concatenation)

    def accept(
        self, session: Submitter, submission: Submission, message_id: MessageId | None = None
    ) -> Accepted | None:
        """Take a message over that was judged; None when it was refused. ``message_id``: the one that its kin have."""
        if submission.status:
            self._counters.refused[submission.status] += 1
            if not submission.deliver_anyway:
                return None
        else:
            self._counters.accepted += 1
        pdu = submission.pdu
        if type(pdu) is SubmitSm and pdu.replace_if_present_flag == 1:
            self._replace_present(session, pdu)
        accepted = Accepted(pdu, message_id or self._ids.take(), session.system_id, submission.at)
        if submission.expires_at != NEVER:
            accepted.expires_at = submission.expires_at
        if self._delivery.begin(accepted, self.fates.draw(submission), submission.scheduled_at):
            submission.delay_s += self._settings.receipts.early_by_s
        return accepted

    def _replace_present(self, session: Submitter, pdu: SubmitSm) -> None:
        """5.2.18 replace_if_present_flag: the newest one under way between the same two of the same service_type."""
        for other in self._delivery.messages.newest_first():
            if (
                other.en_route
                and other.system_id == session.system_id
                and other.pdu.source_addr == pdu.source_addr
                and other.pdu.destination_addr == pdu.destination_addr
                and other.pdu.service_type == pdu.service_type
            ):
                self._delivery.cancel(other)
                return

    def note(self, session: Submitter, submission: Submission, accepted: Accepted | None, outcome: str) -> None:
        """Into the record."""
        if submission.directive_fault:
            log.warning("directive_not_understood", account=self._name, fault=submission.directive_fault)
        message_id = "" if accepted is None else accepted.message_id.text
        if self.watcher is not None:
            self.watcher(submission)
        self._world.record.add_later(
            "submit", submission.at, self._members, session.system_id, submission, message_id, outcome
        )
        if self._debug:
            log.debug("submit_sm_received", account=self._name, outcome=outcome, status=int(submission.status))

    def _members(self, system_id: str, submission: Submission, message_id: str, outcome: str) -> str:
        """A submit in the record."""
        pdu = submission.pdu
        part = submission.concatenation
        octets = part.octets if part is not None else user_data(pdu)
        text = decode_text(octets, pdu.data_coding, default_alphabet=self._settings.default_alphabet)
        reference = tlv_int(pdu, _USER_MESSAGE_REFERENCE) if pdu.tlvs else None
        members = (
            f'"account":{self._quoted_name},"system_id":{quote(system_id)},'
            f'"sequence_number":{pdu.sequence_number},"source":{quote(pdu.source_addr)},'
            f'"destination":{quote(pdu.destination_addr)},"data_coding":{pdu.data_coding},'
            f'"text":{quote(text if text is not None else octets.hex())},'
            f'"udh":{"null" if part is None else [part.reference, part.total, part.part]},'
            f'"user_message_reference":{"null" if reference is None else reference},'
            f'"registered_delivery":{pdu.registered_delivery},'
            f'"message_id":{quote(message_id)},'
            f'"status":{submission.status:d},"outcome":"{outcome}"'
        )
        if submission.refused_by:
            members += f',"refused_by":"{submission.refused_by}"'
        if submission.directive_fault:
            members += f',"directive_fault":{quote(submission.directive_fault)}'
        if submission.charge is not None:
            members += f',"charge":{json.dumps(submission.charge)}'
        return members
