"""Answers to submit_sm and data_sm: now, later, in transaction mode, twice, wrong, as generic_nack. SMPP 3.4 §4.4.2, §4.7.2."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from gateway.smpp.constants import CommandStatus, TlvTag
from gateway.smpp.pdu import (
    DataSm,
    DataSmResp,
    GenericNack,
    Pdu,
    SubmitMulti,
    SubmitSm,
    SubmitSmResp,
    Tlv,
    encode,
    make_tlv,
)
from simulator.behaviours.base import AnswerForm, Submission
from simulator.behaviours.congestion import Congestion
from simulator.messages import Accepted
from simulator.schedule import Schedule

_MODE_MASK = 0x03  # 5.2.12 esm_class: messaging mode
_TRANSACTION = 2  # 2.10.3: the answer waits for the final state
_NOBODYS = 0x40000000  # sequence_numbers in use are far below
_CONGESTION_STATE = int(TlvTag.CONGESTION_STATE)
_DELIVERY_FAILURE_REASON = int(TlvTag.DELIVERY_FAILURE_REASON)
_PERMANENT_NETWORK_ERROR = 2  # 5.3.2.33


class Submitter(Protocol):
    """What is needed of the session that a submit_sm came by."""

    system_id: str

    def answer_submit(self, request: Pdu, status: int, message_id: str) -> None: ...

    def reply(self, response: Pdu, request: Pdu) -> object: ...

    def forget(self, request: Pdu) -> None: ...

    def abort(self) -> None: ...

    def write_raw(self, data: bytes) -> None: ...


class Answers:
    """One account's answers, and how many of each session's submits wait for theirs."""

    def __init__(self, schedule: Schedule, congestion: Congestion | None) -> None:
        self._schedule = schedule
        self._congestion = congestion
        self._open: Counter[Submitter] = Counter()

    def open(self, session: Submitter) -> int:
        """Submits of a session whose answer is under way."""
        return self._open.get(session, 0)

    def forget(self, session: Submitter) -> None:
        """A session is gone."""
        del self._open[session]

    def give(self, session: Submitter, submission: Submission, message_id: str, accepted: Accepted | None) -> None:
        """Answer a submit_sm or data_sm as its behaviours want it."""
        pdu = submission.pdu
        if (
            type(pdu) is SubmitSm
            and submission.delay_s <= 0
            and not submission.answer_form
            and self._congestion is None
            and (pdu.esm_class & _MODE_MASK != _TRANSACTION or accepted is None)
        ):
            session.answer_submit(pdu, submission.status, "" if submission.status else message_id)
            return
        if accepted is not None and pdu.esm_class & _MODE_MASK == _TRANSACTION and accepted.en_route:
            self._open[session] += 1
            accepted.waiting = lambda ended: self._later(session, _transacted(pdu, message_id, ended), pdu, "")
            return
        kind = DataSmResp if isinstance(pdu, DataSm) else SubmitSmResp
        answer: SubmitSmResp | DataSmResp = kind(
            pdu.sequence_number, submission.status, "" if submission.status else message_id
        )
        if self._congestion is not None:
            state = bytes([self._congestion.state(submission)])
            answer = answer._replace(tlvs=(Tlv(_CONGESTION_STATE, state),))
        self.send(session, answer, pdu, submission.delay_s, submission.answer_form)

    def send(self, session: Submitter, answer: Pdu, request: Pdu, delay_s: float, form: AnswerForm) -> None:
        """Send an answer when its time has come."""
        if delay_s <= 0:
            _send(session, answer, request, form)
            return
        self._open[session] += 1
        self._schedule.call_later(delay_s, self._later, session, answer, request, form)

    def _later(self, session: Submitter, answer: Pdu, request: Pdu, form: AnswerForm) -> None:
        if session in self._open:
            self._open[session] -= 1
            _send(session, answer, request, form)


def _send(session: Submitter, answer: Pdu, request: Pdu, form: AnswerForm) -> None:
    if not form:
        session.reply(answer, request)
    elif form == "nack":
        session.reply(GenericNack(answer.sequence_number, answer.command_status), request)
    elif form == "twice":
        session.reply(answer, request)
        session.write_raw(encode(answer))
    else:
        session.forget(request)
        session.write_raw(encode(answer._replace(sequence_number=answer.sequence_number | _NOBODYS)))


def _transacted(pdu: SubmitSm | DataSm | SubmitMulti, message_id: str, ended: Accepted) -> Pdu:
    """The answer of transaction mode: the message's end is the answer's status."""
    delivered = ended.state == "DELIVRD"
    status = CommandStatus.ESME_ROK if delivered else CommandStatus.ESME_RDELIVERYFAILURE
    if not isinstance(pdu, DataSm):
        return SubmitSmResp(pdu.sequence_number, status, message_id if delivered else "")
    tlvs = () if delivered else (make_tlv(_DELIVERY_FAILURE_REASON, _PERMANENT_NETWORK_ERROR),)
    return DataSmResp(pdu.sequence_number, status, message_id, tlvs)
