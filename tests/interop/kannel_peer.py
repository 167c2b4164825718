"""Runs Kannel 1.4.5 (bearerbox and smsbox), an ESME that is not ours, with an application behind it that we can ask."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
#: Kannel's own clocks tick in whole seconds; nothing here needs more than a few of them.
PATIENCE_S = 40.0
#: Debian keeps servers where not everybody's PATH looks.
SERVERS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def require(program: str) -> str:
    """A program of Kannel. Skips on a developer's machine without it, fails in CI."""
    found = shutil.which(program, path=SERVERS)
    if found is None:
        missing = f"{program} is not installed: apt-get install kannel"
        if IN_CI:
            pytest.fail(missing)
        pytest.skip(missing)
    return found


class Call(NamedTuple):
    """What Kannel asked the application."""

    path: str
    query: dict[str, str]


class Application:
    """A web server behind Kannel: gets MOs and delivery reports, and answers an MO with a text."""

    def __init__(self, answer: str) -> None:
        self.calls: list[Call] = []
        self._changed = threading.Condition()
        application = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urllib.parse.urlsplit(self.path)
                query = urllib.parse.parse_qs(parts.query, keep_blank_values=True, encoding="utf-8")
                application.got(Call(parts.path, {name: values[0] for name, values in query.items()}))
                body = answer.encode() if parts.path == "/mo" else b""
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Kannel-Coding", "2")  # UCS-2
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the calls are kept."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def got(self, call: Call) -> None:
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()

    def wait(self, what: str, accept: Callable[[Call], bool]) -> Call:
        """The first call of that kind, however long ago."""
        with self._changed:
            found = self._changed.wait_for(lambda: next(filter(accept, self.calls), None), PATIENCE_S)
        assert found is not None, f"Kannel did not tell its application: {what}; it told {self.calls}"
        return found

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)


class Kannel:
    """bearerbox and smsbox, their logs and what one orders of them."""

    def __init__(self, folder: Path, smsc_groups: str, application: Application) -> None:
        self.folder = folder
        self.application = application
        self._admin, self._box, self._http = free_ports(3)
        self._processes: list[subprocess.Popen[bytes]] = []
        config = folder / "kannel.conf"
        config.write_text(self._configuration(smsc_groups), encoding="utf-8")
        self._run("bearerbox", config)
        self.until("bearerbox takes its box", lambda: listens(self._box))
        self._run("smsbox", config)
        self.until("smsbox takes orders", lambda: listens(self._http))

    def _configuration(self, smsc_groups: str) -> str:
        return f"""
group = core
admin-port = {self._admin}
admin-interface = 127.0.0.1
admin-password = secret
smsbox-port = {self._box}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
log-level = 0
sms-resend-freq = 1
{smsc_groups}
group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {self._box}
sendsms-port = {self._http}
sendsms-interface = 127.0.0.1
mo-recode = true
log-level = 0

group = sendsms-user
username = tester
password = secret
max-messages = 10
concatenation = true

group = sms-service
keyword = default
accept-x-kannel-headers = true
catch-all = true
max-messages = 10
concatenation = true
get-url = "http://127.0.0.1:{self.application.port}/mo?from=%p&to=%P&text=%a&charset=%C&coding=%c"
"""

    def _run(self, program: str, config: Path) -> None:
        with (self.folder / f"{program}.log").open("wb") as output:
            process = subprocess.Popen(
                [require(program), "-v", "0", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
            )
        self._processes.append(process)

    def log(self, program: str = "bearerbox") -> str:
        return (self.folder / f"{program}.log").read_text(encoding="utf-8", errors="replace")

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Look until it holds: what happens in other processes."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            dead = [process for process in self._processes if process.poll() is not None]
            assert not dead, f"Kannel ended before '{what}': {self.log()[-3000:]}"
            assert time.monotonic() < deadline, f"not in {PATIENCE_S:.0f} s: {what}; {self.log()[-3000:]}"
            threading.Event().wait(0.05)

    def send(self, to: str, text: str, **more: str) -> None:
        """Order an SMS with all delivery reports; they arrive at the application as ``/dlr``."""
        report = f"http://127.0.0.1:{self.application.port}/dlr?to=%p&type=%d&receipt=%A"
        query = {
            "username": "tester",
            "password": "secret",
            "from": "MotcuaSMS",
            "to": to,
            "text": text,
            "charset": "UTF-8",
            "dlr-mask": "31",
            "dlr-url": report,
            **more,
        }
        url = f"http://127.0.0.1:{self._http}/cgi-bin/sendsms?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            assert answer.status == 202, answer.read()

    def stop(self) -> None:
        """smsbox first, as Kannel's own scripts do; bearerbox unbinds."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(PATIENCE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(PATIENCE_S)


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now; Kannel cannot be told to take any."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def kannel(folder: Path, smsc_groups: str, answer: str) -> Iterator[Kannel]:
    application = Application(answer)
    one: Kannel | None = None
    try:
        one = Kannel(folder, smsc_groups, application)
        yield one
    finally:
        if one is not None:
            one.stop()
        application.stop()
