"""The migrations lead to exactly the schema, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from gateway.app.prepare import prepare_store
from gateway.errors import StoreError
from gateway.store import migrate, schema
from gateway.store.partitions import is_ours


def test_history_leads_to_the_schema(empty_url: str) -> None:
    assert migrate.current(empty_url) is None
    assert not migrate.is_current(empty_url)
    assert migrate.upgrade(empty_url) == migrate.head()
    engine = sa.create_engine(empty_url)
    with engine.connect() as connection:
        # alembic cannot tell one spelling of SQLite's defaults from another
        defaults = connection.dialect.name == "postgresql"
        options = {"compare_type": True, "compare_server_default": defaults, "include_name": is_ours}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_upgrade_is_repeatable(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()
    assert migrate.is_current(empty_url)


def test_tables_without_rowid_and_partial_indexes_arrive_on_sqlite(sqlite_store_url: str) -> None:
    """compare_metadata does not look at these: the text that SQLite keeps does."""
    migrated = _sqlite_master(sa.create_engine(sqlite_store_url))
    fresh = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    schema.metadata.create_all(fresh)
    created = _sqlite_master(fresh)
    migrated.pop("alembic_version", None)
    assert {name: sql.count("WITHOUT ROWID") for name, sql in migrated.items()} == {
        name: sql.count("WITHOUT ROWID") for name, sql in created.items()
    }
    indexes = {name: sql for name, sql in created.items() if sql.startswith("CREATE INDEX")}
    assert {name: migrated[name] for name in indexes} == indexes
    assert any("WHERE" in sql for sql in indexes.values())


def test_partial_indexes_arrive_on_postgresql(postgres_store_url: str) -> None:
    engine = sa.create_engine(postgres_store_url)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
        found = {row.indexname: row.indexdef for row in rows}
    engine.dispose()
    for table in schema.metadata.tables.values():
        for index in table.indexes:
            partial = index.dialect_options["postgresql"]["where"] is not None
            assert (" WHERE " in found[str(index.name)]) is partial


def _sqlite_master(engine: sa.Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        found = {str(name): " ".join(str(sql).split()) for name, sql in rows}
    engine.dispose()
    return found


def test_looking_at_a_store_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "store.sqlite3", tmp_path / "store.sqlite3"):
        assert migrate.current(f"sqlite:///{path}") is None
        assert not path.exists()
    assert list(tmp_path.iterdir()) == []


def test_upgrading_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "store.sqlite3"
    migrate.upgrade(f"sqlite:///{path}")
    assert migrate.is_current(f"sqlite:///{path}")


def test_a_daemon_does_not_start_on_a_store_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mistyped' / 'store.sqlite3'}"
    with pytest.raises(
        StoreError, match=r"mistyped' of the store does not exist\. Correct store\.url, or make it with"
    ):
        prepare_store(url)
    assert list(tmp_path.iterdir()) == []
    migrate.upgrade(url)
    prepare_store(url)
    prepare_store(f"sqlite:///{tmp_path / 'mistyped' / 'second.sqlite3'}")  # a first start in a folder that is there
