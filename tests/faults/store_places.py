"""The gateway's store in a run: where it is, and what may be done to it. One class for each kind of database.

Every fault that is begun is ended by :meth:`calm`, at the latest; then the store works.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
from contextlib import suppress
from pathlib import Path

import postgres_server
import psycopg
import sqlalchemy as sa
from lab import wait_for
from small_disk import NoMount, SmallDisk, limit_files

from gateway.store import migrate

DATABASE = "motcua"
#: A server for one run: small, and without the flush to the platter, which a killed process does not need.
POSTGRES_OPTIONS = {
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "min_wal_size": "2MB",
    "max_wal_size": "8MB",
    "autovacuum": "off",
}


class SqliteStore:
    """A file. ``small``: on a small disk where one can be mounted."""

    def __init__(self, folder: Path, template: Path, small: bool) -> None:
        self.disk: SmallDisk | None = None
        place = folder / "store"
        if small:
            with suppress(NoMount):
                self.disk = SmallDisk(place, 24)
        place.mkdir(exist_ok=True)
        self.path = place / "motcua.sqlite3"
        shutil.copyfile(template, self.path)
        self.url = f"sqlite:///{self.path}"
        self._locker: sqlite3.Connection | None = None

    def lock(self) -> None:
        """Hold the write lock, as a copy or a careless administrator does."""
        connection = sqlite3.connect(self.path, timeout=3.0, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:  # the store is in trouble already
            connection.close()
            return
        self.unlock()
        self._locker = connection

    def unlock(self) -> None:
        locker, self._locker = self._locker, None
        if locker is not None:
            locker.close()

    def limit(self, daemon: int, octets: int | None) -> None:
        """No file of the daemon grows beyond so many octets."""
        limit_files([daemon], octets)

    def calm(self) -> None:
        self.unlock()
        if self.disk is not None:
            self.disk.release()

    def close(self) -> None:
        self.calm()
        if self.disk is not None:
            self.disk.close()


class PostgresStore:
    """A server of our own, on a copy of a cluster that was made once."""

    def __init__(self, folder: Path, template: Path, small: bool) -> None:
        self.disk: SmallDisk | None = None
        self._owner: dict[str, int] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            self._owner = {"user": account.pw_uid, "group": account.pw_gid}
        place = folder / "postgresql"
        if small:
            with suppress(NoMount):
                self.disk = SmallDisk(place, 80, self._owner)
        place.mkdir(exist_ok=True)
        self._server = postgres_server.OwnServer(place, POSTGRES_OPTIONS)
        subprocess.run(["cp", "-a", str(template), str(self._server.data)], check=True)
        self._server.start()
        self.url = self._server.url(DATABASE).render_as_string(hide_password=False)
        self._locker: psycopg.Connection[tuple[object, ...]] | None = None

    # -- processes ----------------------------------------------------------------------------------------------

    def _postmaster(self) -> int | None:
        try:
            pid = int((self._server.data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, 0)
        except (OSError, ValueError, IndexError):
            return None
        return pid

    def _children(self, parent: int) -> dict[int, str]:
        """pid → title of the server's processes."""
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError, ValueError, IndexError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().decode("utf-8", "replace").strip("\0 ")
        return found

    def _processes(self) -> list[int]:
        parent = self._postmaster()
        return [] if parent is None else [parent, *self._children(parent)]

    def _serving(self) -> list[int]:
        """Those that serve a connection to the store."""
        parent = self._postmaster()
        return (
            [] if parent is None else [pid for pid, title in self._children(parent).items() if f" {DATABASE} " in title]
        )

    # -- faults -------------------------------------------------------------------------------------------------

    def stop(self, mode: str) -> None:
        with suppress(postgres_server.NoServer):  # another strike has stopped it
            self._server.stop(mode)

    def start(self) -> None:
        if self._postmaster() is None:
            with suppress(postgres_server.NoServer):  # while its disk is full it cannot
                self._server.start()

    def crash(self) -> None:
        """All its processes at once, as when the machine is gone."""
        self._signal(self._processes(), signal.SIGKILL)

    def kill_backend(self) -> None:
        """One process: the server throws out all connections and recovers by itself."""
        self._signal(self._serving()[:1], signal.SIGKILL)

    def end_backends(self) -> None:
        """As pg_terminate_backend does."""
        self._signal(self._serving(), signal.SIGTERM)

    def freeze(self) -> None:
        self._signal(self._serving(), signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(self._processes(), signal.SIGCONT)

    @staticmethod
    def _signal(pids: list[int], number: int) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def lock(self) -> None:
        """Hold the table of messages, as a careless administrator does."""
        self.unlock()
        with suppress(psycopg.Error):  # the store is in trouble already
            url = self.url.replace("postgresql+psycopg://", "postgresql://")
            connection = psycopg.connect(url, connect_timeout=2)
            connection.execute("SET lock_timeout = '2s'")
            connection.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")
            self._locker = connection

    def unlock(self) -> None:
        locker, self._locker = self._locker, None
        if locker is not None:
            with suppress(psycopg.Error):
                locker.close()

    def limit(self, daemon: int, octets: int | None) -> None:
        """No file of the server grows beyond so many octets: neither tables nor its log of changes."""
        limit_files(self._processes(), octets, self._owner)

    # -- calm ---------------------------------------------------------------------------------------------------

    def calm(self) -> None:
        """All faults end, and the server answers."""
        self.unlock()
        self.thaw()
        self.limit(0, None)
        if self.disk is not None:
            self.disk.release()
        wait_for("the server's answer", self._answers)

    def _answers(self) -> bool:
        self.start()
        return postgres_server.answers(sa.make_url(self.url))

    def close(self) -> None:
        self.unlock()
        self.thaw()
        self.stop("immediate")
        if self.disk is not None:
            self.disk.close()


Store = SqliteStore | PostgresStore


class Templates:
    """Stores with the gateway's schema, made when they are first asked for; runs copy them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # the server's user reads its cluster from here

    def sqlite(self) -> Path:
        path = self._folder / "template.sqlite3"
        if not path.exists():
            migrate.upgrade(f"sqlite:///{path}")
        return path

    def postgresql(self) -> Path:
        """The data folder of a cluster. Raises :class:`postgres_server.NoServer`."""
        place = self._folder / "postgresql"
        done = place / "made"
        if not done.exists():
            place.mkdir(exist_ok=True)
            server = postgres_server.OwnServer(place, POSTGRES_OPTIONS)
            server.create("--wal-segsize=1")
            server.start()
            try:
                with postgres_server.connect(server.url()) as connection:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
                migrate.upgrade(server.url(DATABASE).render_as_string(hide_password=False))
            finally:
                server.stop("fast")
            done.touch()
        return place / "data"

    def place(self, folder: Path, kind: str, small: bool) -> Store:
        """A store for one run."""
        if kind == "sqlite":
            return SqliteStore(folder, self.sqlite(), small)
        return PostgresStore(folder, self.postgresql(), small)
