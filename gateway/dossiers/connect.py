"""Engines for agencies' databases: read only, small, and with a time limit on every statement.

A limit at the reactor alone would leave the thread behind in a hung driver; so each database is told to give up by
itself where it can: PostgreSQL by statement_timeout and TCP keep-alives, MySQL and MariaDB by socket time-outs, SQLite by
a progress handler, SQL Server and Oracle by their drivers' call time-outs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from gateway.db import make_engine

#: SQLite's virtual machine steps between two looks at the clock: about a millisecond.
_SQLITE_STEPS = 20_000


def make_source_engine(url: str, *, connections: int, connect_timeout_s: float, statement_timeout_s: float) -> Engine:
    """An engine for one agency's database.

    Raises:
        sqlalchemy.exc.ArgumentError: the URL is none.
        ModuleNotFoundError: the driver that the URL names is not installed.
    """
    parsed = sa.make_url(url)
    backend = parsed.get_backend_name()
    arguments = _connect_arguments(parsed, connect_timeout_s, statement_timeout_s)
    if backend == "sqlite":
        url = _sqlite_read_only(parsed).render_as_string(hide_password=False)
    engine = make_engine(url, readers=max(connections - 1, 1), read_only=True, connect_args=arguments)
    if backend == "mssql":
        _limit_pyodbc(engine, statement_timeout_s)
    elif backend == "oracle":
        _limit_oracle(engine, statement_timeout_s)
    return engine


def _connect_arguments(url: URL, connect_timeout_s: float, statement_timeout_s: float) -> dict[str, Any]:
    statement_ms = int(statement_timeout_s * 1000)
    backend = url.get_backend_name()
    if backend == "postgresql":
        options = (
            f"-c statement_timeout={statement_ms} -c default_transaction_read_only=on -c lock_timeout={statement_ms}"
        )
        return {
            "connect_timeout": max(2, round(connect_timeout_s)),  # libpq knows whole seconds from two on
            "options": options,
            "application_name": "motcua-gateway",
            # A host that has vanished: give up when its TCP acknowledgements stay away this long.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": statement_ms + 5000,
        }
    if backend in ("mysql", "mariadb"):
        return {
            "connect_timeout": max(1, round(connect_timeout_s)),
            "read_timeout": max(1, round(statement_timeout_s)),
            "write_timeout": max(1, round(statement_timeout_s)),
            "init_command": "SET SESSION TRANSACTION READ ONLY",
            "charset": "utf8mb4",
        }
    if backend == "mssql":
        return {"timeout": max(1, round(connect_timeout_s))}
    if backend == "oracle":
        return {"tcp_connect_timeout": connect_timeout_s}
    return {}


def _sqlite_read_only(url: URL) -> URL:
    """Open the file read only: a mistyped path must be a fault, not a new empty database."""
    if url.database in (None, "", ":memory:") or str(url.database).startswith("file:"):
        return url
    return url.set(database=f"file:{quote(str(url.database))}", query={**url.query, "mode": "ro", "uri": "true"})


def _limit_pyodbc(engine: Engine, seconds: float) -> None:
    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        connection.timeout = max(1, round(seconds))


def _limit_oracle(engine: Engine, seconds: float) -> None:
    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        connection.call_timeout = int(seconds * 1000)


@contextmanager
def limited(connection: Connection, seconds: float) -> Iterator[None]:
    """Stop SQLite's statements after ``seconds``; other databases were told when they were connected."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    deadline = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > deadline, _SQLITE_STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)
