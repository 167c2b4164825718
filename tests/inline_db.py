"""A :class:`gateway.db.Database` without threads, for tests on a virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.engine import Connection
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from gateway.db import Database, _Job, make_engine
from gateway.errors import StoreError
from gateway.store.lease_clock import CALLERS_CLOCK

P = ParamSpec("P")
T = TypeVar("T")


class _NoThreads:
    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        callable(*args, **kwargs)


class InlineDatabase(Database):
    """Functions run at once, each in a transaction of its own; the Deferreds returned have already fired.

    ``broken`` makes every call fail as a lost database does. ``held`` collects calls until :meth:`release`, as a slow
    database does. Leases go by the caller's virtual clock, or, with ``callers_clock=False``, as in production.
    """

    def __init__(self, url: str, *, callers_clock: bool = True) -> None:
        engine = make_engine(url, readers=1).execution_options(**{CALLERS_CLOCK: callers_clock})
        super().__init__(_NoThreads(), url, engine=engine, threads=False)
        self.broken = False
        self.held: list[Callable[[], None]] | None = None
        self.calls: list[str] = []

    def run(
        self, desc: str, fn_txn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        return self._now(desc, True, lambda connection: fn_txn(connection, *args, **kwargs))

    def read(
        self, desc: str, fn_txn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        return self._now(desc, False, lambda connection: fn_txn(connection, *args, **kwargs))

    def hold(self) -> None:
        """From now on, calls wait for :meth:`release`."""
        self.held = []

    def release(self) -> None:
        """Run what waits, and what comes, at once."""
        waiting, self.held = self.held or [], None
        for call in waiting:
            call()

    def do(self, fn_txn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a writing function and return its result, or raise what it raised."""
        with self._begin(write=True) as connection:
            return fn_txn(connection, *args, **kwargs)

    def _now(self, desc: str, write: bool, call: Callable[[Connection], T]) -> Deferred[T]:
        self.calls.append(desc)
        if self.held is not None:
            later: Deferred[T] = Deferred()
            self.held.append(lambda: self._now(desc, write, call).chainDeferred(later))
            return later
        if self.broken:
            return fail(StoreError(f"{desc}: the store is away"))
        result = self._run_one(_Job(desc, call, Deferred()), write=write)
        return fail(result) if isinstance(result, Failure) else succeed(result)
