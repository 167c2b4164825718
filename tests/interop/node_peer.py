"""Runs node/smsc.js, an SMSC that is not ours, and the daemon against it, as processes."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).with_name("node")
IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
#: Nothing here takes more than a second or two on an idle machine.
PATIENCE_S = 30.0


def require_node() -> str:
    """The program node, with the package smpp beside the script. Skips on a developer's machine, fails in CI."""
    node = shutil.which("node")
    missing = ""
    if node is None:
        missing = "node is not installed: apt-get install nodejs"
    elif not (FOLDER / "node_modules" / "smpp").is_dir():
        missing = f"the npm package smpp is missing: cd {FOLDER} && npm install --no-package-lock --ignore-scripts"
    if missing and IN_CI:
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    assert node is not None
    return node


class NodeSmsc:
    """The process, its orders, and what it told."""

    def __init__(self, node: str, password: str = "secret") -> None:
        self._process = subprocess.Popen(
            [node, "smsc.js", "motcua", password],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.told: list[dict[str, Any]] = []
        self.port = int(self.next("listening")["port"])

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def order(self, do: str, **values: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **values}) + "\n")
        self._process.stdin.flush()

    def next(self, event: str, accept: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next thing of that kind; what comes before it is kept in ``told``. Fails on what node-smpp cannot decode."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                told = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"node-smpp told no '{event}'; it told {self.told[-5:]}")
            assert told is not None, f"node-smpp ended; it told {self.told[-5:]}"
            self.told.append(told)
            assert told["event"] != "error", told
            if told["event"] == event and accept(told):
                return told

    def submits(self, number: str, count: int) -> list[dict[str, Any]]:
        """The next ``count`` submit_sm to a number."""
        return [self.next("submit_sm", lambda told: told["destination_addr"] == number) for _ in range(count)]

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)


class RunningGateway:
    """The daemon, started by its console script."""

    def __init__(self, config: Path, log: Path) -> None:
        self.log = log
        script = Path(sys.executable).with_name("motcua-gateway")
        assert script.exists(), "the project is not installed: make install"
        subprocess.run([script, "db", "upgrade", "--config", config], check=True, capture_output=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [script, "run", "--config", config], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def terminate(self) -> int:
        """SIGTERM, and the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_S)

    def end(self) -> None:
        if self.running:
            self._process.kill()
            self._process.wait(PATIENCE_S)


@contextmanager
def running_gateway(config: Path, log: Path) -> Iterator[RunningGateway]:
    gateway = RunningGateway(config, log)
    try:
        yield gateway
    finally:
        gateway.end()


@contextmanager
def node_smsc(password: str = "secret") -> Iterator[NodeSmsc]:
    smsc = NodeSmsc(require_node(), password)
    try:
        yield smsc
    finally:
        smsc.stop()


def eventually(what: str, condition: Callable[[], bool]) -> None:
    """Look until it holds: for what another process writes into a file."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not in {PATIENCE_S:.0f} s: {what}"
        threading.Event().wait(0.02)
