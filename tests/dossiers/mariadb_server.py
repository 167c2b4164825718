"""A MariaDB for the tests, from Debian's package, in a temporary folder.

``MOTCUA_TEST_MARIADB`` names a server instead (SQLAlchemy URL of an administrator, without a database).
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

START_TIMEOUT_S = 60


class NoServer(Exception):
    """There is no MariaDB to test with, and none can be started."""


@contextmanager
def server() -> Iterator[sa.URL]:
    """An administrator's URL of a running server. Raises :class:`NoServer`."""
    if named := os.environ.get("MOTCUA_TEST_MARIADB"):
        yield sa.make_url(named)
        return
    program, install = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
    if program is None or install is None:
        raise NoServer("MariaDB is not installed: apt-get install mariadb-server")
    folder = Path(tempfile.mkdtemp(prefix="motcua-mdb-"))
    try:
        with _own_server(folder, program, install) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _own_server(folder: Path, program: str, install: str) -> Iterator[sa.URL]:
    user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        account = pwd.getpwnam("mysql")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = ["--user=mysql"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    common = ["--no-defaults", f"--datadir={data}"]
    made = subprocess.run(
        [install, *common, *user, "--auth-root-authentication-method=normal", "--skip-test-db"],
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    if made.returncode:
        raise NoServer(f"mariadb-install-db: {made.stdout}{made.stderr}".strip())
    options = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 's'}", f"--pid-file={folder / 'pid'}"]
    process = subprocess.Popen(
        [program, *common, *user, *options, "--innodb-flush-log-at-trx-commit=0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = sa.make_url(f"mysql+pymysql://root@127.0.0.1:{port}")
    try:
        _wait(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=START_TIMEOUT_S)


def _wait(url: sa.URL, process: subprocess.Popen[bytes]) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with engine.connect():
                return
        except sa.exc.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NoServer(f"mariadbd does not start: {error}") from error
            time.sleep(0.1)
