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
from collections.abc import Iterator
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


@contextmanager
def _own_server(folder: Path) -> Iterator[sa.URL]:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
    if not found:
        raise NoServer("PostgreSQL is not installed: apt-get install postgresql")
    binaries = Path(found[-1])
    data = folder / "data"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    owner: dict[str, int] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        account = pwd.getpwnam("postgres")
        owner = {"user": account.pw_uid, "group": account.pw_gid}
        os.chown(folder, account.pw_uid, account.pw_gid)
    _run([str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"], owner)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    control = str(binaries / "pg_ctl")
    log = str(folder / "log")
    _run([control, "-D", str(data), "-l", log, "-o", options, "-w", "-t", str(START_TIMEOUT_S), "start"], owner)
    try:
        yield sa.make_url(f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres")
    finally:
        _run([control, "-D", str(data), "-m", "immediate", "stop"], owner)


def _run(command: list[str], owner: dict[str, int]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=START_TIMEOUT_S * 2, check=False, cwd="/", **owner
    )
    if done.returncode:
        raise NoServer(f"{command[0]}: {done.stdout}{done.stderr}".strip())
