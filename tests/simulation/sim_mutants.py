"""Gateways that are broken on purpose. Each must be convicted: a simulation that finds no fault proves nothing.

A mutant replaces one function of the gateway by one with the mistake that its docstring names. ``run.py --mutant NAME`` plays it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

import sqlalchemy as sa

from gateway.jobs import housekeeping, rules
from gateway.mo import receiver, responder
from gateway.mt import cycle, service
from gateway.mt.lane import Lane
from gateway.mt.recorder import Recorder
from gateway.mt.throttle import Licence
from gateway.store import dossiers, doubt, nodes, outbox, outcomes, receipts
from gateway.store.claims import Claim
from gateway.store.schema import message

#: Object, name of its attribute, what stands there instead.
Patch = tuple[Any, str, Any]
MUTANTS: dict[str, Callable[[], list[Patch]]] = {}


@contextmanager
def mutated(name: str | None) -> Iterator[None]:
    """The gateway with this mistake; None: as it is."""
    with ExitStack() as stack:
        for where, attribute, instead in MUTANTS[name]() if name else ():
            stack.enter_context(mock.patch.object(where, attribute, instead))
        yield


def _mutant(make: Callable[[], list[Patch]]) -> Callable[[], list[Patch]]:
    MUTANTS[make.__name__] = make
    return make


def _set(conn: Any, ids: Any, **values: Any) -> None:
    conn.execute(sa.update(message).where(message.c.id.in_(list(ids))).values(**values))


# -- persist before acknowledging --------------------------------------------------------------------------------------


@_mutant
def query_acknowledged_before_commit() -> list[Patch]:
    """deliver_sm_resp says ESME_ROK before the query is committed."""
    receive = receiver.Receiver._receive

    async def hasty(self: Any, commit: Any, bind: str, answer: Any) -> None:
        answer(0)
        await receive(self, commit, bind, lambda _status: None)

    return [(receiver.Receiver, "_receive", hasty)]


@_mutant
def receipt_acknowledged_before_commit() -> list[Patch]:
    """deliver_sm_resp says ESME_ROK before the receipt is committed."""
    add = Recorder.add_receipt

    def hasty(self: Any, receipt: Any, answer: Any) -> None:
        answer(0)
        add(self, receipt, lambda _status: None)

    return [(Recorder, "add_receipt", hasty)]


@_mutant
def early_receipts_forgotten() -> list[Patch]:
    """A receipt whose submit_sm_resp has not come is acknowledged and dropped."""
    return [(receipts, "keep_receipts_txn", lambda *_: None)]


@_mutant
def early_receipts_never_matched() -> list[Patch]:
    """Receipts that wait are kept, and nobody looks for them when the answer comes."""
    return [
        (outcomes, "_match_early", lambda *_: None),
        (receipts, "waiting_since_txn", lambda *_: []),
    ]


# -- claims, doubts, crashes -------------------------------------------------------------------------------------------


@_mutant
def claim_not_committed() -> list[Patch]:
    """What is sent stands in the store as queued."""
    claim = cycle.claim_txn

    def careless(conn: Any, **about: Any) -> Claim:
        found = claim(conn, **about)
        _set(conn, [item.id for item in found.messages], state="queued", node=None)
        return found

    return [(cycle, "claim_txn", careless)]


@_mutant
def claims_beyond_the_window() -> list[Patch]:
    """More is claimed than windows and licence take."""
    return [(Lane, "_room_to_claim", lambda self, now: 50)]


@_mutant
def lost_in_a_crash() -> list[Patch]:
    """Nobody takes up what a dead process had in hand."""
    return [(nodes, "_make_unknown", lambda *_: 0)]


@_mutant
def crash_forgets_doubt() -> list[Patch]:
    """What a dead process had in hand goes back into the queue, though it may have left."""

    def optimist(conn: Any, claimants: list[str], reason: str, now: Any) -> int:
        where = sa.and_(message.c.state == "sending", message.c.node.in_(claimants))
        return int(conn.execute(sa.update(message).where(where).values(state="queued", node=None)).rowcount)

    return [(nodes, "_make_unknown", optimist)]


@_mutant
def unanswered_is_sent_again() -> list[Patch]:
    """A submit whose answer was lost leaves once more at once."""
    return [(Lane, "unanswered", lambda self, piece, bind, reason: self.again(piece))]


@_mutant
def possible_duplicates_not_marked() -> list[Patch]:
    """What is sent once more does not say so."""
    resend = doubt.resend_doubtful_txn

    def silent(conn: Any, *about: Any) -> list[int]:
        again = resend(conn, *about)
        _set(conn, again, possible_duplicate=False)
        return again

    return [(doubt, "resend_doubtful_txn", silent)]


@_mutant
def replies_sent_again() -> list[Patch]:
    """A reply in doubt is sent again, as a notice is."""
    resend = doubt.resend_doubtful_txn

    def eager(conn: Any, *about: Any) -> list[int]:
        in_doubt = sa.and_(message.c.state == "unknown", message.c.mo_id.is_not(None))
        conn.execute(sa.update(message).where(in_doubt).values(state="queued", node=None))
        return resend(conn, *about)

    return [(doubt, "resend_doubtful_txn", eager)]


# -- licence -----------------------------------------------------------------------------------------------------------


@_mutant
def licence_exceeded_by_one() -> list[Patch]:
    """One part a second more than licensed."""
    begin, change = Licence.__init__, Licence.set_limit

    def generous(self: Any, parts_per_s: int) -> None:
        begin(self, parts_per_s + 1)

    return [
        (Licence, "__init__", generous),
        (Licence, "set_limit", lambda self, parts_per_s: change(self, parts_per_s + (parts_per_s > 0))),
    ]


@_mutant
def licence_not_shared() -> list[Patch]:
    """Each node takes the whole licence."""
    share = service.MtService._set_shares

    def alone(self: Any, grow: bool) -> None:
        with mock.patch.object(self.lease, "live_nodes", 1), mock.patch.object(self.lease, "rank", 0):
            share(self, grow)

    return [(service.MtService, "_set_shares", alone)]


# -- notices -----------------------------------------------------------------------------------------------------------


@_mutant
def transaction_remembers() -> list[Patch]:
    """A transaction that is rolled back and run again believes that its first run stands."""
    insert = outbox.insert_messages_txn
    made: set[tuple[int, str, str, str, str]] = set()

    def once(conn: Any, new: Any, now: Any) -> list[int | None]:
        fresh = []
        for item in new:
            key = (id(conn.engine.pool), item.source, item.receipt_code, item.kind.value, item.occasion)
            if key not in made:
                fresh.append(item)
            made.add(key)
        ids = iter(insert(conn, fresh, now))
        return [next(ids) if item in fresh else None for item in new]

    return [(dossiers, "insert_messages_txn", once)]


@_mutant
def reverted_states_announced() -> list[Patch]:
    """A notice whose state was a mistake is not cancelled."""
    return [(dossiers, "cancel_notices_txn", lambda *_: [])]


@_mutant
def announced_twice() -> list[Patch]:
    """Each notice goes into the outbox twice, under two occasions."""
    insert = outbox.insert_messages_txn

    def double(conn: Any, new: Any, now: Any) -> list[int | None]:
        insert(conn, [replace(item, occasion=f"{item.occasion}/again") for item in new], now)
        return insert(conn, new, now)

    return [(dossiers, "insert_messages_txn", double)]


@_mutant
def hold_ignored() -> list[Patch]:
    """What is held leaves at once."""
    promote = outbox.promote_held_txn

    def impatient(conn: Any, business_now: Any, now: Any, limit: int) -> int:
        soon = sa.and_(message.c.state == "held", message.c.not_before < business_now + timedelta(minutes=1))
        conn.execute(sa.update(message).where(soon).values(not_before=business_now))
        return promote(conn, business_now, now, limit)

    return [(outbox, "promote_held_txn", impatient)]


@_mutant
def night_ignored() -> list[Patch]:
    """Notices leave at any hour."""
    return [
        (rules, "after_night", lambda moment, night: moment),
        (housekeeping, "after_night", lambda moment, night: moment),
    ]


# -- queries -----------------------------------------------------------------------------------------------------------


@_mutant
def replied_twice() -> list[Patch]:
    """Each query gets its reply twice."""
    reply_mos_txn = responder.reply_mos_txn

    def double(conn: Any, replies: Any, now: Any) -> list[bool]:
        done = reply_mos_txn(conn, replies, now)
        again = [replace(reply.message, occasion=f"{reply.message.occasion}/again") for reply in replies]
        outbox.insert_messages_txn(conn, again, now)
        return done

    return [(responder, "reply_mos_txn", double)]


@_mutant
def queries_lost_in_a_crash() -> list[Patch]:
    """What stands open in the inbox is not taken up again."""

    async def forget(self: Any, received_before: Any) -> None:
        return None

    return [(receiver.Receiver, "_take_up", forget)]
