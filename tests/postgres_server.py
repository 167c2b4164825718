"""A PostgreSQL for the tests: the one on this machine when it answers, else one of our own from Debian's package.

``MOTCUA_TEST_POSTGRES`` names a server (SQLAlchemy URL of an administrator); else 127.0.0.1:5432 with user postgres is
tried; else a server is started in a temporary folder and stopped at the end of the run.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa

LOCAL_URL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
START_TIMEOUT_S = 60


class NoServer(Exception):
    """There is no PostgreSQL to test with, and none can be started."""


@contextmanager
def server() -> Iterator[sa.URL]:
    """An administrator's URL of a running server. Raises :class:`NoServer`."""
    url = sa.make_url(os.environ.get("MOTCUA_TEST_POSTGRES", LOCAL_URL))
    if answers(url):
        yield url
        return
    if "MOTCUA_TEST_POSTGRES" in os.environ:
        raise NoServer("the server named by MOTCUA_TEST_POSTGRES does not answer")
    folder = Path(tempfile.mkdtemp(prefix="motcua-pg-"))
    try:
        with _own_server(folder) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def answers(url: sa.URL) -> bool:
    try:
        connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def connect(url: sa.URL) -> psycopg.Connection[tuple[object, ...]]:
    """A connection in autocommit mode, for CREATE DATABASE and the like."""
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True, connect_timeout=3)


class OwnServer:
    """A PostgreSQL of our own below one folder, on a port of its own. When root runs the tests it belongs to ``postgres``.

    Args:
        options: settings of the server, as ``{"fsync": "off"}``.
    """

    def __init__(self, folder: Path, options: Mapping[str, str] | None = None) -> None:
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
        if not found:
            raise NoServer("PostgreSQL is not installed: apt-get install postgresql")
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self._binaries = Path(found[-1])
        self._owner: dict[str, int] = {}
        if os.geteuid() == 0:  # the server refuses to run as root
            account = pwd.getpwnam("postgres")
            self._owner = {"user": account.pw_uid, "group": account.pw_gid}
            os.chown(folder, account.pw_uid, account.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(folder), **(options or {})}
        self._options = " ".join([f"-p {self.port}", *(f"-c {name}={value}" for name, value in settings.items())])

    def create(self, *arguments: str) -> None:
        """Make the cluster. ``arguments``: further ones of initdb."""
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", *arguments)

    def start(self) -> None:
        """Start, and wait until it takes connections. Raises :class:`NoServer`."""
        self._run("pg_ctl", "-l", str(self.log), "-o", self._options, "-w", "-t", str(START_TIMEOUT_S), "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: smart, fast or immediate (as after a crash). Raises :class:`NoServer`."""
        self._run("pg_ctl", "-m", mode, "stop")

    def url(self, database: str = "postgres") -> sa.URL:
        """Of the administrator."""
        return sa.make_url(f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), "-D", str(self.data), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=START_TIMEOUT_S * 2, check=False, cwd="/", **self._owner
        )
        if done.returncode:
            raise NoServer(f"{program}: {done.stdout}{done.stderr}".strip())


@contextmanager
def _own_server(folder: Path) -> Iterator[sa.URL]:
    server = OwnServer(folder, {"fsync": "off"})
    server.create()
    server.start()
    try:
        yield server.url()
    finally:
        server.stop()
