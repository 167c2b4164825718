"""One agency's database behind the contract view: polled, asked for one dossier, checked.

A source has its own engines and threads, one for the poll and some for lookups, so that a slow poll delays no citizen and a
dead database delays no other. What hangs is abandoned by the reactor after its time limit; its thread is freed by the
limits of ``gateway.dossiers.connect``; until then no new work is put behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from gateway.db import Database, ThreadBridge
from gateway.dossiers import contract, inspection, reading
from gateway.dossiers.connect import make_source_engine
from gateway.dossiers.faults import explain, timed_out
from gateway.dossiers.reading import (
    LOOKUP_CODES,
    Asking,
    Found,
    From,
    Next,
    PollBatch,
    UnreadableDossier,
    ViewShape,
)
from gateway.errors import ConfigError, SourceError
from gateway.gather import Gather, one_items_fault
from gateway.model import Dossier
from gateway.settings import SourceSettings
from gateway.store.decisions import BadRow

T = TypeVar("T")

#: Lookups that wait for a thread. More than this cannot be answered in time: they fail at once.
LOOKUP_QUEUE = 1000
#: One question asks for twice as many codes as the last one when that was answered within QUICK_S, for half as many when it
#: took longer than SLOW_S: a database in which each lookup takes long is asked for one at a time, as it always was.
QUICK_S, SLOW_S = 0.1, 0.4
#: How long a stop waits for each thread: not for an agency's database that hangs.
CLOSE_TIMEOUT_S = 0.05


class SourceReactor(ThreadBridge, Protocol):
    """The part of the reactor that a source needs; see also IReactorTime."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> Any: ...


#: (engine, threads) → database. Tests pass one without threads.
OpenDatabase = Callable[[Engine, int], Database]


class Source:
    """One entry of ``sources`` in the configuration. Used from the reactor thread.

    Raises:
        ConfigError: the URL or the column mapping has a fault that can be seen without the database.
    """

    def __init__(
        self, reactor: SourceReactor, name: str, settings: SourceSettings, open_database: OpenDatabase | None = None
    ) -> None:
        faults = contract.mapping_faults(name, settings.columns)
        if faults:
            raise faults[0]
        self.name = name
        self.settings = settings
        self._reactor = reactor
        self._codes = [re.compile(pattern) for pattern in settings.codes]
        self._shape: ViewShape | None = None

        def threaded(engine: Engine, readers: int) -> Database:
            return Database(reactor, settings.url, readers=readers, read_only=True, engine=engine)

        opened = open_database or threaded
        self._polls = opened(self._engine(settings.poll_timeout_s, 1), 1)
        self._lookups = opened(self._engine(settings.lookup_timeout_s, settings.pool), settings.pool)
        self._asking: Asking | None = None
        self._codes_at_once = 1
        # Codes that come while the threads are busy are asked for together.
        self._gather: Gather[str, Found] = Gather(
            self._lookup_many, lambda: self._codes_at_once, abreast=settings.pool, splits=one_items_fault
        )

    def _engine(self, statement_timeout_s: float, connections: int) -> Engine:
        try:
            return make_source_engine(
                self.settings.url,
                connections=connections,
                connect_timeout_s=self.settings.connect_timeout_s,
                statement_timeout_s=statement_timeout_s,
            )
        except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
            raise ConfigError(
                f"sources.{self.name}.url",
                f"cannot be used: {error}",
                "Write a SQLAlchemy URL and install its driver, see docs/provincial-database.md",
            ) from error

    @property
    def stuck(self) -> bool:
        """A poll that was given up still holds its thread."""
        return self._polls.depth > 0

    @property
    def resolution_s(self) -> float:
        """How coarsely the view writes ``updated_at``; 0 until it has been looked at."""
        return self._shape.style.resolution_s if self._shape and self._shape.style else 0.0

    def names(self, code: str) -> bool:
        """Whether the code's form says that the dossier is kept here."""
        return any(pattern.search(code) for pattern in self._codes)

    def poll(self, start: From | Next, not_after: datetime) -> Deferred[PollBatch]:
        """Read one page. Fails with :class:`SourceError`."""
        if self.stuck:
            return fail(self._hung())
        return self._limited(
            self._polls.read(f"poll {self.name}", self._poll_txn, start, not_after), self.settings.poll_timeout_s
        )

    def rows_without_time(self) -> Deferred[list[BadRow]]:
        """Rows that are never polled since their ``updated_at`` is NULL. Fails with :class:`SourceError`."""
        if self.stuck:
            return fail(self._hung())
        return self._limited(
            self._polls.read(f"scan {self.name}", self._rows_without_time_txn), self.settings.poll_timeout_s
        )

    def lookup(self, code: str) -> Deferred[list[Dossier]]:
        """The dossiers of this receipt code, as the database says now. Fails with :class:`SourceError`."""
        if self._gather.waiting >= LOOKUP_QUEUE:
            return fail(self._hung())
        return self._limited(self._gather.add(code).addCallback(_readable), self.settings.lookup_timeout_s)

    def _lookup_many(self, codes: list[str]) -> Deferred[Sequence[Found]]:
        found: Deferred[Any] = self._lookups.read(f"lookup {self.name}", self._lookup_txn, codes)
        return found.addBoth(self._learn, len(codes), self._reactor.seconds())

    def _learn(self, result: T, asked: int, began: float) -> T:
        """How many codes the next question may hold."""
        took_s = self._reactor.seconds() - began
        if isinstance(result, Failure) or took_s > SLOW_S:
            self._codes_at_once = max(1, self._codes_at_once // 2)
        elif took_s < QUICK_S and asked >= self._codes_at_once:
            self._codes_at_once = min(LOOKUP_CODES, self._codes_at_once * 2)
        return result

    def check(self) -> Deferred[list[ConfigError]]:
        """What is wrong with the database, the view, its columns, its words: one fault each, with its YAML path.

        Never fails: a database that cannot be reached is a fault too.
        """
        faults: Deferred[list[ConfigError]] = self._limited(
            self._polls.read(f"check {self.name}", self._check_txn), self.settings.poll_timeout_s
        )

        def unreadable(failure: Failure) -> list[ConfigError]:
            failure.trap(SourceError)
            error = failure.value
            assert isinstance(error, SourceError)
            return [ConfigError(f"sources.{self.name}", error.what, error.remedy)]

        return faults.addErrback(unreadable)

    def close(self) -> None:
        """Stop the threads. One that hangs in a driver is left behind; it is a daemon thread."""
        self._polls.close(timeout_s=CLOSE_TIMEOUT_S)
        self._lookups.close(timeout_s=CLOSE_TIMEOUT_S)

    # -- on the source's threads ----------------------------------------------------------------------------------

    def _view(self, conn: Connection, *, fresh: bool = False) -> ViewShape:
        shape = self._shape
        if shape is None or (fresh and not shape.incremental and "updated_at" in shape.columns):
            shape = self._shape = reading.shape_txn(conn, self.name, self.settings)
        return shape

    def _poll_txn(self, conn: Connection, start: From | Next, not_after: datetime) -> PollBatch:
        shape = self._view(conn, fresh=isinstance(start, From))
        return reading.page_txn(conn, shape, start, self.settings.poll_batch, not_after, self.settings.poll_timeout_s)

    def _rows_without_time_txn(self, conn: Connection) -> list[BadRow]:
        return reading.rows_without_time_txn(conn, self._view(conn), self.settings.poll_timeout_s)

    def _lookup_txn(self, conn: Connection, codes: Sequence[str]) -> list[Found]:
        shape, asking = self._view(conn), self._asking
        if asking is None or asking.shape is not shape:
            asking = self._asking = Asking(shape)
        return asking.lookup_txn(conn, codes, self.settings.lookup_timeout_s)

    def _check_txn(self, conn: Connection) -> list[ConfigError]:
        return inspection.faults_txn(conn, self.name, self.settings)

    # -- on the reactor thread ------------------------------------------------------------------------------------

    def _limited(self, waiting: Deferred[T], seconds: float) -> Deferred[T]:
        """Give up after ``seconds``; every error becomes a SourceError, and the view is looked at anew."""
        clock: IReactorTime = self._reactor  # type: ignore[assignment]  # the reactor is both
        waiting.addTimeout(seconds, clock)

        def failed(failure: Failure) -> Any:
            self._shape = None
            if failure.check(SourceError):
                return failure
            if failure.check(DeferredTimeout, CancelledError):
                raise timed_out(self.name, seconds) from failure.value
            error = failure.value
            assert error is not None
            raise explain(self.name, self.settings, error) from error

        return waiting.addErrback(failed)

    def _hung(self) -> SourceError:
        return SourceError(
            self.name,
            "an earlier request still hangs in the database",
            "Look at the agency's database server; the gateway tries again by itself",
        )


def _readable(found: Found) -> list[Dossier]:
    if isinstance(found, UnreadableDossier):
        raise found
    return found
