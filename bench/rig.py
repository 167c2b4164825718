"""What the benchmarks of the daemon share: a store, the processes as a user starts them, and what they cost.

Figures of one run are only comparable with others of the same machine and minute: run what is to be compared side by side.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from gateway.store import migrate

BIN = Path(sys.executable).parent
POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    """What a process has used: CPU seconds of all its threads, peak resident memory in MiB."""

    cpu_s: float
    peak_mib: float


@dataclass
class Rig:
    """The processes and files of one run."""

    folder: Path
    store_url: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start one of our commands; its output goes to a file beside the configuration."""
        output = (self.folder / f"{Path(command[0]).name}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [str(BIN / command[0]), *command[1:]], stdout=output, stderr=subprocess.STDOUT, cwd=self.folder
        )
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """End everything that was started."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def write(self, name: str, values: dict[str, Any]) -> Path:
        """Write a configuration file."""
        path = self.folder / name
        path.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
        return path


@contextmanager
def rig(store: str) -> Iterator[Rig]:
    """A folder and a fresh, migrated store; everything is stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="motcua-bench-") as name:
        folder = Path(name)
        database = f"motcua_bench_{uuid.uuid4().hex[:12]}"
        if store == "sqlite":
            url = f"sqlite:///{folder}/store.sqlite3"
        else:
            administrate(f'CREATE DATABASE "{database}"')
            url = sa.make_url(POSTGRESQL).set(database=database).render_as_string(hide_password=False)
        made = Rig(folder, url)
        try:
            migrate.upgrade(url)
            yield made
        finally:
            made.stop()
            if store != "sqlite":
                administrate(f'DROP DATABASE "{database}" WITH (FORCE)')


def administrate(statement: str) -> None:
    """Run one statement on the PostgreSQL server, outside of a transaction."""
    engine = sa.create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(what: str, look: Callable[[], Any], limit_s: float, pause_s: float = 0.05) -> Any:
    """Look until the result is true. Raises SystemExit when the limit has passed."""
    deadline = time.monotonic() + limit_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come within {limit_s:.0f} s")
        time.sleep(pause_s)
    return seen


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def cost(process: subprocess.Popen[bytes]) -> Cost:
    """What a running process has used so far (Linux)."""
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    cpu_s = (int(stat[11]) + int(stat[12])) / CLOCK_TICKS
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return Cost(cpu_s, int(peak.split()[1]) / 1024)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def smsc_config(port: int, control_port: int) -> dict[str, Any]:
    """The bundled simulator as a fast SMSC: one account, receipts at once, no record in memory."""
    return {
        "control": {"port": control_port},
        "record": {"memory_entries": 0},
        "log": {"level": "warning"},
        "inbox": {"parts_per_handset": 1, "parts": 1000},
        "messages": {"kept": 1000},
        "sessions": {"deliver_window": 2000},  # receipts at the pace of the submits, whatever the batches
        "accounts": {
            "bench": {
                "port": port,
                "system_id": "bench",
                "password": "bench",
                "window": 10_000,
                "receipts": {"form": "text", "delay": {"fixed": 0.05}},
            }
        },
    }


def gateway_config(store_url: str, host: str, port: int, *, window: int, licence: int, **more: Any) -> dict[str, Any]:
    """A daemon with one bind; every other setting as delivered."""
    return {
        "store": {"url": store_url},
        "log": {"level": "warning"},
        "operators": {
            "bench": {
                "default": True,
                "licence_parts_per_s": licence,
                "binds": [
                    {
                        "name": "bench-1",
                        "host": host,
                        "port": port,
                        "system_id": "bench",
                        "password": "bench",
                        "window": window,
                    }
                ],
            }
        },
        **more,
    }


def show(figures: dict[str, Any], *, as_json: bool) -> None:
    """Print the figures of a run: one JSON object, or a line for each."""
    if as_json:
        print(json.dumps(figures))
        return
    width = max(len(key) for key in figures)
    for key, value in figures.items():
        print(f"{key:<{width}}  {value}")
