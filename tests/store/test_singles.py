"""What is recorded by the set is what the rules would have recorded, one message after the other."""

from __future__ import annotations

import random
from typing import Any

import pytest
import sqlalchemy as sa
from inline_db import InlineDatabase
from messages import outcome, receipt
from outbox_driver import Outbox

from gateway.model import IncomingReceipt, PartState, SubmitOutcome
from gateway.store import outcomes, receipts
from gateway.store.schema import message, message_part, part_key, waiting_receipt

BY_SET, BY_RULES = "viettel", "vina"


@pytest.fixture
def box(inline_db: InlineDatabase) -> Outbox:
    return Outbox(inline_db)


def add(box: Outbox, route: str, seed: int) -> list[int]:
    """The same twelve messages on either route, most of them of the usual kind."""
    rng = random.Random(seed)
    codes = []
    for number in range(12):
        kind = rng.choice(["one"] * 5 + ["two", "reply"])
        changes: dict[str, Any] = {"parts": 2} if kind == "two" else {"mo_id": 1000 + number} if kind == "reply" else {}
        changes["destination_addr"] = f"8490512345{rng.randrange(3)}"
        (found,) = box.add(f"{route}-{seed}-{number}", route=route, **changes)
        codes.append(found)
    return codes


def told(ids: list[int], route: str, seed: int) -> tuple[list[SubmitOutcome], list[IncomingReceipt]]:
    """What the SMSC says of them: ids used twice, answers missing and repeated, receipts early, repeated, not final."""
    rng = random.Random(seed + 1)
    answers, words = [], []
    for at, number in enumerate(ids):
        smsc_id = f"{rng.choice([seed, seed, 7])}{at if rng.random() < 0.9 else 0}"
        state = rng.choice([PartState.ACCEPTED] * 6 + [PartState.UNKNOWN, PartState.REJECTED])
        made = outcome(number, state, bind="b1", command_status=0 if state is PartState.ACCEPTED else None)
        if state is PartState.ACCEPTED:
            made = made._replace(smsc_message_id=rng.choice([f"00{smsc_id}", smsc_id]))
        answers += [made] * rng.choice([1, 1, 1, 1, 2])
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            final = rng.choice([PartState.DELIVERED] * 5 + [PartState.UNDELIVERED, None])
            handset = f"8490512345{rng.randrange(3)}"
            words.append(receipt(smsc_id, final, route=route, destination_addr=handset, error=rng.choice(["000", "1"])))
    return answers, words


def rows(box: Outbox, ids: list[int], route: str) -> list[Any]:
    """Everything that is stored of these messages and of the route, but for what must differ between the routes."""

    def read(conn: sa.Connection) -> list[Any]:
        first = min(ids)
        own = sa.select(message).where(message.c.id.in_(ids)).order_by(message.c.id)
        found: list[Any] = [
            (row.id - first, row.state, row.reason, row.node, row.attempts, row.state_at, row.accepted_at)
            for row in conn.execute(own)
        ]
        parts = sa.select(message_part).where(message_part.c.message_id.in_(ids))
        for row in conn.execute(parts.order_by(message_part.c.message_id, message_part.c.part)):
            assert row.route == route
            found.append((row.message_id - first, row.part, *row[2:5], *row[6:]))
        keys = sa.select(part_key).where(part_key.c.message_id.in_(ids)).order_by(*part_key.primary_key.columns)
        found += [(row.id_key, row.message_id - first, row.part) for row in conn.execute(keys)]
        waits = sa.select(waiting_receipt).where(waiting_receipt.c.route == route).order_by(waiting_receipt.c.id)
        found += [tuple(row[3:]) for row in conn.execute(waits)]
        return found

    return box.db.do(read)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("rounds", [range(25), range(25, 50)])
def test_by_the_set_is_as_by_the_rules(
    box: Outbox, rounds: range, early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    accept = outcomes.accept_singles_txn
    for seed in rounds:
        seen = []
        for route in (BY_SET, BY_RULES):
            with monkeypatch.context() as patched:
                if route == BY_RULES:
                    patched.setattr(outcomes, "is_single_accept", lambda _outcome: False)
                    patched.setattr(receipts, "deliver_singles_txn", lambda *_: ([], []))
                else:
                    patched.setattr(outcomes, "accept_singles_txn", lambda *given: _noted(taken, accept(*given)))
                ids = add(box, route, seed)
                assert [item.id for item in box.claim(route=route).messages] == ids
                answers, words = told(ids, route, seed)
                if early:
                    box.receive(*words[::2])
                recorded = box.record(*answers)
                received = box.receive(*words)
                first = ids[0]
                changed = [(c.message_id - first, *c[1:4]) for c in (*recorded.changes, *received.changes)]
                counts = (received.matched, received.repeated, received.waiting)
                replies = [(told.message_id - first, told.state) for told in recorded.reply_outcomes]
                seen.append(
                    (sorted(changed), counts, replies, sorted(n - first for n in recorded.stale), rows(box, ids, route))
                )
        assert seen[0] == seen[1], f"seed {seed}"
    assert sum(taken) > 3 * len(rounds), "most go by the set, or this compares nothing"


def _noted(taken: list[int], accepted: dict[int, str]) -> dict[int, str]:
    taken.append(len(accepted))
    return accepted


def test_a_message_that_another_node_has_meanwhile_is_not_taken_by_the_set(box: Outbox) -> None:
    (number,) = box.sent("1")
    box.later(minutes=5)
    box.lapse()
    recorded = box.record(outcome(number, PartState.ACCEPTED))
    assert [change.before.value for change in recorded.changes] == ["unknown"], (
        "settled by the rules, which know of doubt"
    )
    assert box.state(number) == "accepted"
