"""What a poll costs, by the size of the agency's database: ``python bench/poller.py [--sizes 10000,100000,1000000] [--json]``.

A real SQLite view and a real store; the functions run in the calling thread, so what is measured is work and not waiting. A poll of
a quiet source, of one with a hundred changed dossiers and of one with a thousand must cost the same whatever the size; only the first
reading grows with it.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests" / "jobs")]

from agency_database import AgencyDatabase, InlineSourceDatabase  # noqa: E402 - after the path
from inline_db import InlineDatabase  # noqa: E402
from poll_world import NOW, World, now_of, poll, stamp  # noqa: E402

from gateway.dossiers.source import Source  # noqa: E402
from gateway.settings import SourceSettings  # noqa: E402
from gateway.store import migrate  # noqa: E402

ROUNDS = 9
#: The first reading of more than this is not waited for: what it leaves is written directly.
FIRST_UP_TO = 100_000


@click.command()
@click.option("--sizes", default="10000,100000,1000000", show_default=True, help="Dossiers in the agency's database.")
@click.option("--json", "as_json", is_flag=True)
def main(sizes: str, as_json: bool) -> None:
    """Measure and print."""
    results = [measure(int(size)) for size in sizes.split(",")]
    if as_json:
        click.echo(json.dumps(results))
        return
    click.echo("dossiers    first reading    quiet poll    100 changes    1000 changes    one dossier")
    for row in results:
        first = f"{row['dossiers'] / row['first_s']:,.0f}/s" if row["first_s"] else "not measured"
        click.echo(
            f"{row['dossiers']:>8}  {first:>15}"
            f"  {row['quiet_ms']:>7.2f} ms  {row['changes_100_ms']:>8.1f} ms  {row['changes_1000_ms']:>9.1f} ms"
            f"  {row['lookup_ms']:>8.2f} ms"
        )


def measure(size: int) -> dict[str, Any]:
    """One size, in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'store.sqlite3'}"
        migrate.upgrade(url)
        world = World(InlineDatabase(url))
        agency = AgencyDatabase(folder / "agency.sqlite3")
        agency.execute("CREATE INDEX i ON dossiers (updated_at, receipt_code)")
        agency.execute("CREATE INDEX j ON dossiers (receipt_code)")
        short = size > FIRST_UP_TO
        _fill(agency, 1 if short else size, size)
        source = Source(world.reactor, "ks", SourceSettings(url=agency.url), InlineSourceDatabase)  # type: ignore[arg-type]
        poller = world.poller(source)
        first_s = _seconds(lambda: poll(poller))
        if short:
            _fill_both(agency, folder / "store.sqlite3", size)
        # Two minutes later nothing is read again for the overlap.
        world.reactor.advance(200)
        poll(poller)
        result: dict[str, Any] = {"dossiers": size, "first_s": None if short else first_s}
        result["quiet_ms"] = 1000 * _median(lambda: poll(poller), lambda: world.reactor.advance(5))
        at = 0
        for changes in (100, 1000):

            def change(changes: int = changes) -> None:
                nonlocal at
                world.reactor.advance(200)
                poll(poller)
                _change(agency, at, changes, stamp(world.clock.now()))
                at += changes

            result[f"changes_{changes}_ms"] = 1000 * _median(lambda: poll(poller), change)
        result["lookup_ms"] = 1000 * _median(lambda: now_of(source.lookup(f"{size // 2:010}")), lambda: None)
        world.store.close()
        source.close()
        return result


def _fill(agency: AgencyDatabase, newest: int, size: int) -> None:
    """The newest dossiers of so many."""
    step = timedelta(days=300) / size
    for start in range(size - newest, size, 50_000):
        agency.add_many(
            [
                {"receipt_code": f"{n:010}", "updated_at": stamp(NOW - timedelta(days=300) + n * step)}
                for n in range(start, min(start + 50_000, size))
            ]
        )


def _fill_both(agency: AgencyDatabase, store: Path, size: int) -> None:
    """The older dossiers, into the view and into the store, as a first reading would have left them."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {size - 2})"
    for path, table in ((agency.path, "dossiers"), (store, "dossier")):
        with closing(sqlite3.connect(path)) as connection, connection:
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            made = {"receipt_code": "printf('%010d', i)"}
            if table == "dossiers":
                made["updated_at"] = (
                    f"strftime('%Y-%m-%d %H:%M:%S', '2025-05-07', (i * 25920000 / {size}) || ' seconds')"
                )
            columns = ", ".join(made.get(name, f'"{name}"') for name in names)
            quoted = ", ".join(f'"{name}"' for name in names)
            connection.execute(
                f"INSERT INTO {table} ({quoted}) {numbers} SELECT {columns} FROM {table}, n WHERE receipt_code = ?",
                (f"{size - 1:010}",),
            )


def _change(agency: AgencyDatabase, first: int, number: int, updated_at: str) -> None:
    with closing(sqlite3.connect(agency.path)) as connection, connection:
        connection.executemany(
            "UPDATE dossiers SET step_name = step_name || '.', updated_at = ? WHERE receipt_code = ?",
            [(updated_at, f"{n:010}") for n in range(first, first + number)],
        )


def _seconds(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _median(work: Any, before: Any) -> float:
    times = []
    for _ in range(ROUNDS):
        before()
        times.append(_seconds(work))
    return statistics.median(times)


if __name__ == "__main__":
    main()
