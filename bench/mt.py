"""Messages a second from outbox row to accepted and to delivered, through the daemon as a user runs it.

    python bench/mt.py --store sqlite --count 50000
    python bench/mt.py --store postgresql --count 50000 --rate 5000    # latency at a given load
    python bench/mt.py --backlog 1000000                               # with a million more messages behind those counted
    python bench/mt.py --smsc 127.0.0.1:2775 --json                    # against another SMSC
    python bench/mt.py --profile daemon.txt                            # where the interpreter's lock is held (py-spy)

The daemon is started with a configuration file, real sockets, a durable store (SQLite with synchronous=FULL, PostgreSQL with
synchronous_commit as its server says) and receipts on. Without --rate the outbox is full at the start: the figure is the
capacity. With --rate the messages are in the outbox from the start, but in their hold, as notices are; their hold ends at that
speed, and the figure is the latency from there to accepted and to delivered. (To insert them at that speed from here would
measure this program as well: it costs more than the daemon's own work.) A run in which a message did not end as delivered
(with --no-receipts: accepted) gives no figures.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import rig
import sqlalchemy as sa

from gateway.db import make_engine
from gateway.model import MessageKind, MessageState, NewMessage
from gateway.store.outbox import insert_messages_txn
from gateway.store.schema import message

TEXT = "TB: Ho so cua quy ong/ba (MS: {code}) da duoc giai quyet xong. Moi ong/ba den Bo phan Mot cua TP Nha Trang de nhan ket qua"
BATCH = 5000
FEED_INTERVAL_S = 0.02


def messages(first: int, count: int, now: datetime, state: MessageState = MessageState.QUEUED) -> Iterator[NewMessage]:
    """Notices to different handsets, one part each; held ones for a day, or until :func:`feed` ends their hold."""
    for number in range(first, first + count):
        code = f"{number:010d}"
        yield NewMessage(
            source="bench",
            receipt_code=code,
            kind=MessageKind.RESULT_READY,
            occasion="1",
            state=state,
            reason="",
            template_id="result_ready",
            template_version="rollout_2017",
            text=TEXT.format(code=code),
            coding="gsm7",
            parts=1,
            source_addr="MotcuaSMS",
            destination_addr=f"849{number % 100_000_000:08d}",
            route="bench",
            priority=5,
            not_before=now if state is MessageState.QUEUED else now + timedelta(days=1),
            expires_at=now + timedelta(days=2),
        )


def insert(engine: sa.Engine, first: int, count: int, state: MessageState = MessageState.QUEUED) -> None:
    for start in range(first, first + count, BATCH):
        now = datetime.now(UTC)
        size = min(BATCH, first + count - start)
        with engine.execution_options(motcua_write=True).begin() as connection:
            insert_messages_txn(connection, list(messages(start, size, now, state)), now)


def feed(engine: sa.Engine, rate: float) -> None:
    """End the holds at a steady rate, in small transactions as the housekeeping does. ``created_at`` becomes that moment."""
    with engine.connect() as connection:
        held = sa.select(message.c.id).where(message.c.state == MessageState.HELD.value).order_by(message.c.id)
        ids = list(connection.execute(held).scalars())
    statement = sa.update(message).where(
        message.c.id.between(sa.bindparam("first"), sa.bindparam("last")), message.c.state == MessageState.HELD.value
    )
    began, done = time.monotonic(), 0
    while done < len(ids):
        due = min(len(ids), int((time.monotonic() - began) * rate))
        if due > done:
            with engine.execution_options(motcua_write=True).begin() as connection:
                now = datetime.now(UTC)
                values = {"state": MessageState.QUEUED.value, "created_at": now, "state_at": now, "not_before": now}
                connection.execute(statement.values(values), {"first": ids[done], "last": ids[due - 1]})
            done = due
        time.sleep(FEED_INTERVAL_S)


#: The states that a message leaves, each with the index that knows its messages: looking must not disturb what is measured.
OPEN = {
    "queued": "ix_message_claim",
    "sending": "ix_message_sending",
    "unknown": "ix_message_doubt",
    "accepted": "ix_message_accepted",
}


def waits(engine: sa.Engine, receipts: bool, last: int) -> bool:
    """Whether a message up to ``last`` is not where it should end."""
    with engine.connect() as connection:
        for state, index in OPEN.items():
            by_index = f"INDEXED BY {index}" if engine.dialect.name == "sqlite" else ""
            first = f"SELECT min(id) FROM message {by_index} WHERE state = '{state}'"
            if state == "queued":  # the index is in this order, and a backlog is long
                first = f"SELECT id FROM message {by_index} WHERE state = 'queued' AND route = 'bench' ORDER BY priority, id LIMIT 1"
            if state == "accepted" and not receipts:
                continue
            found = connection.execute(sa.text(first)).scalar()
            if found is not None and found <= last:
                return True
    return False


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with rig.rig(arguments.store) as bench:
        engine = make_engine(bench.store_url, readers=2)
        smsc = None
        if arguments.smsc:
            host, _, port_text = arguments.smsc.rpartition(":")
            port = int(port_text)
        else:
            host, port, control = "127.0.0.1", rig.free_port(), rig.free_port()
        last = sys.maxsize
        if arguments.rate:
            insert(engine, 0, arguments.count, MessageState.HELD)
        else:
            insert(engine, 0, arguments.count)
            last = newest(engine)
            insert(engine, arguments.count, arguments.backlog)
        licence = arguments.licence
        config = rig.gateway_config(bench.store_url, host, port, window=arguments.window, licence=licence)
        if arguments.smsc:
            config["operators"]["bench"]["binds"][0] |= {
                "system_id": arguments.system_id,
                "password": arguments.password,
            }
        daemon = bench.start("motcua-gateway", "run", "--config", str(bench.write("gateway.yaml", config)))
        rig.wait_for("the daemon", lambda: registered(engine), 60)
        started = rig.cost(daemon)  # start-up is not what is measured
        if not arguments.smsc:  # it begins to work when the SMSC is there
            simulator = bench.write("simulator.yaml", rig.smsc_config(port, control))
            smsc = bench.start("motcua-simulator", "run", "--config", str(simulator))
            rig.wait_for("the simulator", lambda: rig.listens(port), 30)
        profiler = profile(daemon, arguments.profile) if arguments.profile else None
        if arguments.rate:
            time.sleep(3)  # the daemon binds: what is measured is a running system
            feed(engine, arguments.rate)
        limit_s = 60 + arguments.count / 200
        rig.wait_for("the last receipt", lambda: not waits(engine, not arguments.no_receipts, last), limit_s, 0.1)
        used, smsc_used = rig.cost(daemon), rig.cost(smsc) if smsc else None
        if profiler is not None:
            profiler.send_signal(signal.SIGINT)  # it writes what it has
            profiler.wait()
        bench.stop()
        figures = timing(engine, arguments, last)
        done = figures["counted"]
        engine.dispose()
    return {
        "store": arguments.store,
        "count": arguments.count,
        "backlog": arguments.backlog,
        "offered_per_s": arguments.rate,
        "window": arguments.window,
        **figures,
        "cpu_s_per_1000": round((used.cpu_s - started.cpu_s) / done * 1000, 4),
        "smsc_cpu_s_per_1000": round(smsc_used.cpu_s / done * 1000, 4) if smsc_used else None,
        "peak_mib": round(used.peak_mib, 1),
    }


def registered(engine: sa.Engine) -> bool:
    """Whether the daemon has taken its lease: it is up."""
    with engine.connect() as connection:
        return bool(connection.execute(sa.text("SELECT count(*) FROM node")).scalar_one())


def newest(engine: sa.Engine) -> int:
    """The id of the message inserted last."""
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.max(message.c.id))).scalar_one())


def profile(daemon: subprocess.Popen[bytes], output: str) -> subprocess.Popen[bytes]:
    """Begin to note which lines hold the interpreter's lock, as py-spy's raw format has it."""
    command = ["py-spy", "record", "--gil", "--threads", "--rate", "400", "--format", "raw"]
    return subprocess.Popen(
        [str(rig.BIN / command[0]), *command[1:], "--pid", str(daemon.pid), "--output", output],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def timing(engine: sa.Engine, arguments: argparse.Namespace, last: int) -> dict[str, Any]:
    """Rates from the first accepted message to the last, and with --rate the latencies from the insert.

    ``counted``: messages that were accepted, those of a backlog included that left before the last one of the others ended.
    Raises SystemExit when one of the messages up to ``last`` did not end as it should.
    """
    columns = message.c.created_at, message.c.accepted_at, message.c.state_at, message.c.state
    with engine.connect() as connection:
        rows = connection.execute(sa.select(*columns).where(message.c.id <= last)).all()
        further = sa.select(sa.func.count()).where(message.c.id > last, message.c.accepted_at.is_not(None))
        counted = len(rows) + int(connection.execute(further).scalar_one())
    ends = {MessageState.DELIVERED.value} | ({MessageState.ACCEPTED.value} if arguments.no_receipts else set())
    wrong = [row.state for row in rows if row.state not in ends]
    if wrong or len(rows) != arguments.count:
        raise SystemExit(f"{len(rows)} of {arguments.count} messages, and of them did not end well: {Counter(wrong)}")
    first = min(row.accepted_at for row in rows)
    figures: dict[str, Any] = {
        "accepted_per_s": round(len(rows) / (max(row.accepted_at for row in rows) - first).total_seconds()),
        "delivered_per_s": round(len(rows) / (max(row.state_at for row in rows) - first).total_seconds()),
        "counted": counted,
    }
    if arguments.rate:
        for name, column in (("accepted", 1), ("delivered", 2)):
            waited_ms = [(row[column] - row.created_at).total_seconds() * 1000 for row in rows]
            shares = {f"p{share}": round(rig.percentile(waited_ms, share / 100), 1) for share in (50, 90, 99)}
            figures[f"{name}_after_ms"] = shares
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument(
        "--backlog", type=int, default=0, help="further messages in the outbox, behind those that are counted"
    )
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second that come in; 0: all at the start")
    parser.add_argument("--window", type=int, default=1000)
    parser.add_argument("--licence", type=int, default=100_000, help="parts a second")
    parser.add_argument("--smsc", metavar="HOST:PORT", help="another SMSC, on this machine; default: the simulator")
    parser.add_argument("--system-id", default="bench")
    parser.add_argument("--password", default="bench")
    parser.add_argument("--no-receipts", action="store_true", help="the other SMSC sends none: stop at accepted")
    parser.add_argument("--profile", metavar="FILE", help="py-spy's raw profile of the daemon while it works")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rig.show(measure(arguments), as_json=arguments.json)


if __name__ == "__main__":
    main()
