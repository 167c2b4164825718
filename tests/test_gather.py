"""Gathering: batches that grow while one is under way, in order, and what becomes of failures."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from gateway.errors import StoreError
from gateway.gather import Gather, one_items_fault


class Work:
    """Batches as they were asked for; each ends when it is told to."""

    def __init__(self, limit: int = 100, abreast: int = 1) -> None:
        self.batches: list[tuple[list[int], Deferred[list[str]]]] = []
        self.gather: Gather[int, str] = Gather(
            self._begin, lambda: limit, abreast=abreast, splits=lambda error: isinstance(error, ValueError)
        )
        self.told: list[tuple[int, str | None]] = []

    def _begin(self, items: list[int]) -> Deferred[list[str]]:
        self.batches.append((items, Deferred()))
        return self.batches[-1][1]

    def add(self, item: int) -> Deferred[str]:
        done = self.gather.add(item)

        def failed(failure: Failure) -> str:
            self.told.append((item, type(failure.value).__name__))
            return ""

        def succeeded(result: str) -> str:
            self.told.append((item, result))
            return result

        done.addCallbacks(succeeded, failed)
        return done

    @property
    def asked(self) -> list[list[int]]:
        return [items for items, _ in self.batches]

    def end(self, at: int) -> None:
        items, done = self.batches[at]
        done.callback([f"r{item}" for item in items])

    def fail(self, at: int, error: Exception) -> None:
        self.batches[at][1].errback(error)


def test_the_first_goes_at_once_and_the_rest_together() -> None:
    work = Work()
    for item in range(5):
        work.add(item)
    assert work.asked == [[0]]
    assert work.gather.waiting == 4
    work.end(0)
    assert work.asked == [[0], [1, 2, 3, 4]]
    assert work.told == [(0, "r0")]
    work.end(1)
    assert [item for item, _ in work.told] == [0, 1, 2, 3, 4]


def test_a_batch_has_a_limit_and_several_may_be_under_way() -> None:
    work = Work(limit=2, abreast=2)
    for item in range(7):
        work.add(item)
    assert work.asked == [[0], [1]]
    work.end(1)
    assert work.asked == [[0], [1], [2, 3]]
    work.end(0)
    assert work.asked == [[0], [1], [2, 3], [4, 5]]
    work.end(2)
    assert work.asked[-1] == [6]


def test_one_items_fault_fails_that_item_alone() -> None:
    work = Work()
    for item in range(4):
        work.add(item)
    work.end(0)
    work.fail(1, ValueError("one of them"))
    assert work.asked[2:] == [[1], [2], [3]]
    work.end(2)
    work.fail(3, ValueError("this one"))
    work.end(4)
    assert work.told == [(0, "r0"), (1, "r1"), (2, "ValueError"), (3, "r3")]
    work.add(9)
    assert work.asked[-1] == [9]  # it goes on


def test_what_concerns_all_fails_all_and_is_not_tried_again() -> None:
    work = Work()
    for item in range(3):
        work.add(item)
    work.end(0)
    work.fail(1, StoreError("the store is away"))
    assert work.asked == [[0], [1, 2]]
    assert work.told[1:] == [(1, "StoreError"), (2, "StoreError")]


def test_a_cancelled_item_is_left_out() -> None:
    work = Work()
    work.add(0)
    waiting = work.add(1)
    work.add(2)
    waiting.cancel()
    work.end(0)
    assert work.asked == [[0], [2]]
    assert (1, CancelledError.__name__) in work.told


def test_an_item_cancelled_in_its_batch_harms_no_other() -> None:
    work = Work()
    work.add(0)
    under_way = work.add(1)
    work.add(2)
    work.end(0)
    under_way.cancel()
    work.end(1)
    assert work.told == [(0, "r0"), (1, CancelledError.__name__), (2, "r2")]


@given(
    steps=st.lists(st.sampled_from(["add", "end", "fail", "split"]), max_size=40),
    limit=st.integers(1, 4),
    abreast=st.integers(1, 3),
)
def test_every_item_is_told_once_whatever_happens(steps: list[str], limit: int, abreast: int) -> None:
    work, added = Work(limit, abreast), 0
    ended = 0
    errors = {"fail": StoreError("away"), "split": ValueError("one")}
    for step in [*steps, *["end"] * 200]:
        if step == "add":
            work.add(added)
            added += 1
        elif ended < len(work.batches):
            if step == "end":
                work.end(ended)
            else:
                work.fail(ended, errors[step])
            ended += 1
    assert sorted(item for item, _ in work.told) == list(range(added))
    assert all(len(items) <= limit for items in work.asked)
    if abreast == 1 and "split" not in steps:
        assert [item for item, _ in work.told] == list(range(added))


@pytest.mark.parametrize(
    ("cause", "splits"),
    [
        (sa.exc.DataError("INSERT", None, Exception("a value that does not fit")), True),
        (sa.exc.IntegrityError("INSERT", None, Exception("a key twice")), True),
        (sa.exc.OperationalError("INSERT", None, Exception("the server closed the connection")), False),
        (sa.exc.InterfaceError("INSERT", None, Exception("connection is closed")), False),
        (sa.exc.TimeoutError("no connection in the pool"), False),
        (None, False),
    ],
)
def test_a_lost_store_is_not_asked_again_for_each_item(cause: Exception | None, splits: bool) -> None:
    error = StoreError("record_mos: refused")
    error.__cause__ = cause
    assert one_items_fault(error) is splits


def test_a_fault_of_ours_is_looked_for_item_by_item() -> None:
    assert one_items_fault(RuntimeError("a fault of ours"))
