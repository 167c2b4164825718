"""The simulator as users have it: its own process, found by what it prints."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulator.control_client import ControlClient

COMMAND = [sys.executable, "-m", "simulator.cli"]


class Running:
    """A simulator that runs."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.process = process
        self.ports: dict[str, int] = ready["ports"]
        self.url: str = ready["control"]
        self.seed: int = ready["seed"]
        self.client = ControlClient(self.url)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line against it."""
        return run(*words, "--control", self.url)

    def json(self, *words: str) -> Any:
        """The same with --json; what it printed."""
        done = self.command(*words, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def stop(self) -> int:
        """End it as a service manager does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def running(tmp_path: Path, configuration: str | None = None, *options: str) -> Iterator[Running]:
    """Start a simulator on free ports and end it afterwards."""
    words = ["run", "--control-port", "0", "--json", "--seed", "1", *options]
    if configuration is None:
        words += ["--port", "0"]
    else:
        path = tmp_path / "simulator.yaml"
        path.write_text(configuration, encoding="utf-8")
        words += ["--config", str(path)]
    log = (tmp_path / "simulator.log").open("w+", encoding="utf-8")
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        log.flush()
        assert line, (tmp_path / "simulator.log").read_text(encoding="utf-8")
        yield Running(process, json.loads(line))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=20)
        assert process.stdout is not None
        process.stdout.close()
        log.close()
