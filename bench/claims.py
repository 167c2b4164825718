"""What a claim costs by the number of messages that wait: the curve must be flat.

    python bench/claims.py                                  # 10,000, 100,000 and 1,000,000 messages, SQLite
    python bench/claims.py --store postgresql --json

The store is a file, or a database of the PostgreSQL server that the tests use, with the settings of production (SQLite with
synchronous=FULL). At each size the sender's cycle runs --rounds times, each step a transaction of its own: claim --limit messages,
record their answers, record their receipts. Nothing else runs, so the figures are those of the store alone; the times hold the
commit, with its wait for the disk. ``first_ms`` is the first claim at a size: nothing of it is in a cache yet.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import rig
import sqlalchemy as sa
from mt import insert

from gateway.db import make_engine
from gateway.model import IncomingReceipt, PartState, SubmitOutcome
from gateway.store import doubt, nodes, outbox
from gateway.store.claims import claim_txn
from gateway.store.outcomes import record_outcomes_txn
from gateway.store.receipts import record_receipts_txn

ROUTE, BIND, NODE = "bench", "bench-1", "bench/1"


class Store:
    """A store, and how long each step took, in milliseconds."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.writer = engine.execution_options(motcua_write=True)
        self.times: dict[str, list[float]] = {}
        self.number = 0

    def step(self, name: str, fn_txn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        with self.writer.begin() as connection:
            result = fn_txn(connection, *args, **kwargs)
        self.times.setdefault(name, []).append((time.perf_counter() - began) * 1000)
        return result

    def cycle(self, limit: int) -> None:
        """One claim and all that follows of it."""
        now = datetime.now(UTC)
        claim = self.step("claim", claim_txn, route=ROUTE, node=NODE, limit_parts=limit, now=now, business_now=now)
        if len(claim.messages) != limit:
            raise SystemExit(f"a claim of {limit} brought {len(claim.messages)} messages")
        answers, receipts = [], []
        for message in claim.messages:
            self.number += 1
            smsc_id = f"{self.number:x}"
            answers.append(SubmitOutcome(message.id, 1, BIND, PartState.ACCEPTED, smsc_id, 0))
            receipts.append(
                IncomingReceipt(
                    ROUTE,
                    BIND,
                    smsc_id,
                    (smsc_id,),
                    PartState.DELIVERED,
                    "DELIVRD",
                    "000",
                    message.destination_addr,
                    None,
                    now,
                )
            )
        self.step("answers", record_outcomes_txn, NODE, answers, datetime.now(UTC))
        self.step("receipts", record_receipts_txn, receipts, datetime.now(UTC))

    def look(self) -> None:
        """What housekeeping asks every few seconds, when there is nothing to do."""
        now = datetime.now(UTC)
        self.step("promote", outbox.promote_held_txn, now, now, 500)
        self.step("expire", outbox.expire_pending_txn, now, now, 500)
        self.step("lapse", nodes.lapse_leases_txn, now)
        self.step("resend", doubt.resend_doubtful_txn, now, now, now, 500)


def measure(store: str, sizes: list[int], rounds: int, limit: int) -> list[dict[str, Any]]:
    """One row for each size."""
    found = []
    with rig.rig(store) as bench:
        engine = make_engine(bench.store_url, readers=1)
        inserted = 0
        sent = 0
        with engine.execution_options(motcua_write=True).begin() as connection:
            now = datetime.now(UTC)
            nodes.register_node_txn(connection, "bench", "1", now, now.replace(year=now.year + 1))
        for size in sizes:
            insert(engine, inserted, size + sent - inserted)
            inserted = size + sent
            timed = Store(engine)
            timed.number = sent
            for _ in range(rounds):
                timed.cycle(limit)
            for _ in range(5):
                timed.look()
            sent += rounds * limit
            steps = {name: statistics.median(values) for name, values in timed.times.items()}
            claims = timed.times["claim"]
            found.append(
                {
                    "store": store,
                    "waiting": size,
                    "claim_us_a_message": round(steps["claim"] / limit * 1000, 1),
                    "first_ms": round(claims[0], 1),
                    "worst_ms": round(max(claims), 1),
                    **{f"{name}_ms": round(value, 1) for name, value in steps.items()},
                }
            )
        engine.dispose()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="growing")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--limit", type=int, default=500, help="messages in one claim")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = measure(arguments.store, sorted(arguments.sizes), arguments.rounds, arguments.limit)
    if arguments.json:
        print(json.dumps(rows))
        return
    print("  ".join(f"{name:>18}" for name in rows[0]))
    for row in rows:
        print("  ".join(f"{value:>18}" for value in row.values()))


if __name__ == "__main__":
    main()
