"""One account's counter for submit_sm: judged by the behaviours, noted in the books, answered. SMPP 3.4 §4.4."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import structlog

from gateway.smpp.constants import EsmClass, TlvTag
from gateway.smpp.pdu import DataSm, DataSmResp, Pdu, SubmitSm, SubmitSmResp, tlv_int
from gateway.smpp.text import decode_text, parse_concatenation, user_data
from simulator.behaviours.base import Submission
from simulator.behaviours.chain import Chain
from simulator.behaviours.fates import Fates
from simulator.behaviours.message_ids import MessageId, MessageIds
from simulator.counters import Counters
from simulator.delivery import Delivery
from simulator.receipts import Accepted
from simulator.record import quote
from simulator.settings import AccountSettings
from simulator.world import World

log = structlog.get_logger()

_USER_MESSAGE_REFERENCE = int(TlvTag.USER_MESSAGE_REFERENCE)  # plain numbers: looking up an enum's member is slow
_UDHI = int(EsmClass.UDHI)
_EMPTY = '""'


class Submitter(Protocol):
    """What is needed of the session that a submit_sm came by."""

    system_id: str

    def reply(self, response: Pdu, request: Pdu) -> object: ...

    def forget(self, request: Pdu) -> None: ...

    def abort(self) -> None: ...


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
        self._fates = Fates(settings.receipts, world.rng(name, "fates"))
        self._delivery = delivery
        self._counters = counters
        self._open: Counter[Submitter] = Counter()  # delayed answers by session

    def take(self, session: Submitter, pdu: SubmitSm | DataSm) -> None:
        """Handle one submit_sm or data_sm."""
        now = self._world.schedule.now()
        self._counters.submit(now)
        concatenation = parse_concatenation(pdu) if pdu.tlvs or pdu.esm_class & _UDHI else None
        submission = Submission(pdu, now, self._counters.submits, self._open[session], concatenation)
        self._chain.run(submission)
        if submission.ignored:
            self._counters.requests_dropped += 1
            session.forget(pdu)
            self._note(session, submission, None, "request_dropped")
            return
        message_id = self._accept(session, submission)
        if submission.cut:
            self._counters.links_cut += 1
            self._note(session, submission, message_id, "link_cut")
            log.info("link_cut", account=self._name, system_id=session.system_id, submit=submission.ordinal)
            session.abort()
        elif submission.answered:
            self._note(session, submission, message_id, "answered")
            self._answer(session, submission, message_id)
        else:
            self._counters.answers_dropped += 1
            session.forget(pdu)
            self._note(session, submission, message_id, "answer_dropped")

    def forget(self, session: Submitter) -> None:
        """A session is gone."""
        del self._open[session]

    def _accept(self, session: Submitter, submission: Submission) -> MessageId | None:
        if submission.status:
            self._counters.refused[submission.status] += 1
            if not submission.deliver_anyway:
                return None
        else:
            self._counters.accepted += 1
        message_id = self._ids.take()
        accepted = Accepted(submission.pdu, message_id, session.system_id, submission.at)
        if self._delivery.begin(accepted, self._fates.draw(submission)):
            submission.delay_s += self._settings.receipts.early_by_s
        return message_id

    def _answer(self, session: Submitter, submission: Submission, message_id: MessageId | None) -> None:
        pdu = submission.pdu
        text = message_id.text if message_id is not None and not submission.status else ""
        response: Callable[..., SubmitSmResp | DataSmResp] = DataSmResp if isinstance(pdu, DataSm) else SubmitSmResp
        answer = response(pdu.sequence_number, submission.status, text)
        if submission.delay_s <= 0:
            session.reply(answer, pdu)
            return
        self._open[session] += 1
        self._world.schedule.call_later(submission.delay_s, self._answer_later, session, answer, pdu)

    def _answer_later(self, session: Submitter, answer: Pdu, request: Pdu) -> None:
        if session in self._open:
            self._open[session] -= 1
            session.reply(answer, request)

    def _note(self, session: Submitter, submission: Submission, message_id: MessageId | None, outcome: str) -> None:
        pdu = submission.pdu
        part = submission.concatenation
        octets = part.octets if part is not None else user_data(pdu)
        text = decode_text(octets, pdu.data_coding, default_alphabet=self._settings.default_alphabet)
        reference = tlv_int(pdu, _USER_MESSAGE_REFERENCE) if pdu.tlvs else None
        members = (
            f'"account":{self._quoted_name},"system_id":{quote(session.system_id)},'
            f'"sequence_number":{pdu.sequence_number},"source":{quote(pdu.source_addr)},'
            f'"destination":{quote(pdu.destination_addr)},"data_coding":{pdu.data_coding},'
            f'"text":{quote(text if text is not None else octets.hex())},'
            f'"udh":{"null" if part is None else [part.reference, part.total, part.part]},'
            f'"user_message_reference":{"null" if reference is None else reference},'
            f'"registered_delivery":{pdu.registered_delivery},'
            f'"message_id":{quote(message_id.text) if message_id is not None else _EMPTY},'
            f'"status":{submission.status:d},"outcome":"{outcome}"'
        )
        if submission.refused_by:
            members += f',"refused_by":"{submission.refused_by}"'
        if submission.charge is not None:
            members += f',"charge":{json.dumps(submission.charge)}'
        self._world.record.add_json("submit", members)
        if self._debug:
            log.debug("submit_sm_received", account=self._name, outcome=outcome, status=int(submission.status))
