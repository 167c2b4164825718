"""A laboratory for end-to-end tests: one agency's database, the simulator and the daemon as processes of their own.

Nothing here sleeps for a guessed time: everything waits for something that can be observed, with a generous limit.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
import yaml

T = TypeVar("T")
#: Where the commands under test are; another installation may be named.
BIN = Path(os.environ.get("MOTCUA_TEST_BIN") or Path(sys.executable).parent)
#: A slow machine must not fail a test; a broken program should not hold it for ever.
PATIENCE_S = 60.0

AGENCY_DDL = """
CREATE TABLE ho_so (
    ma TEXT PRIMARY KEY, trang_thai TEXT NOT NULL, buoc TEXT NOT NULL, o_mot_cua INTEGER NOT NULL,
    dung_tinh INTEGER NOT NULL, dien_thoai TEXT, nhan TEXT, hen_tra TEXT, cap_nhat TEXT NOT NULL);
CREATE INDEX ho_so_cap_nhat ON ho_so (cap_nhat, ma);
CREATE VIEW v_motcua_dossier AS SELECT
    ma AS receipt_code, 'H32.01' AS agency_code, 'TP Nha Trang' AS agency_name, trang_thai AS status, buoc AS step_name,
    o_mot_cua AS at_one_stop_shop, dung_tinh AS clock_stopped, dien_thoai AS phone, nhan AS received_at,
    hen_tra AS due_at, cap_nhat AS updated_at FROM ho_so;
"""


def free_port() -> int:
    """A port that was free a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(what: str, look: Callable[[], T], *, patience_s: float = PATIENCE_S) -> T:
    """Look until the result is true; fail with what was awaited and what was seen last."""
    deadline = time.monotonic() + patience_s
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s:.0f} s for {what}; last seen: {seen!r}")
        time.sleep(0.05)  # between two looks, never instead of one


def insert_dossiers(agency: Path, codes: Iterable[str], *, ready: bool = True, phone: str | None = None) -> list[str]:
    """New dossiers in an agency's database, each with a mobile number of its own; at the step Trả kết quả when ``ready``."""
    now = datetime.now(UTC) + timedelta(hours=7)
    stamp = now.strftime("%Y-%m-%d %H:%M:%S.%f")
    received, due = (now - timedelta(days=3)).isoformat(" "), (now + timedelta(days=3)).isoformat(" ")
    rows = [
        (
            code,
            "Đang xử lý",
            "Trả kết quả" if ready else "Thẩm định hồ sơ",
            int(ready),
            0,
            phone or f"0905{int(code[-6:]):06d}",
            received,
            due,
            stamp,
        )
        for code in codes
    ]
    with closing(sqlite3.connect(agency, timeout=PATIENCE_S)) as connection, connection:
        connection.executemany("INSERT INTO ho_so VALUES (?,?,?,?,?,?,?,?,?)", rows)
    return [row[0] for row in rows]


@dataclass
class Process:
    """A child process with its output in a file."""

    popen: subprocess.Popen[bytes]
    output: Path

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace") if self.output.exists() else ""

    def kill(self) -> None:
        """SIGKILL: no time to say good-bye."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(PATIENCE_S)

    def terminate(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(PATIENCE_S)


class Lab:
    """Everything of one test, below one folder."""

    def __init__(self, folder: Path, store_url: str | None = None) -> None:
        self.folder = folder
        self.smpp_port = free_port()
        self.control_port = free_port()
        self.store_url = store_url or f"sqlite:///{folder}/gateway.sqlite3"
        self.agency = folder / "agency.sqlite3"
        self.record_path = folder / "record.jsonl"
        self.gateway_config = folder / "gateway.yaml"
        self.simulator_config = folder / "simulator.yaml"
        self._processes: list[Process] = []
        self._engine: sa.Engine | None = None
        with closing(sqlite3.connect(self.agency)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(AGENCY_DDL)

    # -- configuration ------------------------------------------------------------------------------------------

    def configure(
        self, *, account: Mapping[str, Any] | None = None, bind: Mapping[str, Any] | None = None, **gateway: Any
    ) -> None:
        """Write both configuration files; the arguments are laid over the defaults."""
        simulator = {
            "seed": 1,
            "control": {"port": self.control_port},
            "record": {"path": str(self.record_path), "flush_interval_s": 0.01},
            "accounts": {
                "viettel": {
                    "port": self.smpp_port,
                    "system_id": "motcua",
                    "password": "secret",
                    "receipts": {"delay": {"fixed": 0.05}},
                    "prefixes": ["84"],
                    **(account or {}),
                }
            },
        }
        self.simulator_config.write_text(yaml.safe_dump(simulator, allow_unicode=True), encoding="utf-8")
        settings: dict[str, Any] = {
            "store": {"url": self.store_url},
            "lease_s": 2.0,
            "drain_timeout_s": 5.0,
            "operators": {
                "viettel": {
                    "default": True,
                    "licence_parts_per_s": 1000,
                    "binds": [
                        {
                            "name": "viettel-1",
                            "host": "127.0.0.1",
                            "port": self.smpp_port,
                            "system_id": "motcua",
                            "password": "secret",
                            "reconnect_min_s": 0.1,
                            "reconnect_max_s": 0.5,
                            "response_timeout_s": 3.0,
                            **(bind or {}),
                        }
                    ],
                }
            },
            "sources": {
                "nha-trang": {
                    "url": f"sqlite:///{self.agency}",
                    "poll_interval_s": 0.2,
                    "announce_from": "2020-01-01T00:00:00+07:00",
                }
            },
            "notices": {"hold_s": 0, "night": None, "apology": {"enabled": False}},
            "doubt": {"wait_s": 2.0},
        }
        for section, values in gateway.items():
            merged = {**settings.get(section, {}), **values} if isinstance(values, dict) else values
            settings[section] = merged
        self.gateway_config.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")

    # -- the one-stop-shop software ------------------------------------------------------------------------------

    def add_dossiers(self, codes: Iterable[str], *, ready: bool = True, phone: str | None = None) -> list[str]:
        """New dossiers, each with a mobile number of its own; at the step Trả kết quả when ``ready``."""
        return insert_dossiers(self.agency, codes, ready=ready, phone=phone)

    # -- processes -----------------------------------------------------------------------------------------------

    def start_simulator(self) -> Process:
        process = self._start("simulator", "motcua-simulator", "run", "--config", str(self.simulator_config))
        wait_for(
            "the simulator's port",
            lambda: process.popen.poll() is not None or (_listens(self.smpp_port) and _listens(self.control_port)),
        )
        assert process.popen.poll() is None, process.text()
        return process

    def start_gateway(self, *, ready: bool = True) -> Process:
        process = self._start("gateway", "motcua-gateway", "run", "--config", str(self.gateway_config))
        if ready:
            wait_for("bind_up in the daemon's log", lambda: "bind_up" in process.text() or process.popen.poll())
            assert process.popen.poll() is None, process.text()
        return process

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of ours to its end."""
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=self.folder,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def _start(self, name: str, *command: str) -> Process:
        output = self.folder / f"{name}-{len(self._processes)}.log"
        with output.open("wb") as stream:
            popen = subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        process = Process(popen, output)
        self._processes.append(process)
        return process

    def stop(self) -> None:
        for process in self._processes:
            if process.popen.poll() is None:
                process.kill()
        if self._engine is not None:
            self._engine.dispose()

    # -- what can be seen from outside ----------------------------------------------------------------------------

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Rows of the gateway's store."""
        if self._engine is None:
            self._engine = sa.create_engine(self.store_url)
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(sa.text(query), values)]

    def states(self) -> dict[str, int]:
        """How many messages are in each state."""
        return {row["state"]: row["n"] for row in self.rows("SELECT state, count(*) AS n FROM message GROUP BY state")}

    def record(self, kind: str) -> list[dict[str, Any]]:
        """The simulator's entries of one kind, oldest first."""
        if not self.record_path.exists():
            return []
        lines = self.record_path.read_text(encoding="utf-8").splitlines(keepends=True)
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [entry for entry in entries if entry["event"] == kind]


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
