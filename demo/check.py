"""Was anything lost or sent twice? Three books are compared: the officials' (what they did), the gateway's store, and the
operators' record. Each check returns its problems in words; no problems, no words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from demo.books import UNFINISHED, BookedMessage, BookedQuery
from demo.counter import Expected
from demo.record import Record, Taken
from gateway.model import ChargeState, MessageKind, MessageState

#: How an operator's outcome of a charge reads in our ledger.
OUTCOMES = {
    "charged": ChargeState.CHARGED,
    "not_charged": ChargeState.NOT_CHARGED,
    "refunded": ChargeState.REFUNDED,
    "insufficient_balance": ChargeState.INSUFFICIENT_BALANCE,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One question, and what speaks against a "yes"."""

    vietnamese: str
    english: str
    problems: tuple[str, ...]


def check(
    expected: Sequence[Expected], messages: Sequence[BookedMessage], queries: Sequence[BookedQuery], record: Record
) -> list[Finding]:
    """All checks."""
    return [
        Finding(
            "Mỗi thông báo phải có đều đã lập, đúng một lần, đúng số máy; bấm nhầm thì không gửi",
            "every notice that was due was made, once, to the right number; what was taken back never left",
            tuple(_notices(expected, messages)),
        ),
        Finding(
            "Không có thông báo nào không ai chờ",
            "no notice was made that was not due",
            tuple(_uncalled(expected, messages)),
        ),
        Finding(
            "Mọi tin nhắn đều đã kết thúc, có lý do",
            "every message has ended, with a reason",
            tuple(_unfinished(messages)),
        ),
        Finding(
            "Không mất tin: tin nào đã gửi thì nhà mạng đã nhận",
            "nothing was lost: what the gateway sent, the operators took",
            tuple(_compare(_sent(messages), record.taken(), "is not with the operator")),
        ),
        Finding(
            "Không gửi trùng: nhà mạng không nhận tin nào quá một lần",
            "nothing was sent twice: the operators took nothing that was not sent, or twice",
            tuple(_compare(record.taken(), _sent(messages), "was taken by the operator too often")),
        ),
        Finding(
            "Mỗi tin tra cứu được trả lời một lần và hạch toán một lần, khớp với nhà mạng",
            "every query was answered once and charged as the operator booked it",
            tuple(_queries(messages, queries, record)),
        ),
    ]


def _notices(expected: Iterable[Expected], messages: Sequence[BookedMessage]) -> Iterator[str]:
    made: dict[tuple[str, str, MessageKind], list[BookedMessage]] = {}
    for each in messages:
        made.setdefault((each.source, each.code, each.kind), []).append(each)
    for want in expected:
        found = made.get((want.source, want.file.code, want.kind), [])
        name = f"{want.kind} of {want.file.code} ({want.file.role})"
        if len(found) != 1:
            yield f"{name}: made {len(found)} times"
            continue
        notice, applicant = found[0], want.file.applicant
        ending = f"{name}: {notice.state} {notice.reason}".rstrip()
        if not applicant.mobile:
            if (notice.state, notice.reason) != (MessageState.REJECTED, f"phone:{applicant.reject_reason}"):
                yield f"{ending}, but its number '{applicant.phone_raw}' is {applicant.reject_reason}"
        elif want.taken_back:
            if notice.state is not MessageState.CANCELLED:
                yield f"{ending}, but it was taken back in time"
        elif notice.destination_addr != applicant.mobile or not notice.accepted:
            yield f"{ending} to '{notice.destination_addr}', not to {applicant.mobile}"


def _uncalled(expected: Iterable[Expected], messages: Sequence[BookedMessage]) -> Iterator[str]:
    wanted = {(want.source, want.file.code, want.kind) for want in expected}
    for each in messages:
        if each.kind is not MessageKind.MO_REPLY and (each.source, each.code, each.kind) not in wanted:
            yield f"{each.kind} of {each.code}: {each.state} {each.reason}".rstrip()


def _unfinished(messages: Sequence[BookedMessage]) -> Iterator[str]:
    for each in messages:
        if each.state in UNFINISHED:
            yield f"message {each.id} ({each.kind}) is still {each.state} {each.reason}"
        elif each.state is MessageState.REJECTED and not each.reason:
            yield f"message {each.id} ({each.kind}) is rejected without a reason"


def _sent(messages: Sequence[BookedMessage]) -> Counter[Taken]:
    return Counter(Taken(each.source_addr, each.destination_addr, each.text) for each in messages if each.accepted)


def _compare(these: Counter[Taken], others: Counter[Taken], what: str) -> Iterator[str]:
    for message, number in (these - others).items():
        yield f"{number} × to {message.number} from {message.sender}: “{message.text}” {what}"


def _queries(messages: Sequence[BookedMessage], queries: Sequence[BookedQuery], record: Record) -> Iterator[str]:
    handsets = record.queries()
    booked = Counter(query.smsc_message_id for query in queries)
    for mo_id, entry in handsets.items():
        if booked[mo_id] != 1:
            yield f"query “{entry['text']}” from {entry['source']}: booked {booked[mo_id]} times"
    replies = Counter(each.mo_id for each in messages if each.mo_id is not None)
    outcomes = {settled.mo_id: settled.outcome for settled in record.settled()}
    for query in queries:
        if replies[query.id] != 1:
            yield f"query {query.id} “{query.text}”: {replies[query.id]} replies"
        operators = OUTCOMES.get(outcomes.get(query.smsc_message_id, ""))
        if operators is not query.charge_state:
            yield f"query {query.id} “{query.text}”: {query.charge_state} in our ledger, {operators} with the operator"
