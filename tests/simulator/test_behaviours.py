"""Each behaviour by itself."""

from __future__ import annotations

import random
import uuid
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.pdu import SubmitSm
from gateway.smpp.text import Concatenation
from simulator.behaviours.base import Submission
from simulator.behaviours.cuts import Cuts
from simulator.behaviours.drops import Drops
from simulator.behaviours.fates import Fates
from simulator.behaviours.faults import ActiveFault, FaultKind, Faults
from simulator.behaviours.message_ids import MessageIds
from simulator.behaviours.statuses import Statuses
from simulator.behaviours.throttle import TpsLimit
from simulator.behaviours.weights import WeightedChoice
from simulator.settings import MessageIdSettings, ReceiptSettings, StatusSettings


def submission(
    destination_addr: str = "84905123456", at: float = 0.0, ordinal: int = 1, part: Concatenation | None = None
) -> Submission:
    return Submission(SubmitSm(source_addr="MotcuaSMS", destination_addr=destination_addr), at, ordinal, 0, part)


@given(st.integers(1, 20), st.lists(st.floats(0, 0.3), min_size=1, max_size=200))
def test_no_second_holds_more_than_the_licence(tps: int, gaps: list[float]) -> None:
    limit = TpsLimit(tps)
    at = 0.0
    passed: list[float] = []
    for gap in gaps:
        at += gap
        if limit.judge(submission(at=at)) == 0:
            passed.append(at)
    for start in passed:
        assert sum(start <= other < start + 1.0 for other in passed) <= tps
    if len(gaps) <= tps:
        assert len(passed) == len(gaps)  # nothing is refused below the licence


def test_refused_submits_do_not_count_against_the_licence() -> None:
    limit = TpsLimit(2)
    statuses = [limit.judge(submission(at=at)) for at in (0.0, 0.1, 0.2, 0.9, 1.0, 1.05, 1.1)]
    assert [status == 0 for status in statuses] == [True, True, False, False, True, False, True]


@given(st.dictionaries(st.integers(), st.floats(0, 10), min_size=1).filter(lambda w: sum(w.values()) > 0))
def test_a_choice_never_gives_what_has_no_weight(weights: dict[int, float]) -> None:
    choice = WeightedChoice(weights, random.Random(1))
    assert all(weights[choice.draw()] > 0 for _ in range(30))


def test_a_choice_follows_its_weights() -> None:
    choice = WeightedChoice({"DELIVRD": 95, "UNDELIV": 5}, random.Random(1))
    drawn = Counter(choice.draw() for _ in range(10_000))
    assert 400 < drawn["UNDELIV"] < 600


def test_statuses_by_destination_then_by_weight() -> None:
    settings = StatusSettings.model_validate(
        {"weights": {"ESME_RSYSERR": 1}, "rules": [{"destination": "^8499", "status": "ESME_RINVDSTADR"}]}
    )
    statuses = Statuses(settings, random.Random(1))
    assert statuses.judge(submission("84991111111")) == 0x0B
    assert statuses.judge(submission("84905123456")) == 0x08


def test_cuts_at_the_submits_that_are_named() -> None:
    cuts = Cuts(0.0, [3, 5], random.Random(1))
    subject = [submission(ordinal=ordinal) for ordinal in range(1, 7)]
    for one in subject:
        cuts.disturb(one)
    assert [one.ordinal for one in subject if one.cut] == [3, 5]


def test_drops_are_repeatable() -> None:
    def run(seed: int) -> list[tuple[bool, bool]]:
        drops = Drops(0.3, 0.2, random.Random(seed))
        subject = [submission() for _ in range(100)]
        for one in subject:
            drops.disturb(one)
        return [(one.answered, one.ignored) for one in subject]

    assert run(1) == run(1) != run(2)
    assert {answered for answered, _ in run(1)} == {True, False}


@pytest.mark.parametrize(
    ("form", "digits", "texts"),
    [
        ("decimal", 10, ["254", "255", "256"]),
        ("hex", 10, ["fe", "ff", "100"]),
        ("hex_upper", 10, ["FE", "FF", "100"]),
        ("zero_padded", 6, ["000254", "000255", "000256"]),
    ],
)
def test_forms_of_message_ids(form: str, digits: int, texts: list[str]) -> None:
    settings = MessageIdSettings.model_validate({"form": form, "digits": digits})
    ids = MessageIds(settings, 254, random.Random(1))
    assert [ids.take().text for _ in range(3)] == texts


def test_a_receipt_may_write_the_id_in_another_base() -> None:
    ids = MessageIds(MessageIdSettings(form="hex"), (1 << 63) + 10, random.Random(1))
    one = ids.take()
    assert one.text == "800000000000000a"
    assert ids.in_receipt(one, "decimal") == "9223372036854775818"
    assert ids.in_receipt(one, "as_given") == one.text
    assert ids.in_receipt(one, "hex_upper") == "800000000000000A"


def test_uuids_are_uuids_and_repeat_with_the_seed() -> None:
    settings = MessageIdSettings(form="uuid")
    texts = [MessageIds(settings, 0, random.Random(7)).take().text for _ in range(2)]
    assert texts[0] == texts[1]
    assert uuid.UUID(texts[0]).version == 4


def test_the_parts_of_a_long_message_share_their_fate() -> None:
    settings = ReceiptSettings.model_validate({"weights": {"DELIVRD": 1, "UNDELIV": 1}})
    fates = Fates(settings, random.Random(1))
    states = set()
    for reference in range(40):
        drawn = {
            fates.draw(submission(part=Concatenation(reference, 3, part, b"", "udh8"))).state for part in (1, 2, 3)
        }
        assert len(drawn) == 1
        states |= drawn
    assert states == {"DELIVRD", "UNDELIV"}


def test_a_fate_by_destination() -> None:
    settings = ReceiptSettings.model_validate(
        {"rules": [{"destination": "^84912", "state": "REJECTD", "error": "042"}], "errors": {"DELIVRD": "000"}}
    )
    fates = Fates(settings, random.Random(1))
    assert (fates.draw(submission("84912345678")).state, fates.draw(submission("84912345678")).error) == (
        "REJECTD",
        "042",
    )
    assert fates.draw(submission("84905123456")).state == "DELIVRD"


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_fault_ends_with_its_time() -> None:
    time = Time()
    faults = Faults(time)
    faults.switch_on(ActiveFault(FaultKind.THROTTLE, until=3.0, left=None))
    assert faults.judge(submission()) == 0x58
    time.now = 2.99
    assert faults.judge(submission()) == 0x58
    time.now = 3.0
    assert faults.judge(submission()) == 0
    assert not faults.any


def test_a_fault_ends_with_its_count() -> None:
    faults = Faults(Time())
    faults.switch_on(ActiveFault(FaultKind.STATUS, until=None, left=2, status=0x0412))
    assert [faults.judge(submission()) for _ in range(3)] == [0x0412, 0x0412, 0]


def test_faults_that_disturb() -> None:
    faults = Faults(Time())
    faults.switch_on(ActiveFault(FaultKind.DROP_ANSWERS, until=None, left=1))
    faults.switch_on(ActiveFault(FaultKind.DELAY_ANSWERS, until=None, left=None, by_s=2.5))
    first, second = submission(), submission()
    faults.disturb(first)
    faults.disturb(second)
    assert (first.answered, second.answered) == (False, True)
    assert first.delay_s == second.delay_s == 2.5
    faults.clear()
    third = submission()
    faults.disturb(third)
    assert third.delay_s == 0
