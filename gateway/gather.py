"""Work that comes while a batch is under way waits, and goes together as the next batch.

What comes first goes at once, alone: an idle gateway adds no delay. The busier the store or a database is, the larger the
batches grow, and the less each item costs. Order is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Generic, TypeVar

import sqlalchemy as sa
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.errors import StoreError

T = TypeVar("T")
R = TypeVar("R")


def one_items_fault(error: BaseException) -> bool:
    """Whether a database's batch may have failed through one of its items: not by a lost connection, a full disk, a time limit."""
    if not isinstance(error, StoreError):
        return True  # a fault of ours, or an item that our own rules refuse
    cause = error.__cause__
    lost = isinstance(cause, sa.exc.OperationalError | sa.exc.InterfaceError)
    return isinstance(cause, sa.exc.StatementError) and not lost


def _never(_: BaseException) -> bool:
    return False


class Gather(Generic[T, R]):
    """Gathers items for ``work``.

    Args:
        work: does a batch; one result for each item, in order. It must not raise, but may fail.
        limit: the most items in one batch, asked before each.
        abreast: the most batches under way at once.
        splits: whether an error may be one item's: then each item of the batch is done again by itself, and only those
            that are at fault fail. Otherwise the whole batch fails.
    """

    def __init__(
        self,
        work: Callable[[list[T]], Deferred[Sequence[R]]],
        limit: Callable[[], int],
        *,
        abreast: int = 1,
        splits: Callable[[BaseException], bool] = _never,
    ) -> None:
        self._work = work
        self._limit = limit
        self._abreast = abreast
        self._splits = splits
        self._waiting: dict[int, tuple[T, Deferred[R]]] = {}  # by ticket, oldest first
        self._ticket = 0
        self._under_way = 0
        self._results: deque[tuple[Deferred[R], R | Failure]] = deque()
        self._telling = False

    @property
    def waiting(self) -> int:
        """Items that are in no batch yet."""
        return len(self._waiting)

    def add(self, item: T) -> Deferred[R]:
        """Have an item done. Cancelled, it is left out when its batch has not begun."""
        self._ticket = ticket = self._ticket + 1
        done: Deferred[R] = Deferred(lambda _: self._leave(ticket))
        self._waiting[ticket] = (item, done)
        if self._under_way < self._abreast:
            self._go()
        return done

    def _leave(self, ticket: int) -> None:
        self._waiting.pop(ticket, None)

    def _go(self) -> None:
        while self._waiting and self._under_way < self._abreast:
            tickets = list(islice(self._waiting, max(self._limit(), 1)))
            self._start([self._waiting.pop(ticket) for ticket in tickets])

    def _start(self, batch: list[tuple[T, Deferred[R]]]) -> None:
        self._under_way += 1
        self._work([item for item, _ in batch]).addCallbacks(
            self._done, self._failed, callbackArgs=(batch,), errbackArgs=(batch,)
        )

    def _done(self, results: Sequence[R], batch: list[tuple[T, Deferred[R]]]) -> None:
        self._end(batch, results)

    def _failed(self, failure: Failure, batch: list[tuple[T, Deferred[R]]]) -> None:
        error = failure.value
        if len(batch) > 1 and error is not None and self._splits(error):
            self._under_way -= 1
            for one in batch:
                self._start([one])
        else:
            self._end(batch, [failure] * len(batch))

    def _end(self, batch: list[tuple[T, Deferred[R]]], results: Sequence[R | Failure]) -> None:
        self._under_way -= 1
        self._results += ((done, result) for (_, done), result in zip(batch, results, strict=True))
        self._go()  # first: the next batch is under way while these results are told
        if self._telling:
            return
        self._telling = True
        try:
            while self._results:
                done, result = self._results.popleft()
                if not done.called:  # not cancelled meanwhile
                    done.callback(result)  # a Failure starts the errback chain
        finally:
            self._telling = False
