"""Shipped scenarios against an ESME written with node-smpp."""

from __future__ import annotations

import pytest
from node_peer import FOLDER, require_node
from simulator_process import run

pytestmark = [pytest.mark.peer("node-smpp")]


@pytest.mark.parametrize(
    "name", ["hello", "repeated-mo", "hex-and-decimal-ids", "smsc-restart", "insufficient-balance"]
)
def test_an_esme_of_node_smpp_passes(name: str) -> None:
    esme = f"{require_node()} {FOLDER / 'answering.js'} ${{port}}"
    done = run("scenario", name, "--esme", esme)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_text_of_its_reply_is_looked_at() -> None:
    esme = f"{require_node()} {FOLDER / 'answering.js'} ${{port}}"
    right = run("scenario", "hello", "--esme", esme, "--set", "answer=^Da nhan: MCKH 0101701234$")
    assert right.returncode == 0, right.stdout
    wrong = run("scenario", "hello", "--esme", esme, "--set", "answer=khong co", "--patience", "0.3")
    assert wrong.returncode == 1
    assert "expected to match /khong co/" in wrong.stdout
