"""A database engine with its own threads: the only place in the gateway that has any.

``write`` functions run on one writer thread. Those that wait together share one transaction and one commit (group
commit): what costs most in a durable write is the flush, not the statement. A function that fails does not harm the
others: the group is rolled back and each function is run again in a transaction of its own, so a write function must
have no effect but on its connection, and must be ready to run twice. When the connection itself is lost the whole group
fails at once; a commit that was under way may then have happened or not, so a caller that tries again must be idempotent.

``read`` functions run on a small pool of reader threads.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.errors import StoreError

P = ParamSpec("P")
T = TypeVar("T")

#: The most write functions in one transaction. Past some hundred the flush is no longer what costs.
GROUP_LIMIT = 256
#: How long SQLite waits for another process's lock before it gives up, in milliseconds.
SQLITE_BUSY_MS = 10_000
#: How long a connection to a server may take. A host that swallows packets would otherwise hold the writer for minutes.
CONNECT_TIMEOUT_S = 5
#: A transaction of ours that waits for us for so long is ended by PostgreSQL, and its locks with it, in milliseconds. A process that
#: was stopped, or a machine that vanished, in the middle of one would else hold up the writers of all other nodes (the
#: server's own TCP time-out is two hours), and the takeover of its work. Less than the rest of a lease, far more than our longest pause.
IDLE_IN_TRANSACTION_MS = 10_000
#: How often a function is run again that lost against another node (deadlock, serialization failure).
CONFLICT_TRIES = 4
#: serialization_failure, deadlock_detected (PostgreSQL, appendix A)
CONFLICT_STATES = frozenset({"40001", "40P01"})


class ThreadBridge(Protocol):
    """The part of the reactor that brings a result back from a thread."""

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None: ...


@dataclass(slots=True)
class _Job:
    desc: str
    run: Callable[[Connection], Any]
    done: Deferred[Any]


def make_engine(
    url: str, *, readers: int = 4, read_only: bool = False, connect_args: dict[str, Any] | None = None
) -> Engine:
    """An engine with the settings that durability asks for: SQLite in WAL mode with synchronous=FULL."""
    parsed = sa.make_url(url)
    arguments = dict(connect_args or {})
    if parsed.get_backend_name() == "sqlite":
        memory = _in_memory(parsed)
        if memory:
            engine = sa.create_engine(
                url, poolclass=sa.StaticPool, connect_args={"check_same_thread": False, **arguments}
            )
        else:
            engine = sa.create_engine(
                url,
                poolclass=sa.QueuePool,
                pool_size=readers + 1,
                max_overflow=0,
                connect_args={"check_same_thread": False, "timeout": SQLITE_BUSY_MS / 1000, **arguments},
            )
        _tune_sqlite(engine, wal=not memory and not read_only, read_only=read_only)
        return engine
    if parsed.get_backend_name() == "postgresql":
        arguments.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
    engine = sa.create_engine(
        url, pool_size=readers + 1, max_overflow=0, pool_pre_ping=True, pool_recycle=1800, connect_args=arguments
    )
    if parsed.get_backend_name() == "postgresql" and not read_only:
        _bound_transactions(engine)
    return engine


def _in_memory(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _tune_sqlite(engine: Engine, *, wal: bool, read_only: bool) -> None:
    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        # SQLAlchemy begins transactions, not the driver: a read must not become a write half-way (SQLITE_BUSY).
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")
        if wal:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA cache_size = -16000")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("motcua_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _bound_transactions(engine: Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}")
        cursor.close()
        connection.commit()  # what a rolled back transaction has set is undone


class Database:
    """One database, used from the reactor thread. Every method returns a Deferred that fires there.

    Errors of the database arrive as :class:`StoreError` with the driver's error as its cause; errors that a function
    raises itself arrive as they are. ``threads=False`` is for a subclass that runs the functions itself (tests and
    simulations on a virtual clock).
    """

    def __init__(
        self,
        bridge: ThreadBridge,
        url: str,
        *,
        readers: int = 2,
        read_only: bool = False,
        engine: Engine | None = None,
        threads: bool = True,
    ) -> None:
        self.engine = engine or make_engine(url, readers=readers, read_only=read_only)
        self.backend: str = self.engine.dialect.name
        self._write_engine = self.engine.execution_options(motcua_write=True)
        self._bridge = bridge
        self._writes: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._reads: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._depth = 0
        self._threads: list[threading.Thread] = []
        if not threads:
            return
        if not read_only:
            self._start(self._write_loop, "db-writer")
        if _in_memory(self.engine.url) and not read_only:
            self._reads = self._writes  # a database in memory has one connection: all on the writer's thread
            return
        for number in range(readers):
            self._start(self._read_loop, f"db-reader-{number}")

    def _start(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    @property
    def depth(self) -> int:
        """How many functions wait or run: what back-pressure looks at."""
        return self._depth

    def run(
        self, desc: str, fn_txn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a writing function; the Deferred fires after the commit. The function may be run twice, see the module."""
        return self._enqueue(self._writes, desc, lambda connection: fn_txn(connection, *args, **kwargs))

    def read(
        self, desc: str, fn_txn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a reading function on a reader thread."""
        return self._enqueue(self._reads, desc, lambda connection: fn_txn(connection, *args, **kwargs))

    def _enqueue(self, jobs: queue.SimpleQueue[_Job | None], desc: str, run: Callable[[Connection], T]) -> Deferred[T]:
        done: Deferred[T] = Deferred()
        if self._closed:
            done.errback(StoreError(f"{desc}: the database is closed. The daemon is stopping"))
            return done
        self._depth += 1
        jobs.put(_Job(desc, run, done))
        return done

    def close(self, timeout_s: float = 30.0) -> None:
        """Finish what is queued, then stop the threads. Blocks until they have ended, at most ``timeout_s`` for each."""
        if self._closed:
            return
        self._closed = True
        self._writes.put(None)
        for _ in self._threads:
            self._reads.put(None)
        for thread in self._threads:
            thread.join(timeout=timeout_s)
        self.engine.dispose()

    # -- threads ------------------------------------------------------------------------------------------------

    def _write_loop(self) -> None:
        stopping = False
        while not stopping:
            group: list[_Job] = []
            job = self._writes.get()
            while job is not None:
                group.append(job)
                if len(group) >= GROUP_LIMIT:
                    break
                try:
                    job = self._writes.get_nowait()
                except queue.Empty:
                    break
            stopping = job is None
            if group:
                self._finish(self._run_group(group))

    def _read_loop(self) -> None:
        while (job := self._reads.get()) is not None:
            self._finish([(job, self._run_one(job, write=False))])

    def _run_group(self, group: Sequence[_Job]) -> list[tuple[_Job, object]]:
        if len(group) == 1:
            return [(group[0], self._run_one(group[0], write=True))]
        started = False
        try:
            with self._begin(write=True) as connection:
                started = True
                results = [job.run(connection) for job in group]
            return list(zip(group, results, strict=True))
        except Exception as error:  # noqa: BLE001 - one of them failed: each runs alone and gets its own error
            if _is_lost(error, started):
                return [(job, _failure(job, error)) for job in group]
        return [(job, self._run_one(job, write=True)) for job in group]

    def _run_one(self, job: _Job, *, write: bool) -> object:
        tries = 0
        while True:
            tries += 1
            try:
                with self._begin(write=write) as connection:
                    return job.run(connection)
            except Exception as error:  # noqa: BLE001 - the edge between threads: the caller's Deferred gets it
                if tries < CONFLICT_TRIES and _is_conflict(error):
                    continue
                return _failure(job, error)

    def _begin(self, *, write: bool) -> AbstractContextManager[Connection]:
        return (self._write_engine if write else self.engine).begin()

    def _finish(self, results: list[tuple[_Job, object]]) -> None:
        self._bridge.callFromThread(self._fire, results)

    def _fire(self, results: list[tuple[_Job, object]]) -> None:
        self._depth -= len(results)
        for job, result in results:
            job.done.callback(result)  # a Failure starts the errback chain


def _failure(job: _Job, error: Exception) -> Failure:
    """What the caller's Deferred gets: the database's errors become ours, with the driver's as cause."""
    if isinstance(error, sa.exc.SQLAlchemyError | sqlite3.Error):
        wrapped = StoreError(f"{job.desc}: {_first_line(error)}")
        wrapped.__cause__ = error
        return Failure(wrapped)
    return Failure(error)


def _is_lost(error: Exception, started: bool) -> bool:
    """Whether the connection is at fault and not one of the functions: running each alone would only take longer."""
    if isinstance(error, sa.exc.DBAPIError):
        return error.connection_invalidated or not started
    return isinstance(error, sa.exc.TimeoutError)  # of the pool


def _is_conflict(error: Exception) -> bool:
    return isinstance(error, sa.exc.DBAPIError) and getattr(error.orig, "sqlstate", None) in CONFLICT_STATES


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
