"""``motcua-gateway outbox``: what waits and how long, the life of one message, receipts that match nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy.engine import Connection

from gateway.cli import cli, config_option, load_or_exit
from gateway.cli.tables import FORMATS, Column, as_table, write
from gateway.db import make_engine
from gateway.errors import GatewayError
from gateway.log import mask_number
from gateway.mo.classify import subscriber_number
from gateway.mo.story import as_plain, at_text, part_lines
from gateway.settings import GatewaySettings
from gateway.store import migrate
from gateway.store.outbox_story import (
    MessageStory,
    OutboxStatus,
    message_story_txn,
    messages_about_txn,
    messages_to_txn,
    outbox_status_txn,
    unmatched_receipts_txn,
)

T = TypeVar("T")

#: What each open state waits for, for somebody who does not know the program.
WAITS_FOR = {
    "held": "its time (hold, night)",
    "queued": "the operator (bind, licence)",
    "sending": "the SMSC's answer",
    "accepted": "the receipt",
    "unknown": "a late answer or a receipt; in doubt",
}
_STATUS_COLUMNS = (
    Column("route", "operator"),
    Column("state", "state"),
    Column("messages", "messages"),
    Column("parts", "parts"),
    Column("oldest", "longest for"),
    Column("waits_for", "waits for"),
)
_NODE_COLUMNS = (
    Column("name", "node"),
    Column("lease", "lease"),
    Column("started_at", "started"),
    Column("in_hand", "in hand"),
)
_RECEIPT_COLUMNS = (
    Column("received_at", "received"),
    Column("route", "operator"),
    Column("bind", "bind"),
    Column("status", "status"),
    Column("smsc_message_id", "SMSC id"),
    Column("stat", "stat"),
    Column("error", "err"),
    Column("destination_addr", "handset"),
    Column("user_message_reference", "reference"),
)


@cli.group("outbox")
def outbox_group() -> None:
    """Messages to citizens: what waits, what became of one."""


@outbox_group.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def status(as_json: bool, config_path: Path) -> None:
    """Show everything that has not ended, with its age, and the nodes that work on it."""
    found = _read(load_or_exit(config_path), outbox_status_txn)
    now = datetime.now(UTC)
    if as_json:
        click.echo(json.dumps(as_plain(asdict(found)), ensure_ascii=False))
        return
    for line in _status_lines(found, now):
        click.echo(line)


def _status_lines(found: OutboxStatus, now: datetime) -> Iterator[str]:
    if found.queue:
        yield as_table(
            _STATUS_COLUMNS,
            [
                asdict(line) | {"oldest": _age(now - line.since), "waits_for": WAITS_FOR[line.state]}
                for line in found.queue
            ],
        )
    else:
        yield "Every message has ended."
    yield ""
    if found.nodes:
        rows = [
            asdict(one) | {"lease": "alive" if one.alive_until > now else f"ended {_age(now - one.alive_until)} ago"}
            for one in found.nodes
        ]
        yield as_table(_NODE_COLUMNS, rows)
    else:
        yield "No daemon has worked on this store."
    yield ""
    yield f"Receipts that match no message yet: {found.waiting_receipts}; given up as orphans: {found.orphan_receipts}"


@outbox_group.command("show")
@click.argument("message_id", type=int, required=False, metavar="ID")
@click.option("--to", "number", default=None, help="The latest messages to this telephone number, newest first.")
@click.option("--code", default=None, help="The latest notices about this dossier, newest first.")
@click.option("--days", type=click.IntRange(1, 3660), default=90, show_default=True, help="With --to: how far back.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="With --to, --code: how many."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--full", is_flag=True, help="Show telephone numbers in full.")
@config_option
def show(
    message_id: int | None,
    number: str | None,
    code: str | None,
    days: int,
    limit: int,
    as_json: bool,
    full: bool,
    config_path: Path,
) -> None:
    """Show message ID (the log's message=…), from its cause to its receipts."""
    if sum(given is not None for given in (message_id, number, code)) != 1:
        raise click.UsageError("name one message by its ID, or a telephone number with --to, or a dossier with --code")
    settings = load_or_exit(config_path)
    digits = None if number is None else subscriber_number(number)
    if number is not None and digits is None:
        raise click.UsageError(f"'{number}' is no telephone number: write 0905123456 or 84905123456")
    since = datetime.now(UTC) - timedelta(days=days)

    def wanted(conn: Connection) -> list[int]:
        if message_id is not None:
            return [message_id]
        if code is not None:
            return messages_about_txn(conn, settings.sources, code, limit)
        return messages_to_txn(conn, digits or "", since, limit)

    stories = _read(
        settings, lambda conn: [story for one in wanted(conn) if (story := message_story_txn(conn, one)) is not None]
    )
    if not stories:
        what = f"number {message_id}" if message_id is not None else f"dossier {code}" if code else f"{days} days"
        where = {True: f"with {what}", False: f"about {what}" if code else f"to this number in the last {what}"}
        raise GatewayError(f"there is no message {where[message_id is not None]}")
    for index, story in enumerate(stories):
        if as_json:
            click.echo(json.dumps(_masked(as_plain(asdict(story)), full), ensure_ascii=False))
            continue
        if index:
            click.echo()
        for line in _story_lines(story, full):
            click.echo(line)


def _story_lines(story: MessageStory, full: bool) -> Iterator[str]:
    to = story.destination_addr if full else mask_number(story.destination_addr)
    yield f"Message {story.id}: {story.kind} about {story.receipt_code} ({story.source}), {story.agency_name or 'no agency'}"
    yield f"  {at_text(story.created_at)}  made: {story.source_addr} to {to or '(no number)'} by {story.route or '(no operator)'}"
    yield f"      text: {story.text}"
    version = f"{story.template_id} ({story.template_version})"
    yield f"      template {version}, {story.coding}, priority {story.priority}, attempts {story.attempts}"
    until = f", not after {at_text(story.expires_at)}" if story.expires_at else ""
    yield f"      leaves not before {at_text(story.not_before)}{until} (business time)"
    if story.mo_id is not None:
        yield f"      answers query {story.mo_id}: motcua-gateway mo show {story.mo_id}"
    for part in story.parts:
        yield from part_lines(part)
    if story.possible_duplicate:
        yield "      sent again after a doubt: the handset may have it twice"
    held = f", claimed by {story.node}" if story.node else ""
    why = f" ({story.reason})" if story.reason else ""
    yield f"  {at_text(story.state_at)}  is {story.state}{why}{held}"


@outbox_group.command("orphans")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many, newest first."
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Write to this file.")
@click.option("--full", is_flag=True, help="Show telephone numbers in full.")
@config_option
def orphans(limit: int, form: str, output: Path | None, full: bool, config_path: Path) -> None:
    """List receipts that match no message: of another system on the account, or with ids that are read wrongly.

    "waiting" may still find its message; "orphan" has been given up. Many of them: look at receipts.id_base of the bind.
    """
    found = _read(load_or_exit(config_path), lambda conn: unmatched_receipts_txn(conn, limit))
    rows = [_masked(asdict(line), full) for line in found]
    write(_RECEIPT_COLUMNS, rows, form, output, "receipts")


def _read(settings: GatewaySettings, read: Callable[[Connection], T]) -> T:
    if migrate.current(settings.store.url) is None:
        raise GatewayError("the store is empty. Run 'motcua-gateway db upgrade' and then the daemon")
    engine = make_engine(settings.store.url, readers=1, read_only=True)
    try:
        with engine.connect() as conn:
            return read(conn)
    finally:
        engine.dispose()


def _masked(values: dict[str, Any], full: bool) -> dict[str, Any]:
    return values if full else values | {"destination_addr": mask_number(values["destination_addr"])}


def _age(passed: timedelta) -> str:
    """45 s, 12 min, 7 h 05 min, 3 d 4 h."""
    seconds = max(0, int(passed.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
