"""Faults by configuration and on demand: statuses, latency, dropped answers, cuts, silence, garbage. Row S8."""

from __future__ import annotations

import pytest
from simulator_rig import Rig

from gateway.smpp.pdu import EnquireLink, Unbind
from simulator.behaviours.faults import ActiveFault, FaultKind

RTHROTTLED = 0x58


def order(rig: Rig, kind: FaultKind, seconds: float | None = None, **fields: object) -> int:
    until = None if seconds is None else rig.reactor.seconds() + seconds
    values: dict[str, object] = {"left": None, **fields}
    hit: int = rig.account.order(ActiveFault(kind, until, **values))  # type: ignore[arg-type]
    return hit


def test_throttling_for_some_seconds() -> None:
    rig = Rig()
    esme = rig.bound()
    order(rig, FaultKind.THROTTLE, 3.0)
    assert esme.submitted().command_status == RTHROTTLED
    rig.advance(2.9)
    assert esme.submitted().command_status == RTHROTTLED
    rig.advance(0.2)
    assert esme.submitted().command_status == 0
    assert [(entry["status"], entry.get("refused_by")) for entry in rig.record("submit")] == [
        (RTHROTTLED, "fault"),
        (RTHROTTLED, "fault"),
        (0, None),
    ]


@pytest.mark.parametrize(("kind", "status"), [(FaultKind.QUEUE_FULL, 0x14), (FaultKind.STATUS, 0x0455)])
def test_refusals_for_so_many_submits(kind: FaultKind, status: int) -> None:
    rig = Rig()
    esme = rig.bound()
    order(rig, kind, left=2, status=0x0455)
    assert [esme.submitted().command_status for _ in range(3)] == [status, status, 0]
    assert esme.received[-1].command_status == 0


def test_a_refused_submit_has_no_message_id_and_reaches_nobody() -> None:
    rig = Rig(statuses={"rules": [{"destination": "^8499", "status": "ESME_RINVDSTADR"}]})
    esme = rig.bound()
    response = esme.submitted(destination_addr="84991234567")
    assert (response.command_status, response.message_id) == (0x0B, "")
    rig.advance(3)
    assert rig.inbox("84991234567") == []
    assert esme.delivered() == []


def test_addresses() -> None:
    rig = Rig(source_addrs=["MotcuaSMS", 8083])
    esme = rig.bound()
    assert esme.submitted(source_addr="8083").command_status == 0
    assert esme.submitted(source_addr="Quangcao").command_status == 0x0A
    assert esme.submitted(destination_addr="").command_status == 0x0B


def test_dropped_answers_leave_the_message_delivered() -> None:
    rig = Rig(receipts={"delay": 0.1})
    esme = rig.bound()
    order(rig, FaultKind.DROP_ANSWERS, left=1)
    number = esme.submit()
    rig.advance(1)
    assert esme.unanswered(number)
    assert len(rig.inbox()) == 1
    assert len(esme.delivered()) == 1
    assert [entry["outcome"] for entry in rig.record("submit")] == ["answer_dropped"]
    assert esme.submitted().command_status == 0


def test_dropped_requests_reach_nobody() -> None:
    rig = Rig(disturbances={"drop_requests": 1.0})
    esme = rig.bound()
    number = esme.submit()
    rig.advance(3)
    assert esme.unanswered(number)
    assert rig.inbox() == []
    assert [(entry["outcome"], entry["message_id"]) for entry in rig.record("submit")] == [("request_dropped", "")]


@pytest.mark.parametrize("latency", [0.5, {"uniform": [0.3, 0.9]}, {"normal": [0.6, 0.1]}])
def test_s8_latency(latency: object) -> None:
    rig = Rig(latency=latency)
    esme = rig.bound()
    numbers = [esme.submit() for _ in range(20)]
    rig.advance(0.2)
    assert all(esme.unanswered(number) for number in numbers)
    rig.advance(1.0)
    assert all(esme.response(number).command_status == 0 for number in numbers)


def test_s8_spikes() -> None:
    rig = Rig(latency={"fixed": 0.01, "spike": [0.3, 5.0]})
    esme = rig.bound()
    numbers = [esme.submit() for _ in range(100)]
    rig.advance(1.0)
    slow = sum(esme.unanswered(number) for number in numbers)
    assert 15 < slow < 45
    rig.advance(5.0)
    assert not any(esme.unanswered(number) for number in numbers)


def test_answers_delayed_on_demand() -> None:
    rig = Rig()
    esme = rig.bound()
    order(rig, FaultKind.DELAY_ANSWERS, by_s=2.0)
    number = esme.submit()
    rig.advance(1.9)
    assert esme.unanswered(number)
    rig.advance(0.2)
    assert esme.response(number).command_status == 0


def test_s8_the_link_is_cut_at_the_nth_submit_which_is_accepted() -> None:
    rig = Rig(disturbances={"cut_at": [3]}, receipts={"delay": 0.1})
    esme = rig.bound()
    first, second = esme.submit(), esme.submit()
    third = esme.submit()
    assert esme.closed
    assert not esme.unanswered(first)
    assert not esme.unanswered(second)
    assert esme.unanswered(third)
    assert rig.record("submit")[-1]["outcome"] == "link_cut"
    rig.advance(1)
    assert len(rig.inbox()) == 3
    fresh = rig.bound()
    rig.advance(1)
    assert len(fresh.delivered()) == 3 - len(esme.delivered())


def test_s8_a_cut_amid_a_batch_stops_the_batch() -> None:
    from gateway.smpp.pdu import SubmitSm, encode

    rig = Rig(disturbances={"cut_at": [2]})
    esme = rig.bound()
    pdus = [SubmitSm(sequence_number=n, destination_addr="84905123456") for n in (100, 101, 102)]
    esme.write(b"".join(encode(pdu) for pdu in pdus))
    assert esme.closed
    assert [entry["sequence_number"] for entry in rig.record("submit")] == [100, 101]


def test_s8_cut_and_unbind_on_demand() -> None:
    rig = Rig()
    one, other = rig.bound(), rig.bound()
    assert order(rig, FaultKind.UNBIND) == 2
    assert isinstance(one.read()[-1], Unbind)
    other.read()
    assert order(rig, FaultKind.CUT) == 2
    assert one.closed
    assert other.closed
    assert order(rig, FaultKind.CUT) == 0
    assert rig.esme().bind() == 0


def test_s8_half_open() -> None:
    rig = Rig()
    esme = rig.bound()
    order(rig, FaultKind.SILENCE, 5.0)
    assert esme.transport.producerState == "paused"
    esme.transport.producerState = "producing"  # what was on its way already
    number = esme.send(EnquireLink())
    assert esme.unanswered(number)
    assert not esme.closed
    rig.advance(5.1)
    assert not esme.unanswered(esme.send(EnquireLink()))


def test_s8_garbage() -> None:
    rig = Rig()
    esme = rig.bound()
    order(rig, FaultKind.GARBAGE)
    octets = esme.transport.value()
    assert len(octets) > 8
    assert int.from_bytes(octets[:4], "big") < 16
    esme.transport.clear()


def test_binds_refused_on_demand() -> None:
    rig = Rig()
    order(rig, FaultKind.REFUSE_BINDS, 2.0)
    assert rig.esme().bind() == 0x0D
    rig.advance(2.1)
    assert rig.esme().bind() == 0


def test_clear_ends_every_fault() -> None:
    rig = Rig()
    esme = rig.bound()
    order(rig, FaultKind.THROTTLE)
    order(rig, FaultKind.SILENCE)
    rig.account.clear_faults()
    assert esme.submitted().command_status == 0
    assert rig.account.as_dict()["faults"] == []


def test_s8_answers_held_until_the_fault_ends_come_at_once() -> None:
    rig = Rig()
    esme = rig.bound()
    order(rig, FaultKind.HOLD_ANSWERS, 3.0)
    numbers = []
    for _ in range(5):
        numbers.append(esme.submit())
        rig.advance(0.5)
    assert all(esme.unanswered(number) for number in numbers)
    rig.advance(0.6)
    assert all(esme.response(number).command_status == 0 for number in numbers)


def test_s8_stalls_in_regular_intervals() -> None:
    rig = Rig(disturbances={"stall": {"every_s": 10, "lasting_s": 2}})
    esme = rig.bound()
    slow = []
    for _ in range(40):
        number = esme.submit()
        slow.append(esme.unanswered(number))
        rig.advance(0.5)
    assert 7 <= sum(slow) <= 9  # four in each of two stalls
    rig.advance(2)
    assert not any(esme.unanswered(number) for number in range(2, 42))


def test_s8_generic_nack_in_place_of_an_answer() -> None:
    rig = Rig(receipts={"delay": 0.1})
    esme = rig.bound()
    order(rig, FaultKind.NACK, left=1)
    answer = esme.response(esme.submit())
    assert (type(answer).__name__, answer.command_status) == ("GenericNack", 3)
    rig.advance(1)
    assert rig.inbox() == []
    assert esme.submitted().command_status == 0


def test_s8_answers_that_come_twice() -> None:
    rig = Rig()
    esme = rig.bound()
    order(rig, FaultKind.DOUBLE_ANSWERS, left=1)
    number = esme.submit()
    answers = [pdu for pdu in esme.received if pdu.sequence_number == number and pdu.command_id & 0x80000000]
    assert len(answers) == 2
    assert answers[0] == answers[1]


def test_s8_answers_to_nobody() -> None:
    rig = Rig()
    esme = rig.bound()
    order(rig, FaultKind.WRONG_ANSWERS, left=1)
    number = esme.submit()
    assert esme.unanswered(number)
    assert esme.received[-1].sequence_number == number | 0x40000000
    assert esme.submitted().command_status == 0


@pytest.mark.parametrize(
    ("kind", "understood"),
    [
        (FaultKind.GARBAGE, False),
        (FaultKind.GARBAGE_LENGTH, False),
        (FaultKind.GARBAGE_BODY, True),
        (FaultKind.GARBAGE_COMMAND, True),
        (FaultKind.GARBAGE_TLV, True),
        (FaultKind.ALERT, True),
    ],
)
def test_s8_every_kind_of_garbage(kind: FaultKind, understood: bool) -> None:
    from gateway.smpp.errors import RecoverablePduError, UnrecoverablePduError
    from gateway.smpp.framing import Framer
    from gateway.smpp.pdu import decode

    rig = Rig()
    esme = rig.bound()
    order(rig, kind)
    octets = esme.transport.value()
    esme.transport.clear()
    if not understood:
        with pytest.raises(UnrecoverablePduError):
            Framer().feed(octets)
        return
    (frame,) = Framer().feed(octets)
    if kind is FaultKind.GARBAGE_BODY:
        with pytest.raises(RecoverablePduError):
            decode(frame)
    else:
        decode(frame)


def test_s8_half_a_pdu() -> None:
    from gateway.smpp.framing import Framer

    rig = Rig()
    esme = rig.bound()
    order(rig, FaultKind.HALF_PDU)
    framer = Framer()
    assert framer.feed(esme.transport.value()) == []
    assert framer.buffered_octets > 16
    esme.transport.clear()


def test_s8_a_slow_reader_looks_now_and_then() -> None:
    rig = Rig()
    esme = rig.bound()
    order(rig, FaultKind.SLOW_READER, 10.0, by_s=1.0)
    states = []
    for _ in range(1000):
        rig.reactor.advance(0.01)
        states.append(esme.transport.producerState)
    assert 5 <= states.count("producing") <= 25
    rig.advance(1.5)
    assert esme.transport.producerState == "producing"


def test_a_slow_reader_by_the_settings_reads_slowly_from_the_bind() -> None:
    rig = Rig(disturbances={"slow_reader_s": 0.5})
    esme = rig.bound()
    assert esme.transport.producerState == "paused"
    rig.advance(0.5, step_s=0.001)
    rig.advance(0.1)
    assert esme.transport.producerState == "paused"


def test_s8_links_that_live_for_so_long() -> None:
    rig = Rig(disturbances={"cut_after": {"uniform": [5, 10]}})
    esme, other = rig.bound(), rig.bound()
    rig.advance(4.9)
    assert not esme.closed
    rig.advance(5.2)
    assert esme.closed
    assert other.closed
    assert rig.account.counters.links_cut == 2


def test_s8_an_unbind_after_a_while() -> None:
    rig = Rig(disturbances={"unbind_after": 3})
    esme = rig.bound()
    rig.advance(3.1)
    assert any(isinstance(pdu, Unbind) for pdu in esme.received)
