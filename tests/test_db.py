"""The database's threads: group commit, isolation of failures, settings of durability, loss and return of the server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks

from gateway.db import GROUP_LIMIT, Database, make_engine
from gateway.errors import StoreError

OpenDatabase = Callable[..., Database]


@pytest.fixture
def open_database() -> Iterator[OpenDatabase]:
    opened: list[Database] = []

    def open_(url: str, **options: Any) -> Database:
        database = Database(reactor, url, **options)
        opened.append(database)
        return database

    yield open_
    for database in opened:
        database.close()


def put(conn: Connection, value: int) -> int:
    conn.execute(sa.text("INSERT INTO t VALUES (:value)"), {"value": value})
    return value


def values(conn: Connection) -> list[int]:
    return list(conn.execute(sa.text("SELECT v FROM t ORDER BY v")).scalars())


def make_table(conn: Connection) -> None:
    conn.execute(sa.text("CREATE TABLE t (v INTEGER PRIMARY KEY)"))


@pytest.fixture
def db(empty_url: str, open_database: OpenDatabase) -> Database:
    """A database with an empty table ``t``, of each kind."""
    database = open_database(empty_url)
    engine = make_engine(empty_url)
    with engine.begin() as connection:
        make_table(connection)
    engine.dispose()
    return database


@pytest_twisted.inlineCallbacks
def test_write_then_read(db: Database) -> Any:
    assert (yield db.run("put", put, 1)) == 1
    assert (yield db.read("values", values)) == [1]
    assert db.depth == 0


class Gate:
    """Holds the writer until it is opened, so that what is queued meanwhile forms one group."""

    def __init__(self, db: Database) -> None:
        self._open = threading.Event()
        entered = threading.Event()

        def wait(conn: Connection) -> None:
            entered.set()
            assert self._open.wait(10)

        self.passed = db.run("gate", wait)
        assert entered.wait(10)

    def open(self) -> None:
        self._open.set()


@pytest_twisted.inlineCallbacks
def test_what_waits_together_is_committed_together(db: Database) -> Any:
    commits: list[int] = []
    sa.event.listen(db.engine, "commit", lambda _conn: commits.append(1))
    gate = Gate(db)
    waiting = [db.run("put", put, number) for number in range(50)]
    assert db.depth == 51
    gate.open()
    results = yield DeferredList([gate.passed, *waiting])
    assert all(success for success, _ in results)
    assert len(commits) == 2, "the gate, and one group"
    assert (yield db.read("values", values)) == list(range(50))


@pytest_twisted.inlineCallbacks
def test_a_group_has_a_limit(db: Database) -> Any:
    commits: list[int] = []
    sa.event.listen(db.engine, "commit", lambda _conn: commits.append(1))
    gate = Gate(db)
    waiting = [db.run("put", put, number) for number in range(GROUP_LIMIT + 1)]
    gate.open()
    yield DeferredList([gate.passed, *waiting])
    assert len(commits) == 3


@pytest_twisted.inlineCallbacks
def test_one_that_fails_does_not_harm_the_others(db: Database) -> Any:
    def fail(conn: Connection) -> None:
        put(conn, 99)
        raise ZeroDivisionError("mine")

    gate = Gate(db)
    waiting = [db.run("put", put, 1), db.run("fail", fail), db.run("put", put, 1), db.run("put", put, 2)]
    gate.open()
    results = yield DeferredList([gate.passed, *waiting], consumeErrors=True)
    good, mine, double, also_good = results[1:]
    assert (good, also_good) == ((True, 1), (True, 2))
    assert mine[1].check(ZeroDivisionError), "its own errors arrive as they are"
    assert "put(conn, 99)" not in str(mine[1].value)
    assert "raise ZeroDivisionError" in mine[1].getTraceback(), "with where it happened"
    assert double[1].check(StoreError), "the database's errors are ours"
    assert isinstance(double[1].value.__cause__, sa.exc.IntegrityError)
    assert str(double[1].value).startswith("put: ")
    assert (yield db.read("values", values)) == [1, 2]


@pytest_twisted.inlineCallbacks
def test_a_read_sees_no_half_done_write(db: Database) -> Any:
    gate = Gate(db)
    pending = db.run("put", put, 1)
    assert (yield db.read("values", values)) == []
    gate.open()
    yield pending
    yield gate.passed


@pytest_twisted.inlineCallbacks
def test_close_finishes_what_is_queued_and_takes_nothing_more(db: Database, empty_url: str) -> Any:
    waiting = [db.run("put", put, number) for number in range(20)]
    db.close()
    yield DeferredList(waiting)
    with pytest.raises(StoreError, match="closed"):
        yield db.run("put", put, 21)
    engine = make_engine(empty_url)
    with engine.connect() as connection:
        assert values(connection) == list(range(20))
    engine.dispose()


@pytest_twisted.inlineCallbacks
def test_sqlite_is_durable(tmp_path: Any, open_database: OpenDatabase) -> Any:
    folder = tmp_path / "new folder"
    folder.mkdir()
    db = open_database(f"sqlite:///{folder}/x.sqlite3")

    def pragmas(conn: Connection) -> dict[str, Any]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return {name: conn.execute(sa.text(f"PRAGMA {name}")).scalar_one() for name in names}

    assert (yield db.run("pragmas", pragmas)) == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest_twisted.inlineCallbacks
def test_a_sqlite_file_in_a_folder_that_is_not_there(tmp_path: Any, open_database: OpenDatabase) -> Any:
    """A mistyped path makes no second store."""
    db = open_database(f"sqlite:///{tmp_path}/mistyped/x.sqlite3")
    with pytest.raises(StoreError, match="unable to open database file"):
        yield db.run("any", lambda conn: conn.execute(sa.text("SELECT 1")))
    assert list(tmp_path.iterdir()) == []


@pytest_twisted.inlineCallbacks
def test_sqlite_writes_take_the_lock_at_once(tmp_path: Any, open_database: OpenDatabase) -> Any:
    """A write that began as a read could fail half-way when another process writes (SQLITE_BUSY)."""
    db = open_database(f"sqlite:///{tmp_path}/x.sqlite3")
    statements: list[str] = []
    sa.event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    yield db.run("table", make_table)
    yield db.read("values", values)
    assert [text for text in statements if text.startswith("BEGIN")] == ["BEGIN IMMEDIATE", "BEGIN"]


@pytest_twisted.inlineCallbacks
def test_a_database_in_memory_is_one(open_database: OpenDatabase) -> Any:
    """It has one connection, so reads and writes take turns."""
    db = open_database("sqlite://")
    yield db.run("table", make_table)
    results = yield DeferredList(
        [call for number in range(50) for call in (db.run("put", put, number), db.read("values", values))]
    )
    assert all(success for success, _ in results)
    assert len((yield db.read("values", values))) == 50


@pytest_twisted.inlineCallbacks
def test_the_server_goes_and_comes_back(postgres_store_url: str, open_database: OpenDatabase) -> Any:
    db = open_database(postgres_store_url)
    yield db.run("table", make_table)
    yield db.run("put", put, 1)

    def kill_me(conn: Connection) -> None:
        conn.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    gate = Gate(db)
    waiting = [db.run("put", put, 2), db.run("kill", kill_me), db.run("put", put, 3)]
    gate.open()
    results = yield DeferredList([gate.passed, *waiting], consumeErrors=True)
    assert [success for success, _ in results] == [True, False, False, False], "the whole group, at once"
    assert all(failure.check(StoreError) for _, failure in results[1:])
    yield db.run("put", put, 4)
    assert (yield db.read("values", values)) == [1, 4]


@pytest_twisted.inlineCallbacks
def test_a_deadlock_between_nodes_is_tried_again(postgres_store_url: str, open_database: OpenDatabase) -> Any:
    one, two = open_database(postgres_store_url), open_database(postgres_store_url)
    yield one.run("table", make_table)
    yield one.run("put", put, 1)
    yield one.run("put", put, 2)
    both_hold = threading.Barrier(2)
    tries = {"one": 0, "two": 0}

    def lock_both(conn: Connection, name: str, order: tuple[int, int]) -> None:
        tries[name] += 1
        conn.execute(sa.text("SELECT v FROM t WHERE v = :v FOR UPDATE"), {"v": order[0]})
        if tries[name] == 1:
            both_hold.wait(10)
        conn.execute(sa.text("SELECT v FROM t WHERE v = :v FOR UPDATE"), {"v": order[1]})

    results = yield DeferredList(
        [one.run("a", lock_both, "one", (1, 2)), two.run("b", lock_both, "two", (2, 1))], consumeErrors=True
    )
    assert [success for success, _ in results] == [True, True]
    assert sorted(tries.values()) == [1, 2], "one of the two lost and began again"


@pytest_twisted.inlineCallbacks
def test_a_store_that_is_not_there(open_database: OpenDatabase) -> Any:
    db = open_database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(StoreError, match=r"^put: "):
        yield db.run("put", put, 1)


@pytest_twisted.inlineCallbacks
def test_a_callback_may_use_the_database(db: Database) -> Any:
    @inlineCallbacks
    def chain() -> Any:
        first = yield db.run("put", put, 1)
        second = yield db.run("put", put, first + 1)
        return second

    done: Deferred[int] = chain()
    assert (yield done) == 2
