"""How long a month of 1,000,000 queries takes to reconcile, and in how much memory.

    python bench/reconcile.py                     1,000,000 ledger rows against 1,000,000 lines, in a SQLite store
    python bench/reconcile.py --rows 50000 --json
    python bench/reconcile.py --store postgresql+psycopg://…       an empty database

Both sides are made up by one seed: 400,000 subscribers, half of the lines with the operator's clock some seconds off, one
in a thousand only ours, one in a thousand only theirs, one in two thousand with another outcome. The counts that come out are
compared with those that were put in. Time and peak memory are those of the commands' own work: import, run, export.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.engine import Engine

from gateway.db import make_engine
from gateway.mo.charging.reconcile.export import export
from gateway.mo.charging.reconcile.importing import Importer
from gateway.mo.charging.reconcile.run import Reconciler
from gateway.mo.services import Services
from gateway.settings import ChargingSettings, QuerySettings
from gateway.store import migrate
from gateway.store.reconciliation import totals_txn
from gateway.store.schema import charge, message, mo
from gateway.store.sql import insert_rows, plain_datetime

START = datetime(2026, 2, 28, 17, 0, tzinfo=UTC)  # 1 March in Vietnam
MONTH_S = 31 * 86_400
_CHUNK = 20_000


def queries(rows: int, seed: int) -> Iterator[tuple[int, str, datetime, str]]:
    """(id, number, received_at, code), in the order of time."""
    rng = random.Random(seed)
    subscribers = max(1, rows * 2 // 5)
    for number in range(1, rows + 1):
        at = START + timedelta(seconds=int(number * (MONTH_S - 60) / rows))
        yield number, f"8490{5_000_000 + rng.randrange(subscribers)}", at, f"01017{rng.randrange(100_000):05d}"


def fill(engine: Engine, rows: int, seed: int) -> None:
    """The ledger's side: the operator never lists every thousandth of them, from the first on."""
    mos: list[tuple[object, ...]] = []
    charges: list[tuple[object, ...]] = []
    replies: list[tuple[object, ...]] = []
    dialect = engine.dialect.name

    def flush() -> None:
        with engine.execution_options(motcua_write=True).begin() as conn:
            insert_rows(conn, mo, MO, mos)
            insert_rows(conn, charge, CHARGE, charges)
            insert_rows(conn, message, MESSAGE, replies)
        for kept in (mos, charges, replies):
            kept.clear()

    for number, phone, at, code in queries(rows, seed):
        if number % 1000 == 500:
            continue  # only theirs
        when = plain_datetime(dialect, at)
        text = f"MCKH {code}"
        mos.append(
            (
                number,
                f"k{number}",
                "one",
                "b",
                "",
                phone,
                "8083",
                text,
                b"",
                0,
                when,
                "replied",
                "mckh",
                "OK",
                code,
                when,
            )
        )
        charges.append((number, "one", "tlv", 1000, "charge", "charged", when, when))
        replies.append(
            (
                *("mo", str(number), "mo_reply", "", "delivered", "mo_reply_status", "1", "x", "gsm7", 1, "8083"),
                *(phone, "one", 0, when, when, when, number),
            )
        )
        if len(mos) >= _CHUNK:
            flush()
    flush()


MO_NAMES = """
    id dedupe_key route bind smsc_message_id source_addr destination_addr text octets data_coding received_at state service
    result code replied_at
"""
CHARGE_NAMES = "mo_id route profile amount_vnd decision state created_at state_at"
MESSAGE_NAMES = """
    source receipt_code kind occasion state template_id template_version text coding parts source_addr destination_addr route
    priority not_before created_at state_at mo_id
"""
MO, CHARGE, MESSAGE = (tuple(names.split()) for names in (MO_NAMES, CHARGE_NAMES, MESSAGE_NAMES))


def write_file(path: Path, rows: int, seed: int) -> None:
    """The operator's side, in the shipped format viettel."""
    with path.open("w", encoding="ascii") as out:
        for number, phone, at, _ in queries(rows, seed):
            if number % 1000 == 0:
                continue  # only ours
            local = at + timedelta(hours=7, seconds=number % 2 * (number % 7))
            done = local + timedelta(seconds=3)
            flag = 0 if number % 2000 == 1 else 1
            out.write(f"{phone}:848083:MCKH:{local:%Y%m%d%H%M%S}:{done:%Y%m%d%H%M%S}:{flag}:1\n")


def measure(rows: int, url: str | None, folder: Path) -> dict[str, object]:
    """One run of everything."""
    url = url or f"sqlite:///{folder}/store.sqlite3"
    migrate.upgrade(url)
    engine = make_engine(url, readers=2)
    settings, services = ChargingSettings(), Services(QuerySettings())
    form = settings.reconciliation.formats["viettel"]
    fill(engine, rows, 1)
    path = folder / "operator.txt"
    write_file(path, rows, 1)
    before_mb = peak_mb()
    now = datetime.now(UTC)
    started = time.perf_counter()
    imported = Importer(engine, "one", "viettel", form, settings, now).run(path)
    read = time.perf_counter()
    run_id = Reconciler(engine, "one", services, 300.0, now).run(None, None)
    compared = time.perf_counter()
    export(engine, "one", form, services, START, START + timedelta(days=31), folder / "ours.txt")
    written = time.perf_counter()
    with engine.connect() as conn:
        counts = {total.kind: total.rows for total in totals_txn(conn, run_id)}
    engine.dispose()
    expected = {
        "only_ours": rows // 1000,
        "only_theirs": (rows + 500) // 1000,
        "different_outcome": (rows + 1999) // 2000,
    }
    if any(counts[kind] != count for kind, count in expected.items()) or imported.bad_lines:
        raise SystemExit(f"wrong counts: {counts}, expected {expected}")
    return {
        "rows": rows,
        "import_s": round(read - started, 1),
        "run_s": round(compared - read, 1),
        "export_s": round(written - compared, 1),
        "peak_mb": peak_mb(),
        "peak_mb_before": before_mb,
        "counts": counts,
        "python": platform.python_version(),
        "store": engine.dialect.name,
    }


def peak_mb() -> int:
    """The most memory that this process has had so far."""
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--store", default=None, help="default: a SQLite file in a temporary folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options.rows, options.store, Path(folder))
    if options.json:
        json.dump(figures, sys.stdout)
        print()
        return
    for name, value in figures.items():
        print(f"{name:<16}{value}")


if __name__ == "__main__":
    main()
