"""One question to all agencies' databases, on a virtual clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agency_database import NOW, a_dossier
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from gateway.dossiers import breaker
from gateway.dossiers.breaker import Breaker
from gateway.dossiers.federation import FIRST_SHARE, MARGIN_S, Federation, LookupAnswer, LookupResult
from gateway.dossiers.reading import UnreadableDossier
from gateway.errors import SourceError, StoreError
from gateway.model import Dossier
from gateway.store.seen import SeenDossier

CODE = "0101701234"
EARLIER = NOW - timedelta(minutes=3)
R = LookupResult


def dossier(source: str) -> Dossier:
    return a_dossier(source=source)


class FakeSource:
    """Answers after ``delay_s``: with a dossier, with none, or with an error; None = never."""

    def __init__(
        self,
        clock: Clock,
        name: str,
        answer: Any = (),
        delay_s: float | None = 0.0,
        named: bool = False,
        limit_s: float = 3.0,
    ) -> None:
        self.clock, self.name, self.answer, self.delay_s, self.named = clock, name, answer, delay_s, named
        self.limit_s = limit_s
        self.asked: list[float] = []

    def names(self, code: str) -> bool:
        return self.named

    def lookup(self, code: str) -> Deferred[list[Dossier]]:
        assert code == CODE
        self.asked.append(self.clock.seconds())
        waiting: Deferred[list[Dossier]] = Deferred()
        if self.delay_s is None or self.delay_s > self.limit_s:  # as a Source does with one that hangs
            self.clock.callLater(self.limit_s, waiting.errback, SourceError(self.name, "did not answer", "wait"))
            return waiting
        if self.delay_s == 0:
            self._fire(waiting)
        else:
            self.clock.callLater(self.delay_s, self._fire, waiting)
        return waiting

    def _fire(self, waiting: Deferred[list[Dossier]]) -> None:
        if isinstance(self.answer, Exception):
            waiting.errback(self.answer)
        else:
            waiting.callback(list(self.answer))


class World:
    """A federation, its clock and its store."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sources: list[FakeSource] = []
        self.seen: Sequence[SeenDossier] | Exception | None = ()
        self.federation: Federation | None = None

    def add(self, name: str, answer: Any = (), delay_s: float | None = 0.0, **more: Any) -> FakeSource:
        source = FakeSource(self.clock, name, answer, delay_s, **more)
        self.sources.append(source)
        return source

    def ask(self, deadline_s: float = 5.0) -> list[LookupAnswer]:
        if self.federation is None:
            self.federation = Federation(self.clock, self.sources, self._seen)
        answers: list[LookupAnswer] = []
        self.federation.lookup(CODE, deadline_s).addCallback(answers.append)
        return answers

    def _seen(self, code: str) -> Deferred[list[SeenDossier]]:
        if self.seen is None:
            return Deferred()
        return fail(self.seen) if isinstance(self.seen, Exception) else succeed(list(self.seen))


@pytest.fixture
def world() -> World:
    return World()


def test_found_where_it_is(world: World) -> None:
    world.add("a")
    world.add("b", [dossier("b")])
    world.add("c")
    assert world.ask() == [LookupAnswer(R.FOUND, dossier("b"), "b")]


def test_not_found_when_every_source_says_so(world: World) -> None:
    world.add("a")
    world.add("b", delay_s=0.2)
    answers = world.ask()
    assert answers == []
    world.clock.advance(0.2)
    assert answers == [LookupAnswer(R.NOT_FOUND)]
    assert (answers[0].complete, answers[0].found_in) == (True, "")


def test_all_are_asked_at_once(world: World) -> None:
    sources = [world.add(name, delay_s=0.5) for name in "abc"]
    world.ask()
    assert [source.asked for source in sources] == [[0.0], [0.0], [0.0]]


def test_the_first_answer_wins_and_nobody_waits_for_a_source_that_hangs(world: World) -> None:
    world.add("hangs", delay_s=None)
    world.add("slow", delay_s=2.9)
    world.add("b", [dossier("b")], delay_s=0.01)
    answers = world.ask()
    world.clock.advance(0.01)
    assert [(answer.result, answer.source, answer.failed) for answer in answers] == [(R.FOUND, "b", ())]


def test_a_source_that_the_code_names_is_asked_first(world: World) -> None:
    other = world.add("a", [dossier("a")])
    world.add("b", [dossier("b")], named=True)
    assert world.ask() == [LookupAnswer(R.FOUND, dossier("b"), "b")]
    assert other.asked == []


def test_what_the_named_source_does_not_hold_is_asked_everywhere(world: World) -> None:
    world.add("a", [dossier("a")])
    world.add("b", named=True)
    assert world.ask() == [LookupAnswer(R.FOUND, dossier("a"), "a")]


def test_a_named_source_that_is_slow_is_not_waited_for(world: World) -> None:
    other = world.add("a", [dossier("a")])
    world.add("b", delay_s=None, named=True)
    answers = world.ask(5.0)
    world.clock.advance(5.0 * FIRST_SHARE - 0.01)
    assert other.asked == []
    world.clock.advance(0.02)
    assert [answer.source for answer in answers] == ["a"]


def test_down_and_never_seen_is_a_failure_not_an_unknown_code(world: World) -> None:
    world.add("a")
    world.add("b", SourceError("b", "is down", "wait"))
    [answer] = world.ask()
    assert answer == LookupAnswer(R.FAILED, failed=("b",))
    assert not answer.complete


def test_down_and_seen_is_answered_by_the_polled_state_with_its_time(world: World) -> None:
    world.add("a")
    world.add("b", SourceError("b", "is down", "wait"))
    world.seen = [SeenDossier(dossier("b"), EARLIER)]
    [answer] = world.ask()
    assert answer == LookupAnswer(R.FOUND, dossier("b"), "b", EARLIER, ("b",))
    assert answer.found_in == "b (seen)"


def test_a_deleted_dossier_is_not_found_although_it_was_seen(world: World) -> None:
    world.add("a")
    world.seen = [SeenDossier(dossier("a"), EARLIER)]
    assert [answer.result for answer in world.ask()] == [R.NOT_FOUND]


def test_the_deadline_is_kept(world: World) -> None:
    world.add("a", delay_s=None, limit_s=60)
    world.seen = [SeenDossier(dossier("a"), EARLIER)]
    answers = world.ask(2.0)
    world.clock.advance(2.0 - MARGIN_S - 0.001)
    assert answers == []
    world.clock.advance(0.002)
    assert [(answer.result, answer.seen_at) for answer in answers] == [(R.FOUND, EARLIER)]


def test_a_store_that_hangs_or_fails_does_not_stop_a_lookup(world: World) -> None:
    world.add("a", [dossier("a")])
    world.seen = StoreError("the store is away")
    assert [answer.result for answer in world.ask()] == [R.FOUND]
    world.seen = None
    answers = world.ask(1.0)
    world.clock.advance(1.0)
    assert [answer.result for answer in answers] == [R.FOUND]


# --- ambiguity ------------------------------------------------------------------------------------------------------


def test_two_agencies_with_one_code_are_ambiguous(world: World) -> None:
    world.add("a", [dossier("a")], delay_s=0.1)
    world.add("b", [dossier("b")], delay_s=0.1)
    world.seen = None
    answers = world.ask(1.0)
    world.clock.pump([0.1, 0.9])
    assert [(answer.result, answer.dossier) for answer in answers] == [(R.AMBIGUOUS, None)]
    assert not answers[0].complete


def test_two_agencies_with_one_code_are_known_without_waiting_for_both(world: World) -> None:
    world.add("a", [dossier("a")])
    world.add("b", delay_s=None)
    world.seen = [SeenDossier(dossier("a"), EARLIER), SeenDossier(dossier("b"), EARLIER)]
    assert [answer.result for answer in world.ask()] == [R.AMBIGUOUS]


def test_a_code_that_names_its_source_is_not_ambiguous(world: World) -> None:
    world.add("a", [dossier("a")], named=True)
    world.add("b", [dossier("b")])
    world.seen = [SeenDossier(dossier("a"), EARLIER), SeenDossier(dossier("b"), EARLIER)]
    assert [(answer.result, answer.source) for answer in world.ask()] == [(R.FOUND, "a")]


def test_two_agencies_in_one_view_are_ambiguous(world: World) -> None:
    world.add("a", [dossier("a"), a_dossier(source="a", agency_code="NT")])
    assert [answer.result for answer in world.ask()] == [R.AMBIGUOUS]


def test_two_sources_down_that_both_held_it_are_ambiguous(world: World) -> None:
    for name in "ab":
        world.add(name, SourceError(name, "is down", "wait"))
    world.seen = [SeenDossier(dossier("a"), EARLIER), SeenDossier(dossier("b"), EARLIER)]
    assert [answer.result for answer in world.ask()] == [R.AMBIGUOUS]


def test_a_row_that_cannot_be_read_is_not_answered_by_what_it_said_before(world: World) -> None:
    source = world.add("a", UnreadableDossier("a", "unmapped status", "map it"))
    world.seen = [SeenDossier(dossier("a"), EARLIER)]
    for _ in range(breaker.THRESHOLD + 2):
        assert [answer.result for answer in world.ask()] == [R.FAILED]
    assert len(source.asked) == breaker.THRESHOLD + 2  # the database itself is well


# --- breaker --------------------------------------------------------------------------------------------------------


def test_a_source_that_keeps_failing_is_not_asked_and_costs_nobody_time(world: World) -> None:
    hangs = world.add("hangs", delay_s=None, limit_s=1.0)
    world.add("b")
    for _ in range(breaker.THRESHOLD):
        answers = world.ask()
        world.clock.advance(1.0)
        assert [answer.result for answer in answers] == [R.FAILED]
    assert [answer.result for answer in world.ask()] == [R.FAILED]  # at once
    assert len(hangs.asked) == breaker.THRESHOLD
    assert world.federation is not None
    assert world.federation.closed_to == ("hangs",)

    world.clock.advance(breaker.PAUSE_S)
    hangs.delay_s = 0.0
    assert [answer.result for answer in world.ask()] == [R.NOT_FOUND]  # tried once, and well again
    assert world.federation.closed_to == ()


def test_breaker_lets_one_through_after_its_pause() -> None:
    one = Breaker()
    for _ in range(breaker.THRESHOLD):
        assert one.allows(0.0)
        one.failed(0.0)
    assert not one.allows(breaker.PAUSE_S - 0.1)
    assert one.allows(breaker.PAUSE_S)
    assert not one.allows(breaker.PAUSE_S)  # while that one is under way
    one.failed(breaker.PAUSE_S)
    assert not one.allows(2 * breaker.PAUSE_S - 0.1)
    assert one.allows(2 * breaker.PAUSE_S)
    one.succeeded()
    assert one.allows(2 * breaker.PAUSE_S)
    assert not one.is_open


def test_failures_that_are_not_in_a_row_do_not_open_it() -> None:
    one = Breaker()
    for _ in range(10):
        one.failed(0.0)
        one.succeeded()
    assert one.allows(0.0)


# --- laws -----------------------------------------------------------------------------------------------------------

_answers = st.sampled_from(["holds", "not", "down", "hangs"])


@given(st.lists(st.tuples(_answers, st.floats(0, 6), st.booleans(), st.booleans()), min_size=1, max_size=5))
def test_every_question_is_answered_once_in_time_and_never_with_what_is_not_held(
    plan: list[tuple[str, float, bool, bool]],
) -> None:
    world = World()
    seen = []
    for number, (behaviour, delay_s, named, remembered) in enumerate(plan):
        name = f"s{number}"
        answer: Any = {"holds": [dossier(name)], "down": SourceError(name, "is down", "wait")}.get(behaviour, [])
        world.add(name, answer, None if behaviour == "hangs" else delay_s, named=named)
        if remembered:
            seen.append(SeenDossier(dossier(name), datetime(2026, 3, 3, tzinfo=UTC)))
    world.seen = seen
    answers = world.ask(5.0)
    world.clock.pump([0.25] * 20)
    [answer] = answers
    behaviours = {f"s{number}": item[0] for number, item in enumerate(plan)}
    if answer.result is R.NOT_FOUND:
        assert set(behaviours.values()) == {"not"}
    elif answer.result is R.FOUND and answer.seen_at is None:
        assert behaviours[answer.source] == "holds"
    elif answer.result is R.FOUND:
        assert answer.source in {item.dossier.source for item in seen} & set(answer.failed)
    else:
        assert answer.dossier is None
    world.clock.advance(60)
    assert world.clock.getDelayedCalls() == []
