"""Queries a second from "MCKH <code>" to the reply, through the daemon as a user runs it.

    python bench/mo.py --store sqlite --count 10000              # capacity
    python bench/mo.py --store postgresql --rate 500             # latency at a given load
    python bench/mo.py --smsc 127.0.0.1:2775 --count 1000        # queries of another SMSC

The daemon is started with a configuration file, real sockets, a durable store and two agencies' databases (SQLite files, or
two PostgreSQL databases), whose dossiers it polls as well. The codes of the first agency name it and are looked up there;
those of the second name nobody and are looked up in both. bench/mo_smsc.py plays the operator: it sends the queries to 8083,
takes each reply, and sends its receipt. Without --rate, --open queries wait for their replies at any time: the figure is the
capacity. With --rate queries come at that speed: the figures are the times from the query's leaving to its reply's arrival
at the SMSC. A run in which a query was not answered by its dossier's state, was answered twice, or has no settled row in the
charge ledger, gives no figures.

With --smsc the queries must come from that SMSC: it has to send --count of them, "MCKH" and a code 0101700000 …, 0202700000 …
(--dossiers of each), each from a handset of its own, to 8083. What is measured then are the store's own times: from the
moment at which the gateway received the query to its submit_sm's answer.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import rig
import sqlalchemy as sa

from gateway.db import make_engine
from gateway.store.schema import charge, message, mo

#: Of the receipt codes of the two agencies; five digits follow.
PREFIXES = ("01017", "02027")
COLUMNS = [
    "receipt_code",
    "agency_code",
    "agency_name",
    "status",
    "step_name",
    "phone",
    "received_at",
    "due_at",
    "updated_at",
    "procedure_code",
    "procedure_name",
]
FLAGS = ("at_one_stop_shop", "clock_stopped")
POLL_LIMIT_S = 120


def agency(url: str, prefix: str, dossiers: int) -> None:
    """The database of an agency's software: a table, the two indexes that the documentation asks for, the view."""
    engine = sa.create_engine(url)
    now = datetime.now(UTC)
    columns = ", ".join([f"{name} TEXT" for name in COLUMNS] + [f"{name} INTEGER" for name in FLAGS])
    marks = ", ".join(f":{name}" for name in (*COLUMNS, *FLAGS))
    common = {
        "agency_code": prefix,
        "agency_name": f"UBND xã {prefix}",
        "status": "Đang xử lý",
        "step_name": "Thẩm định hồ sơ",
        "phone": "0905123456",
        "received_at": f"{now - timedelta(days=3):%Y-%m-%d %H:%M:%S}",
        "due_at": f"{now + timedelta(days=3):%Y-%m-%d %H:%M:%S}",
        "procedure_code": "1.004203",
        "procedure_name": "Cấp đổi giấy chứng nhận",
        "at_one_stop_shop": 0,
        "clock_stopped": 0,
    }
    # A minute between changes: a poll reads the last two minutes again, and an agency's whole stock never changed at once.
    changed = [now - timedelta(minutes=dossiers - number + 10) for number in range(dossiers)]
    rows = [
        {**common, "receipt_code": f"{prefix}{number:05d}", "updated_at": f"{changed[number]:%Y-%m-%d %H:%M:%S}"}
        for number in range(dossiers)
    ]
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE ho_so ({columns})"))
        connection.execute(sa.text(f"INSERT INTO ho_so VALUES ({marks})"), rows)
        connection.execute(sa.text("CREATE INDEX ho_so_ma ON ho_so (receipt_code)"))
        connection.execute(sa.text("CREATE INDEX ho_so_moi ON ho_so (updated_at, receipt_code)"))
        connection.execute(sa.text("CREATE VIEW v_motcua_dossier AS SELECT * FROM ho_so"))
    engine.dispose()


def sources(bench: rig.Rig, agencies: str, dossiers: int) -> tuple[dict[str, Any], list[str]]:
    """The entries of ``sources``, and the PostgreSQL databases to drop afterwards."""
    made, databases = {}, []
    for number, prefix in enumerate(PREFIXES, 1):
        if agencies == "sqlite":
            url = f"sqlite:///{bench.folder}/agency-{number}.sqlite3"
        else:
            database = f"motcua_bench_agency_{bench.folder.name[-8:].lower()}_{number}"
            rig.administrate(f'CREATE DATABASE "{database}"')
            databases.append(database)
            url = sa.make_url(rig.POSTGRESQL).set(database=database).render_as_string(hide_password=False)
        agency(url, prefix, dossiers)
        made[f"agency-{number}"] = {"url": url, "codes": [f"^{prefix}"] if number == 1 else []}
    return made, databases


def polled(engine: sa.Engine, dossiers: int) -> bool:
    """Whether the first reading of both agencies is over: it is not what is measured."""
    with engine.connect() as connection:
        seen = connection.execute(sa.text("SELECT count(*) FROM dossier")).scalar_one()
        ready = connection.execute(sa.text("SELECT count(*) FROM source_cursor WHERE last_success_at IS NOT NULL"))
        return bool(seen == len(PREFIXES) * dossiers and ready.scalar_one() == len(PREFIXES))


def settled(engine: sa.Engine) -> int:
    """How many ledger rows have their outcome."""
    with engine.connect() as connection:
        query = sa.select(sa.func.count()).where(charge.c.state == "charged")
        return int(connection.execute(query).scalar_one())


def faults(engine: sa.Engine, count: int) -> list[str]:
    """What is not as it must be in the store, for the figures to mean anything."""
    expected = {
        "queries": (sa.select(sa.func.count()).select_from(mo), count),
        "queries answered from a source": (sa.select(sa.func.count()).where(mo.c.found_in.like("agency-_")), count),
        "replies": (sa.select(sa.func.count()).where(message.c.mo_id.is_not(None)), count),
        "charged": (sa.select(sa.func.count()).where(charge.c.state == "charged"), count),
    }
    with engine.connect() as connection:
        counted = [(name, connection.execute(query).scalar_one(), right) for name, (query, right) in expected.items()]
    return [f"{name}: {found} for {right}" for name, found, right in counted if found != right]


def store_times(engine: sa.Engine) -> tuple[list[float], float]:
    """Milliseconds from each query's receipt to the answer of its reply's submit_sm, and the seconds of the whole run."""
    with engine.connect() as connection:
        query = sa.select(mo.c.received_at, message.c.accepted_at).join(message, message.c.mo_id == mo.c.id)
        rows = connection.execute(query).all()
    waits_ms = [(row.accepted_at - row.received_at).total_seconds() * 1000 for row in rows]
    return waits_ms, (max(row.accepted_at for row in rows) - min(row.received_at for row in rows)).total_seconds()


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with rig.rig(arguments.store) as bench:
        made, databases = sources(bench, arguments.agencies or arguments.store, arguments.dossiers)
        try:
            return _run(arguments, bench, made)
        finally:
            bench.stop()
            for database in databases:
                rig.administrate(f'DROP DATABASE "{database}" WITH (FORCE)')


def _run(arguments: argparse.Namespace, bench: rig.Rig, made: dict[str, Any]) -> dict[str, Any]:
    engine = make_engine(bench.store_url, readers=2)
    host, port = "127.0.0.1", rig.free_port()
    if arguments.smsc:
        host, _, port_text = arguments.smsc.rpartition(":")
        port = int(port_text)
    config = rig.gateway_config(bench.store_url, host, port, window=1000, licence=100_000, sources=made)
    if arguments.smsc:
        config["operators"]["bench"]["binds"][0] |= {"system_id": arguments.system_id, "password": arguments.password}
    daemon = bench.start("motcua-gateway", "run", "--config", str(bench.write("gateway.yaml", config)))
    rig.wait_for("the first poll", lambda: polled(engine, arguments.dossiers), POLL_LIMIT_S)
    started = rig.cost(daemon)
    if arguments.profile:
        bench.start("py-spy", "record", *arguments.profile.split(), "--pid", str(daemon.pid))
    limit_s = 60 + arguments.count / 50
    smsc_used: rig.Cost | None = None
    if arguments.smsc:
        rig.wait_for("the last reply", lambda: settled(engine) >= arguments.count, limit_s, 0.25)
        waits_ms, seconds = store_times(engine)
        replies = len(waits_ms)
    else:
        path = bench.folder / "result.json"
        smsc = bench.start(sys.executable, str(Path(__file__).parent / "mo_smsc.py"), *_load(arguments, port, path))
        rig.wait_for("the last reply", path.exists, limit_s)
        result = json.loads(path.read_text(encoding="utf-8"))
        smsc_used = rig.cost(smsc)
        if result["refused"] or result["twice"] or result["other_words"]:
            raise SystemExit(f"not as it must be: { {k: v for k, v in result.items() if not k.endswith('ms')} }")
        waits_ms, seconds, replies = result["waits_ms"], result["seconds"], result["replies"]
        rig.wait_for("the last outcome in the ledger", lambda: settled(engine) >= arguments.count, 10)
    used = rig.cost(daemon)
    if wrong := faults(engine, arguments.count):
        raise SystemExit("not as it must be: " + "; ".join(wrong))
    engine.dispose()
    if arguments.profile:
        time.sleep(1)
    return {
        "store": arguments.store,
        "agencies": arguments.agencies or arguments.store,
        "count": arguments.count,
        "offered_per_s": arguments.rate,
        "answered_per_s": round(replies / seconds),
        "reply_ms": {f"p{share}": round(rig.percentile(waits_ms, share / 100), 1) for share in (50, 90, 99)},
        "reply_ms_max": round(max(waits_ms), 1),
        "cpu_s_per_1000": round((used.cpu_s - started.cpu_s) / arguments.count * 1000, 3),
        "smsc_cpu_s_per_1000": round(smsc_used.cpu_s / arguments.count * 1000, 3) if smsc_used else None,
        "peak_mib": round(used.peak_mib, 1),
    }


def _load(arguments: argparse.Namespace, port: int, result: Path) -> list[str]:
    load = ["--port", port, "--count", arguments.count, "--rate", arguments.rate, "--open", arguments.open]
    load += ["--dossiers", arguments.dossiers, "--result", result]
    load += [word for prefix in PREFIXES for word in ("--prefix", prefix)]
    return [str(word) for word in load] + (["--no-receipts"] if arguments.no_receipts else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--agencies", choices=["sqlite", "postgresql"], help="their databases; default: as the store")
    parser.add_argument("--count", type=int, default=10_000, help="queries")
    parser.add_argument("--rate", type=float, default=0.0, help="queries a second; 0: as many as get their replies")
    parser.add_argument("--open", type=int, default=300, help="queries that wait for their replies, without --rate")
    parser.add_argument("--dossiers", type=int, default=5000, help="in each agency's database, at most 100000")
    parser.add_argument("--smsc", metavar="HOST:PORT", help="another SMSC, on this machine, that sends the queries")
    parser.add_argument("--system-id", default="bench")
    parser.add_argument("--password", default="bench")
    parser.add_argument("--no-receipts", action="store_true", help="the SMSC sends none")
    parser.add_argument("--profile", metavar="OPTIONS", help='profile the daemon: "-r 200 -d 10 -f raw -o FILE"')
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rig.show(measure(arguments), as_json=arguments.json)


if __name__ == "__main__":
    main()
