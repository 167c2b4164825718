"""The simulator's own record of the demonstration: what the operators saw, whatever the gateway believes."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Taken:
    """A whole message that an operator took over, its parts joined."""

    sender: str
    number: str
    text: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What an operator did about the charge of one query."""

    mo_id: str  # the operator's
    outcome: str
    amount_vnd: int


class Record:
    """Entries of the record file."""

    def __init__(self, entries: Iterable[dict[str, Any]]) -> None:
        self.entries = list(entries)

    @classmethod
    def read(cls, path: Path) -> Record:
        """All whole lines of the file; the last one may still be on its way."""
        if not path.exists():
            return cls(())
        lines = path.read_bytes().split(b"\n")[:-1]
        return cls(json.loads(line) for line in lines)

    def submits(self) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["event"] == "submit"]

    def taken(self) -> Counter[Taken]:
        """Whole messages that were accepted; a message whose parts came twice counts twice."""
        return _joined(
            entry for entry in self.submits() if entry["status"] == 0 and entry["outcome"] != "request_dropped"
        )

    def refused(self) -> Counter[int]:
        """command_status: how often a submit_sm was refused with it."""
        return Counter(entry["status"] for entry in self.submits() if entry["status"])

    def links_cut(self) -> int:
        return sum(entry["outcome"] == "link_cut" for entry in self.submits())

    def binds(self) -> Counter[str]:
        """Account: binds so far."""
        return Counter(entry["account"] for entry in self.entries if entry["event"] == "bind")

    def queries(self) -> dict[str, dict[str, Any]]:
        """The operator's id: the query that a handset sent."""
        return {entry["message_id"]: entry for entry in self.entries if entry["event"] == "mo"}

    def settled(self) -> list[Settled]:
        """Charges as the operators booked them, by the replies they got."""
        return [
            Settled(charge["mo_id"], charge["outcome"], charge["amount_vnd"])
            for entry in self.submits()
            if (charge := entry.get("charge")) is not None
        ]


def _joined(entries: Iterable[dict[str, Any]]) -> Counter[Taken]:
    """Messages from their parts, by sender, number, reference and total, in order of arrival."""
    whole: Counter[Taken] = Counter()
    waiting: defaultdict[tuple[str, str, int, int], list[dict[int, str]]] = defaultdict(list)
    for entry in entries:
        sender, number, text = entry["source"], entry["destination"], entry["text"]
        if entry["udh"] is None:
            whole[Taken(sender, number, text)] += 1
            continue
        reference, total, part = entry["udh"]
        groups = waiting[sender, number, reference, total]
        group = next((group for group in groups if part not in group), None)
        if group is None:
            groups.append(group := {})
        group[part] = text
        if len(group) == total:
            groups.remove(group)
            whole[Taken(sender, number, "".join(group[index] for index in sorted(group)))] += 1
    for (sender, number, _, total), groups in waiting.items():
        for group in groups:
            whole[Taken(sender, number, f"(parts {sorted(group)} of {total} only)")] += 1
    return whole
