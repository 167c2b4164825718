"""The demonstration's processes are stopped by their id, whatever happens, and it says why it cannot go on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from demo.processes import Daemon, DemoError, free_ports, wait_for

ROOT = Path(__file__).resolve().parents[2]
OBEDIENT = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); signal.pause()"
DEAF = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); [signal.pause() for _ in range(9)]"


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def started(program: str, log: Path) -> Daemon:
    daemon = Daemon("sample", [sys.executable, "-c", program], log)
    daemon.start()
    wait_for("the process", lambda: "up" in log.read_text(encoding="utf-8"), 20)
    return daemon


def test_a_process_is_stopped_by_its_id(tmp_path: Path) -> None:
    daemon = started(OBEDIENT, tmp_path / "log")
    assert running(daemon.pid)
    assert daemon.stop() == 0
    assert not running(daemon.pid)
    assert daemon.stop() == 0  # again does no harm


def test_one_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.processes.STOP_TIMEOUT_S", 0.2)
    daemon = started(DEAF, tmp_path / "log")
    assert daemon.stop() == -signal.SIGKILL
    assert not running(daemon.pid)


def test_one_that_was_never_started_is_no_trouble(tmp_path: Path) -> None:
    assert Daemon("sample", ["false"], tmp_path / "log").stop() is None


def test_the_end_of_a_process_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    daemon = Daemon(
        "sample", [sys.executable, "-c", "print('store.url: wrong'); raise SystemExit(3)"], tmp_path / "log"
    )
    daemon.start()
    with pytest.raises(DemoError, match=r"sample ended by itself with status 3[\s\S]*store.url: wrong"):
        wait_for("nothing that could come", lambda: False, 20, [daemon])


def test_waiting_has_an_end() -> None:
    with pytest.raises(DemoError, match="in vain: the moon"):
        wait_for("the moon", lambda: False, 0.1)


def test_free_ports_differ_and_are_free() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", ports[0]))


def test_an_interrupted_demonstration_leaves_nothing_running(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo = subprocess.Popen(
        [sys.executable, "-m", "demo", "--folder", str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for("the gateway's log", lambda: (folder / "gateway.log").exists(), 30)
        children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text(encoding="ascii").split()
        assert len(children) == 2
        demo.send_signal(signal.SIGTERM)
        output, _ = demo.communicate(timeout=30)
        assert demo.returncode == 130, output
        assert not [pid for pid in children if running(int(pid))]
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait()
