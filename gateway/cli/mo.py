"""``motcua-gateway mo show``: the whole life of a query."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gateway.cli import cli, config_option, load_or_exit
from gateway.db import make_engine
from gateway.errors import GatewayError
from gateway.mo.classify import subscriber_number
from gateway.mo.story import as_dict, as_text
from gateway.store import migrate
from gateway.store.mo_story import mo_story_txn, mos_of_txn


@cli.group("mo")
def mo_group() -> None:
    """Queries of citizens."""


@mo_group.command("show")
@click.argument("mo_id", type=int, required=False, metavar="ID")
@click.option("--from", "number", default=None, help="The latest queries of this telephone number, newest first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="With --from: how many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--full", is_flag=True, help="Show telephone numbers in full.")
@config_option
def show(mo_id: int | None, number: str | None, limit: int, as_json: bool, full: bool, config_path: Path) -> None:
    """Show query ID (the log's mo=…), from the PDU to the outcome of its charge."""
    if (mo_id is None) == (number is None):
        raise click.UsageError("name one query by its ID, or a telephone number with --from")
    settings = load_or_exit(config_path)
    digits = None if number is None else subscriber_number(number)
    if number is not None and digits is None:
        raise click.UsageError(f"'{number}' is no telephone number: write 0905123456 or 84905123456")
    if migrate.current(settings.store.url) is None:
        raise GatewayError("the store is empty. Run 'motcua-gateway db upgrade' and then the daemon")
    engine = make_engine(settings.store.url, readers=1)
    try:
        with engine.connect() as conn:
            wanted = [mo_id] if mo_id is not None else mos_of_txn(conn, digits or "", limit)
            stories = [story for one in wanted if (story := mo_story_txn(conn, one)) is not None]
    finally:
        engine.dispose()
    if not stories:
        raise GatewayError(f"there is no query {mo_id}" if number is None else "there is no query of this number")
    for index, story in enumerate(stories):
        if as_json:
            click.echo(json.dumps(as_dict(story, full=full), ensure_ascii=False))
            continue
        if index:
            click.echo()
        for line in as_text(story, full=full):
            click.echo(line)
