"""The schema's history, run from the program: no alembic.ini, no files outside the package.

``upgrade`` is safe to run again and from several nodes at once: on PostgreSQL it takes a lock that ends with its
transaction, on SQLite the write lock. The whole upgrade is one transaction on both.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from gateway.db import make_engine
from gateway.errors import StoreError

#: "motcua" in ASCII. Only migrations use it: two nodes that start together must not both create the tables.
UPGRADE_LOCK = 0x6D6F74637561

_FOLDER = Path(__file__).parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest revision that this program knows."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise StoreError("the migrations are missing from this installation. Install the package again")
    return revision


def upgrade(url: str) -> str:
    """Bring the database at ``url`` to the newest revision and return it. Blocks.

    Makes what is not there yet, also the folder of a SQLite file: who asks for this has looked at ``store.url``.

    Raises:
        StoreError: when the database cannot be reached, or refuses.
    """
    try:
        if (file := sqlite_file(url)) is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        engine = make_engine(url, readers=0)
        try:
            with engine.execution_options(motcua_write=True).begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
                command.upgrade(_config(connection), "head")
        finally:
            engine.dispose()
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise _unreachable(error) from error
    return head()


def current(url: str) -> str | None:
    """The revision of the database at ``url``; None when it is not there or has no tables of ours yet. Blocks.

    Raises:
        StoreError: when the database cannot be reached.
    """
    if (file := sqlite_file(url)) is not None and not file.exists():
        return None  # looking at it would make an empty file
    try:
        engine = make_engine(url, readers=0)
        try:
            with engine.connect() as connection:
                return MigrationContext.configure(connection).get_current_revision()
        finally:
            engine.dispose()
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise _unreachable(error) from error


def is_current(url: str) -> bool:
    """Whether the database is at the newest revision. Raises :class:`StoreError` when it cannot be reached."""
    return current(url) == head()


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite store; None for one in memory and for other databases."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))


def _unreachable(error: BaseException) -> StoreError:
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return StoreError(f"the store cannot be opened or upgraded: {lines[0] if lines else type(cause).__name__}")
