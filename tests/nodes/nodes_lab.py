"""A laboratory with several daemons on one PostgreSQL, and the simulator as the operator of all of them.

Every node has a bind of its own name (``a-1`` of node ``a``), so that the store tells who sent a part and who received
a receipt or an MO. What left, and when, stands in each bind's trace; what arrived, in the simulator's record.
"""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from lab import Lab, Process, wait_for

from simulator.control_client import ControlClient

#: A submit that the machine held back on its way may come closer to the next one than it left.
ARRIVAL_TOLERANCE_S = 0.2
FINAL = {"delivered", "undelivered", "rejected", "expired"}


class NodesLab(Lab):
    """One simulator and any number of nodes. Call :meth:`configure` first; it applies to every node."""

    def __init__(self, folder: Path, store_url: str) -> None:
        super().__init__(folder, store_url)
        self.nodes: dict[str, Process] = {}
        self._next_code = 0

    @property
    def simulator(self) -> ControlClient:
        return ControlClient(f"http://127.0.0.1:{self.control_port}")

    def configure(self, *, licence_parts_per_s: int = 1000, **settings: Any) -> None:
        """As :meth:`Lab.configure`; logs are JSON, see :func:`events`."""
        super().configure(log={"format": "json"}, **settings)
        values = yaml.safe_load(self.gateway_config.read_text(encoding="utf-8"))
        values["operators"]["viettel"]["licence_parts_per_s"] = licence_parts_per_s
        self.gateway_config.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")

    # -- nodes ----------------------------------------------------------------------------------------------------

    def start_node(self, name: str, *, without: Sequence[str] = (), **bind: Any) -> Process:
        """Start a daemon as node ``name``; ``bind`` changes its bind, ``without`` names settings left at their defaults."""
        settings = deepcopy(yaml.safe_load(self.gateway_config.read_text(encoding="utf-8")))
        settings["node"] = name
        settings["trace_socket"] = str(self.folder / f"{name}.sock")
        settings["operators"]["viettel"]["binds"][0] |= {
            "name": f"{name}-1",
            "trace": {"file": str(self.trace_path(name)), "rotate_octets": 10**9},
            **bind,
        }
        for key in without:
            del settings[key]
        config = self.folder / f"{name}.yaml"
        config.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
        process = self._start(name, "motcua-gateway", "run", "--config", str(config))
        self.nodes[name] = process
        return process

    def wait_until_shared(self, *names: str) -> None:
        """Wait until each of these takes part in the licence and has its bind."""
        for name in names:
            process = self.nodes[name]
            wait_for(f"node {name} to take part", lambda process=process: _takes_part(process))
            assert process.popen.poll() is None, process.text()

    def trace_path(self, name: str) -> Path:
        return self.folder / f"{name}.trace"

    def left(self, name: str = "*") -> list[float]:
        """When each submit_sm of a node, or of all, was written to its connection (Unix seconds), in order."""
        return sorted(moment for path in self.folder.glob(f"{name}.trace") for moment in _submits_left(path))

    def reconnect(self) -> None:
        """Forget the test's own connections to a server that is gone."""
        if self._engine is not None:
            self._engine.dispose()

    # -- messages -------------------------------------------------------------------------------------------------

    def announce(self, count: int) -> list[str]:
        """So many dossiers are ready; the handsets that are to be told, in international form."""
        first = self._next_code
        self._next_code += count
        self.add_dossiers(f"0101{number:06d}" for number in range(first, first + count))
        return [f"84905{number:06d}" for number in range(first, first + count)]

    def messages(self, handsets: Iterable[str]) -> list[dict[str, Any]]:
        wanted = set(handsets)
        return [row for row in self.rows("SELECT * FROM message") if row["destination_addr"] in wanted]

    def wait_until_ended(self, handsets: Sequence[str], patience_s: float = 60.0) -> list[dict[str, Any]]:
        """Wait until every handset's message has its final state; the messages."""

        def ended() -> bool:
            found = self.messages(handsets)
            return len(found) == len(handsets) and {row["state"] for row in found} <= FINAL

        wait_for("every message's end", ended, patience_s=patience_s)
        return self.messages(handsets)

    def taken(self, handsets: Iterable[str]) -> Counter[str]:
        """How often the operator took a message to each of these handsets: the part that it took most often counts."""
        wanted, parts = set(handsets), Counter[tuple[str, int]]()
        for entry in self.record("submit"):
            if entry["message_id"] and entry["destination"] in wanted:
                parts[entry["destination"], (entry["udh"] or [0, 1, 1])[2]] += 1
        most = Counter[str]()
        for (handset, _), times in parts.items():
            most[handset] = max(most[handset], times)
        return most

    def senders(self, handsets: Iterable[str]) -> Counter[str]:
        """How many of these messages each node's bind brought to the operator."""
        numbers = [row["id"] for row in self.messages(handsets)]
        parts = self.rows("SELECT message_id, bind FROM message_part")
        return Counter(row["bind"] for row in parts if row["message_id"] in set(numbers))

    # -- judgements -----------------------------------------------------------------------------------------------

    def check_each_once(self, handsets: Sequence[str], *, doubts: bool = False) -> None:
        """Nothing lost; nothing doubled but, where a node was killed, what is marked as a possible duplicate."""
        rows, taken = self.messages(handsets), self.taken(handsets)
        assert {row["state"] for row in rows} == {"delivered"}
        assert set(taken) == set(handsets), "lost"
        marked = {row["destination_addr"] for row in rows if row["possible_duplicate"]}
        assert doubts or not marked
        assert {handset for handset, times in taken.items() if times > 1} <= marked

    def check_licence(self, limit: int) -> None:
        """No sliding second saw more submits than the licence allows, over all nodes (invariant 6)."""
        assert most_within(self.left(), 1.0) <= limit
        arrived = sorted(entry["at"] for entry in self.record("submit"))
        assert most_within(arrived, 1.0 - ARRIVAL_TOLERANCE_S) <= limit


def most_within(moments: Sequence[float], seconds: float) -> int:
    """The most of these (sorted) in any half-open span of so many seconds."""
    most = first = 0
    for index, moment in enumerate(moments):
        while moments[first] <= moment - seconds:
            first += 1
        most = max(most, index - first + 1)
    return most


def events(process: Process, name: str) -> list[dict[str, Any]]:
    """The events of one name in a daemon's log, oldest first."""
    lines = [line for line in process.text().splitlines() if line.startswith("{") and line.endswith("}")]
    return [entry for line in lines if (entry := json.loads(line)).get("event") == name]


def pause(process: Process) -> None:
    """SIGSTOP: the process stands still, its connections stay."""
    process.popen.send_signal(signal.SIGSTOP)


def go_on(process: Process) -> None:
    process.popen.send_signal(signal.SIGCONT)


def _takes_part(process: Process) -> bool:
    text = process.text()
    return process.popen.poll() is not None or ("licence_shared" in text and "bind_up" in text)


def _submits_left(trace: Path) -> Iterator[float]:
    for line in trace.read_text(encoding="utf-8").splitlines():
        words = line.split(maxsplit=4)
        if words[2:4] == [">", "submit_sm"]:
            yield datetime.fromisoformat(words[0]).timestamp()
