"""The shipped scenarios against an ESME that is not ours (PyPI smpplib): it passes when it behaves, and each of its faults is found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from simulator_process import run

from simulator.scenario.library import shipped

ESME = f"{sys.executable} {Path(__file__).with_name('answering_esme.py')} ${{port}}"
pytestmark = pytest.mark.peer("smpplib")

SETTINGS = {
    # the matrix: one form here, all of them below; the smallest times that this ESME needs
    "hex-and-decimal-ids": ["form=text"],
    "long-unicode": ["form=sar", "order=3,3,2,1", "echo=yes"],
    "half-open": ["notice=10s"],
    "smsc-restart": ["away=500ms"],
}


def play(name: str, *faults: str, settings: list[str] | None = None, patience: str = "1") -> tuple[int, str]:
    """Play one against the ESME with these faults; the exit code and what was printed."""
    esme = ESME + "".join(f" --fault {fault}" for fault in faults)
    words = [word for one in SETTINGS.get(name, []) if settings is None for word in ("--set", one)]
    words += [word for one in settings or [] for word in ("--set", one)]
    done = run("scenario", name, "--esme", esme, "--patience", patience, *words)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(shipped()))
def test_an_esme_that_behaves_passes(name: str) -> None:
    code, told = play(name)
    assert code == 0, told


@pytest.mark.parametrize(("form", "order"), [("udh8", "3,1,1,2"), ("udh16", "2,3,1,1"), ("payload", "1,1")])
def test_long_texts_come_back_as_they_were_in_every_form(form: str, order: str) -> None:
    code, told = play("long-unicode", settings=[f"form={form}", f"order={order}", "echo=yes"])
    assert code == 0, told


@pytest.mark.parametrize(
    ("name", "fault", "told"),
    [
        ("hello", "no-receipt", "a receipt was asked for"),
        ("hello", "silent", "the ESME takes the query"),
        ("repeated-mo", "answers-copies", "1 was expected"),
        ("early-receipt", "refuses-receipts", "it is taken at the first attempt"),
        ("hex-and-decimal-ids", "refuses-receipts", "the receipt with the decimal id is taken at once"),
        ("throttled", "gives-up", "0 of 20 different ones"),
        ("throttled", "hurries", "101 submit_sm within 1 s, 100 are allowed"),
        ("queue-full", "gives-up", "0 of 10 different ones"),
        ("link-cut", "doubles", "came again"),
        ("link-cut", "stays-away", "the ESME binds again by itself"),
        ("smsc-restart", "stays-away", "the ESME is back"),
        ("long-unicode", "answers-parts", "one reply"),
        ("long-unicode", "wrong-coding", "the same text comes back"),
        ("insufficient-balance", "repeats-refusals", "the refused reply is not tried again"),
        ("half-open", "never-probes", "the ESME probes an idle link"),
        ("operator-quirks", "answers-receipts", "and not answered like a citizen"),
    ],
)
def test_each_fault_of_an_esme_is_found(name: str, fault: str, told: str) -> None:
    code, printed = play(name, fault, patience="0.4")
    assert code == 1, printed
    [first] = [line for line in printed.splitlines() if "✗" in line and " s " in line][:1]
    around = printed[printed.index(first) :]
    assert told in around.split("the last PDUs")[0], printed
