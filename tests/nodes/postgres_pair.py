"""Two PostgreSQL servers of our own, primary and synchronous standby, to crash and to promote (Debian's package)."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from lab import free_port

TIMEOUT_S = 60


class PostgresPair:
    """A primary whose commits wait for the standby. ``stop`` ends both and removes their files."""

    def __init__(self) -> None:
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
        if not found:
            raise FileNotFoundError("PostgreSQL is not installed: apt-get install postgresql")
        self._binaries = Path(found[-1])
        self._folder = Path(tempfile.mkdtemp(prefix="motcua-pair-"))
        self._owner: dict[str, int] = {}
        if os.geteuid() == 0:  # the servers refuse to run as root
            account = pwd.getpwnam("postgres")
            self._owner = {"user": account.pw_uid, "group": account.pw_gid}
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        self.primary, self.standby = free_port(), free_port()

    @property
    def url(self) -> str:
        """Both servers; libpq takes the one that can be written to."""
        hosts = f"host=127.0.0.1:{self.primary}&host=127.0.0.1:{self.standby}"
        return f"postgresql+psycopg://postgres@/postgres?{hosts}&target_session_attrs=read-write&tcp_user_timeout=10000"

    def start(self) -> None:
        first, second = self._folder / "primary", self._folder / "standby"
        self._run("initdb", "-D", str(first), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._start(first, self.primary, "-c synchronous_standby_names=standby")
        source = f"host=127.0.0.1 port={self.primary} user=postgres application_name=standby"
        self._run("pg_basebackup", "-D", str(second), "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", source)
        self._start(second, self.standby, "")
        self._until(
            "the standby follows synchronously",
            self.primary,
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'",
            1,
        )

    def crash_primary(self) -> None:
        """End it as a crash does: all its processes at once, no checkpoint, no last word to the standby or to clients."""
        self._run("pg_ctl", "stop", "-D", str(self._folder / "primary"), "-m", "immediate", "-w")

    def promote(self) -> None:
        self._run("pg_ctl", "promote", "-D", str(self._folder / "standby"), "-w", "-t", str(TIMEOUT_S))

    def stop(self) -> None:
        for name in ("primary", "standby"):
            if (self._folder / name / "postmaster.pid").exists():
                self._run("pg_ctl", "stop", "-D", str(self._folder / name), "-m", "immediate", "-w", check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, data: Path, port: int, more: str) -> None:
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off {more}"
        )
        log = str(data.with_suffix(".log"))
        self._run("pg_ctl", "start", "-D", str(data), "-l", log, "-o", options, "-w", "-t", str(TIMEOUT_S))

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        command = [str(self._binaries / program), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S * 2, check=False, cwd="/", **self._owner
        )
        assert not check or done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def _until(self, what: str, port: int, query: str, wanted: object) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres", autocommit=True) as connection:
            while (row := connection.execute(query).fetchone()) != (wanted,):
                assert time.monotonic() < deadline, f"waited for: {what}; last seen: {row}"
                time.sleep(0.05)  # between two looks
