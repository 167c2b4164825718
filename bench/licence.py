"""Does the licence hold as an SMSC sees it, and is it used? The daemon, two binds of one account, the simulator as a process.

    python bench/licence.py                         # 50 parts per second for 20 s
    python bench/licence.py --licence 500 --json

    python bench/licence.py --strict                # the SMSC throttles what exceeds the licence, without any tolerance

The outbox is full at the start, so there is always work. Submits are counted in every sliding second twice: as they leave (from
the traces that the binds write) and as they reach the SMSC (from the simulator's record). The second figure holds what
two processes on a busy machine add to or take from a second; the licence's own margin for that is a hundredth.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import rig
from mt import messages

from gateway.db import make_engine
from gateway.store.outbox import insert_messages_txn

#: The licence begins with a burst and a start: not part of the steady use.
SETTLED_S = 2.0


def most_in_a_second(times: Sequence[float]) -> int:
    """The largest number of events in any half-open sliding second."""
    window: deque[float] = deque()
    most = 0
    for moment in times:
        window.append(moment)
        while window[0] <= moment - 1.0:
            window.popleft()
        most = max(most, len(window))
    return most


def used(times: Sequence[float], licence: int) -> float:
    """The share of the licence that was used, between the start and the last message."""
    begin = times[0] + SETTLED_S
    counted = sum(begin <= moment for moment in times)
    return counted / (licence * (times[-1] - begin))


def measure(licence: int, seconds: float, strict: bool) -> dict[str, Any]:
    """One run. Raises SystemExit when a process does not do its part."""
    count = int(licence * seconds)
    with rig.rig("sqlite") as made:
        now = datetime.now(UTC)
        engine = make_engine(made.store_url)
        with engine.begin() as connection:
            insert_messages_txn(connection, list(messages(1, count, now)), now)
        engine.dispose()
        port, control = rig.free_port(), rig.free_port()
        record = made.folder / "record.jsonl"
        simulator = rig.smsc_config(port, control)
        simulator["record"] = {"path": str(record), "memory_entries": 0, "flush_interval_s": 0.1}
        if strict:
            simulator["accounts"]["bench"]["tps"] = licence
        gateway = rig.gateway_config(made.store_url, "127.0.0.1", port, window=licence, licence=licence)
        operator = gateway["operators"]["bench"]
        operator["binds"].append({**operator["binds"][0], "name": "bench-2"})
        traces = [made.folder / f"{bind['name']}.trace" for bind in operator["binds"]]
        for bind, trace in zip(operator["binds"], traces, strict=True):
            bind["trace"] = {"file": str(trace), "rotate_octets": 10**10}
        made.start("motcua-simulator", "run", "--config", str(made.write("simulator.yaml", simulator)))
        rig.wait_for("the simulator", lambda: rig.listens(port), 30)
        made.start("motcua-gateway", "run", "--config", str(made.write("gateway.yaml", gateway)))
        rig.wait_for("the last message", _Counter(record, count), seconds * 3 + 60, 0.5)
        entries = _submits(record)
        left = sorted(moment for trace in traces for moment in _left(trace))
    arrived = sorted(entry["at"] for entry in entries)
    return {
        "licence_parts_per_s": licence,
        "parts": len(left),
        "seconds": round(left[-1] - left[0], 2),
        "most_leaving_in_a_sliding_second": most_in_a_second(left),
        "most_arriving_in_a_sliding_second": most_in_a_second(arrived),
        "used": round(used(left, licence), 4),
        "throttled_by_the_smsc": sum(entry["status"] == 0x58 for entry in entries),
    }


class _Counter:
    """Whether the record has so many submits; reads only what is new, or the benchmark would slow down what it measures."""

    def __init__(self, record: Path, count: int) -> None:
        self._record, self._missing, self._read = record, count, 0

    def __call__(self) -> bool:
        if self._record.exists():
            with self._record.open("rb") as lines:
                lines.seek(self._read)
                octets = lines.read()
            whole = octets[: octets.rfind(b"\n") + 1]
            self._read += len(whole)
            self._missing -= whole.count(b'"event": "submit"') + whole.count(b'"event":"submit"')
        return self._missing <= 0


def _submits(record: Path) -> list[dict[str, Any]]:
    if not record.exists():
        return []
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    return [entry for line in lines if line.endswith("\n") and (entry := json.loads(line))["event"] == "submit"]


def _left(trace: Path) -> Iterator[float]:
    """When submits left, in seconds since 1970."""
    for line in trace.read_text(encoding="utf-8").splitlines():
        words = line.split(maxsplit=4)
        if words[2:4] == [">", "submit_sm"]:
            yield datetime.fromisoformat(words[0]).timestamp()


def main() -> int:
    parser = argparse.ArgumentParser(description="Count submits per sliding second at the SMSC.")
    parser.add_argument("--licence", type=int, default=50, help="parts per second (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="work for so long (default %(default)s)")
    parser.add_argument("--strict", action="store_true", help="the SMSC throttles, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = measure(options.licence, options.seconds, options.strict)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name.replace('_', ' '):34} {value}")
    return 0 if result["most_leaving_in_a_sliding_second"] <= options.licence else 1


if __name__ == "__main__":
    sys.exit(main())
