"""What a message costs in the store, from insert to its final receipt: octets on disk with all indexes, and of write-ahead log.

    python bench/disk.py --store sqlite --count 50000
    python bench/disk.py --store postgresql --count 50000 --json

Notices of one part, at the batch sizes of a busy daemon, by the store's own functions. PostgreSQL: the sizes of all tables as they are
after the run (dead rows that no vacuum has taken yet are in them) and at rest (after VACUUM FULL), and what was written to the log, which
is also what a standby gets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import rig
import sqlalchemy as sa
from mt import BATCH, messages
from sqlalchemy.engine import Connection, Engine

from gateway.db import make_engine
from gateway.model import ClaimedMessage, IncomingReceipt, PartState, SubmitOutcome
from gateway.store.claims import claim_txn
from gateway.store.outbox import insert_messages_txn
from gateway.store.outcomes import record_outcomes_txn
from gateway.store.receipts import record_receipts_txn

NODE, ROUTE, CLAIM = "node-1/0", "bench", 500
TABLES = """
SELECT coalesce(inhparent, oid)::regclass::text AS name, sum(pg_total_relation_size(oid)) AS octets
FROM pg_class LEFT JOIN pg_inherits ON inhrelid = oid
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace GROUP BY 1 ORDER BY 2 DESC
"""


def live(engine: Engine, count: int) -> None:
    """The life of so many messages."""
    now = datetime.now(UTC)
    for first in range(0, count, BATCH):
        with engine.begin() as connection:
            insert_messages_txn(connection, list(messages(first, min(BATCH, count - first), now)), now)
    hand: Sequence[ClaimedMessage] = ()
    done = 0
    while done < count or hand:
        receipts = [_receipt(item, now) for item in hand]
        with engine.begin() as connection:  # as a busy daemon: outcomes and the next claim in one transaction
            record_outcomes_txn(connection, NODE, [_accepted(item) for item in hand], now)
            hand = claim_txn(connection, route=ROUTE, node=NODE, limit_parts=CLAIM, now=now, business_now=now).messages
        with engine.begin() as connection:
            record_receipts_txn(connection, receipts, now)
        done += len(receipts)


def _accepted(item: ClaimedMessage) -> SubmitOutcome:
    return SubmitOutcome(item.id, 1, "bench-1", PartState.ACCEPTED, _smsc_id(item), 0)


def _receipt(item: ClaimedMessage, now: datetime) -> IncomingReceipt:
    number = _smsc_id(item)
    return IncomingReceipt(
        route=ROUTE,
        bind="bench-1",
        smsc_message_id=number,
        id_keys=(number,),
        state=PartState.DELIVERED,
        stat="DELIVRD",
        error="000",
        destination_addr=item.destination_addr,
        user_message_reference=None,
        done_at=now,
        received_at=now,
    )


def _smsc_id(item: ClaimedMessage) -> str:
    return str(10**9 + item.id % 10**9)


def measure(store: str, count: int) -> dict[str, Any]:
    with rig.rig(store) as made:
        engine = make_engine(made.store_url)
        with engine.begin() as connection:
            before = _sizes(connection)
            log_before = _log_octets(connection)
        live(engine, count)
        with engine.begin() as connection:
            delivered = connection.execute(
                sa.text("SELECT count(*) FROM message WHERE state = 'delivered'")
            ).scalar_one()
            log = _log_octets(connection) - log_before
            after = _sizes(connection)
        at_rest = _sizes_at_rest(engine)
        engine.dispose()
    if delivered != count:
        raise SystemExit(f"{count - delivered} messages did not end: nothing was measured")
    grown = {name: octets - before.get(name, 0) for name, octets in after.items() if octets > before.get(name, 0)}
    rest = sum(at_rest.values()) - sum(before.values())
    return {
        "store": store,
        "messages": count,
        "octets_on_disk_a_message": round(sum(grown.values()) / count),
        "octets_at_rest_a_message": round(rest / count),
        "octets_of_log_a_message": round(log / count) if log else None,
        "by_table": {name: round(octets / count) for name, octets in grown.items()},
    }


def _sizes(connection: Connection) -> dict[str, int]:
    if connection.dialect.name == "postgresql":
        return {name: int(octets) for name, octets in connection.execute(sa.text(TABLES))}
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    return {"(the file)": pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one()}


def _sizes_at_rest(engine: Engine) -> dict[str, int]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name == "postgresql":  # SQLite changes rows in place
            connection.exec_driver_sql("VACUUM FULL")
        return _sizes(connection)


def _log_octets(connection: Connection) -> int:
    if connection.dialect.name != "postgresql":
        return 0
    return int(connection.execute(sa.text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")).scalar_one())


def main() -> int:
    parser = argparse.ArgumentParser(description="Octets in the store for each message.")
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--count", type=int, default=50_000, help="messages (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = measure(options.store, options.count)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name.replace('_', ' '):28} {value}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
