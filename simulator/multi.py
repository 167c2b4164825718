"""submit_multi: one text to many. Each destination is judged as a submit_sm of its own; all share one id. SMPP 3.4 §4.5."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.smpp.constants import CommandStatus
from gateway.smpp.fields import DistributionList, SmeAddress, UnsuccessSme
from gateway.smpp.pdu import SubmitMulti, SubmitMultiResp, SubmitSm
from simulator.answers import Submitter
from simulator.behaviours.base import Submission
from simulator.behaviours.chain import Chain
from simulator.behaviours.message_ids import MessageId, MessageIds
from simulator.counters import Counters
from simulator.settings import AccountSettings
from simulator.submits import Submits

_INTERNATIONAL = 1  # ton and npi of the numbers in a distribution list
_ISDN = 1


class MultiSubmits:
    """Takes submit_multi of an account's sessions."""

    def __init__(
        self, settings: AccountSettings, submits: Submits, chain: Chain, ids: MessageIds, counters: Counters
    ) -> None:
        self._lists = settings.distribution_lists
        self._submits = submits
        self._chain = chain
        self._ids = ids
        self._counters = counters

    def take(self, session: Submitter, pdu: SubmitMulti) -> None:
        """Handle one submit_multi. A cut, a lost answer or a delay of one destination is that of all."""
        failed: list[UnsuccessSme] = []
        addresses = list(self._addresses(pdu, failed))
        submissions = [self._judged(session, pdu, address) for address in addresses]
        if submissions and submissions[0].ignored:
            self._counters.requests_dropped += 1
            session.forget(pdu)
            self._submits.note(session, submissions[0], None, "request_dropped")
            return
        message_id = self._ids.take()
        cut, answered = any(one.cut for one in submissions), all(one.answered for one in submissions)
        outcome = "link_cut" if cut else "answered" if answered else "answer_dropped"
        for submission, address in zip(submissions, addresses, strict=True):
            accepted = self._submits.accept(session, submission, message_id)
            self._submits.note(session, submission, accepted, outcome)
            if submission.status:
                failed.append(UnsuccessSme(*address, int(submission.status)))
        if cut:
            self._counters.links_cut += 1
            session.abort()
        elif not answered:
            self._counters.answers_dropped += 1
            session.forget(pdu)
        else:
            self._answer(session, pdu, message_id, submissions, failed)

    def _answer(
        self,
        session: Submitter,
        pdu: SubmitMulti,
        message_id: MessageId,
        submissions: list[Submission],
        failed: list[UnsuccessSme],
    ) -> None:
        status = CommandStatus.ESME_ROK
        if not pdu.dest_address:
            status = CommandStatus.ESME_RINVNUMDESTS
        elif all(one.status for one in submissions):
            status = CommandStatus.ESME_RSUBMITFAIL
        text = "" if status else message_id.text
        answer = SubmitMultiResp(pdu.sequence_number, status, text, tuple(failed))
        delay_s = max((one.delay_s for one in submissions), default=0.0)
        self._submits.answers.send(session, answer, pdu, delay_s, submissions[0].answer_form if submissions else "")

    def _addresses(self, pdu: SubmitMulti, failed: list[UnsuccessSme]) -> Iterator[SmeAddress]:
        """The numbers, those of distribution lists included; a list that nobody knows has failed."""
        for address in pdu.dest_address:
            if not isinstance(address, DistributionList):
                yield address
            elif address.dl_name in self._lists:
                for number in self._lists[address.dl_name]:
                    yield SmeAddress(_INTERNATIONAL, _ISDN, number)
            else:
                failed.append(UnsuccessSme(0, 0, address.dl_name, int(CommandStatus.ESME_RINVDLNAME)))

    def _judged(self, session: Submitter, pdu: SubmitMulti, address: SmeAddress) -> Submission:
        before = pdu._asdict()
        del before["dest_address"]
        single = SubmitSm(**before)._replace(
            dest_addr_ton=address.dest_addr_ton,
            dest_addr_npi=address.dest_addr_npi,
            destination_addr=address.destination_addr,
        )
        submission = self._submits.submission(session, single)
        self._chain.run(submission)
        return submission
