"""The judgement after a run: the SMSC's record against the gateway's store and ledger, as an auditor would compare them.

Pure: evidence in, violations out. It asks the gateway nothing, shares no code with it, and can be repeated on the file that
every run leaves: ``python tests/faults/judge.py …/evidence.json``.

Words: a submit was *taken* when the SMSC gave it a message_id. A message is *marked* when the store says possible_duplicate.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]

FINAL = frozenset({"delivered", "undelivered", "expired", "rejected", "cancelled", "blocked"})
NEVER_LEFT = frozenset({"cancelled", "blocked"})
SETTLED_CHARGES = frozenset({"charged", "not_charged", "refunded", "insufficient_balance", "unknown"})
PART_FINAL = frozenset({"delivered", "undelivered", "expired", "rejected"})
#: Events at the level "error" that tell of a store that could not be reached, which is what the faults are for.
STORE_TROUBLE = frozenset(
    {
        "forwards_not_recorded", "job_not_recorded", "mo_not_recorded", "mo_reply_not_recorded", "mo_store_failed",
        "poll_not_recorded", "store_not_usable",
    }
)  # fmt: skip
#: Faults after which a claim may have been committed though the daemon never heard of it.
STORE_FAULTS = frozenset(
    {
        "store_locked", "disk_full", "disk_limit", "store_stopped", "store_crashed", "backend_killed", "backend_ended",
        "store_frozen",
    }
)  # fmt: skip


@dataclass
class Evidence:
    """All that is known of a run. Rows are those of the store's tables, entries those of the simulator's record."""

    window: int  # submit_sm without an answer, of all binds together
    response_timeout_s: float
    record: list[Row]  # n, event, …: docs/simulator.md
    messages: list[Row]
    parts: list[Row]
    part_keys: list[Row]
    waiting_receipts: list[Row]
    mos: list[Row]
    mo_parts: list[Row]
    charges: list[Row]
    journal: list[Row]
    dossiers: list[str]  # receipt codes whose result is ready
    inserted: list[str]  # receipt codes of messages that were put into the outbox directly
    queries: list[Row]  # number, ids (the SMSC's, one for each part)
    strikes: list[Row]  # kind, seconds, count: those that were carried out
    lives: list[Row]  # of the daemon: killed, exit_status, events (level error), in_doubt, claimed_at_end
    references: bool = True  # submits bear a user_message_reference, by which a receipt names its part
    unsettled: list[str] = field(default_factory=list)  # what did not come to rest in time


@dataclass(frozen=True)
class Verdict:
    """What was violated, and what there was."""

    violations: tuple[str, ...]
    counts: dict[str, int]


def judge(evidence: Evidence) -> Verdict:
    """Compare. No violation: nothing lost, nothing doubled but what is marked, one reply and one charge for each query."""
    case = _Case(evidence)
    laws = (
        case.settled, case.daemon, case.every_message_ends, case.every_message_is_there, case.nothing_is_invented,
        case.delivered_means_taken, case.taken_means_known, case.doubled_only_if_marked, case.no_more_than_the_window,
        case.receipts_count, case.queries_are_kept, case.one_reply, case.one_charge,
    )  # fmt: skip
    return Verdict(tuple(violation for law in laws for violation in law()), case.counts())


def doubt_budget(evidence: Evidence) -> int:
    """The most messages that the strikes may have brought into doubt: a window for each loss, and one message longer
    than the room that was left."""
    return sum(_doubt_of(strike, evidence) for strike in evidence.strikes)


def _doubt_of(strike: Row, evidence: Evidence) -> int:
    one = evidence.window + 1
    kind, seconds = strike["kind"], float(strike.get("seconds") or 0)
    if kind in ("lost_answers", "lost_requests", "late_answers"):
        return int(strike["count"])
    if kind in ("half_open", "held_answers", "stall"):  # each time-out frees the window for the next
        return one * (1 + math.ceil(seconds / evidence.response_timeout_s))
    if kind == "kill_starting":
        return 2 * one
    if kind in ("congestion", "queue_full", "held_receipts", "lost_receipts", "clock_leap"):
        return 0
    return one  # a kill, a lost link, a lapsed lease, a commit without an answer


class _Case:
    """The evidence, sorted."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.messages: dict[int, Row] = {row["id"]: row for row in evidence.messages}
        self.replies = [row for row in evidence.messages if row["mo_id"] is not None]
        self.submits = [entry for entry in evidence.record if entry["event"] == "submit"]
        #: message → part → the SMSC's ids of it
        self.taken: dict[int, dict[int, list[str]]] = {}
        self.strangers: list[Row] = []
        self._by_address: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in evidence.messages:
            self._by_address[row["destination_addr"], row["source_addr"]].append(row)
        for entry in self.submits:
            if entry["message_id"]:
                self._attribute(entry)
        #: message, part → the ids under which the store knows it
        self.known: dict[tuple[int, int], set[str]] = defaultdict(set)
        for part in evidence.parts:
            if part["smsc_message_id"]:
                self.known[part["message_id"], part["part"]].add(part["smsc_message_id"])
        for key in evidence.part_keys:
            self.known[key["message_id"], key["part"]].add(key["id_key"])
        #: Parts whose id came with a receipt that named no part: which of the message's parts it was, nobody can know.
        self.guessed = {
            (part["message_id"], part["part"])
            for part in evidence.parts
            if not evidence.references and part["command_status"] is None
        }
        self.part_states = {(part["message_id"], part["part"]): part["state"] for part in evidence.parts}

    def _attribute(self, entry: Row) -> None:
        """Whose message a submit was: by its addresses and its text."""
        candidates = self._by_address[entry["destination"], entry["source"]]
        fitting = [row for row in candidates if entry["text"] in row["text"]]
        if not fitting:
            self.strangers.append(entry)
            return
        row = min(fitting, key=lambda row: (row["state"] in NEVER_LEFT, len(self.taken.get(row["id"], ()))))
        whole = entry["udh"] is None  # a text of one part, or all parts in one payload
        for part in range(1, row["parts"] + 1) if whole else [entry["udh"][2]]:
            self.taken.setdefault(row["id"], {}).setdefault(part, []).append(entry["message_id"])

    # -- the run ------------------------------------------------------------------------------------------------

    def settled(self) -> Iterator[str]:
        yield from (f"everything comes to rest: {what}" for what in self.evidence.unsettled)

    def daemon(self) -> Iterator[str]:
        """It ends when it is told to, or when it finds no store at its start; its log tells of no fault of the program."""
        for number, life in enumerate(self.evidence.lives, 1):
            if not life["killed"] and life["exit_status"] != 0 and life["started"]:
                yield f"the daemon lives: life {number} ended by itself with status {life['exit_status']}"
            told: dict[str, list[Row]] = defaultdict(list)
            for event in life["events"]:
                at_start = not life["started"] and event["event"] in ("gateway_failed", "gateway_gives_up")
                if event["event"] not in STORE_TROUBLE and not at_start:
                    told[event["event"]].append(event)
            for name, events in told.items():
                yield f"no fault of the program: life {number} tells {len(events)} times of {name}: {str(events[0])[-500:]}"

    # -- messages -----------------------------------------------------------------------------------------------

    def every_message_ends(self) -> Iterator[str]:
        for row in self.evidence.messages:
            if row["state"] not in FINAL:
                yield f"every message ends: {_name(row)} is still {row['state']} ({row['reason']})"
            elif row["state"] != "delivered" and not row["reason"]:
                yield f"with a reason: {_name(row)} is {row['state']} without one"

    def every_message_is_there(self) -> Iterator[str]:
        codes = Counter(row["receipt_code"] for row in self.evidence.messages if row["mo_id"] is None)
        for code in (*self.evidence.dossiers, *self.evidence.inserted):
            if codes[code] != 1:
                yield f"announced once: {code} has {codes[code]} messages"

    def nothing_is_invented(self) -> Iterator[str]:
        for entry in self.strangers:
            yield f"nothing that is not in the store: the SMSC took {entry['text']!r} as {entry['message_id']}"

    def delivered_means_taken(self) -> Iterator[str]:
        """Lost: what the store calls delivered and the SMSC does not have; and what nobody tried to send."""
        delivered = {entry["message_id"] for entry in self._receipts() if entry["stat"] == "DELIVRD"}
        for row in self.evidence.messages:
            taken = self.taken.get(row["id"], {})
            if row["state"] == "delivered":
                for part in range(1, row["parts"] + 1):
                    if part not in taken:
                        yield f"nothing lost: {_name(row)} is delivered, the SMSC never took part {part}"
                    elif not delivered & set(taken[part]):
                        yield f"nothing lost: {_name(row)} is delivered, the SMSC told of no delivery of part {part}"
            elif row["state"] in NEVER_LEFT and taken:
                yield f"cancelled ones never leave: {_name(row)} is {row['state']}, the SMSC has it"
            elif row["state"] == "undelivered" and row["reason"] == "in_doubt":
                if row["mo_id"] is None and not row["possible_duplicate"]:
                    yield f"nothing lost: {_name(row)} was given up in doubt without having been sent again"
            elif (
                row["state"] == "expired"
                and row["reason"] == "no_receipt"
                and any(part not in taken for part in range(1, row["parts"] + 1))
            ):
                yield f"nothing lost: {_name(row)} waited for a receipt, the SMSC never took all of it"

    def taken_means_known(self) -> Iterator[str]:
        """What the SMSC took stands in the store under its id, or the message is marked, or ended in doubt."""
        for number, parts in self.taken.items():
            row = self.messages[number]
            excused = row["possible_duplicate"] or (row["state"] == "undelivered" and row["reason"] == "in_doubt")
            for part, ids in parts.items():
                unknown = set(ids) - self._known(number, part)
                if unknown and not excused:
                    yield f"the store knows: {_name(row)} part {part} was taken as {sorted(unknown)}, and is {row['state']}"
        for (number, part), ids in self.known.items():
            taken = self.taken.get(number, {})
            own = taken.values() if (number, part) in self.guessed else [taken.get(part, [])]
            false = ids - {smsc_message_id for given in own for smsc_message_id in given}
            if false:
                yield f"ids are the SMSC's: message {number} part {part} has {sorted(false)}, which the SMSC never gave it"

    def _known(self, number: int, part: int) -> set[str]:
        """The ids under which the store knows a part; with those of the message's other parts where they were guessed."""
        of_others = [ids for place, ids in self.known.items() if place[0] == number and place in self.guessed]
        return set(self.known.get((number, part), ())).union(*of_others)

    def doubled_only_if_marked(self) -> Iterator[str]:
        for number, parts in self.taken.items():
            row, most = self.messages[number], max(map(len, parts.values()), default=0)
            if most > 1 and row["mo_id"] is not None:
                yield f"replies are never sent again blindly: {_name(row)} was taken {most} times"
            elif most > 1 and not row["possible_duplicate"]:
                yield f"doubled only what is marked: {_name(row)} was taken {most} times and is not marked"
            elif most > 2:
                yield f"sent again once: {_name(row)} was taken {most} times"

    def no_more_than_the_window(self) -> Iterator[str]:
        marked = sum(bool(row["possible_duplicate"]) for row in self.evidence.messages)
        budget = doubt_budget(self.evidence)
        if marked > budget:
            yield f"no more than the window: {marked} messages are marked, the strikes explain {budget}"
        for number, life in enumerate(self.evidence.lives, 1):
            claimed = life["claimed_at_end"]
            if claimed is not None and claimed > self.evidence.window + 1:
                yield f"one window in doubt: life {number} held {claimed} messages, its window is {self.evidence.window}"

    def receipts_count(self) -> Iterator[str]:
        """A final receipt that was answered ROK stands in the store: at its part, or among those that wait."""
        by_id = {key: place for place, keys in self.known.items() for key in keys}
        waiting = {row["smsc_message_id"] for row in self.evidence.waiting_receipts}
        for entry in self._receipts():
            if entry["status"] != 0 or entry["stat"] == "ENROUTE" or entry["message_id"] in waiting:
                continue
            place = by_id.get(entry["message_id"])
            if place is None:
                yield f"receipts are kept: that of {entry['message_id']} was answered ROK and is not in the store"
            elif self.part_states.get(place) not in PART_FINAL:
                yield f"receipts are kept: part {place} is {self.part_states.get(place)}, though its receipt was answered ROK"

    def _receipts(self) -> Iterator[Row]:
        return (
            entry for entry in self.evidence.record if entry["event"] == "receipt" and entry["outcome"] == "answered"
        )

    # -- queries ------------------------------------------------------------------------------------------------

    def queries_are_kept(self) -> Iterator[str]:
        stored = {row["smsc_message_id"] for row in (*self.evidence.mos, *self.evidence.mo_parts)}
        for entry in self.evidence.record:
            if entry["event"] == "mo" and entry["status"] == 0 and entry["message_id"] not in stored:
                yield f"acknowledged means kept: MO {entry['message_id']} was answered ROK and is not in the store"
        found = Counter(row["smsc_message_id"] for row in self.evidence.mos)
        asked = {query["ids"][0] for query in self.evidence.queries}
        for query in self.evidence.queries:
            if found[query["ids"][0]] != 1:
                yield f"one record per query: {query['ids'][0]} has {found[query['ids'][0]]}"
        for name in found.keys() - asked:
            yield f"no query that nobody sent: {name}"

    def one_reply(self) -> Iterator[str]:
        replies = Counter(row["mo_id"] for row in self.replies)
        for mo in self.evidence.mos:
            wanted = 1 if mo["state"] == "replied" else 0
            if mo["state"] not in ("replied", "ignored") or replies[mo["id"]] != wanted:
                yield f"one reply per query: query {mo['id']} is {mo['state']} and has {replies[mo['id']]} replies"

    def one_charge(self) -> Iterator[str]:
        """Each query has one row in the ledger, and it says what the operator's books say, or that nobody knows."""
        rows: dict[int, list[Row]] = defaultdict(list)
        for charge in self.evidence.charges:
            rows[charge["mo_id"]].append(charge)
        booked: dict[str, list[str]] = defaultdict(list)
        for entry in self.submits:
            if entry.get("charge"):
                booked[entry["charge"]["mo_id"]].append(entry["charge"]["outcome"])
        in_doubt = {row["mo_id"] for row in self.replies if row["reason"] == "in_doubt"}
        for mo in self.evidence.mos:
            if len(rows[mo["id"]]) != 1:
                yield f"one charge per query: query {mo['id']} has {len(rows[mo['id']])} rows in the ledger"
                continue
            yield from self._compare(mo, rows[mo["id"]][0]["state"], booked[mo["smsc_message_id"]], in_doubt)
        known = {mo["smsc_message_id"] for mo in self.evidence.mos}
        for mo_id in booked.keys() - known:
            yield f"no reply without a query: the operator booked {booked[mo_id]} for {mo_id!r}"
        charged = sum(charge["amount_vnd"] for charge in self.evidence.charges if charge["state"] == "charged")
        journal = sum(line["amount_vnd"] for line in self.evidence.journal)
        if charged != journal:
            yield f"the ledger balances: {charged} VND are charged, the journal says {journal}"

    @staticmethod
    def _compare(mo: Row, ledger: str, booked: Sequence[str], in_doubt: set[int]) -> Iterator[str]:
        what = f"query {mo['id']} is {ledger} in the ledger, the operator's books say {list(booked)}"
        if ledger not in SETTLED_CHARGES:
            yield f"every charge ends: {what}"
        if len(booked) > 1:
            yield f"one charge per query: {what}"
        elif ledger == "unknown":
            if mo["id"] not in in_doubt:
                yield f"unknown only in doubt: {what}"
        elif (ledger == "charged") != (booked == ["charged"]) or (
            ledger == "insufficient_balance" and booked != ["insufficient_balance"]
        ):
            yield f"ledger and operator agree: {what}"

    # -- figures ------------------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """For the closing lines; lost and doubled are numbers of messages."""
        lost = sum(1 for _ in self.delivered_means_taken()) + sum(1 for _ in self.every_message_is_there())
        doubled = sum(max(map(len, parts.values()), default=0) > 1 for parts in self.taken.values())
        return {
            "messages": len(self.evidence.messages),
            "submits": len(self.submits),
            "queries": len(self.evidence.queries),
            "lives": len(self.evidence.lives),
            "kills": sum(bool(life["killed"]) for life in self.evidence.lives),
            "strikes": sum(strike["kind"] != "stall" for strike in self.evidence.strikes),
            "lost": lost,
            "doubled": doubled,
            "marked": sum(bool(row["possible_duplicate"]) for row in self.evidence.messages),
            "doubt_budget": doubt_budget(self.evidence),
            "in_doubt_at_the_end": sum(row["reason"] == "in_doubt" for row in self.evidence.messages),
        }


def _name(row: Row) -> str:
    return f"message {row['id']} ({row['kind']} {row['receipt_code']})"


def save(evidence: Evidence, path: Path) -> None:
    """Leave the evidence for a second look."""
    path.write_text(json.dumps(asdict(evidence), ensure_ascii=False, default=str), encoding="utf-8")


def load(path: Path) -> Evidence:
    """What :func:`save` wrote."""
    return Evidence(**json.loads(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    verdict = judge(load(Path(sys.argv[1])))
    print("\n".join(verdict.violations) or "no violation", "\n", verdict.counts)
    sys.exit(bool(verdict.violations))
