"""Databases on virtual time: the functions run in order, later, and their results come later still.

As in ``gateway.db``: one writer with group commit, some readers; what a killed process had not committed never happens, and
what it had committed stays though it never learns of it.
"""

from __future__ import annotations

import contextlib
import functools
import random
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sim_reactor import Life
from sqlalchemy.engine import Connection, Engine
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.db import GROUP_LIMIT, Database, _Job, make_engine
from gateway.errors import StaleStateError, StoreError
from gateway.store import migrate

#: How long transactions take when nothing is wrong, in seconds.
QUICK_WRITE_S = (0.001, 0.006)
QUICK_READ_S = (0.001, 0.004)
QUICK_SOURCE_S = (0.002, 0.03)


@functools.cache
def _migrated() -> sqlite3.Connection:
    """An empty store with the present schema, made once in a process."""
    memory = sqlite3.connect(":memory:")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite3"
        migrate.upgrade(f"sqlite:///{path}")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.backup(memory)
    return memory


#: Engines that no world uses now. They keep the statements that they have compiled, which is most of what a world costs to make.
_STORES: list[Engine] = []
_SERVERS: list[Engine] = []


class Disk:
    """What survives a crash: the store, and how its server behaves now."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.engine: Engine = _STORES.pop() if _STORES else make_engine("sqlite://")
        with self.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            _migrated().backup(driver)
        self.write_s, self.read_s = QUICK_WRITE_S, QUICK_READ_S
        self.down = False  # every call fails before it does anything
        self.full = False  # nothing can be written
        self.cut_off: set[str] = set()  # nodes that cannot reach it
        self.torn = 0.0  # share of groups whose commit happens although the answer says it failed
        self.twice = 0.05  # share of groups that are rolled back and run again
        self.on_fault: Callable[[str], None] = lambda fault: None

    def look_at(self, results: list[tuple[_Job, object]]) -> None:
        """An error of the database that nobody simulated is a fault of the program."""
        for job, result in results:
            if isinstance(result, Failure) and result.check(StoreError) and not result.check(StaleStateError):
                self.on_fault(f"{job.desc}: {result.getErrorMessage()}")

    def rows(self, query: str, **values: Any) -> list[Any]:
        """What stands in the store now, seen from outside."""
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(query), values))

    def close(self) -> None:
        """The world is over; another may use the engine."""
        _STORES.append(self.engine)


class _Again(Exception):
    """Roll back, and run once more."""


class SimDatabase(Database):
    """One process's way to the store."""

    def __init__(self, life: Life, disk: Disk) -> None:
        super().__init__(life, "", engine=disk.engine, threads=False)
        self._life, self._disk = life, disk
        self._waiting: list[_Job] = []
        self._busy = False

    def _enqueue(self, jobs: Any, desc: str, run: Callable[[Connection], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        if self._life.dead:
            return done
        if self._closed:
            done.errback(StoreError(f"{desc}: the database is closed. The daemon is stopping"))
            return done
        self._depth += 1
        job = _Job(desc, run, done)
        if jobs is self._writes:
            self._waiting.append(job)
            if not self._busy:
                self._begin_group()
        else:
            self._life.callLater(self._disk.rng.uniform(*self._disk.read_s), self._read, job)
        return done

    def close(self, timeout_s: float = 30.0) -> None:
        """The engine is the disk's."""
        self._closed = True

    def _begin_group(self) -> None:
        self._busy = True
        self._life.callLater(self._disk.rng.uniform(*self._disk.write_s), self._write)

    def _write(self) -> None:
        group, self._waiting = self._waiting[:GROUP_LIMIT], self._waiting[GROUP_LIMIT:]
        disk = self._disk
        if disk.down or disk.full or self._life.name in disk.cut_off:
            results = [(job, _away(job)) for job in group]
        else:
            if disk.rng.random() < disk.twice:
                self._run_in_vain(group)
            results = self._run_group(group)
            disk.look_at(results)
            if disk.torn and disk.rng.random() < disk.torn:
                results = [(job, _away(job)) for job in group]
        self._life.callLater(disk.rng.uniform(0.0001, 0.001), self._fire, results)
        self._busy = False
        if self._waiting:
            self._begin_group()

    def _run_in_vain(self, group: list[_Job]) -> None:
        try:
            with self._begin(write=True) as connection:
                for job in group:
                    job.run(connection)
                raise _Again
        except Exception:  # noqa: BLE001 - it does not count: the group runs again
            return

    def _read(self, job: _Job) -> None:
        away = self._disk.down or self._life.name in self._disk.cut_off
        result = _away(job) if away else self._run_one(job, write=False)
        if not away:
            self._disk.look_at([(job, result)])
        self._life.callLater(0, self._fire, [(job, result)])


def _away(job: _Job) -> Failure:
    return Failure(StoreError(f"{job.desc}: the store is away (simulated)"))


class Server:
    """One agency's database server: what it holds and how it behaves."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.engine = _SERVERS.pop() if _SERVERS else make_engine("sqlite://")
        self.delay_s = QUICK_SOURCE_S
        self.down = False
        self.polls = 0  # that were answered

    def close(self) -> None:
        """The world is over; another may use the engine."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE v_motcua_dossier")
        _SERVERS.append(self.engine)


class SimSourceDatabase(Database):
    """A source's way to its agency's database."""

    def __init__(self, life: Life, server: Server) -> None:
        super().__init__(life, "", engine=server.engine, threads=False)
        self._life, self._server = life, server

    def _enqueue(self, jobs: Any, desc: str, run: Callable[[Connection], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        if not self._life.dead:
            self._depth += 1
            job = _Job(desc, run, done)
            self._life.callLater(self._server.rng.uniform(*self._server.delay_s), self._look, job)
        return done

    def _look(self, job: _Job) -> None:
        server = self._server
        result = _away(job) if server.down else self._run_one(job, write=False)
        server.polls += job.desc.startswith("poll ") and not isinstance(result, Failure)
        self._depth -= 1
        if not job.done.called:  # given up meanwhile
            job.done.callback(result)

    def close(self, timeout_s: float = 30.0) -> None:
        """The engine is the server's."""
