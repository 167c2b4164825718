"""The judgement after a run: the operators' record against the agencies' history against the store.

Nothing here asks the gateway what it thinks: the store is read as an auditor would, with SQL.

The file is long because all verdicts rest on one attribution of submits to messages, and are read together.
"""

from __future__ import annotations

import gc
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TextIO

import sim_past
from sim_agency import ENDED, LATE_S, SimDossier, Snapshot
from sim_operator import ALL_PARTS, Submit
from sim_plan import CLOCK_ERROR_S
from sim_world import World

from gateway.clock import VIETNAM
from gateway.dossiers.phone import judge_phone

FINAL = frozenset({"delivered", "undelivered", "expired", "rejected", "cancelled", "blocked"})
#: states of charge rows in which nothing more is awaited
SETTLED = frozenset({"charged", "not_charged", "refunded", "insufficient_balance", "unknown"})
#: How long the gateway may be blind to a change in the worst weather: a source that hangs, a process that is away, a lease.
BLIND_S = 150.0
#: … and in fair weather: two polls, and what was claimed.
FAIR_BLIND_S = 12.0
MESSAGES = f"SELECT * FROM message WHERE coalesce(source, '') <> '{sim_past.SOURCE}'"
#: How long before a message's end a receipt must have been acknowledged to count, in seconds.
TELLING_S = 5.0
#: A part that leaves so soon after an earlier one of its message belongs to what had begun: between two scenes the clock of
#: business goes on by hours, and a slow operator's window may hold the rest back.
BEGUN_S = 30.0
KIND_OF = {"ready": "result_ready", "supplement": "supplement_needed"}


@dataclass(frozen=True)
class Result:
    """What became of one seed."""

    seed: int
    violations: tuple[str, ...]
    counts: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)  # what happened at all: see :func:`_seen`
    digest: str = ""

    def report(self) -> str:
        """For people: verdict, counts, and how to see it again."""
        counts = "  ".join(f"{name} {number}" for name, number in self.counts.items())
        if not self.violations:
            return f"seed {self.seed}: all invariants hold. {counts}  history {self.digest}"
        shown = "\n".join(f"  {violation}" for violation in self.violations[:12])
        more = f"\n  … and {len(self.violations) - 12} more" if len(self.violations) > 12 else ""
        return (
            f"seed {self.seed}: {len(self.violations)} violations. {counts}\n{shown}{more}\n"
            f"replay: python tests/simulation/run.py --seed {self.seed} --verbose"
        )


def play(seed: int, echo: TextIO | None = None, *, with_digest: bool = False) -> Result:
    """Run one seed and judge it."""
    gc_was = gc.isenabled()
    gc.disable()  # finalisers of dead processes' coroutines would run at moments that no seed decides
    try:
        world = World(seed, echo)
        world.run()
        _Judge(world).judge()
        digest = world.history.digest() if with_digest else ""
        result = Result(seed, tuple(world.violations), _counts(world), _seen(world), digest)
        world.close()
        return result
    finally:
        if gc_was:
            gc.enable()


def _counts(world: World) -> dict[str, int]:
    states = Counter(row.state for row in world.disk.rows(f"SELECT state FROM ({MESSAGES})"))
    return {
        "dossiers": sum(len(agency.dossiers) for agency in world.agencies),
        "messages": sum(states.values()),
        "submits": world.wire.submits,
        "queries": len(world.queries),
        "crashes": world.crashes,
        "lives": world.lives,
        "possible_duplicates": world.disk.rows("SELECT count(*) AS n FROM message WHERE possible_duplicate")[0].n,
    }


def _seen(world: World) -> dict[str, int]:
    """How often each kind of thing happened: weather, log events, and the states in which the store's rows ended."""
    seen = Counter(world.history.seen)
    for table, kind in ((f"({MESSAGES})", "kind"), ("mo", "result"), ("charge", "profile")):
        for row in world.disk.rows(f"SELECT {kind} AS kind, state, count(*) AS n FROM {table} GROUP BY 1, 2"):
            seen[f"{table if table.isalpha() else 'message'}/{row.kind}/{row.state}"] += row.n
    seen[f"scenes/{len(world.plan.scenes)}"] = seen[f"nodes/{world.plan.nodes}"] = 1
    for operator in world.operators.values():
        for submit in operator.submits:
            form = "payload" if submit.part == ALL_PARTS else "part" if submit.parts > 1 else "whole"
            seen[f"submit/{form}"] += 1
            seen[f"answer/{submit.status:#x}"] += 1
    seen["query/in_parts"] = sum(len(query.outgoing) > 1 for query in world.queries)
    seen["possible_duplicate"] = world.disk.rows("SELECT count(*) AS n FROM message WHERE possible_duplicate")[0].n
    return {name: number for name, number in seen.items() if number}


class _Judge:
    """One look at one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.messages = {row.id: row for row in world.disk.rows(MESSAGES)}
        parts = world.disk.rows(
            "SELECT message_id, smsc_message_id FROM message_part WHERE smsc_message_id IS NOT NULL"
        )
        self._told = {(row.message_id, row.smsc_message_id) for row in parts}
        self.accepted: dict[int, list[Submit]] = defaultdict(list)
        self.blind_s = BLIND_S + world.plan.hold_s if world.plan.stormy else FAIR_BLIND_S
        self.strangers: list[Submit] = []
        #: What operators refused by a receipt: that ends a charge as a refusing answer does.
        self.refused = {number for operator in world.operators.values() for number in operator.refused}
        by_address: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for row in self.messages.values():
            by_address[(row.destination_addr, row.source_addr)].append(row)
        for operator in world.operators.values():
            for submit in operator.submits:
                if submit.status == 0:
                    self._attribute(submit, by_address[(submit.destination, submit.source)])

    def _attribute(self, submit: Submit, candidates: list[Any]) -> None:
        """Whose message a submit was: by its text, since a reference is the gateway's own word."""
        fitting = [row for row in candidates if submit.text in row.text]
        if submit.reference is not None:
            fitting = [row for row in fitting if row.id & 0xFFF == submit.reference >> 4]
        if not fitting:
            self.strangers.append(submit)
            return
        # The same text twice to one number: the one that was told this id, else the one that claims to have left, and has fewer
        # of this part so far. What was cancelled and left all the same is seen at the wire.
        row = min(
            fitting,
            key=lambda row: (
                (row.id, submit.message_id) not in self._told,
                row.state in ("cancelled", "blocked"),
                sum(other.part == submit.part for other in self.accepted[row.id]),
            ),
        )
        self.accepted[row.id].append(submit)

    def judge(self) -> None:
        self._program_faults()
        if self.world.plan.past:
            sim_past.judge(self.world)
        self._every_message_ends()
        self._nothing_lost_nothing_doubled()
        self._queries()
        self._charges()
        for agency in self.world.agencies:
            for dossier in agency.dossiers.values():
                self._dossier(dossier)

    def _violated(self, invariant: str, what: str) -> None:
        self.world.violated(invariant, what)

    def _program_faults(self) -> None:
        for fault in self.world.history.faults_logged:
            self._violated("no fault of the program", fault)
        for node in self.world.nodes:
            if node.life is None or node.life.dead:
                self._violated("the daemon runs", f"{node.name} is not up after the settle time")

    # -- 7, 3, 2 ------------------------------------------------------------------------------------------------

    def _every_message_ends(self) -> None:
        for row in self.messages.values():
            if row.state not in FINAL:
                self._violated(
                    "every message ends (7)", f"{_name(row)} is still {row.state} ({row.reason}) since {row.state_at}"
                )
            elif row.state != "delivered" and not row.reason:
                self._violated("with a reason (7)", f"{_name(row)} is {row.state} without one")

    def _nothing_lost_nothing_doubled(self) -> None:
        for submit in self.strangers:
            self._violated(
                "nothing that is not in the store", f"{submit.operator} took {submit.text!r} to nobody's message"
            )
        doubled = 0
        for row in self.messages.values():
            parts = _times(self.accepted[row.id], row.parts)
            if row.state == "delivered" and len(parts) < row.parts:
                self._violated(
                    "nothing lost", f"{_name(row)} is {row.state}, the operator has {len(parts)} of {row.parts} parts"
                )
            if row.state in ("cancelled", "blocked") and parts and not row.possible_duplicate:
                self._violated("cancelled ones never leave", f"{_name(row)} is {row.state} and the operator has it")
            if (
                row.state == "expired"
                and row.reason == "validity"
                and len(parts) == row.parts
                and not row.possible_duplicate
            ):
                self._violated("expired before it left", f"{_name(row)} and the operator has it")
            most = max(parts.values(), default=0)
            if most > 1:
                doubled += sum(parts.values()) - len(parts)
                if not row.possible_duplicate:
                    self._violated(
                        "doubled only what is marked (3)", f"{_name(row)} was taken {most} times, not marked"
                    )
                if most > 2:
                    self._violated("resent once (3)", f"{_name(row)} was taken {most} times")
        self._acknowledged_receipts_count()
        if not self.world.plan.stormy and doubled:
            self._violated("nothing doubled in fair weather", f"{doubled} parts")

    def _acknowledged_receipts_count(self) -> None:
        """A message does not end for want of a receipt that was acknowledged long before (5)."""
        if self.world.history.seen["weather/clock_jumps"]:
            return  # the store's times say nothing
        for row in self.messages.values():
            if row.state != "expired" or row.reason != "no_receipt":
                continue
            ended = self.world.seconds_of(row.state_at)
            told = {
                submit.part
                for submit in self.accepted[row.id]
                if self.world.operators[submit.operator].told.get(submit.message_id, ended) < ended - TELLING_S
            }
            if ALL_PARTS in told or len(told) == row.parts:
                self._violated("acknowledged receipts count (5)", f"{_name(row)} ended without its receipts")

    # -- 8 ------------------------------------------------------------------------------------------------------

    def _queries(self) -> None:
        rows = self.world.disk.rows("SELECT * FROM mo")
        by_key: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for row in rows:
            by_key[(row.route, row.smsc_message_id)].append(row)
        for query in self.world.queries:
            keys = [(query.operator, part.key) for part in query.outgoing]
            found = [row for key in keys for row in by_key.pop(key, [])]
            what = f"{query.outgoing[0].key} of {query.operator} ({query.text!r})"
            untaken = [part for part in query.outgoing if 0 not in part.answers]
            if untaken:
                if len(self.world.nodes) == 1:
                    self._violated(
                        "every query is taken", f"{what}: {untaken[0].answers} after {untaken[0].tries} tries"
                    )
                continue
            if len(found) != 1:
                self._violated("one record per MO (8)", f"{what} has {len(found)}")
                continue
            self._reply(found[0], what)
        for key in by_key:
            self._violated("no MO that nobody sent", str(key))

    def _reply(self, mo: Any, what: str) -> None:
        replies = [row for row in self.messages.values() if row.mo_id == mo.id]
        if mo.state == "ignored":
            if replies or not mo.reason:
                self._violated("an ignored MO has no reply and a reason", what)
            return
        if mo.state != "replied" or len(replies) != 1:
            self._violated("one reply per MO (8)", f"{what} is {mo.state} with {len(replies)} replies")
            return
        taken = self.accepted[replies[0].id]
        if len(taken) > 1:
            self._violated("one reply per MO (8)", f"{what}: the operator took {len(taken)} replies")

    def _charges(self) -> None:
        charges = {row.mo_id: row for row in self.world.disk.rows("SELECT * FROM charge")}
        for mo in self.world.disk.rows("SELECT id FROM mo"):
            charge = charges.pop(mo.id, None)
            if charge is None:
                self._violated("one charge per MO (8)", f"MO {mo.id} has no ledger row")
                continue
            if charge.state not in SETTLED:
                self._violated("every charge ends (8)", f"MO {mo.id} is still {charge.state}")
            taken = [s for row in self.messages.values() if row.mo_id == mo.id for s in self.accepted[row.id]]
            told = {submit.service_type for submit in taken if submit.message_id not in self.refused}
            if charge.state == "charged" and "1" not in told:
                self._violated(
                    "charged only as told (8)", f"MO {mo.id} is charged, the operator was told {told or 'nothing'}"
                )
            if charge.state in ("not_charged", "refunded") and "1" in told:
                self._violated(
                    "the ledger knows (8)", f"MO {mo.id} is {charge.state} ({charge.reason}), the operator charged it"
                )

    # -- 1 and the domain's rules -------------------------------------------------------------------------------

    def _dossier(self, dossier: SimDossier) -> None:
        rows = [
            row for row in self.messages.values() if (row.source, row.receipt_code) == (dossier.source, dossier.code)
        ]
        spans = list(_spans(dossier))
        for state, kind in KIND_OF.items():
            entries = [span for span in spans if span[0].state == state]
            of_kind = [row for row in rows if row.kind == kind]
            self._not_undue(dossier, kind, entries, of_kind)
            if not rows and not entries:
                continue
            self._announced(dossier, kind, entries, of_kind)
        self._apologies(dossier, [row for row in rows if row.kind == "apology_due_tomorrow"])

    def _not_undue(self, dossier: SimDossier, kind: str, entries: list[Span], rows: list[Any]) -> None:
        """A notice has an entry into its state; it leaves after the hold, and not long after the state was left."""
        if len(rows) > sum(1 + len({snap.phone for snap in span[2]}) - 1 for span in entries):
            self._violated("nothing announced twice (1)", f"{dossier.code}: {len(rows)} {kind}, {len(entries)} entries")
        slack_s = 2 * CLOCK_ERROR_S if self.world.history.seen["weather/clock_jumps"] else 1.0
        slack_s += LATE_S if self.world.plan.late_rows else 0.0
        for row in rows:
            for submit in self.accepted[row.id]:
                seen = [
                    (first, end)
                    for first, end, _ in entries
                    if first.real_s <= submit.at and (end is None or submit.at <= end.real_s + self.blind_s)
                ]
                if not seen:
                    self._violated(
                        "no notice that is not due", f"{_name(row)} left at {submit.business}, entries {entries}"
                    )
                elif all(
                    submit.business < first.at + timedelta(seconds=self.world.plan.hold_s - slack_s)
                    for first, _ in seen
                ):
                    self._violated("the hold", f"{_name(row)} left at {submit.business}")
                numbers = {_number(snap.phone) for snap in dossier.history if snap.real_s <= submit.at}
                if submit.destination not in numbers:
                    self._violated("to the citizen's number", f"{_name(row)} went elsewhere")

    def _announced(self, dossier: SimDossier, kind: str, entries: list[Span], rows: list[Any]) -> None:
        """A state that stands long enough was announced, or there is a reason why not."""
        standing = [span for span in entries if span[1] is None]
        if not standing:
            return
        first, _, snapshots = standing[0]
        if snapshots[-1].real_s > self.world.calm_at:
            return
        if _same_day(dossier):
            return
        if not rows:
            self._violated(
                "nothing lost",
                f"{dossier.source} {dossier.code} is {first.state} since {first.at}, and no {kind} was made",
            )

    def _apologies(self, dossier: SimDossier, rows: list[Any]) -> None:
        if len({row.occasion for row in rows}) != len(rows):
            self._violated("nothing announced twice (1)", f"{dossier.code}: two apologies for one date")
        for row in rows:
            for submit in self.accepted[row.id]:
                if _had_begun(submit, self.accepted[row.id]):
                    continue
                local = submit.business.astimezone(VIETNAM)
                slack = timedelta(seconds=CLOCK_ERROR_S)
                begin = local.replace(hour=17, minute=30, second=0, microsecond=0) - slack
                if local < begin:  # how late it may be is seen at the wire
                    self._violated("the apology's hours", f"{_name(row)} left at {local:%d %H:%M:%S}")
                tomorrow = (local + timedelta(days=1)).date()
                recent = list(_valid(dossier, submit.at - BLIND_S, submit.at))
                if not any(
                    snap.due_at.astimezone(VIETNAM).date() == tomorrow
                    and snap.state not in ENDED
                    and not snap.clock_stopped
                    for snap in recent
                ):
                    self._violated("apology only for those due tomorrow", f"{_name(row)} left at {local}: {recent}")


def _had_begun(submit: Submit, of_message: list[Submit]) -> bool:
    """Whether an earlier part of the same message left just before."""
    return any(other.part < submit.part and 0 <= submit.at - other.at < BEGUN_S for other in of_message)


def _times(submits: list[Submit], parts: int) -> dict[int, int]:
    """part → how often the operator took it; only those that it has."""
    counted = Counter(submit.part for submit in submits)
    whole = counted.pop(ALL_PARTS, 0)
    if whole:
        counted.update(dict.fromkeys(range(1, parts + 1), whole))
    return dict(counted)


#: The first snapshot in a state, the one that ended it (None: it stands), and all snapshots within.
Span = tuple[Snapshot, Snapshot | None, list[Snapshot]]


def _spans(dossier: SimDossier) -> Iterator[Span]:
    first, within = dossier.history[0], [dossier.history[0]]
    for snapshot in dossier.history[1:]:
        if snapshot.state == first.state:
            within.append(snapshot)
        else:
            yield first, snapshot, within
            first, within = snapshot, [snapshot]
    yield first, None, within


def _valid(dossier: SimDossier, since_s: float, until_s: float) -> Iterator[Snapshot]:
    """What the dossier was at any moment of a stretch of system time."""
    for snapshot, after in zip(dossier.history, [*dossier.history[1:], None], strict=True):
        if snapshot.real_s <= until_s and (after is None or after.real_s >= since_s):
            yield snapshot


def _same_day(dossier: SimDossier) -> bool:
    """Exempt, or it was: what came into its state as exempt is not announced when its due date moves."""
    day = dossier.received_at.astimezone(VIETNAM).date()
    return any(snapshot.due_at.astimezone(VIETNAM).date() == day for snapshot in dossier.history)


def _number(phone: str) -> str:
    verdict = judge_phone(phone, None)
    return (verdict.e164 or "").lstrip("+")


def _name(row: Any) -> str:
    return f"message {row.id} ({row.kind}, {row.source} {row.receipt_code}/{row.occasion})"
