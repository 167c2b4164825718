"""What a broken agency's database does to the others: ``python bench/federation.py [--lookups 400]``.

Real sources, real threads, real reactor. First two healthy databases alone, then the same with one that hangs (it accepts the
connection and never says a word), one that is slow (each question takes about a second) and one that is down; those three are
polled all the while. Citizens ask for dossiers of the healthy ones, by codes that name their source and by codes that do not.
"""

from __future__ import annotations

import random
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
import structlog
from twisted.internet import task
from twisted.internet.defer import Deferred, succeed

sys.path[:0] = [str(Path(__file__).parents[1] / "tests")]

import postgres_server  # noqa: E402 - after the path
from agency_database import NOW, ROW, AgencyDatabase  # noqa: E402

from gateway.dossiers.federation import Federation, LookupResult  # noqa: E402
from gateway.dossiers.reading import From  # noqa: E402
from gateway.dossiers.source import Source  # noqa: E402
from gateway.settings import SourceSettings  # noqa: E402

ROWS = 5000
#: A server that takes most of a second for each question.
SLOW_VIEW = "CREATE VIEW v_motcua_dossier AS SELECT {columns} WHERE pg_sleep(0.8) IS NOT NULL"


def healthy(folder: Path, name: str, prefix: str, *, named: bool) -> tuple[str, SourceSettings]:
    """A database of dossiers whose codes begin with ``prefix``."""
    agency = AgencyDatabase(folder / f"{name}.sqlite3")
    agency.execute("CREATE INDEX i ON dossiers (updated_at, receipt_code)")
    agency.execute("CREATE INDEX j ON dossiers (receipt_code)")
    agency.add_many([{**ROW, "receipt_code": f"{prefix}{n:05}"} for n in range(ROWS)])
    return name, SourceSettings(url=agency.url, codes=(f"^{prefix}",) if named else ())


def broken(server: sa.URL, hole: int, closed: int) -> list[tuple[str, SourceSettings]]:
    """The three."""
    slow = server.set(database="motcua_bench_slow").render_as_string(hide_password=False)
    with postgres_server.connect(server) as connection:
        connection.execute("DROP DATABASE IF EXISTS motcua_bench_slow WITH (FORCE)")
        connection.execute("CREATE DATABASE motcua_bench_slow")
    columns = ", ".join(f"{_literal(value)} AS {name}" for name, value in ROW.items())
    with postgres_server.connect(server.set(database="motcua_bench_slow")) as connection:
        connection.execute(SLOW_VIEW.format(columns=columns))
    url = "postgresql+psycopg://x:x@127.0.0.1:{}/x"
    return [
        ("hanging", SourceSettings(url=url.format(hole), lookup_timeout_s=2)),
        ("slow", SourceSettings(url=slow, lookup_timeout_s=2)),
        ("down", SourceSettings(url=url.format(closed), lookup_timeout_s=2)),
    ]


def _literal(value: object) -> str:
    return "NULL::text" if value is None else f"'{value}'"


async def run(reactor: Any, sources: list[Source], lookups: int, rng: random.Random) -> list[float]:
    """Times of the lookups, in milliseconds; one after the other, as from one citizen after the other."""
    federation = Federation(reactor, sources, lambda code: succeed([]))
    polls = [task.LoopingCall(_poll, source) for source in sources]
    for poll in polls:
        poll.start(0.5)
    times = []
    for _ in range(lookups):
        code = rng.choice(["01017", "02027"]) + f"{rng.randrange(ROWS):05}"
        began = reactor.seconds()
        answer = await federation.lookup(code, 5.0)
        times.append((reactor.seconds() - began) * 1000)
        if answer.result is not LookupResult.FOUND:
            raise SystemExit(f"{code}: {answer}")
        await task.deferLater(reactor, 0.005, lambda: None)
    for poll in polls:
        poll.stop()
    return sorted(times)


def _poll(source: Source) -> Deferred[Any]:
    return source.poll(From(NOW), NOW).addErrback(lambda _: None)


@click.command()
@click.option("--lookups", default=400, show_default=True)
def main(lookups: int) -> None:
    """Measure and print."""
    structlog.configure(processors=[], logger_factory=lambda *_: _Silent())
    with (
        tempfile.TemporaryDirectory() as name,
        socket.socket() as hole,
        socket.socket() as closed,
        postgres_server.server() as server,
    ):
        for listening in (hole, closed):
            listening.bind(("127.0.0.1", 0))
        hole.listen(100)  # never accepted by anybody: the kernel does
        folder = Path(name)
        good = [healthy(folder, "named", "01017", named=True), healthy(folder, "unnamed", "02027", named=False)]
        bad = broken(server, hole.getsockname()[1], closed.getsockname()[1])

        async def work(reactor: Any) -> None:
            click.echo("databases                            p50        p99        max")
            for title, settings in (("two healthy ones", good), ("with hanging, slow and down", [*good, *bad])) * 2:
                sources = [Source(reactor, name, values) for name, values in settings]
                times = await run(reactor, sources, lookups, random.Random(1))
                for source in sources:
                    source.close()
                p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
                click.echo(f"{title:<32} {p50:>5.1f} ms  {p99:>6.1f} ms  {times[-1]:>6.1f} ms")

        task.react(lambda reactor: Deferred.fromCoroutine(work(reactor)))


class _Silent:
    def __getattr__(self, name: str) -> Any:
        return lambda *_args, **_kwargs: None


if __name__ == "__main__":
    main()
