"""Fixtures for every folder of tests."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import postgres_server
import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase

from gateway.store import migrate

#: Continuous integration must not pass because a peer is missing.
IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")

# The same examples every time, where a change is judged; others at every run of a developer, who can look at what they find.
hypothesis.settings.register_profile("ci", derandomize=True)
if IN_CI:
    hypothesis.settings.load_profile("ci")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file; tests copy it."""
    path = tmp_path_factory.mktemp("store") / "template.sqlite3"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_admin() -> Iterator[sa.URL]:
    """An administrator's URL of a PostgreSQL server."""
    try:
        with postgres_server.server() as url:
            yield url
    except postgres_server.NoServer as error:
        if IN_CI:
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgres_template(postgres_admin: sa.URL) -> Iterator[str]:
    """The name of a migrated database; tests clone it."""
    name = f"motcua_template_{uuid.uuid4().hex[:12]}"
    with postgres_server.connect(postgres_admin) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            migrate.upgrade(_url_text(postgres_admin.set(database=name)))
            yield name
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def store_backend(request: pytest.FixtureRequest) -> str:
    """Parametrises a test over both kinds of store."""
    name: str = request.param
    return name


@pytest.fixture
def empty_url(store_backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database without tables, on SQLite and on PostgreSQL."""
    if store_backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    else:
        yield from _postgres_database(request.getfixturevalue("postgres_admin"), None)


@pytest.fixture
def store_url(store_backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated store, on SQLite (a file) and on PostgreSQL (its own database)."""
    if store_backend == "sqlite":
        yield _sqlite_copy(request.getfixturevalue("sqlite_template"), tmp_path)
    else:
        admin = request.getfixturevalue("postgres_admin")
        yield from _postgres_database(admin, request.getfixturevalue("postgres_template"))


@pytest.fixture
def sqlite_store_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a fresh, migrated SQLite store, for tests that are not about the store."""
    return _sqlite_copy(sqlite_template, tmp_path)


@pytest.fixture
def postgres_store_url(postgres_admin: sa.URL, postgres_template: str) -> Iterator[str]:
    """The URL of a fresh, migrated PostgreSQL store, for what SQLite does not have (several nodes)."""
    yield from _postgres_database(postgres_admin, postgres_template)


@pytest.fixture
def postgres_empty_url(postgres_admin: sa.URL) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, for what SQLite does not have."""
    yield from _postgres_database(postgres_admin, None)


@pytest.fixture
def inline_db(store_url: str) -> Iterator[InlineDatabase]:
    """A store whose functions run at once, in the calling thread; its Deferreds have fired when they are returned."""
    database = InlineDatabase(store_url)
    yield database
    database.close()


def _sqlite_copy(template: Path, folder: Path) -> str:
    path = folder / "store.sqlite3"
    shutil.copyfile(template, path)
    return f"sqlite:///{path}"


def _postgres_database(admin: sa.URL, template: str | None) -> Iterator[str]:
    name = f"motcua_test_{uuid.uuid4().hex[:12]}"
    with postgres_server.connect(admin) as connection:
        connection.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        try:
            yield _url_text(admin.set(database=name))
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _url_text(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)
