"""``motcua-gateway db``: the migrations of the gateway's own database."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli import cli, config_option, load_or_exit
from gateway.store import migrate


@cli.group("db")
def db_group() -> None:
    """The gateway's own database."""


@db_group.command()
@config_option
def upgrade(config_path: Path) -> None:
    """Bring the database to the schema of this version."""
    url = load_or_exit(config_path).store.url
    before = migrate.current(url)
    after = migrate.upgrade(url)
    click.echo(f"schema {after}: already current" if before == after else f"schema {before or '(empty)'} -> {after}")


@db_group.command()
@config_option
def current(config_path: Path) -> None:
    """Show the database's schema version and whether it is this program's."""
    url = load_or_exit(config_path).store.url
    revision = migrate.current(url)
    if revision is None:
        click.echo("no schema yet: run 'motcua-gateway db upgrade'")
        raise SystemExit(1)
    if not migrate.is_current(url):
        click.echo(f"schema {revision}: not this program's version; run 'motcua-gateway db upgrade'")
        raise SystemExit(1)
    click.echo(f"schema {revision}: current")
